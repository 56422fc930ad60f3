//! The loop: one task that knows every machine the worker holds and never waits for anything but news.
//!
//! What has to be waited for runs as a [`Job`] and comes back as [`Done`]. So everything here is
//! decided in one place, in order, without a lock, and a machine that waits is an entry of a map, not a task.

mod alarms;
mod audits;
mod claims;
mod confess;
mod held;
mod jobs;
mod life;
mod pass;
mod post;
mod turns;

use crate::{
    TickReport, Turnstile,
    driver::Driver,
    mailbox::{Ending, Mailbox},
    settings::Settings,
    watch::TaskWatch,
};
use alarms::Alarms;
use audits::Audits;
use claims::Claims;
use deploy_core::{
    Clock, Entropy, Gate, Hypervisor, LeaseStore, Notifier, RetryPolicy, StoreError, TaskState, VmKey,
};
use held::{Held, State};
use jiff::Timestamp;
use jobs::{Done, Job, Jobs, timed};
use life::Life;
use pass::Pass;
use post::Post;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How long an answer about tasks is waited for. Without an end, one cluster that hangs would leave its machines waiting for
/// ever; they are asked about again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// So long a task that nobody can tell about is only asked about, in case its node just restarts its API daemon or lost a
/// packet. Then its machine has a turn with that, so that people find it in the log.
///
/// A pass does not wait for that: it may be over before, every time, and then nobody would ever be told.
const BLIND_PATIENCE: Duration = Duration::from_secs(5);

/// What a dispatcher works with.
pub(crate) struct Parts {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) store: Arc<dyn LeaseStore>,
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    pub(crate) policy: RetryPolicy,
    pub(crate) turnstile: Arc<Turnstile>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) settings: Settings,
}

/// The loop's state.
pub(crate) struct Dispatcher {
    parts: Parts,
    jobs: Jobs,
    life: Life,
    claims: Claims,
    machines: BTreeMap<VmKey, Held>,
    /// Machines in [`State::Ready`], those that are on their way first.
    ready: VecDeque<VmKey>,
    /// Machines in [`State::Working`].
    working: usize,
    /// Machines in [`State::Doomed`].
    doomed: usize,
    alarms: Alarms,
    watch: TaskWatch,
    audits: Audits,
    post: Post,
    /// No new turns: what runs ends, then everything is released.
    draining: bool,
    /// Nor is what runs waited for.
    broken_off: bool,
    /// Where this is one pass of [`tick`](crate::Worker::tick).
    pass: Option<Pass>,
}

impl Dispatcher {
    /// A dispatcher that works until it is drained; with a deadline, one that makes one pass and ends at the latest then.
    pub(crate) fn new(parts: Parts, deadline: Option<Instant>) -> Self {
        let now = Instant::now();
        let patience = if deadline.is_some() { Duration::ZERO } else { BLIND_PATIENCE };
        Self {
            jobs: Jobs::default(),
            life: Life::begin(&*parts.entropy, now),
            claims: Claims::new(now),
            machines: BTreeMap::new(),
            ready: VecDeque::new(),
            working: 0,
            doomed: 0,
            alarms: Alarms::default(),
            watch: TaskWatch::new(parts.settings.pace, patience),
            // A pass is over too soon, and comes too often.
            audits: Audits::new(parts.settings.audit.filter(|_| deadline.is_none()).map(|every| now + every)),
            post: Post::new(&parts, now),
            draining: false,
            broken_off: false,
            pass: deadline.map(Pass::new),
            parts,
        }
    }

    /// Works until drained. Dropped, it aborts what runs; the leases run out by themselves and nothing is lost.
    ///
    /// # Errors
    /// [`StoreError`] where the leases could not be ended, or where a pass could not begin.
    pub(crate) async fn run(mut self) -> Result<TickReport, StoreError> {
        let mailbox = Arc::clone(&self.parts.mailbox);
        loop {
            self.read_mail();
            self.begin(Instant::now());
            if self.is_over() {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => self.done(done),
                () = mailbox.arrived() => {}
                () = until(wake) => {}
            }
        }
        self.jobs.abort().await;
        let retired = self.parts.store.retire(self.life.worker).await;
        match self.pass.take() {
            Some(pass) => pass.report().and_then(|report| retired.map(|()| report)),
            None => retired.map(|()| TickReport::default()),
        }
    }

