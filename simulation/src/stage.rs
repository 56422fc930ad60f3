use crate::{
    clock::VirtualClock,
    dice::Dice,
    inbox::Inbox,
    plan::{Plan, Trouble},
    weather::Weather,
    witness::Witness,
};
use deploy_core::{Clock, ClusterName, ClusterSettings, Deployments, RecordStore, VmidRange};
use deploy_testkit::{MemoryStore, SeededEntropy, sample};
use ip_pool::{PoolDefinition, Pools};
use jiff::SignedDuration;
use proxmox_sim::{ClusterConfig, Faults, InProcess, Mishaps, Version};
use std::sync::Arc;

/// The first number that the simulated cluster may give.
const FIRST_VMID: u32 = 1000;

/// What all actors share: the cluster, the store, the panel, the time.
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) sim: Arc<InProcess>,
    pub(crate) token: String,
    pub(crate) store: MemoryStore,
    pub(crate) pools: Pools<MemoryStore>,
    pub(crate) panel: Deployments,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) witness: Arc<Witness>,
}

impl Stage {
    pub(crate) async fn set(plan: Plan, told: bool) -> Self {
        let clock = Arc::new(VirtualClock::start());
        let config = ClusterConfig { request_history: if told { usize::MAX } else { 0 }, ..cluster(&plan) };
        let token = config.tokens[0].credential();
        let sim = Arc::new(InProcess::start(config));
        let store = MemoryStore::new(clock.clone() as Arc<dyn Clock>);
        let shared = Arc::new(store.clone());
        let entropy = Arc::new(SeededEntropy::new(plan.seed));
        let stage = Self {
            panel: Deployments::new(shared.clone(), clock.clone(), entropy),
            pools: Pools::new(shared),
            inbox: Arc::default(),
            weather: Arc::new(Weather::of(&plan)),
            witness: Arc::default(),
            plan,
            clock,
            sim,
            token,
            store,
        };
        stage.prepare().await;
        stage
    }

    /// The cluster's numbers and pools: enough for all, with not much to spare.
    async fn prepare(&self) {
        let (first, last) = vmids(&self.plan);
        let (first, last) = (sample::vmid(first), sample::vmid(last));
        let settings = ClusterSettings {
            name: cluster_name(),
            vmids: VmidRange::new(first, last).expect("a range"),
            quarantine: SignedDuration::from_hours(1),
        };
        self.store.put_cluster(&settings).await.expect("a cluster");
        for (name, range, gateway) in
            [("v4", "10.4.0.0/22", "10.4.0.1"), ("v6", "2001:db8:1::/64", "2001:db8:1::1")]
        {
            let pool = PoolDefinition {
                gateway: Some(sample::parsed(gateway)),
                resolvers: vec![sample::parsed("192.0.2.53")],
                ..PoolDefinition::new(
                    sample::parsed(name),
                    cluster_name(),
                    sample::parsed("vmbr0"),
                    [sample::parsed(range)],
                )
            };
            self.pools.put(&pool).await.expect("a pool");
        }
    }

    /// Nothing goes wrong any more, and what is broken is mended.
    pub(crate) fn calm_down(&self) {
        self.weather.calm_down();
        self.sim.with_cluster(|cluster| {
            cluster.end_mishaps();
            cluster.set_faults(Faults::none());
        });
    }
}

/// The first and the last number that machines may get.
pub(crate) fn vmids(plan: &Plan) -> (u32, u32) {
    (FIRST_VMID, FIRST_VMID + 4 * u32::try_from(plan.machines).unwrap_or(1) + 20)
}

pub(crate) fn cluster_name() -> ClusterName {
    sample::parsed("demo")
}

fn cluster(plan: &Plan) -> ClusterConfig {
    let dice = Dice::of(plan.seed, "cluster", 0);
    let mut config = ClusterConfig {
        seed: plan.seed,
        version: *dice.pick(&[Version::V8_4, Version::V9_2]),
        epoch: u64::try_from(sample::epoch().as_second()).unwrap_or_default(),
        pools: vec!["customers".to_owned()],
        ..ClusterConfig::demo()
    };
    config.durations.scale = f64::from(u32::try_from(dice.within(1..20)).unwrap_or(1));
    config.durations.jitter = 0.5;
    config.faults = faults(plan, &dice);
    config
}

/// What goes wrong in the cluster, without the troubles that the plan leaves out.
fn faults(plan: &Plan, dice: &Dice) -> Faults {
    let rate = f64::from(u32::try_from(dice.within(1..25)).unwrap_or(1)) / 100.0;
    let mut faults = Faults { delay: 20.0, duplicate_delay: 20.0, ..Faults::everything(rate) };
    // What comes again although it was answered nobody can know of: every other run is without it, and judged without mercy; and a
    // machine that was stopped by command would be started by a start that comes again.
    if dice.chance(0.5) || plan.has(Trouble::Commands) {
        faults.duplicate = 0;
    }
    if !plan.has(Trouble::Requests) {
        faults = Faults {
            lose_request: 0,
            lose_answer: 0,
            late: 0,
            refused: 0,
            gateway: 0,
            busy: 0,
            slow: 0,
            duplicate: 0,
            lost_duplicate: 0,
            lock_timeout: 0,
            linger: 0,
            stale_list: 0,
            ..faults
        };
    }
    if plan.has(Trouble::Mishaps) {
        let (first, last) = vmids(plan);
        let interval = plan.chaos.as_secs_f64() / f64::from(u32::try_from(dice.within(2..40)).unwrap_or(2));
        faults.mishaps =
            Mishaps { vmids: Some([first, last]), lasting: [5.0, 300.0], ..Mishaps::every(interval) };
    }
    if !plan.has(Trouble::Tasks) {
        faults = Faults { task: 0, killed: 0, warnings: 0, partial: 0, forbidden_after_writes: 0, ..faults };
    }
    faults
}
