//! The run: kill after kill, and a look from outside after each.

use crate::{
    cluster::Cluster,
    crew::Crew,
    desk::Desk,
    invariants::Outside,
    operator::Operator,
    orders::Orders,
    pace::Pace,
    panel::Panel,
    picture::Picture,
    plan::{Count, Plan},
    server::Server,
    settings::Settings,
    strangers::Strangers,
};
use rand::{SeedableRng, rngs::StdRng, seq::IteratorRandom};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Share of the requests that meet a fault, in the first part of each half.
const FAULTS: f64 = 0.1;

pub(crate) struct Ordeal {
    pub(crate) rng: StdRng,
    folder: TempDir,
    orders: Orders,
    cluster: Cluster,
    pub(crate) server: Option<Server>,
    pub(crate) desk: Desk,
    panel: Panel,
    pub(crate) crew: Crew,
    strangers: Strangers,
    operator: Operator,
    /// References of orders that are to be taken away.
    gone: BTreeSet<String>,
    /// All are to be taken away, sooner or later.
    is_over: bool,
    pub(crate) kills: u32,
    pub(crate) freezes: u32,
    intruders: usize,
    /// The share of the requests that meet a fault now.
    faults: f64,
    begun: Instant,
}

impl Ordeal {
    pub(crate) async fn begin(settings: &Settings, server: Option<Server>) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let folder = TempDir::with_prefix("kill-").unwrap();
        let orders = Orders::new(settings.machines, &mut rng);
        let cluster = Cluster::start(folder.path(), settings.seed).await;
        let strangers = Strangers::settle(&cluster).await;
        let desk = Desk::new(folder.path(), &cluster, &orders, server.as_ref());
        let panel = Panel::new(server.as_ref(), &orders).await;
        Self {
            rng,
            folder,
            orders,
            cluster,
            desk,
            panel,
            crew: Crew::new(server.clone()),
            server,
            strangers,
            operator: Operator::default(),
            gone: BTreeSet::new(),
            is_over: false,
            kills: 0,
            freezes: 0,
            intruders: 0,
            faults: 0.0,
            begun: Instant::now(),
        }
    }

    /// Until every machine is ready, but for some that are taken away meanwhile.
    pub(crate) async fn deploy(&mut self, kills: u32) {
        let (freezes, outages) = if self.server.is_some() { (8, 3) } else { (3, 0) };
        let count = Count { freezes, killed_tasks: 3, intruders: 2, outages };
        let plan = Plan::draw(kills, &count, &mut self.rng);
        let mut pace = Pace::new(kills);
        self.set_faults(FAULTS).await;
        for kill in 0..kills {
            let ordered = self.arrived(kill, kills);
            if kill == kills / 2 {
                self.change_minds(ordered).await;
            }
            self.tell(ordered).await;
            if kill == kills * 2 / 3 {
                self.set_faults(0.0).await;
            }
            self.round(kill, &plan, &mut pace).await;
        }
        self.tell(self.orders.machines.len()).await;
        self.finish().await;
    }

    /// Until nothing is left of any machine.
    pub(crate) async fn take_away(&mut self, kills: u32) {
        let (freezes, outages) = if self.server.is_some() { (3, 2) } else { (1, 0) };
        let count = Count { freezes, killed_tasks: 0, intruders: 0, outages };
        let plan = Plan::draw(kills, &count, &mut self.rng);
        let mut pace = Pace::new(kills);
        self.back_up_some().await;
        self.is_over = true;
        self.set_faults(FAULTS).await;
        let all = self.orders.machines.len();
        for kill in 0..kills {
            if kill == kills / 2 {
                self.set_faults(0.0).await;
            }
            self.take_away_first(self.arrived(kill, kills)).await;
            self.round(kill, &plan, &mut pace).await;
        }
        self.take_away_first(all).await;
        self.finish().await;
    }

    /// From the last violent end of a worker to the next, and what the world makes of that.
    async fn round(&mut self, kill: u32, plan: &Plan, pace: &mut Pace) {
        let done = self.done(&self.picture().await);
        assert!(done < 1.0, "all is done after {kill} kills: there were to be more");
        self.wake_or_kill();
        let life = pace.next(kill, done, &mut self.rng);
        let freezes = plan.freezes.contains(&kill);
        if plan.outages.contains(&kill) {
            self.break_down(life, freezes).await;
        } else {
            self.live_and_die(life, freezes).await;
        }
        let picture = self.picture().await;
        self.operator.look(&self.cluster, &self.desk, &picture).await;
        let due = |planned: &[u32]| planned.iter().filter(|at| **at <= kill).count();
        if self.operator.killed.len() < due(&plan.killed_tasks) {
            self.operator.kill_a_task(&self.cluster, &picture).await;
        }
        if self.intruders < due(&plan.intruders) {
            // Or nobody would know whether the stranger is there.
            self.cluster.faults(0.0).await;
            if self.strangers.intrude(&self.cluster, &picture).await {
                self.intruders += 1;
            }
            self.cluster.faults(self.faults).await;
        }
        if kill.is_multiple_of(4) {
            self.assert_right(&self.outside(&picture).at_any_moment().await);
        }
    }

    /// The last workers come to the end, and stop when they are asked to.
    async fn finish(&mut self) {
        self.set_faults(0.0).await;
        self.crew.thaw_all();
        for slot in 0..self.crew.size() {
            let waited = self.crew.wait_for(slot, &self.desk).await;
            self.checked(waited);
        }
        let patience = Duration::from_secs(60 + 2 * self.orders.machines.len() as u64);
        let until = Instant::now() + patience;
        loop {
            let picture = self.picture().await;
            self.operator.look(&self.cluster, &self.desk, &picture).await;
            if self.done(&picture) >= 1.0 && picture.notices_left == 0 {
                break;
            }
            if Instant::now() > until {
                let mut wrong = self.outside(&picture).at_rest().await;
                wrong.push(format!("not done after {patience:?}"));
                self.assert_right(&wrong);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        // What was told last.
        let picture = self.picture().await;
        self.operator.look(&self.cluster, &self.desk, &picture).await;
        let stopped = self.crew.stop();
        self.checked(stopped);
        self.assert_right(&self.outside(&self.picture().await).at_rest().await);
    }

    /// Some of the machines are to be taken away before they are ready, or just after it; half of them from the middle of their
    /// clone, where it is least clear what is there.
    async fn change_minds(&mut self, ordered: usize) {
        let picture = self.picture().await;
        let references = || self.orders.machines[..ordered].iter().map(|order| order.reference.clone());
        let is_cloned = |name: &String| picture.machines.get(name).is_some_and(|row| row.step == "clone");
        let cloned = references().filter(is_cloned).choose_multiple(&mut self.rng, ordered / 12);
        self.gone.extend(cloned);
        self.gone.extend(references().choose_multiple(&mut self.rng, ordered / 12));
    }

    /// How many of the machines are asked for by now: half of them from the begin, and the others one by one, so that at each
    /// kill some begin while others are at their end. The last ones come with the last kill, so that not all is done before.
    fn arrived(&self, kill: u32, kills: u32) -> usize {
        let (all, last) = (self.orders.machines.len(), (kills - 1).max(1));
        (all / 2 + all.div_ceil(2) * kill as usize / last as usize).min(all)
    }

    async fn take_away_first(&mut self, count: usize) {
        self.gone.extend(self.orders.machines[..count].iter().map(|order| order.reference.clone()));
        self.tell(self.orders.machines.len()).await;
    }

    async fn set_faults(&mut self, rate: f64) {
        self.faults = rate;
        self.cluster.faults(rate).await;
    }

    /// Says what is ordered and what is to be taken away.
    async fn tell(&mut self, ordered: usize) {
        let Self { desk, cluster, orders, gone, panel, .. } = self;
        panel.tell(desk, cluster, orders, ordered, gone).await;
    }

    async fn picture(&self) -> Picture {
        Picture::of(&self.desk, self.server.as_ref()).await
    }

    /// Backups of machines of ours, which go with them.
    async fn back_up_some(&self) {
        let picture = self.picture().await;
        for row in picture.machines.values().filter(|row| row.step == "ready").step_by(5) {
            let config = json!({ "description": format!("pve-deploy: {}", row.key) });
            let backup = json!({
                "vmid": row.vmid, "storage": "shared", "node": row.node, "size": 4096, "config": config,
            });
            self.cluster.switch(json!({ "switch": "add-backup", "backup": backup })).await;
        }
    }

    /// The share of the work that is done; once taking away has begun, nothing else counts.
    fn done(&self, picture: &Picture) -> f64 {
        let (mut steps, mut done) = (0, 0);
        for order in &self.orders.machines {
            let goes = self.is_over || self.gone.contains(&order.reference);
            let (operation, goal) = if goes { ("terminate", 4) } else { ("create", 14) };
            let row = picture.machines.get(&order.reference);
            steps += goal;
            done += match row {
                None if goes => goal,
                row => row.map_or(0, |row| row.done(operation).len()),
            };
        }
        f64::from(u32::try_from(done).unwrap()) / f64::from(u32::try_from(steps).unwrap())
    }

    fn outside<'a>(&'a self, picture: &'a Picture) -> Outside<'a> {
        let Self { orders, cluster, desk, strangers, gone, operator, .. } = self;
        Outside { orders, cluster, desk, strangers, killed: &operator.killed, gone, picture }
    }

    /// What a crew says, or the end.
    pub(crate) fn checked<T>(&self, said: Result<T, String>) -> T {
        said.unwrap_or_else(|wrong| {
            self.assert_right(&[wrong]);
            unreachable!("something is wrong")
        })
    }

    /// Fails with everything that is wrong, and leaves the files for a look.
    fn assert_right(&self, wrong: &[String]) {
        if wrong.is_empty() {
            return;
        }
        let left = TempDir::with_prefix("killed-").unwrap().keep();
        for file in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            std::fs::copy(file.path(), left.join(file.file_name())).unwrap();
        }
        if let Some(server) = &self.server {
            std::fs::write(left.join("server.log"), server.log()).unwrap();
        }
        panic!(
            "after {} kills:\n  {}\nthe operator typed {:#?}\nfiles: {}\nlogs:\n{}",
            self.kills,
            wrong.join("\n  "),
            self.operator.commands,
            left.display(),
            self.desk.log_tail()
        );
    }

    pub(crate) async fn summary(&self) -> String {
        let counters = self.cluster.counters().await;
        format!(
            "{} workers, {} machines, {} kills, {} freezes, {} stops of the server, {} times all leases lost, {} tasks killed and \
             {} commands typed for them, {} intruders, {} requests, {} faults, {} clones, {:.0} s",
            self.crew.size(),
            self.orders.machines.len(),
            self.kills,
            self.freezes,
            self.server.as_ref().map_or(0, Server::outages),
            self.desk.times("lost all leases"),
            self.operator.killed.len(),
            self.operator.commands.len(),
            self.intruders,
            counters.requests.values().sum::<u64>(),
            counters.faults.values().sum::<u64>(),
            counters.clones.values().sum::<u64>(),
            self.begun.elapsed().as_secs_f64(),
        )
    }
}