    fn read_mail(&mut self) {
        let mail = self.parts.mailbox.take();
        self.draining |= mail.ending >= Ending::Drain;
        if mail.ending == Ending::BreakOff {
            self.broken_off = true;
            self.break_off_turns();
        }
        for key in mail.called {
            self.called(key);
        }
        for key in mail.rung {
            self.rung(key);
        }
        if mail.woken {
            self.claims.wake(Instant::now());
        }
        for asked in mail.asked {
            // Whoever does not wait for the answer any more misses nothing.
            let _ = asked.send(self.machines.values().map(Held::activity).collect());
        }
    }

    /// Begins everything whose time has come.
    fn begin(&mut self, now: Instant) {
        self.keep_alive(now);
        self.ring_alarms(now);
        self.end_pass(now);
        if self.draining {
            return;
        }
        self.ask_about_tasks(now);
        self.start_turns();
        self.claim(now);
        self.deliver_notices(now);
        self.audit(now);
    }

    fn is_over(&self) -> bool {
        self.draining && self.working == 0 && self.doomed == 0 && (self.broken_off || !self.post.is_away())
    }

    fn next_wake(&self) -> Option<Instant> {
        let always = [self.life.next(), self.alarms.next()];
        let unless_draining =
            || [self.watch.next(), self.next_claim(), self.post.next(), self.audits.next(), self.deadline()];
        let others = if self.draining { [None; 5] } else { unless_draining() };
        always.into_iter().chain(others).flatten().min()
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Turn(lease, leased, result) => self.turned(lease, leased, result),
            Done::Release(lease, result) => self.released(lease, result),
            Done::Claim(worker, result) => self.claimed(worker, result),
            Done::Beat(worker, result) => self.beaten(worker, result),
            Done::Sweep => self.life.swept(),
            Done::Tasks(question, states, took) => {
                for (key, state) in self.watch.answer(question, states, took, Instant::now()) {
                    self.task_told(key, state);
                }
            }
            Done::Post(target, outbox, result) => self.posted(target, outbox, result),
            Done::Audit(cursors, result) => self.audited(cursors, result),
        }
    }

    fn ask_about_tasks(&mut self, now: Instant) {
        for question in self.watch.due(now) {
            let hypervisor = Arc::clone(&self.parts.hypervisor);
            let asked = question.clone();
            self.jobs.start(Job::Tasks(question), async move {
                let call = hypervisor.tasks(asked.cluster(), &asked.tasks);
                let (answer, took) = timed(tokio::time::timeout(ANSWER_PATIENCE, call)).await;
                let states = answer.unwrap_or_else(|_| {
                    asked.unanswered(&format!("no answer within {} s", ANSWER_PATIENCE.as_secs()))
                });
                Done::Tasks(asked, states, took)
            });
        }
    }

    /// The task that a machine waits for ended, or nobody can tell about it. It is not watched any more.
    fn task_told(&mut self, key: VmKey, state: TaskState) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        held.watched = None;
        // In a turn for another reason, it will come back to the task, and the watch to what it told now.
        if let State::OnTask(_) = held.state {
            held.known.task = Some(state);
            self.queue(key);
        }
    }

    /// Forgets a machine.
    fn forget(&mut self, key: VmKey) {
        if let Some((place, task)) = self.machines.remove(&key).and_then(|held| held.watched) {
            self.watch.forget(&place, &task);
        }
        self.parts.turnstile.leave(key);
    }

    /// The moment of the loop's time that the clock will show as `at`; not this very one, so that nothing can spin.
    fn moment(&self, at: Timestamp) -> Instant {
        let wait = Duration::try_from(at.duration_since(self.parts.clock.now())).unwrap_or_default();
        Instant::now() + wait.max(Duration::from_millis(1))
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.parts.mailbox.close();
    }
}

/// Sleeps until then, or for ever.
async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
