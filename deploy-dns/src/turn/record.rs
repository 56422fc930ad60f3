//! One record's turn: look, judge, write down what is meant, ask for it, and write down what became of it.

use super::{Ended, Step, Turn, refused};
use crate::{
    DnsError,
    lanes::Lane,
    task::Task,
    verdict::{Verdict, judge},
};
use deploy_core::{DnsChange, DnsData, DnsEntry, DnsState, DnsWriteError, ErrorClass, Sent};
use jiff::Timestamp;

impl Turn<'_> {
    /// Looks, judges, and does what is to be done.
    pub(super) async fn step(&self, lane: &Lane, task: &mut Task, own: &[DnsData]) -> Result<Step, Ended> {
        self.must_not_be_late()?;
        let record = task.entry.record.clone();
        let standing = match lane.provider.list(&record.zone, &record.name).await {
            Ok(standing) => standing,
            Err(error) => return self.failed_at(lane, task, error).await,
        };
        let verdict = judge(&task.entry, task.wanted, &standing, own);
        self.must_not_be_late()?;
        match verdict {
            Verdict::Stands => {
                task.entry.state = DnsState::Published;
                self.rests(task).await
            }
            Verdict::Foreign => self.blocked(task, DnsState::Foreign, None).await,
            Verdict::Conflict(words) => self.blocked(task, DnsState::Conflict, Some(words)).await,
            Verdict::Gone => self.gone(task).await,
            Verdict::Publish => {
                let Some(before) = self.intend(task, DnsState::Publishing).await? else {
                    return Ok(Step::Done);
                };
                self.must_not_be_late()?;
                let ttl = task.entry.ttl;
                let (zone, name) = (&record.zone, &record.name);
                let answer = lane.provider.upsert(zone, name, &record.data, ttl, &standing).await;
                self.answered(lane, task, &before, answer, DnsState::Published).await
            }
            Verdict::Withdraw => {
                let Some(before) = self.intend(task, DnsState::Withdrawing).await? else {
                    return Ok(Step::Done);
                };
                self.must_not_be_late()?;
                let answer = lane.provider.delete(&record.zone, &record.name, &record.data).await;
                self.answered(lane, task, &before, answer, DnsState::Withdrawing).await
            }
        }
    }

    /// Writes down that a request goes out now, and gives the entry as it was before; none where the name is another machine's.
    async fn intend(&self, task: &mut Task, state: DnsState) -> Result<Option<DnsEntry>, Ended> {
        let now = self.turns.clock.now();
        let mut before = task.entry.clone();
        if before.doubtful_until(now, self.turns.policy.late_arrival).is_none() {
            before.in_doubt = None;
        }
        task.entry.state = state;
        task.entry.in_doubt = Some(now);
        match self.write(task).await {
            Ok(()) => Ok(Some(before)),
            Err(DnsWriteError::Held { name, by, .. }) => {
                task.entry = before;
                let words = format!("{name} is still a name of machine {by}");
                self.blocked(task, DnsState::Conflict, Some(words)).await?;
                Ok(None)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Writes down what became of a request.
    async fn answered(
        &self,
        lane: &Lane,
        task: &mut Task,
        before: &DnsEntry,
        answer: Result<(), DnsError>,
        state: DnsState,
    ) -> Result<Step, Ended> {
        match answer {
            Ok(()) => {
                // An older request that was never answered may still arrive.
                task.entry.in_doubt = before.in_doubt;
                task.entry.state = state;
                if task.wanted { self.rests(task).await } else { self.gone(task).await }
            }
            Err(error) => {
                match error.sent {
                    // As if it had never been meant; but what is to go stays on its way out.
                    Sent::No | Sent::Answered => {
                        task.entry.in_doubt = before.in_doubt;
                        task.entry.state = if task.wanted { before.state } else { DnsState::Withdrawing };
                    }
                    Sent::Unknown => {}
                }
                self.failed_at(lane, task, error).await
            }
        }
    }

    /// A record stands as it shall. It is looked at once more where a late request may change that.
    async fn rests(&self, task: &mut Task) -> Result<Step, Ended> {
        let until = task.entry.doubtful_until(self.turns.clock.now(), self.turns.policy.late_arrival);
        if until.is_none() {
            task.entry.in_doubt = None;
        }
        task.entry.next_try = until;
        task.entry.failures = 0;
        task.entry.last_error = None;
        self.write(task).await.map_err(refused)?;
        Ok(Step::Done)
    }

    /// A record does not stand. It is forgotten once no late request can bring it back.
    async fn gone(&self, task: &mut Task) -> Result<Step, Ended> {
        let until = task.entry.doubtful_until(self.turns.clock.now(), self.turns.policy.late_arrival);
        if until.is_some() {
            task.entry.state = DnsState::Withdrawing;
            task.entry.next_try = until;
            task.entry.failures = 0;
            task.entry.last_error = None;
            self.write(task).await.map_err(refused)?;
            return Ok(Step::Done);
        }
        let forget = [DnsChange::Forget(task.entry.record.clone())];
        self.turns.store.write_dns(&self.claim, &forget).await.map_err(refused)?;
        task.is_forgotten = true;
        Ok(Step::Done)
    }

    /// The name is somebody else's, or another machine's of ours; tried again later.
    async fn blocked(&self, task: &mut Task, state: DnsState, words: Option<String>) -> Result<Step, Ended> {
        let (mut state, mut words) = (state, words);
        if let Some(by) = self.turns.store.dns_holder(self.claim.key, &task.entry.record).await? {
            state = DnsState::Conflict;
            words = Some(format!("{} is still a name of machine {by}", task.entry.record.name));
        }
        let now = self.turns.clock.now();
        if task.entry.doubtful_until(now, self.turns.policy.late_arrival).is_none() {
            task.entry.in_doubt = None;
        }
        task.entry.state = state;
        task.entry.last_error = words;
        task.entry.failures = task.entry.failures.saturating_add(1);
        task.entry.next_try = Some(self.later(task, ErrorClass::Refused));
        self.write(task).await.map_err(refused)?;
        Ok(Step::Done)
    }

    /// A request failed: whoever answers nothing is left alone for a while.
    async fn failed_at(&self, lane: &Lane, task: &mut Task, error: DnsError) -> Result<Step, Ended> {
        self.failed(task, &error).await?;
        if !error.is_provider_down() {
            return Ok(Step::Done);
        }
        if let Some(until) = task.entry.next_try {
            lane.leave_alone(until);
        }
        Ok(Step::Down(error))
    }

    /// Writes a failure down.
    pub(super) async fn failed(&self, task: &mut Task, error: &DnsError) -> Result<(), Ended> {
        tracing::warn!(vm = %self.claim.key, record = %task.entry.record, class = %error.class, "{error}");
        if !task.wanted {
            task.entry.state = DnsState::Withdrawing;
        }
        task.entry.failures = task.entry.failures.saturating_add(1);
        task.entry.last_error = Some(error.message.clone());
        let mut at = self.later(task, error.class);
        if let Some(delay) = error.retry_after {
            at = at.max(self.turns.clock.now().checked_add(delay).unwrap_or(Timestamp::MAX));
        }
        task.entry.next_try = Some(at);
        self.write(task).await.map_err(refused)
    }

    /// The provider is left alone for now: no failure of this record.
    pub(super) async fn wait_for(&self, task: &mut Task, until: Timestamp) -> Result<(), Ended> {
        if !task.wanted {
            task.entry.state = DnsState::Withdrawing;
        }
        task.entry.next_try = Some(until);
        task.entry
            .last_error
            .get_or_insert_with(|| "its provider does not answer, and is left alone for now".into());
        self.write(task).await.map_err(refused)
    }

    async fn write(&self, task: &Task) -> Result<(), DnsWriteError> {
        self.turns.store.write_dns(&self.claim, &[DnsChange::Put(task.entry.clone())]).await
    }

    fn later(&self, task: &Task, class: ErrorClass) -> Timestamp {
        let delay = self.turns.policy.delay(self.claim.key, task.entry.failures, class);
        self.turns.clock.now().checked_add(delay).unwrap_or(Timestamp::MAX)
    }

    fn must_not_be_late(&self) -> Result<(), Ended> {
        if self.begun.elapsed() >= self.turns.lasting / 2 { Err(Ended::Late) } else { Ok(()) }
    }
}
