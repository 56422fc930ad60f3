use crate::{
    AuditReport, Jobs, Limits, RunningWorker, StopError, SystemClock, SystemEntropy, TickReport, Turnstile,
    audit,
    dispatcher::{Dispatcher, Parts},
    mailbox::Mailbox,
    settings::Settings,
    watch::Pace,
};
use deploy_core::{
    Clock, DnsDesk, Entropy, Hypervisor, IpPool, LeaseStore, Notifier, RetryPolicy, Seams, StoreError, VmKey,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// No setting is longer than this: what is meant as "never" must not overflow a sum of times.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Drives machines from order to ready, and whatever is commanded after that.
///
/// A worker leases records that are due, takes their turns, and keeps each machine until it rests. It can be started, run or
/// ticked as often as is wanted; each time it appears in the store as a new worker, under an id of its own. Several may work
/// on one store, in one process or in many, as far as the store allows that.
#[derive(Clone)]
pub struct Worker {
    hypervisor: Arc<dyn Hypervisor>,
    pool: Arc<dyn IpPool>,
    store: Arc<dyn LeaseStore>,
    notifier: Option<Arc<dyn Notifier>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    policy: RetryPolicy,
    limits: Limits,
    settings: Settings,
    jobs: Option<Jobs>,
    dns: Option<DnsDesk>,
}

impl Worker {
    /// A worker with the system's clock, the default delays and limits, and no notifier: notices wait in the store.
    pub fn new(hypervisor: Arc<dyn Hypervisor>, pool: Arc<dyn IpPool>, store: Arc<dyn LeaseStore>) -> Self {
        Self {
            hypervisor,
            pool,
            store,
            notifier: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            policy: RetryPolicy::default(),
            limits: Limits::default(),
            settings: Settings::default(),
            jobs: None,
            dns: None,
        }
    }

    /// Delivers notices by this; where it has [targets](Notifier::targets), to each of them by itself.
    pub fn with_notifier(mut self, notifier: Arc<dyn Notifier>) -> Self {
        self.notifier = Some(notifier);
        self
    }

    /// Runs these jobs beside its machines, from its start to its end, each when its time has come; none by default.
    pub fn with_jobs(mut self, jobs: Jobs) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Has machines' DNS records set on command, at this desk; without one, `set_dns_records` is refused. Whoever works on the
    /// queue (`deploy_dns::DnsWorker`) keeps the records in any case.
    pub fn with_dns(mut self, dns: DnsDesk) -> Self {
        self.dns = Some(dns);
        self
    }

    /// Takes the time from this clock. What sleeps, sleeps by tokio's; the two must go at the same speed.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes worker ids from this.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Waits so long between tries.
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Lets so much run at once.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Says who it is, for people that look at the store; by default the process id.
    pub fn with_info(mut self, info: impl Into<String>) -> Self {
        self.settings.info = info.into();
        self
    }

    /// How long its leases outlive its last sign of life, from a second to a day; by default 30 s. It gives a sign every
    /// third of that. After a crash, its machines stand still for so long and up to a third longer.
    pub fn with_alive_for(mut self, alive_for: Duration) -> Self {
        self.settings.alive_for = alive_for.clamp(Duration::from_secs(1), LONGEST);
        self
    }

    /// Looks into the store at least this often, from every 10 ms to once a day; by default every second (each
    /// pause is up to a quarter shorter, so that workers do not march in step). It is how long a command
    /// from another process may lie there; those of this process ring the [doorbell](RunningWorker::doorbell).
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.settings.poll = poll.clamp(Duration::from_millis(10), LONGEST);
        self
    }

    /// Takes so many turns at once, at least one; by default 64. Machines that wait do not count.
    pub fn with_turns(mut self, turns: usize) -> Self {
        self.settings.turns = turns.max(1);
        self
    }

    /// Holds so many machines at once, waiting or not, at least one; by default 10,000. Each takes about the memory of its
    /// record.
    pub fn with_machines(mut self, machines: usize) -> Self {
        self.settings.machines = machines.max(1);
        self
    }

    /// Asks about a task first after `first`, then after pauses as long as it has worked, up to `longest`; by default 50 ms
    /// and 2 s, both from a millisecond to a day. One question per cluster answers for all its tasks.
    pub fn with_task_pace(mut self, first: Duration, longest: Duration) -> Self {
        let first = first.clamp(Duration::from_millis(1), LONGEST);
        self.settings.pace = Pace { first, longest: longest.clamp(first, LONGEST) };
        self
    }

    /// Looks this often whether the machines at rest are still there, from every second to once a day, or never; by default
    /// every 5 minutes. It costs one list of each cluster, and a look at each machine that is not where it should be.
    pub fn with_audit(mut self, every: Option<Duration>) -> Self {
        self.settings.audit = every.map(|every| every.clamp(Duration::from_secs(1), LONGEST));
        self
    }

    /// Looks once whether the machines at rest are still there, for those who call [`tick`](Self::tick) from cron, which does
    /// not. Machines that are not where they should be are due for a look afterwards: of many, some, and others the next time.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Dropped, it has made some machines due and others not.
    pub async fn audit(&self) -> Result<AuditReport, StoreError> {
        let mut cursors = audit::Cursors::after(VmKey(self.entropy.uuid()));
        audit::round(&*self.store, &*self.hypervisor, &mut cursors).await
    }

    /// Starts it. Errors of the store or of the clusters do not end it.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub fn start(&self) -> RunningWorker {
        let parts = self.parts();
        let mailbox = Arc::clone(&parts.mailbox);
        let dispatcher = tokio::spawn(Dispatcher::new(parts, None).run());
        let jobs = self.jobs.as_ref().map(Jobs::start);
        RunningWorker::new(mailbox, AbortOnDropHandle::new(dispatcher), jobs)
    }

    /// Works until `shutdown` is over, then [drains](RunningWorker::drain).
    ///
    /// # Errors
    /// [`StopError`].
    ///
    /// # Cancel safety
    /// Dropped, the worker is aborted, as by dropping a [`RunningWorker`].
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), StopError> {
        self.start().until(shutdown).await
    }

    /// Makes one pass, for those who call it from cron: takes everything that is due, brings each machine as far as it goes
    /// by `bound` from now (at most a day), delivers notices, and releases what is left. Ends earlier where there is nothing left to wait
    /// for, and later by as much as the requests under way take.
    ///
    /// # Errors
    /// [`StoreError`] where the store does not take the worker in, or its leases could not be ended; they then run out by
    /// themselves.
    ///
    /// # Cancel safety
    /// Dropped, the pass is aborted; its machines go on when its leases have run out.
    pub async fn tick(&self, bound: Duration) -> Result<TickReport, StoreError> {
        Dispatcher::new(self.parts(), Some(Instant::now() + bound.min(LONGEST))).run().await
    }

    /// What one start works with: limits and mail are its own.
    fn parts(&self) -> Parts {
        let mailbox = Arc::new(Mailbox::default());
        let called = Arc::clone(&mailbox);
        let turnstile = Arc::new(Turnstile::new(self.limits, move |key| called.call(key)));
        let seams = Seams {
            hypervisor: Arc::clone(&self.hypervisor),
            pool: Arc::clone(&self.pool),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            gate: Arc::clone(&turnstile) as _,
            policy: self.policy.clone(),
            dns: self.dns.clone(),
        };
        Parts {
            driver: Arc::new(seams),
            store: Arc::clone(&self.store),
            hypervisor: Arc::clone(&self.hypervisor),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            notifier: self.notifier.clone(),
            policy: self.policy.clone(),
            turnstile,
            mailbox,
            settings: self.settings.clone(),
        }
    }
}
