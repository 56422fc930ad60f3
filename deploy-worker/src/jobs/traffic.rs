//! Traffic, from the counters that a list of each cluster shows.

use super::{Jobs, PAGE};
use deploy_core::{
    ClusterName, CounterReading, GuestKind, LookError, MachineReading, NodeState, Power, SeenLock,
    StoreError, Survey, Surveyed, Traffic, VmRecord,
};
use jiff::Timestamp;

/// What one round of counting came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrafficReport {
    /// Machines that were counted.
    pub counted: usize,
    /// Machines of which the list shows nothing that could be: not made yet, on a node that is down, out of our sight.
    pub left_out: usize,
    /// Clusters whose list could not be read, and why, in words.
    pub unread: Vec<(ClusterName, String)>,
}

/// Counts once. The lists show locks as well, so that since when a machine is locked is known from the first round, and not
/// from the first look of a human.
pub(super) async fn count(jobs: &Jobs) -> Result<TrafficReport, StoreError> {
    let mut report = TrafficReport::default();
    for cluster in jobs.store.clusters().await? {
        // Before the list: what is read later must not seem older than what was read before.
        let at = jobs.clock.now();
        let survey = match jobs.hypervisor.survey(&cluster.name).await {
            Ok(survey) => survey,
            Err(LookError { message, .. }) => {
                report.unread.push((cluster.name, message));
                continue;
            }
        };
        let (mut readings, mut locks) = (Vec::new(), Vec::new());
        for record in jobs.records(&cluster.name).await? {
            let Some(listed) = ours(&record, &survey) else {
                report.left_out += 1;
                continue;
            };
            locks.push(SeenLock { key: record.key, lock: listed.lock.clone() });
            match reading(listed, at) {
                Some(reading) => readings.push(MachineReading { key: record.key, reading }),
                None => report.left_out += 1,
            }
        }
        for page in readings.chunks(PAGE) {
            jobs.store.count_traffic(page).await?;
        }
        report.counted += readings.len();
        jobs.store.locks_seen(&locks).await?;
    }
    Ok(report)
}

/// The record's machine in the list. A number that was used before shows its predecessor's name and counters for a while.
fn ours<'a>(record: &VmRecord, survey: &'a Survey) -> Option<&'a Surveyed> {
    let listed = survey.guests.get(&record.numbered.vmid)?;
    let is_down = survey.nodes.get(&listed.node) == Some(&NodeState::Offline);
    let is_ours = listed.kind == GuestKind::Machine
        && listed.name.as_deref() == Some(record.numbered.pve_name.as_str())
        && !is_down;
    is_ours.then_some(listed)
}

/// One that does not run has counted nothing since it does not run.
fn reading(listed: &Surveyed, at: Timestamp) -> Option<CounterReading> {
    match listed.power.as_ref()? {
        Power::Stopped => Some(CounterReading { at, uptime: 0, counted: Traffic::default() }),
        Power::Running | Power::Suspended(_) => {
            Some(CounterReading { at, uptime: listed.uptime?, counted: listed.counted? })
        }
    }
}
