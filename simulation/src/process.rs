use crate::{
    clock::minutes,
    dice::Dice,
    flag::Flag,
    link::Link,
    plan::Trouble,
    senses::Senses,
    stage::{Stage, cluster_name},
    wire::Wire,
};
use deploy_core::Doorbell;
use deploy_testkit::SeededEntropy;
use deploy_worker::{RunningWorker, Worker};
use ip_pool::Pools;
use proxmox_api::{Client, Credentials, Proxmox};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The bells of the workers that run, by the number of their process.
#[derive(Default)]
pub(crate) struct Bells(Mutex<Vec<(usize, Arc<dyn Doorbell>)>>);

impl Bells {
    fn hang(&self, n: usize, bell: Option<Arc<dyn Doorbell>>) {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|(of, _)| *of != n);
        bells.extend(bell.map(|bell| (n, bell)));
    }
}

impl Doorbell for Bells {
    fn ring(&self, key: deploy_core::VmKey) {
        for (_, bell) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bell.ring(key);
        }
    }

    fn wake(&self) {
        for (_, bell) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bell.wake();
        }
    }
}

/// A place where worker processes run, one after the other.
pub(crate) struct Process {
    stage: Arc<Stage>,
    bells: Arc<Bells>,
    n: usize,
    dice: Dice,
    starts: usize,
}

impl Process {
    pub(crate) fn new(stage: Arc<Stage>, bells: Arc<Bells>, n: usize) -> Self {
        let dice = Dice::of(stage.plan.seed, "process", n);
        Self { stage, bells, n, dice, starts: 0 }
    }

    /// Runs, dies, is frozen, is started again; when it is calm it runs on.
    pub(crate) async fn live(mut self) {
        let weather = Arc::clone(&self.stage.weather);
        loop {
            let frozen = Arc::new(Flag::default());
            let worker = self.start(&frozen);
            let life = self.dice.about(minutes(4));
            tokio::select! {
                biased;
                () = weather.calm() => std::future::pending().await,
                () = tokio::time::sleep(life) => {}
            }
            self.end(worker, &frozen).await;
        }
    }

    /// One of the ends that a process may find.
    async fn end(&self, worker: RunningWorker, frozen: &Flag) {
        let plan = &self.stage.plan;
        match self.dice.within(0..3) {
            0 if plan.has(Trouble::Freezes) => {
                frozen.set(true);
                tokio::time::sleep(self.dice.millis(1_000..120_000)).await;
                frozen.set(false);
                // What it does now it does with leases that ran out.
                tokio::time::sleep(self.dice.millis(0..20_000)).await;
                drop(worker);
            }
            1 if plan.has(Trouble::Crashes) => drop(worker),
            _ => {
                // Where the store does not take its farewell, its leases run out.
                let _ = worker.drain().await;
            }
        }
        self.bells.hang(self.n, None);
        tokio::time::sleep(self.dice.millis(0..45_000)).await;
    }

    fn start(&mut self, frozen: &Arc<Flag>) -> RunningWorker {
        let (stage, seed) = (&self.stage, self.stage.plan.seed);
        self.starts += 1;
        let dice = |what| Dice::of(seed, what, self.n * 10_000 + self.starts);
        let wire = Wire {
            sim: Arc::clone(&stage.sim),
            weather: Arc::clone(&stage.weather),
            dice: dice("wire"),
            frozen: Arc::clone(frozen),
        };
        let client = Client::builder()
            .url("https://pve1:8006")
            .credentials(Credentials::Token(stage.token.parse().expect("a token")))
            .carrier(Arc::new(wire))
            .build()
            .expect("a client");
        let proxmox = Proxmox::new().with_clock(stage.clock.clone()).with_cluster(cluster_name(), client);
        let link = Arc::new(Link {
            store: stage.store.clone(),
            weather: Arc::clone(&stage.weather),
            dice: dice("link"),
            frozen: Arc::clone(frozen),
            sim: Arc::clone(&stage.sim),
            witness: Arc::clone(&stage.witness),
            planted: stage.plan.planted,
        });
        let (planted, store) = (stage.plan.planted, stage.store.clone());
        let senses = Senses { proxmox, frozen: Arc::clone(frozen), planted, store };
        let entropy = SeededEntropy::new(dice("entropy").within(0..u64::MAX));
        let worker = Worker::new(Arc::new(senses), Arc::new(Pools::new(Arc::clone(&link))), link)
            .with_clock(stage.clock.clone())
            .with_entropy(Arc::new(entropy))
            .with_notifier(stage.inbox.clone())
            .with_info(format!("process {}", self.n))
            .with_poll(Duration::from_secs(10))
            .start();
        self.bells.hang(self.n, Some(worker.doorbell()));
        worker
    }
}
