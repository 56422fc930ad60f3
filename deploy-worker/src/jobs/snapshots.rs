//! Snapshots whose time is over.

use super::Jobs;
use deploy_core::{
    Change, ClusterName, Due, Ended, Look, Machine, MachineId, NodeState, Ownership, Sighting, Snapshot,
    SnapshotName, Step, StoreError, SubmitError, Submitted, Target, TaskId, TaskState, VmKey, VmRecord,
};
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};
use tracing::info;

/// So many machines at once.
const AT_ONCE: usize = 4;

/// Between two questions about a task.
const PAUSE: Duration = Duration::from_secs(1);

/// A deletion is decided on what was seen so long ago at most.
const FRESH: SignedDuration = SignedDuration::from_secs(30);

/// What one round came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotReport {
    /// Machines that have snapshots.
    pub machines: usize,
    /// Snapshots that are gone.
    pub deleted: Vec<(VmKey, SnapshotName)>,
    /// Snapshots that could not be deleted, and why, in words. They are tried again the next time.
    pub failed: Vec<(VmKey, SnapshotName, String)>,
    /// Clusters whose list could not be read, and why, in words.
    pub unread: Vec<(ClusterName, String)>,
}

/// What came of one machine.
#[derive(Default)]
struct Expired {
    has_snapshots: bool,
    deleted: Vec<SnapshotName>,
    failed: Vec<(SnapshotName, String)>,
}

/// Looks at every machine at rest, and deletes those of its snapshots that say that their time is over
/// ([`ExpiryMark`](deploy_core::ExpiryMark)), one after the other. PVE has no list of snapshots but each machine's own, so that
/// this takes two requests for each machine. What a worker does meanwhile is kept out by PVE's
/// own lock, as in the other direction: then one of the two is refused as busy, and comes again.
pub(super) async fn expire(jobs: &Jobs) -> Result<SnapshotReport, StoreError> {
    let mut report = SnapshotReport::default();
    for cluster in jobs.store.clusters().await? {
        let survey = match jobs.hypervisor.survey(&cluster.name).await {
            Ok(survey) => survey,
            Err(error) => {
                report.unread.push((cluster.name, error.message));
                continue;
            }
        };
        let mut records = jobs.records(&cluster.name).await?;
        records.retain(|record| {
            let listed = survey.guests.get(&record.numbered.vmid);
            let is_up =
                listed.is_some_and(|listed| survey.nodes.get(&listed.node) != Some(&NodeState::Offline));
            is_up && is_at_rest(record)
        });
        of_all(jobs, records, &mut report).await;
    }
    Ok(report)
}

fn is_at_rest(record: &VmRecord) -> bool {
    matches!(record.step, Step::Ready | Step::Suspended)
        && record.due == Due::OnCommand
        && record.pending.is_empty()
}

async fn of_all(jobs: &Jobs, records: Vec<VmRecord>, report: &mut SnapshotReport) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut working = JoinSet::new();
    for record in records {
        let (jobs, permits) = (jobs.clone(), Arc::clone(&permits));
        working.spawn(async move {
            // Never closed.
            let _permit = permits.acquire().await;
            let expired = of_one(&jobs, &record).await;
            (record.key, expired)
        });
    }
    while let Some(done) = working.join_next().await {
        let Ok((key, expired)) = done else { continue };
        report.machines += usize::from(expired.has_snapshots);
        report.deleted.extend(expired.deleted.into_iter().map(|name| (key, name)));
        report.failed.extend(expired.failed.into_iter().map(|(name, why)| (key, name, why)));
    }
}

async fn of_one(jobs: &Jobs, record: &VmRecord) -> Expired {
    let mut expired = Expired::default();
    loop {
        let Some((machine, snapshots)) = look(jobs, record).await else { return expired };
        expired.has_snapshots |= !snapshots.is_empty();
        let is_tried = |name: &SnapshotName| {
            expired.deleted.contains(name) || expired.failed.iter().any(|(failed, _)| failed == name)
        };
        let Some(next) = snapshots
            .into_iter()
            .find(|snapshot| is_over(snapshot, jobs.clock.now()) && !is_tried(&snapshot.name))
        else {
            return expired;
        };
        match delete(jobs, record, &machine, &next.name).await {
            Ok(()) => {
                info!(vm = %record.key, snapshot = next.name.as_str(), "its time was over: deleted");
                expired.deleted.push(next.name);
            }
            Err(why) => expired.failed.push((next.name, why)),
        }
    }
}

/// A machine of ours that is unlocked, and its snapshots. Nothing in its configuration says that there are none: a machine that
/// went back before all of them descends from none.
async fn look(jobs: &Jobs, record: &VmRecord) -> Option<(Machine, Vec<Snapshot>)> {
    let look = Look::CONFIG.and(Look::SNAPSHOTS);
    let Sighting::Seen(mut machine) = jobs.hypervisor.machine(&record.machine_id(), look).await else {
        return None;
    };
    let whose = Ownership::judge(record.mark(), record.smbios, machine.shown());
    let is_ours = matches!(whose, Ownership::Ours | Ownership::OursUnmarked);
    let snapshots = machine.snapshots.take()?;
    (is_ours && machine.lock.is_none()).then_some((*machine, snapshots))
}

/// One that is being made or deleted is left to whoever does it, and to a human where nobody does.
fn is_over(snapshot: &Snapshot, now: Timestamp) -> bool {
    snapshot.incomplete.is_none() && snapshot.expires_at().is_some_and(|at| at <= now)
}

async fn delete(
    jobs: &Jobs,
    record: &VmRecord,
    machine: &Machine,
    name: &SnapshotName,
) -> Result<(), String> {
    let id = MachineId { node: machine.node.clone(), ..record.machine_id() };
    let not_after = jobs.clock.now().saturating_add(FRESH).ok();
    let target =
        Target { machine: id.clone(), mark: record.mark(), smbios: record.smbios, revision: None, not_after };
    let change = Change::DeleteSnapshot(name.clone());
    match jobs.hypervisor.submit(&target, &change).await {
        Ok(Submitted::Applied) => {}
        Ok(Submitted::Task(task)) => ended(jobs, &record.spec.cluster, task).await?,
        Err(SubmitError { message, .. }) => return Err(message),
    }
    // Not the task decides, but what is to be seen.
    match jobs.hypervisor.machine(&id, Look::CONFIG.and(Look::SNAPSHOTS)).await {
        Sighting::Seen(seen) => match seen.snapshots {
            Some(left) if left.iter().all(|snapshot| snapshot.name != *name) => Ok(()),
            _ => Err("it is still there".to_owned()),
        },
        Sighting::ProvenAbsent => Ok(()),
        Sighting::Unknown(why) => Err(why.message),
    }
}

/// Waits for a task, however long: merging a snapshot may take hours.
async fn ended(jobs: &Jobs, cluster: &ClusterName, task: TaskId) -> Result<(), String> {
    loop {
        tokio::time::sleep(PAUSE).await;
        match jobs.hypervisor.tasks(cluster, std::slice::from_ref(&task)).await.pop() {
            Some(TaskState::Running | TaskState::Unknown(_)) => {}
            Some(TaskState::Ended(Ended::Ok | Ended::Warnings(_) | Ended::Lost(_))) | None => return Ok(()),
            Some(TaskState::Ended(Ended::Failed { message, .. })) => return Err(message),
        }
    }
}
