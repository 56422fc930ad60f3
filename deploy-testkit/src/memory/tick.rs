use super::{MemoryStore, State};
use async_trait::async_trait;
use deploy_core::{
    AddressAudit, CommitError, Job, JobOutcome, JobRecord, JobRun, JobStart, JobState, JobStore, JobTerms,
    Lock, LockStore, LockedSince, LogId, LogKeep, LogPruned, LogRetention, MachineReading, OrphanedAddress,
    RunId, SeenLock, Step, StoreError, Traffic, TrafficOfDay, TrafficQuery, TrafficStore, TrafficTotal,
    VmKey,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use std::collections::BTreeMap;

/// What is done now and then.
#[derive(Default)]
pub(super) struct Tick {
    jobs: BTreeMap<Job, JobRecord>,
    totals: BTreeMap<VmKey, TrafficTotal>,
    days: BTreeMap<(VmKey, Date), Traffic>,
    locks: BTreeMap<VmKey, (Lock, Timestamp)>,
}

impl Tick {
    fn change(
        &mut self,
        job: Job,
        change: impl FnOnce(JobRecord) -> Result<JobRecord, CommitError>,
    ) -> Result<(), CommitError> {
        let record = self.jobs.get(&job).cloned().ok_or(CommitError::Fenced)?;
        self.jobs.insert(job, change(record)?);
        Ok(())
    }

    fn count(&mut self, reading: MachineReading) {
        let kept = self.totals.get(&reading.key).copied();
        let Some((total, added)) = TrafficTotal::with(kept, reading) else { return };
        self.totals.insert(reading.key, total);
        if added != Traffic::default() {
            let day = self.days.entry((reading.key, reading.reading.day())).or_default();
            *day = day.plus(added);
        }
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn begin_job(&self, job: Job, run: &JobRun, terms: JobTerms) -> Result<JobStart, StoreError> {
        Ok(self.with(|state, now| {
            let kept = state.tick.jobs.get(&job).cloned();
            let (start, record) = JobRecord::begin(kept, run, terms, now);
            state.tick.jobs.extend(record.map(|record| (job, record)));
            start
        }))
    }

    async fn prolong_job(&self, job: Job, run: RunId, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.with(|state, now| state.tick.change(job, |record| record.prolong(run, alive_for, now)))
    }

    async fn end_job(&self, job: Job, run: RunId, outcome: &JobOutcome) -> Result<(), CommitError> {
        self.with(|state, now| state.tick.change(job, |record| record.end(run, outcome, now)))
    }

    async fn jobs(&self) -> Result<Vec<JobState>, StoreError> {
        Ok(self
            .with(|state, now| state.tick.jobs.iter().map(|(job, record)| record.state(*job, now)).collect()))
    }
}

#[async_trait]
impl TrafficStore for MemoryStore {
    async fn count_traffic(&self, readings: &[MachineReading]) -> Result<(), StoreError> {
        self.with(|state, _| {
            for reading in readings {
                if state.machines.record(reading.key).is_some() {
                    state.tick.count(*reading);
                }
            }
        });
        Ok(())
    }

    async fn traffic_totals(&self, keys: &[VmKey]) -> Result<Vec<TrafficTotal>, StoreError> {
        Ok(self.with(|state, _| {
            state.tick.totals.values().filter(|total| keys.contains(&total.key)).copied().collect()
        }))
    }

    async fn traffic_by_day(&self, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, StoreError> {
        let TrafficQuery { key, from, until } = *query;
        let is_asked = |(machine, day): &(VmKey, Date)| {
            key.is_none_or(|key| key == *machine) && from <= *day && *day < until
        };
        let of = |((key, day), traffic): (&(VmKey, Date), &Traffic)| TrafficOfDay {
            key: *key,
            day: *day,
            traffic: *traffic,
        };
        Ok(self.with(|state, _| state.tick.days.iter().filter(|(at, _)| is_asked(at)).map(of).collect()))
    }
}

#[async_trait]
impl LockStore for MemoryStore {
    async fn locks_seen(&self, seen: &[SeenLock]) -> Result<Vec<LockedSince>, StoreError> {
        let seen: BTreeMap<VmKey, Option<Lock>> =
            seen.iter().map(|seen| (seen.key, seen.lock.clone())).collect();
        Ok(self.with(|state, now| {
            seen.into_iter().filter_map(|(key, lock)| state.lock_seen(key, lock, now)).collect()
        }))
    }
}

#[async_trait]
impl LogRetention for MemoryStore {
    async fn prune_log(&self, keep: &LogKeep, after: LogId, limit: usize) -> Result<LogPruned, StoreError> {
        Ok(self.with(|state, _| state.machines.prune_log(keep, after, limit)))
    }
}

#[async_trait]
impl AddressAudit for MemoryStore {
    async fn orphaned_addresses(&self, limit: usize) -> Result<Vec<OrphanedAddress>, StoreError> {
        Ok(self.with(|state, _| {
            let lives =
                |key: VmKey| state.machines.record(key).is_some_and(|record| record.step != Step::Terminated);
            let mut orphaned = state.addresses.held_by_any();
            orphaned.retain(|held| !lives(held.key));
            orphaned.sort_by(|a, b| (&a.cluster, a.held.address).cmp(&(&b.cluster, b.held.address)));
            orphaned.truncate(limit);
            orphaned
        }))
    }
}

impl State {
    fn lock_seen(&mut self, key: VmKey, lock: Option<Lock>, now: Timestamp) -> Option<LockedSince> {
        let lock = lock.filter(|_| self.machines.record(key).is_some());
        let Some(lock) = lock else {
            self.tick.locks.remove(&key);
            return None;
        };
        let since = match self.tick.locks.get(&key) {
            Some((seen, since)) if *seen == lock => *since,
            _ => now,
        };
        self.tick.locks.insert(key, (lock.clone(), since));
        Some(LockedSince { key, lock, since })
    }
}
