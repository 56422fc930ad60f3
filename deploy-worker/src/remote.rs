//! How machines are on their clusters, one or thousands.

use crate::SystemClock;
use deploy_core::{
    Clock, ClusterName, ErrorClass, Inspection, LockStore, LookError, MachineId, Obscured, Remote,
    RemoteStatus, SeenLock, Survey, Surveyor, Told, VmRecord, inspected, told,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::{sync::Semaphore, task::JoinSet};
use tracing::warn;

/// Machines that are looked at one by one for one question about many: a list may lack them all, where a right was taken away.
const LOOKS: usize = 100;

/// So many of them at once.
const AT_ONCE: usize = 8;

/// Sees how machines are on their clusters: whether they run, since when, by what they are locked, what differs from their
/// orders. Needs no worker; any process that has the records and reaches the clusters may ask.
///
/// Of many machines it takes one list of each cluster. That tells power, uptime, lock, node, CPU, memory, name and tags, all but
/// lock, node and tags up to ten seconds old. A list lacks what we may not see, and shows no identity: a machine that is
/// missing there, or not as it should be, is looked at by itself before anything is said of it.
///
/// Of one machine it shows all: also paused guests, tasks, what the guest agent tells, and every field that differs.
///
/// ```
/// use deploy_core::{ListQuery, RecordStore, StoreError};
/// use deploy_worker::RemoteView;
///
/// /// A page of machines that differ from their orders.
/// async fn differing(view: &RemoteView, records: &dyn RecordStore) -> Result<(), StoreError> {
///     let page = records.list(&ListQuery::default()).await?;
///     for (record, status) in page.iter().zip(view.statuses(&page).await) {
///         for drift in status.machine().map(|machine| machine.drift.as_slice()).unwrap_or_default() {
///             tracing::info!(vm = record.external_ref.as_str(), %drift, "not as ordered");
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct RemoteView {
    surveyor: Arc<dyn Surveyor>,
    locks: Arc<dyn LockStore>,
    clock: Arc<dyn Clock>,
}

impl RemoteView {
    /// A view of these clusters, that remembers there since when it has seen locks.
    pub fn new(surveyor: Arc<dyn Surveyor>, locks: Arc<dyn LockStore>) -> Self {
        Self { surveyor, locks, clock: Arc::new(SystemClock) }
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Everything about one machine. Cancel-safe.
    pub async fn status(&self, record: &VmRecord) -> RemoteStatus {
        let at = self.clock.now();
        let seen = inspected(record, self.surveyor.inspect(&record.machine_id()).await);
        let mut statuses = [RemoteStatus { key: record.key, at, seen }];
        self.date_locks(&mut statuses).await;
        let [status] = statuses;
        status
    }

    /// What the lists of their clusters tell of many machines, in the order of the records. A cluster or a node that is down
    /// makes its own machines unknown and no others. Cancel-safe.
    pub async fn statuses(&self, records: &[VmRecord]) -> Vec<RemoteStatus> {
        let at = self.clock.now();
        let surveys = self.surveys(records).await;
        let tell = |record: &VmRecord| match surveys.get(&record.spec.cluster) {
            Some(Ok(survey)) => told(record, survey),
            Some(Err(error)) => Told::Status(Remote::Unknown(of_list(error))),
            None => Told::Status(Remote::Unknown(not_answered())),
        };
        let told: Vec<Told> = records.iter().map(tell).collect();
        let doubted = told.iter().zip(records).filter(|(told, _)| **told == Told::LookCloser);
        let mut looks = self.look(doubted.map(|(_, record)| record.machine_id())).await;
        let statuses = told.into_iter().zip(records).map(|(told, record)| {
            let seen = match told {
                Told::Status(seen) => seen,
                Told::LookCloser => match looks.remove(&record.machine_id()) {
                    Some(inspection) => inspected(record, inspection),
                    None => Remote::Unknown(not_looked_at()),
                },
            };
            RemoteStatus { key: record.key, at, seen }
        });
        let mut statuses: Vec<RemoteStatus> = statuses.collect();
        self.date_locks(&mut statuses).await;
        statuses
    }

    /// The list of each cluster, all at once: one that does not answer holds up nobody's but its own.
    async fn surveys(&self, records: &[VmRecord]) -> BTreeMap<ClusterName, Result<Survey, LookError>> {
        let clusters: BTreeSet<&ClusterName> = records.iter().map(|record| &record.spec.cluster).collect();
        let mut asking = JoinSet::new();
        for cluster in clusters.into_iter().cloned() {
            let surveyor = Arc::clone(&self.surveyor);
            asking.spawn(async move {
                let survey = surveyor.survey(&cluster).await;
                (cluster, survey)
            });
        }
        let mut surveys = BTreeMap::new();
        while let Some(answer) = asking.join_next().await {
            surveys.extend(answer.inspect_err(|error| warn!(%error, "a list broke off")).ok());
        }
        surveys
    }

    async fn look(&self, machines: impl Iterator<Item = MachineId>) -> BTreeMap<MachineId, Inspection> {
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut looking = JoinSet::new();
        for machine in machines.take(LOOKS) {
            let (surveyor, permits) = (Arc::clone(&self.surveyor), Arc::clone(&permits));
            looking.spawn(async move {
                // Never closed.
                let _permit = permits.acquire().await;
                let inspection = surveyor.inspect(&machine).await;
                (machine, inspection)
            });
        }
        let mut looks = BTreeMap::new();
        while let Some(answer) = looking.join_next().await {
            looks.extend(answer.inspect_err(|error| warn!(%error, "a look broke off")).ok());
        }
        looks
    }

    /// Takes down which of them are locked, and fills in since when. A store that fails leaves that open: what was seen is
    /// told all the same.
    async fn date_locks(&self, statuses: &mut [RemoteStatus]) {
        let seen: Vec<SeenLock> = statuses.iter().filter_map(seen_lock).collect();
        let since = match self.locks.locks_seen(&seen).await {
            Ok(since) => since,
            Err(error) => return warn!(%error, "since when machines are locked could not be kept"),
        };
        let since: BTreeMap<_, _> = since.into_iter().map(|locked| (locked.key, locked.since)).collect();
        for status in statuses {
            if let Remote::There(machine) = &mut status.seen
                && let Some(lock) = &mut machine.lock
            {
                lock.since = since.get(&status.key).copied();
            }
        }
    }
}

/// How a machine was seen that is there. One that is gone, or that nobody can see, says nothing about its lock.
fn seen_lock(status: &RemoteStatus) -> Option<SeenLock> {
    let lock = status.machine()?.lock.as_ref().map(|lock| lock.lock.clone());
    Some(SeenLock { key: status.key, lock })
}

fn of_list(error: &LookError) -> Obscured {
    Obscured { class: error.class, message: error.message.clone() }
}

fn not_answered() -> Obscured {
    Obscured { class: ErrorClass::Failed, message: "the list of its cluster broke off".to_owned() }
}

fn not_looked_at() -> Obscured {
    let message = format!(
        "the list of its cluster does not show it as it should be, nor more than {LOOKS} others; ask for it alone"
    );
    Obscured { class: ErrorClass::Unknown, message }
}
