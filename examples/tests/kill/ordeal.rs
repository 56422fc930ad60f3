//! The run: kill after kill, and a look from outside after each.

use crate::{
    cluster::Cluster,
    crew::Crew,
    desk::{Desk, LEASE},
    invariants::Outside,
    operator::Operator,
    orders::Orders,
    pace::{Life, Pace},
    panel::Panel,
    picture::Picture,
    plan::{Count, Plan},
    server::Server,
    settings::Settings,
    strangers::Strangers,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Share of the requests that meet a fault, in the first part of each half.
const FAULTS: f64 = 0.1;

pub(crate) struct Ordeal {
    rng: StdRng,
    folder: TempDir,
    orders: Orders,
    cluster: Cluster,
    server: Option<Server>,
    desk: Desk,
    panel: Panel,
    crew: Crew,
    strangers: Strangers,
    operator: Operator,
    /// References of orders that are to be taken away.
    gone: BTreeSet<String>,
    /// All are to be taken away, sooner or later.
    is_over: bool,
    kills: u32,
    freezes: u32,
    zombies: u32,
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
            zombies: 0,
            intruders: 0,
            faults: 0.0,
            begun: Instant::now(),
        }
    }

    /// Until every machine is ready, but for some that are taken away meanwhile.
    pub(crate) async fn deploy(&mut self, kills: u32) {
        let outages = if self.server.is_some() { 3 } else { 0 };
        let count = Count { freezes: 3, killed_tasks: 3, intruders: 2, outages };
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
        let outages = if self.server.is_some() { 2 } else { 0 };
        let count = Count { freezes: 1, killed_tasks: 0, intruders: 0, outages };
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
        let life = pace.next(kill, done, &mut self.rng);
        let freezes = plan.freezes.contains(&kill);
        if plan.outages.contains(&kill) {
            let server = self.server.clone().expect("a server");
            let mut moment = |longest| Duration::from_millis(self.rng.random_range(0..longest));
            let (after, pause) = (moment(1000), moment(2000));
            // The worker is killed before, meanwhile or after.
            tokio::join!(server.break_down(after, pause), self.live_and_die(life, freezes));
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

    /// One of the workers lives for so long, and is killed.
    async fn live_and_die(&mut self, life: Life, freezes: bool) {
        let started = self.crew.fill(&self.desk);
        let started = self.checked(started);
        let any = self.rng.random_range(0..self.crew.size());
        let slot = match life {
            Life::FromStart(time) => {
                tokio::time::sleep(time).await;
                started.first().copied().unwrap_or(any)
            }
            Life::AtWork(time) => {
                let waited = self.crew.wait_for(any, &self.desk).await;
                self.checked(waited);
                tokio::time::sleep(time).await;
                any
            }
        };
        if freezes && self.freeze(slot).await {
            return;
        }
        let killed = self.crew.kill(slot, &self.desk);
        self.checked(killed);
        self.kills += 1;
    }

    /// A worker stands still for longer than its lease. Sometimes it goes on after that, sometimes it is killed as it stands.
    /// Says whether it lives on: a zombie beside others, to which its machines have gone.
    async fn freeze(&mut self, slot: usize) -> bool {
        // Before it has the database another one would be let in.
        let waited = self.crew.wait_for(slot, &self.desk).await;
        self.checked(waited);
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..500))).await;
        self.crew.worker(slot).freeze();
        self.freezes += 1;
        if self.server.is_none() {
            self.desk.assert_taken();
        }
        tokio::time::sleep(LEASE + Duration::from_millis(self.rng.random_range(100..1000))).await;
        let thaws = self.rng.random_ratio(2, 3);
        if thaws {
            self.crew.worker(slot).thaw();
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..800))).await;
        }
        let lives_on = thaws && self.crew.size() > 1;
        self.zombies += u32::from(lives_on);
        lives_on
    }

    /// The last workers come to the end, and stop when they are asked to.
    async fn finish(&mut self) {
        self.set_faults(0.0).await;
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
            let backup = json!({ "vmid": row.vmid, "storage": "shared", "node": row.node, "size": 4096 });
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
    fn checked<T>(&self, said: Result<T, String>) -> T {
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
            "{} workers, {} machines, {} kills, {} freezes ({} zombies among others), {} stops of the server, {} tasks killed \
             and {} commands typed for them, {} intruders, {} requests, {} faults, {} clones, {:.0} s",
            self.crew.size(),
            self.orders.machines.len(),
            self.kills,
            self.freezes,
            self.zombies,
            self.server.as_ref().map_or(0, Server::outages),
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
