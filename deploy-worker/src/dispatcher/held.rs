use super::alarms::AlarmId;
use crate::{Doing, MachineActivity, watch::Place};
use deploy_core::{Known, Lease, Leased, Progress, Slot, Step, TaskId};
use jiff::Timestamp;
use tokio::task::AbortHandle;

/// A machine that this worker holds.
pub(super) struct Held {
    pub(super) lease: Lease,
    /// Its record; `None` while a turn has it, and after a turn took it down with a panic.
    pub(super) leased: Option<Box<Leased>>,
    /// The step that was due when it was seen last.
    pub(super) step: Step,
    pub(super) state: State,
    /// What the next turn need not ask.
    pub(super) known: Known,
    /// The record in hand may be out of date: it is read again before the next turn.
    pub(super) stale: bool,
    /// What it heard while it was busy.
    pub(super) news: News,
    /// The task that is being watched for it.
    pub(super) watched: Option<(Place, TaskId)>,
    /// It needed attention when it was seen last.
    pub(super) attention: bool,
    /// Troubles of our own in a row: store errors and panics.
    pub(super) troubles: u32,
}

/// What became known of a machine while a turn of it, or its release, was under way.
#[derive(Clone, Copy, Default)]
pub(super) struct News {
    /// A command came.
    pub(super) command: bool,
    /// A slot became free, perhaps the one that the turn is about to ask for.
    pub(super) place: bool,
}

/// What a held machine does.
pub(super) enum State {
    /// It is in the queue for a turn.
    Ready,
    /// A turn is under way.
    Working(AbortHandle),
    /// Its turn was aborted because the lease is lost, and has not ended yet.
    Doomed,
    /// A task of the hypervisor is waited for.
    OnTask(TaskId),
    /// A slot is waited for.
    OnSlot(Slot),
    /// Nothing to do before this time.
    Until(Timestamp, AlarmId),
    /// It is tried again after a trouble of ours.
    Troubled(AlarmId),
    /// Its lease is being ended.
    Releasing,
    /// To end its lease failed; it is tried again.
    Unreleased(AlarmId),
}

impl Held {
    pub(super) fn new(leased: Leased) -> Self {
        Self {
            lease: leased.lease,
            step: leased.record.step,
            attention: leased.record.attention.is_some(),
            leased: Some(Box::new(leased)),
            state: State::Ready,
            known: Known::default(),
            stale: false,
            news: News::default(),
            watched: None,
            troubles: 0,
        }
    }

    /// Whether it waits for this alarm.
    pub(super) fn waits_for(&self, alarm: AlarmId) -> bool {
        match self.state {
            State::Until(_, id) | State::Troubled(id) | State::Unreleased(id) => id == alarm,
            State::Ready
            | State::Working(_)
            | State::Doomed
            | State::OnTask(_)
            | State::OnSlot(_)
            | State::Releasing => false,
        }
    }

    /// The task that works for it, as far as its record in hand says.
    pub(super) fn task(&self) -> Option<TaskId> {
        match &self.leased.as_deref()?.record.progress {
            Progress::Submitted { task, .. } => Some(task.clone()),
            Progress::Untried | Progress::Intended { .. } | Progress::Applied { .. } => None,
        }
    }

    pub(super) fn activity(&self) -> MachineActivity {
        let doing = match &self.state {
            State::Ready => Doing::Queued,
            State::Working(_) => Doing::Turn,
            State::OnTask(task) => Doing::Task(task.clone()),
            State::OnSlot(slot) => Doing::Slot(slot.clone()),
            State::Until(at, _) => Doing::Until(*at),
            State::Troubled(_) => Doing::Trouble,
            State::Doomed | State::Releasing | State::Unreleased(_) => Doing::Releasing,
        };
        MachineActivity { key: self.lease.key, step: self.step, doing }
    }
}
