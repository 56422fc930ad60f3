//! What is on the clusters or holds addresses, and no record knows. Reported, never touched.

use super::Jobs;
use deploy_core::{
    ClusterName, ClusterSettings, GuestKind, Look, LookError, MachineId, NodeName, Obscured, OrphanedAddress,
    OwnerMark, Sighting, StoreError, Survey, VmKey, VmRecord, Vmid,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::{sync::Semaphore, task::JoinSet};

/// Machines of a cluster that are looked at in one round: a list does not show whose mark a machine carries. Where there are
/// more that no record knows, each round takes others.
const LOOKS: usize = 200;

/// So many of them at once.
const AT_ONCE: usize = 4;

/// Addresses that are told in one round.
const ADDRESSES: usize = 1000;

/// What one look for orphans came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrphanReport {
    /// Machines, by cluster and number.
    pub machines: Vec<Orphan>,
    /// Addresses that are held for machines of which nothing is left.
    pub addresses: Vec<OrphanedAddress>,
    /// Machines that no record knows and that nobody looked at this time, so that they may carry our mark.
    pub unlooked: usize,
    /// Clusters whose list could not be read, and why, in words.
    pub unread: Vec<(ClusterName, String)>,
}

/// A machine that should not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its number.
    pub vmid: Vmid,
    /// The node it is on.
    pub node: NodeName,
    /// Its name, where the list knows it.
    pub name: Option<String>,
    /// What is wrong with it.
    pub why: WhyOrphan,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyOrphan {
    /// It has a number of ours, no record knows it, and it carries no mark: somebody else's, most likely.
    Unknown,
    /// The same, and nobody can see whose it is.
    Unseen(Obscured),
    /// It carries our mark, but of its record nothing is left, or there never was one here.
    Forgotten(VmKey),
    /// It carries the mark of a machine of ours that has another number: a copy, most likely.
    Double {
        /// Whose mark.
        of: VmKey,
        /// The number of that one.
        its: Vmid,
    },
}

/// Looks once.
pub(super) async fn look(jobs: &Jobs) -> Result<OrphanReport, StoreError> {
    let mut report = OrphanReport::default();
    for cluster in jobs.store.clusters().await? {
        // Before the records: a machine that is made meanwhile has its record already.
        let survey = match jobs.hypervisor.survey(&cluster.name).await {
            Ok(survey) => survey,
            Err(LookError { message, .. }) => {
                report.unread.push((cluster.name, message));
                continue;
            }
        };
        let records = jobs.records(&cluster.name).await?;
        look_at(jobs, &cluster, survey, &records, &mut report).await;
    }
    report.addresses = jobs.store.orphaned_addresses(ADDRESSES).await?;
    Ok(report)
}

async fn look_at(
    jobs: &Jobs,
    cluster: &ClusterSettings,
    survey: Survey,
    records: &[VmRecord],
    report: &mut OrphanReport,
) {
    let known: HashMap<Vmid, &VmRecord> =
        records.iter().map(|record| (record.numbered.vmid, record)).collect();
    let by_key: HashMap<VmKey, &VmRecord> = records.iter().map(|record| (record.key, record)).collect();
    let mut strangers = survey.guests;
    // A container carries no mark, but may have a number of ours.
    strangers.retain(|vmid, guest| {
        let may_be_ours = guest.kind != GuestKind::Container || cluster.vmids.contains(*vmid);
        may_be_ours && !known.contains_key(vmid)
    });
    let looked = chosen(jobs, cluster, strangers.keys().copied().collect());
    report.unlooked += strangers.len() - looked.len();
    let ids = looked.iter().filter_map(|vmid| {
        let node = strangers.get(vmid)?.node.clone();
        Some(MachineId { cluster: cluster.name.clone(), vmid: *vmid, node })
    });
    for (vmid, sighting) in sightings(jobs, ids.collect()).await {
        let Some(guest) = strangers.remove(&vmid) else { continue };
        let in_range = cluster.vmids.contains(vmid);
        if let Some(why) = judge(sighting, in_range, &by_key) {
            let (node, name) = (guest.node, guest.name);
            report.machines.push(Orphan { cluster: cluster.name.clone(), vmid, node, name, why });
        }
    }
}

/// Those with numbers of ours first, the others from anywhere on, so that after many rounds each has had its look.
fn chosen(jobs: &Jobs, cluster: &ClusterSettings, all: Vec<Vmid>) -> Vec<Vmid> {
    let (mut chosen, mut others): (Vec<Vmid>, Vec<Vmid>) =
        all.into_iter().partition(|vmid| cluster.vmids.contains(*vmid));
    if !others.is_empty() {
        let random = usize::from(u16::from_be_bytes(jobs.entropy.bytes()));
        let start = random % others.len();
        others.rotate_left(start);
    }
    chosen.extend(others);
    chosen.truncate(LOOKS);
    chosen
}

async fn sightings(jobs: &Jobs, ids: Vec<MachineId>) -> BTreeMap<Vmid, Sighting> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut looking = JoinSet::new();
    for id in ids {
        let (hypervisor, permits) = (Arc::clone(&jobs.hypervisor), Arc::clone(&permits));
        looking.spawn(async move {
            // Never closed.
            let _permit = permits.acquire().await;
            let sighting = hypervisor.machine(&id, Look::CONFIG).await;
            (id.vmid, sighting)
        });
    }
    let mut sightings = BTreeMap::new();
    while let Some(looked) = looking.join_next().await {
        sightings.extend(looked.ok());
    }
    sightings
}

/// What is wrong with a machine whose number no record has; outside of our numbers, somebody else's is nothing to tell.
fn judge(sighting: Sighting, in_range: bool, by_key: &HashMap<VmKey, &VmRecord>) -> Option<WhyOrphan> {
    let machine = match sighting {
        Sighting::Seen(machine) => machine,
        // Gone since the list, or taken away meanwhile.
        Sighting::ProvenAbsent => return None,
        Sighting::Unknown(why) => return in_range.then_some(WhyOrphan::Unseen(why)),
    };
    match OwnerMark::find(&machine.config.description) {
        Some(OwnerMark(key)) => Some(match by_key.get(&key) {
            Some(record) => WhyOrphan::Double { of: key, its: record.numbered.vmid },
            None => WhyOrphan::Forgotten(key),
        }),
        None => in_range.then_some(WhyOrphan::Unknown),
    }
}
