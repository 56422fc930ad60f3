//! What to write down about a change that goes out, is answered, and is carried out by a task.

use super::Settling;
use crate::{
    Attention, Change, ChangeKind, Commit, Due, Ended, ErrorClass, LogEvent, Progress, Remembered, Sending,
    Sent, SubmitError, Submitted, TaskId, goal,
};

impl Settling<'_> {
    /// Written ahead: whoever finds this after a crash knows that the outcome is unknown, and what is in doubt.
    pub(super) fn intending(&self, change: &Change) -> Commit {
        let mut remembered = self.record.remembered.clone();
        let mut sending = Sending::from(change);
        sending.doubt = sending.doubt.filter(|doubt| remembered.insert(*doubt));
        if sending.kind == ChangeKind::Clone {
            remembered.remove(&Remembered::Vanished);
        }
        if self.record.step.minds_what_was_sent() {
            remembered.insert(Remembered::Sent);
        }
        // There is no machine any more: somebody did what he was told to do, and must not do it to the next one.
        let remove = goal::destroy_command(self.record.numbered.vmid);
        let is_done =
            |attention: &Attention| sending.kind == ChangeKind::Clone && attention.message.contains(&remove);
        let mut commit = Commit {
            attention: self.record.attention.as_ref().is_some_and(is_done).then_some(None),
            remembered: Some(remembered).filter(|remembered| *remembered != self.record.remembered),
            progress: Some(Progress::Intended { change: sending, at: self.now }),
            ..Commit::default()
        };
        self.receipt_of_change(change, &mut commit);
        commit
    }

    /// What the change that is about to be answered put in doubt.
    pub(super) fn own_doubt(&self) -> Option<Remembered> {
        match &self.record.progress {
            Progress::Intended { change, .. } => change.doubt,
            Progress::Untried | Progress::Submitted { .. } | Progress::Applied { .. } => None,
        }
    }

    /// The doubt that is over now that a change was accepted: its own. But settings that a task writes stay in doubt until it
    /// ends, and those that were written took along whatever waited of earlier ones.
    pub(super) fn resolved(&self, kind: ChangeKind, is_done: bool) -> Option<Remembered> {
        match is_done {
            _ if !kind.writes_settings() => self.own_doubt(),
            true => Some(Remembered::SettingsInDoubt),
            false => None,
        }
    }

    pub(super) fn sent(&self, change: &Change, submitted: Submitted) -> Commit {
        let sending = Sending { doubt: None, ..Sending::from(change) };
        let (progress, task) = match submitted {
            Submitted::Task(task) => {
                (Progress::Submitted { task: task.clone(), change: sending.clone() }, Some(task))
            }
            Submitted::Applied => (Progress::Applied { fingerprint: sending.fingerprint }, None),
        };
        let mut remembered = self.record.remembered.clone();
        if let Some(doubt) = self.resolved(sending.kind, task.is_none()) {
            remembered.remove(&doubt);
        }
        if task.is_none() {
            remembered.extend(sending.remember);
        }
        Commit {
            progress: Some(progress),
            remembered: Some(remembered).filter(|remembered| *remembered != self.record.remembered),
            log: Some(self.line(LogEvent::Sent { change: change.to_string(), task })),
            ..Commit::default()
        }
    }

    /// The request arrived after all, as if it had been answered now.
    pub(super) fn followed(&self, change: &Change, task: TaskId) -> Commit {
        let what = format!("{change}: its task was found, {task}");
        Commit { log: Some(self.line(LogEvent::Noted { what })), ..self.sent(change, Submitted::Task(task)) }
    }

    pub(super) fn not_sent(&self, change: &Change, error: &SubmitError) -> Commit {
        let message = match error.sent {
            Sent::No => format!("{change}: not sent: {}", error.message),
            Sent::Answered => format!("{change}: {}", error.message),
            Sent::Unknown => {
                format!("{change}: the answer was lost ({}); looking before trying again", error.message)
            }
        };
        let mut commit = self.failed(error.class, message);
        match error.sent {
            // The intent stays: until a look has shown it, the outcome is unknown.
            Sent::Unknown => commit.remembered = self.doubting_volumes(change.kind()),
            Sent::No | Sent::Answered => {
                commit.progress = Some(Progress::Untried);
                // Settings that were refused may have been written in part.
                let in_part = error.sent == Sent::Answered && change.kind().writes_settings();
                let doubt = self.own_doubt().filter(|_| !in_part);
                // A guest that was never asked is asked again, before it is stopped hard.
                let unasked = error.sent == Sent::No && change.kind() == ChangeKind::Stop;
                let over: Vec<Remembered> =
                    doubt.into_iter().chain(unasked.then_some(Remembered::Sent)).collect();
                commit.remembered = self.without(&over);
            }
        }
        commit
    }

    pub(super) fn task_ended(&self, ended: Ended) -> Commit {
        let Progress::Submitted { change, .. } = &self.record.progress else { return Commit::default() };
        let applied = || {
            let mut remembered = self.record.remembered.clone();
            remembered.extend(change.remember.iter().copied());
            if change.kind.writes_settings() {
                remembered.remove(&Remembered::SettingsInDoubt);
            }
            Commit {
                progress: Some(Progress::Applied { fingerprint: change.fingerprint }),
                remembered: Some(remembered).filter(|remembered| *remembered != self.record.remembered),
                due: Some(Due::At(self.now)),
                // Only where to look first: what is seen there decides.
                node: Some(self.record.bound_for()).filter(|_| change.kind == ChangeKind::Migrate).cloned(),
                ..Commit::default()
            }
        };
        match ended {
            Ended::Ok => applied(),
            // Volumes that could not be freed are a warning to PVE.
            Ended::Warnings(text) if change.kind == ChangeKind::Destroy => Commit {
                log: Some(
                    self.line(LogEvent::Noted { what: format!("the task ended with warnings: {text}") }),
                ),
                remembered: self.doubting_volumes(change.kind),
                ..applied()
            },
            Ended::Warnings(text) => Commit {
                log: Some(
                    self.line(LogEvent::Noted { what: format!("the task ended with warnings: {text}") }),
                ),
                ..applied()
            },
            Ended::Failed { class, message } => {
                Commit { progress: Some(Progress::Untried), ..self.failed(class, message) }
            }
            Ended::Lost(why) => Commit {
                progress: Some(Progress::Untried),
                remembered: self.doubting_volumes(change.kind),
                ..self.failed(ErrorClass::Unknown, format!("the task's end is not known: {why}"))
            },
        }
    }
}
