//! One machine's turn: compare what it shall have with what it has, and see to each record that is due.

mod record;

use crate::{DnsError, Providers, Zones, lanes::not_configured, task::Task, wanted::wanted};
use deploy_core::{
    Clock, CommitError, DnsClaim, DnsClaimed, DnsData, DnsStore, DnsWriteError, ProviderName, RetryPolicy,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What turns are taken with.
#[derive(Clone)]
pub(crate) struct Turns {
    pub(crate) store: Arc<dyn DnsStore>,
    pub(crate) providers: Providers,
    pub(crate) zones: Arc<Zones>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: RetryPolicy,
    /// How long a claim lasts.
    pub(crate) lasting: Duration,
}

/// Why a turn ended early. The machine is due again when its claim's time is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("another worker has the machine's DNS records now")]
    Fenced,
    /// No request is sent any more, for it might arrive when somebody else has the machine.
    #[error("half of the claim's time is over")]
    Late,
    #[error(transparent)]
    Store(#[from] deploy_core::StoreError),
}

impl From<CommitError> for Ended {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced => Self::Fenced,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

/// How a record's turn ended.
enum Step {
    /// It was seen to, well or not.
    Done,
    /// Its provider is not there: the others of it need not be tried now.
    Down(DnsError),
}

/// One machine's turn.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    claim: DnsClaim,
    thorough: bool,
    begun: Instant,
}

impl Turns {
    /// Sees to a claimed machine's records that are due, and ends the claim. `begun` is when it was claimed at the latest.
    ///
    /// # Cancel safety
    /// Dropped, it has seen to some of them; the machine is due again when the claim's time is over.
    pub(crate) async fn take(&self, claimed: DnsClaimed, begun: Instant) -> Result<(), Ended> {
        let DnsClaimed { claim, record, names, entries, thorough } = claimed;
        let (tasks, changes) = Task::plan(entries, wanted(&record, &names, &self.zones));
        if !changes.is_empty() {
            self.store.write_dns(&claim, &changes).await.map_err(refused)?;
        }
        let mut by_provider: BTreeMap<ProviderName, Vec<Task>> = BTreeMap::new();
        for task in tasks {
            by_provider.entry(task.entry.record.provider.clone()).or_default().push(task);
        }
        let turn = Turn { turns: self, claim, thorough, begun };
        // A provider that does not answer holds up its own records alone.
        let seen_to = join_all(by_provider.into_iter().map(|(name, tasks)| turn.see_to(name, tasks))).await;
        let mut due: Option<Timestamp> = None;
        for next in seen_to {
            due = [due, next?].into_iter().flatten().min();
        }
        Ok(self.store.finish_dns(&claim, due).await?)
    }
}

/// What a refused write means where no name was to be taken.
fn refused(error: DnsWriteError) -> Ended {
    match error {
        DnsWriteError::Fenced => Ended::Fenced,
        DnsWriteError::Store(error) => Ended::Store(error),
        DnsWriteError::Held { .. } => {
            Ended::Store(deploy_core::StoreError::not_written(format!("refused a write: {error}")))
        }
    }
}

impl Turn<'_> {
    /// Sees to one provider's records, one after the other, and says when the next one is due.
    async fn see_to(&self, name: ProviderName, mut tasks: Vec<Task>) -> Result<Option<Timestamp>, Ended> {
        let lane = self.turns.providers.lane(&name);
        let is_due = |task: &Task| task.is_due(self.turns.clock.now(), self.thorough);
        let _slot = match lane {
            Some(lane) if tasks.iter().any(is_due) => lane.enter().await,
            _ => None,
        };
        let mut down: Option<DnsError> = lane.is_none().then(|| not_configured(&name));
        for at in 0..tasks.len() {
            let now = self.turns.clock.now();
            if !tasks[at].is_due(now, self.thorough) {
                continue;
            }
            let own = own_beside(&tasks, at);
            let task = &mut tasks[at];
            match (lane, &down) {
                (Some(lane), None) => {
                    if let Some(until) = lane.left_alone(now).filter(|_| !self.thorough) {
                        self.wait_for(task, until).await?;
                        continue;
                    }
                    match self.step(lane, task, &own).await? {
                        Step::Done => {}
                        Step::Down(error) => down = Some(error),
                    }
                }
                (_, Some(error)) => self.failed(task, &error.clone()).await?,
                (None, None) => {}
            }
        }
        Ok(tasks.iter().filter_map(Task::next).min())
    }
}

/// What the machine's other records at this name say that may stand because of us.
fn own_beside(tasks: &[Task], at: usize) -> Vec<DnsData> {
    let of = &tasks[at].entry.record;
    let beside = |task: &&Task| {
        let other = &task.entry.record;
        (&other.zone, &other.name) == (&of.zone, &of.name) && task.entry.may_stand() && !task.is_forgotten
    };
    tasks.iter().filter(beside).map(|task| task.entry.record.data.clone()).collect()
}

#[cfg(test)]
mod tests;
