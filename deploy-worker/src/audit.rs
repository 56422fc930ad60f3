//! Machines that vanished while they rested: one list of each cluster against the records.

use deploy_core::{
    ClusterName, Hypervisor, LeaseStore, LookError, Resting, StoreError, Summary, VmKey, Vmid,
};
use std::collections::{BTreeMap, HashMap};
use tracing::{info, warn};

/// Records that are read at once.
const PAGE: usize = 1000;

/// Machines of a cluster that are looked at after one list. A list may lack them all, where a right was taken away.
const LOOKS: usize = 50;

/// What one round of [`Worker::audit`](crate::Worker::audit) came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Machines that rest.
    pub machines: usize,
    /// Those that are not in their cluster's list, or there on another node or under another name: hints, for lists are
    /// filtered by rights, and late.
    pub missing: usize,
    /// Those that were made due for a look of their own. Only that look decides.
    pub checked: Vec<VmKey>,
    /// Clusters whose list could not be read, and why, in words.
    pub unread: Vec<(ClusterName, String)>,
}

/// Where the looks of the last round ended in each cluster, so that the next one goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursors {
    ended: BTreeMap<ClusterName, VmKey>,
    /// After which key a round begins that none came before.
    start: Option<VmKey>,
}

/// Makes a round. Several workers may do so at once: a machine is made due once, and looked at by whoever leases it.
pub(crate) async fn round(
    store: &dyn LeaseStore,
    hypervisor: &dyn Hypervisor,
    cursors: &mut Cursors,
) -> Result<AuditReport, StoreError> {
    let mut report = AuditReport::default();
    // Before the lists: whatever comes to rest meanwhile is in none.
    for (cluster, resting) in resting(store).await? {
        report.machines += resting.len();
        let listed = match hypervisor.inventory(&cluster).await {
            Ok(machines) => machines.into_iter().map(|machine| (machine.vmid, machine)).collect(),
            Err(LookError { message, .. }) => {
                warn!(%cluster, why = message, "the machines at rest could not be compared with a list");
                report.unread.push((cluster, message));
                continue;
            }
        };
        let missing = missing(&resting, &listed);
        report.missing += missing.len();
        for key in cursors.next(&cluster, &missing) {
            info!(%cluster, vm = %key, "not where it is listed: looked at");
            store.check(key).await?;
            report.checked.push(key);
        }
    }
    Ok(report)
}

async fn resting(store: &dyn LeaseStore) -> Result<BTreeMap<ClusterName, Vec<Resting>>, StoreError> {
    let mut by_cluster: BTreeMap<ClusterName, Vec<Resting>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.resting(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(by_cluster) };
        after = Some(last.key);
        for machine in page {
            by_cluster.entry(machine.cluster.clone()).or_default().push(machine);
        }
    }
}

/// Those that are not listed as they should be. A list does not know the name of a fresh machine.
fn missing(resting: &[Resting], listed: &HashMap<Vmid, Summary>) -> Vec<VmKey> {
    let is_named = |machine: &Resting, name: &Option<String>| {
        name.as_ref().is_none_or(|name| name == machine.name.as_str())
    };
    let is_listed = |machine: &&Resting| {
        let found = listed.get(&machine.vmid);
        found.is_some_and(|found| found.node == machine.node && is_named(machine, &found.name))
    };
    resting.iter().filter(|machine| !is_listed(machine)).map(|machine| machine.key).collect()
}

impl Cursors {
    /// Those of a process that makes one round and ends: it begins after a key that is drawn, so that after many such rounds each
    /// machine has had its look.
    pub(crate) fn after(start: VmKey) -> Self {
        Self { start: Some(start), ..Self::default() }
    }

    /// The next so many of those that are missing, which are in the order of their keys.
    fn next(&mut self, cluster: &ClusterName, missing: &[VmKey]) -> Vec<VmKey> {
        let last = self.ended.remove(cluster).or(self.start);
        let from = missing.partition_point(|key| last.is_some_and(|last| *key <= last));
        let next: Vec<VmKey> = missing[from..].iter().chain(&missing[..from]).take(LOOKS).copied().collect();
        if let Some(last) = next.last().filter(|_| next.len() < missing.len()) {
            self.ended.insert(cluster.clone(), *last);
        }
        next
    }
}

#[cfg(test)]
mod tests;
