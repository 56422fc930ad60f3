//! The run: kill after kill, and a look from outside after each.

use crate::{
    cluster::Cluster,
    database::Picture,
    invariants::Outside,
    operator::Operator,
    orders::Orders,
    pace::{Life, Pace},
    settings::Settings,
    strangers::Strangers,
    worker::{Desk, LEASE, Worker},
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
    desk: Desk,
    strangers: Strangers,
    operator: Operator,
    /// References of orders that are to be taken away.
    gone: BTreeSet<String>,
    /// All are to be taken away, sooner or later.
    is_over: bool,
    kills: u32,
    freezes: u32,
    intruders: usize,
    /// The share of the requests that meet a fault now.
    faults: f64,
    begun: Instant,
}

/// What happens beside the kills, by the number of the kill.
struct Plan {
    freezes: Vec<u32>,
    killed_tasks: Vec<u32>,
    intruders: Vec<u32>,
}

impl Plan {
    fn draw(kills: u32, [freezes, killed_tasks, intruders]: [usize; 3], rng: &mut StdRng) -> Self {
        let mut some = |of, count| (0..of).choose_multiple(rng, count);
        Self {
            freezes: some(kills, freezes),
            killed_tasks: some(kills, killed_tasks),
            // While some machine has not begun yet.
            intruders: some(kills / 4, intruders),
        }
    }
}

impl Ordeal {
    pub(crate) async fn begin(settings: &Settings) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let folder = TempDir::with_prefix("kill-").unwrap();
        let orders = Orders::new(settings.machines, &mut rng);
        let cluster = Cluster::start(folder.path(), settings.seed).await;
        let strangers = Strangers::settle(&cluster).await;
        let desk = Desk::new(folder.path(), &cluster);
        Self {
            rng,
            folder,
            orders,
            cluster,
            desk,
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
        let plan = Plan::draw(kills, [3, 3, 2], &mut self.rng);
        let mut pace = Pace::new(kills);
        self.set_faults(FAULTS).await;
        for kill in 0..kills {
            let ordered = self.arrived(kill, kills);
            if kill == kills / 2 {
                self.change_minds(ordered);
            }
            self.tell(ordered);
            if kill == kills * 2 / 3 {
                self.set_faults(0.0).await;
            }
            self.round(kill, &plan, &mut pace).await;
        }
        self.tell(self.orders.machines.len());
        self.finish().await;
    }

    /// Until nothing is left of any machine.
    pub(crate) async fn take_away(&mut self, kills: u32) {
        let plan = Plan::draw(kills, [1, 0, 0], &mut self.rng);
        let mut pace = Pace::new(kills);
        self.back_up_some().await;
        self.is_over = true;
        self.set_faults(FAULTS).await;
        let all = self.orders.machines.len();
        for kill in 0..kills {
            if kill == kills / 2 {
                self.set_faults(0.0).await;
            }
            self.take_away_first(self.arrived(kill, kills));
            self.round(kill, &plan, &mut pace).await;
        }
        self.take_away_first(all);
        self.finish().await;
    }

    /// A worker from its start to its violent end, and what the world makes of that.
    async fn round(&mut self, kill: u32, plan: &Plan, pace: &mut Pace) {
        let done = self.done(&Picture::of(&self.desk.database()));
        assert!(done < 1.0, "all is done after {kill} kills: there were to be more");
        let life = pace.next(kill, done, &mut self.rng);
        let worker = self.desk.start();
        match life {
            Life::FromStart(time) => tokio::time::sleep(time).await,
            Life::AtWork(time) => {
                self.desk.wait_for(&worker).await;
                tokio::time::sleep(time).await;
            }
        }
        if plan.freezes.contains(&kill) {
            self.freeze(&worker).await;
        }
        if let Some(status) = worker.kill() {
            self.assert_right(&[format!("a worker ended by itself: {status}")]);
        }
        self.kills += 1;
        let picture = Picture::of(&self.desk.database());
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

    /// A worker stands still for longer than its lease. Sometimes it goes on after that, sometimes it is killed as it stands.
    async fn freeze(&mut self, worker: &Worker) {
        // Before it has the database another one would be let in.
        self.desk.wait_for(worker).await;
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..500))).await;
        worker.freeze();
        self.freezes += 1;
        self.desk.assert_taken();
        tokio::time::sleep(LEASE + Duration::from_millis(self.rng.random_range(100..1000))).await;
        if self.rng.random_ratio(2, 3) {
            worker.thaw();
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..800))).await;
        }
    }

    /// The last worker comes to the end, and stops when it is asked to.
    async fn finish(&mut self) {
        self.set_faults(0.0).await;
        let worker = self.desk.start();
        self.desk.wait_for(&worker).await;
        let patience = Duration::from_secs(60 + 2 * self.orders.machines.len() as u64);
        let until = Instant::now() + patience;
        let database = self.desk.database();
        loop {
            let picture = Picture::of(&database);
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
        self.operator.look(&self.cluster, &self.desk, &Picture::of(&database)).await;
        let status = worker.stop();
        assert!(status.success(), "{status} when asked to stop:\n{}", self.desk.log_tail());
        self.assert_right(&self.outside(&Picture::of(&database)).at_rest().await);
    }

    /// Some of the machines are to be taken away before they are ready, or just after it; half of them from the middle of their
    /// clone, where it is least clear what is there.
    fn change_minds(&mut self, ordered: usize) {
        let picture = Picture::of(&self.desk.database());
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

    fn take_away_first(&mut self, count: usize) {
        self.gone.extend(self.orders.machines[..count].iter().map(|order| order.reference.clone()));
        self.tell(self.orders.machines.len());
    }

    async fn set_faults(&mut self, rate: f64) {
        self.faults = rate;
        self.cluster.faults(rate).await;
    }

    /// Writes down what is ordered and what is to be taken away, for the next worker.
    fn tell(&self, ordered: usize) {
        self.desk.configure(&self.cluster, &self.orders, ordered, &self.gone);
    }

    /// Backups of machines of ours, which go with them.
    async fn back_up_some(&self) {
        let picture = Picture::of(&self.desk.database());
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

    /// Fails with everything that is wrong, and leaves the files for a look.
    fn assert_right(&self, wrong: &[String]) {
        if wrong.is_empty() {
            return;
        }
        let left = TempDir::with_prefix("killed-").unwrap().keep();
        for file in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            std::fs::copy(file.path(), left.join(file.file_name())).unwrap();
        }
        panic!(
            "after {} kills:\n  {}\nthe operator typed {:#?}\nfiles: {}\nlog:\n{}",
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
            "{} machines, {} kills, {} freezes, {} tasks killed and {} commands typed for them, {} intruders, {} requests, {} \
             faults, {} clones, {:.0} s",
            self.orders.machines.len(),
            self.kills,
            self.freezes,
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
