use super::workers::later;
use deploy_core::{
    ClusterName, ClusterSettings, CommitError, CreateError, RenumberError, StoreError, VmKey, Vmid, VmidRange,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Clusters, and the numbers that nobody else may get.
#[derive(Default)]
pub(super) struct Numbers {
    clusters: BTreeMap<ClusterName, Cluster>,
    reserved: BTreeMap<(ClusterName, Vmid), Reservation>,
}

struct Cluster {
    settings: ClusterSettings,
    /// The number that was given last.
    last_given: Option<Vmid>,
}

struct Reservation {
    key: VmKey,
    /// The number that turned out to be a stranger's.
    instead_of: Option<Vmid>,
    /// In quarantine until then; `None` while the machine lives.
    until: Option<Timestamp>,
}

impl Numbers {
    pub(super) fn put_cluster(&mut self, settings: &ClusterSettings) {
        self.clusters
            .entry(settings.name.clone())
            .and_modify(|cluster| cluster.settings = settings.clone())
            .or_insert_with(|| Cluster { settings: settings.clone(), last_given: None });
    }

    pub(super) fn clusters(&self) -> Vec<ClusterSettings> {
        self.clusters.values().map(|cluster| cluster.settings.clone()).collect()
    }

    /// The number that is given next, without giving it.
    pub(super) fn peek(&self, name: &ClusterName, now: Timestamp) -> Result<Vmid, CreateError> {
        let cluster = self.clusters.get(name).ok_or_else(|| CreateError::UnknownCluster(name.clone()))?;
        let range = cluster.settings.vmids;
        self.free(cluster, now).ok_or_else(|| CreateError::NoNumber { cluster: name.clone(), range })
    }

    /// For whom a number is reserved, and until when where it rests. It does not rest for an adoption where `let_go` says of its
    /// last machine that it was never adopted.
    pub(super) fn reserved(
        &self,
        name: &ClusterName,
        vmid: Vmid,
        now: Timestamp,
        let_go: impl Fn(VmKey) -> bool,
    ) -> Result<Option<(VmKey, Option<Timestamp>)>, CreateError> {
        if !self.clusters.contains_key(name) {
            return Err(CreateError::UnknownCluster(name.clone()));
        }
        let reserved = self.reserved.get(&(name.clone(), vmid));
        let binds = |r: &&Reservation| r.until.is_none_or(|until| until > now && !let_go(r.key));
        Ok(reserved.filter(binds).map(|r| (r.key, r.until)))
    }

    fn free(&self, cluster: &Cluster, now: Timestamp) -> Option<Vmid> {
        let range = cluster.settings.vmids;
        let start = cluster.last_given.and_then(Vmid::next).filter(|next| range.contains(*next));
        let start = start.unwrap_or(range.first());
        let is_free = |vmid: &Vmid| {
            let reserved = self.reserved.get(&(cluster.settings.name.clone(), *vmid));
            reserved.is_none_or(|reserved| reserved.until.is_some_and(|until| until <= now))
        };
        upwards(start, range)
            .find(is_free)
            .or_else(|| upwards(range.first(), range).take_while(|vmid| *vmid < start).find(is_free))
    }

    pub(super) fn reserve(&mut self, name: &ClusterName, vmid: Vmid, key: VmKey, instead_of: Option<Vmid>) {
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.last_given = Some(vmid);
        }
        self.hold(name, vmid, key, instead_of);
    }

    /// Reserves a number that is not given in turn.
    pub(super) fn hold(&mut self, name: &ClusterName, vmid: Vmid, key: VmKey, instead_of: Option<Vmid>) {
        self.reserved.insert((name.clone(), vmid), Reservation { key, instead_of, until: None });
    }

    pub(super) fn renumber(
        &mut self,
        name: &ClusterName,
        key: VmKey,
        taken: Vmid,
        now: Timestamp,
    ) -> Result<Vmid, RenumberError> {
        let before = self.reserved.iter().find(|(_, r)| r.key == key && r.instead_of == Some(taken));
        if let Some(((_, vmid), _)) = before {
            return Ok(*vmid);
        }
        let vmid = self.peek(name, now).map_err(|error| match error {
            CreateError::NoNumber { cluster, range } => RenumberError::Exhausted { cluster, range },
            other => RenumberError::Store(StoreError::not_written(other.to_string())),
        })?;
        self.reserve(name, vmid, key, Some(taken));
        Ok(vmid)
    }

    pub(super) fn must_be_reserved(&self, key: VmKey, vmid: Vmid) -> Result<(), CommitError> {
        if self.reserved.iter().any(|((_, number), r)| *number == vmid && r.key == key) {
            return Ok(());
        }
        let why = format!("machine {key}: the number {vmid} is not reserved for it");
        Err(StoreError::not_written(why).into())
    }

    pub(super) fn quarantine(&mut self, key: VmKey, now: Timestamp) {
        for ((name, _), reservation) in &mut self.reserved {
            if reservation.key == key
                && reservation.until.is_none()
                && let Some(cluster) = self.clusters.get(name)
            {
                reservation.until = Some(later(now, cluster.settings.quarantine));
            }
        }
    }
}

/// The numbers of a range from `start`.
fn upwards(start: Vmid, range: VmidRange) -> impl Iterator<Item = Vmid> {
    std::iter::successors(Some(start), |vmid| vmid.next()).take_while(move |vmid| range.contains(*vmid))
}
