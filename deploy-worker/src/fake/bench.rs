use super::{Act, Busy, FakeStore, FakeTasks, Row, Script, State, TokioClock, record};
use crate::{
    Limits, Turnstile,
    dispatcher::{Dispatcher, Parts},
    mailbox::Mailbox,
    running::RunningWorker,
    settings::Settings,
};
use deploy_core::{Known, Leased, Notifier, RetryPolicy, Seams, Step};
use deploy_testkit::mocks::MockIpPool;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// A bench on which dispatchers run.
pub(crate) struct Bench {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) tasks: Arc<FakeTasks>,
    pub(crate) busy: Arc<Mutex<Busy>>,
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
}

impl Bench {
    pub(crate) fn new(machines: u32) -> Self {
        Self {
            store: FakeStore::with((0..machines).map(record)),
            tasks: Arc::default(),
            busy: Arc::default(),
            notifier: None,
            settings: Settings::default(),
            limits: Limits::default(),
        }
    }

    /// Dispatchers of this script; they share the gate where the script was given one.
    pub(crate) fn parts(
        &self,
        script: impl Fn(&Turnstile, &Leased, &Known) -> Act + Send + Sync + 'static,
    ) -> Parts {
        let mailbox = Arc::new(Mailbox::default());
        let called = Arc::clone(&mailbox);
        let turnstile = Arc::new(Turnstile::new(self.limits, move |key| called.call(key)));
        let gate = Arc::clone(&turnstile);
        let turns = move |leased: &Leased, known: &Known| script(&gate, leased, known);
        Parts {
            driver: Arc::new(Script { store: Arc::clone(&self.store), turns, busy: Arc::clone(&self.busy) }),
            store: Arc::clone(&self.store) as _,
            hypervisor: Arc::clone(&self.tasks) as _,
            clock: Arc::new(TokioClock::new()),
            entropy: Arc::new(crate::SystemEntropy),
            notifier: self.notifier.clone(),
            policy: RetryPolicy::default(),
            turnstile,
            mailbox,
            settings: self.settings.clone(),
        }
    }

    pub(crate) fn start(
        &self,
        script: impl Fn(&Turnstile, &Leased, &Known) -> Act + Send + Sync + 'static,
    ) -> RunningWorker {
        Self::run(self.parts(script))
    }

    pub(crate) fn run(parts: Parts) -> RunningWorker {
        let mailbox = Arc::clone(&parts.mailbox);
        let dispatcher = tokio::spawn(Dispatcher::new(parts, None).run());
        RunningWorker::new(mailbox, AbortOnDropHandle::new(dispatcher), None)
    }

    /// With the turns of the core instead of scripted ones.
    pub(crate) fn core_parts(&self) -> Parts {
        let parts = self.parts(|_, _, _| Act::Hang);
        let seams = Seams {
            hypervisor: Arc::clone(&parts.hypervisor),
            pool: Arc::new(MockIpPool::new()),
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            gate: Arc::clone(&parts.turnstile) as _,
            policy: parts.policy.clone(),
            dns: None,
        };
        Parts { driver: Arc::new(seams), ..parts }
    }

    /// What was seen of turns so far.
    pub(crate) fn seen(&self) -> Busy {
        self.busy.lock().unwrap().clone()
    }

    /// Waits until the condition holds, at most ten minutes of paused time.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let patience = Instant::now() + Duration::from_secs(600);
        while !condition(&self.store.state()) {
            assert!(Instant::now() < patience, "not so after ten minutes: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_all_ready(&self) {
        let ready = |row: &Row| row.record.step == Step::Ready && row.owner.is_none();
        self.until("all are ready and released", |state| state.rows.values().all(ready)).await;
    }
}
