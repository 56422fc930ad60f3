//! What to write down about a wait.

use super::Settling;
use crate::{Commit, Due, ErrorClass, LogEvent, Progress, Waiting, retry::later};
use jiff::SignedDuration;

impl Settling<'_> {
    /// What the HA manager does not do in its time has failed, and is asked for anew.
    pub(super) fn awaiting_ha(&self, why: &str, patience: SignedDuration) -> Commit {
        let same = self.record.waiting.as_ref().filter(|waiting| waiting.why == why);
        match same.map(|waiting| self.now.duration_since(waiting.since)) {
            Some(waited) if waited >= patience => Commit {
                progress: Some(Progress::Untried),
                ..self.failed(
                    ErrorClass::Failed,
                    format!("{why}, and has not done it for {} s", waited.as_secs()),
                )
            },
            _ => self.waiting(why, false),
        }
    }

    /// Waiting is no failure. It is logged when it begins, looked at ever more rarely, and when it has lasted longer than
    /// anybody expects a human is told.
    pub(super) fn waiting(&self, why: &str, in_vain: bool) -> Commit {
        let same = self.record.waiting.as_ref().filter(|waiting| waiting.why == why);
        let since = same.map_or(self.now, |waiting| waiting.since);
        let waited = self.now.duration_since(since);
        let mut commit = Commit {
            due: Some(Due::At(later(self.now, self.policy.poll_after(waited)))),
            log: same.is_none().then(|| self.line(LogEvent::Waiting { why: why.to_owned() })),
            ..Commit::default()
        };
        // Once a human was told of it nobody asks any more who holds it. An attention for another reason is no reason not to
        // tell him: the command that opens the lock would never be seen.
        if self.record.was_told_of(why) {
            commit.waiting =
                same.is_none().then(|| Some(Waiting { since, why: why.to_owned(), idle_since: None }));
            return commit;
        }
        let idle_since = in_vain.then(|| same.and_then(|same| same.idle_since).unwrap_or(self.now));
        let waiting = Waiting { since, why: why.to_owned(), idle_since };
        commit.waiting = (same != Some(&waiting)).then_some(Some(waiting));
        let idle = idle_since.map(|since| self.now.duration_since(since));
        let message = match idle {
            Some(idle) if idle >= self.policy.stale_lock => {
                format!("no task has worked on it for {} min: {why}", idle.as_mins())
            }
            _ if waited >= self.policy.patience => {
                format!("waited for since {} min: {why}", waited.as_mins())
            }
            _ => return commit,
        };
        commit.log = Some(self.line(LogEvent::Attention { message: message.clone() }));
        self.raise(message, &mut commit);
        commit
    }
}
