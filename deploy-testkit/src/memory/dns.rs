use super::{MemoryStore, State, workers::later};
use async_trait::async_trait;
use deploy_core::{
    Assignment, CommitError, DnsChange, DnsClaim, DnsClaimed, DnsEntry, DnsName, DnsRecord, DnsStatus,
    DnsStore, DnsWriteError, Operation, PtrError, StoreError, VmKey, VmRecord,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, net::IpAddr};

/// Since when a machine is due that was marked.
const AT_ONCE: Timestamp = Timestamp::UNIX_EPOCH;

/// Which machines' records are due, and what is known of them.
#[derive(Default)]
pub(super) struct Dns {
    fingerprint: Option<u64>,
    /// How many times the zones were changed.
    plan: i64,
    machines: BTreeMap<VmKey, Queued>,
}

#[derive(Default)]
struct Queued {
    mark: i64,
    asked: i64,
    done: i64,
    plan: i64,
    due: Option<Timestamp>,
    claim: Option<Claimed>,
    token: i64,
    names: BTreeMap<IpAddr, DnsName>,
    entries: BTreeMap<DnsRecord, DnsEntry>,
}

/// A claim, and what was so when it began.
struct Claimed {
    until: Timestamp,
    mark: i64,
    plan: i64,
}

impl Queued {
    /// When it can be claimed.
    fn claimable(&self, plan: i64) -> Option<Timestamp> {
        let due = if self.plan < plan { Some(self.due.unwrap_or(AT_ONCE)) } else { self.due };
        due.map(|due| self.claim.as_ref().map_or(due, |claim| due.max(claim.until)))
    }

    fn names(&self) -> Vec<(IpAddr, DnsName)> {
        self.names.iter().map(|(address, name)| (*address, name.clone())).collect()
    }
}

/// What a machine's wanted records follow from: where a commit changes it, the machine is marked.
pub(super) fn basis(record: &VmRecord) -> (Vec<Assignment>, Operation, DnsName) {
    (record.addresses.clone(), record.operation, record.numbered.fqdn.clone())
}

impl Dns {
    pub(super) fn mark(&mut self, key: VmKey) -> i64 {
        let machine = self.machines.entry(key).or_default();
        machine.mark += 1;
        machine.due = Some(AT_ONCE);
        machine.mark
    }

    pub(super) fn plan(&mut self, fingerprint: u64) {
        if self.fingerprint.replace(fingerprint) != Some(fingerprint) {
            self.plan += 1;
        }
    }

    pub(super) fn claim<'a>(
        &mut self,
        limit: usize,
        until: Timestamp,
        now: Timestamp,
        record: impl Fn(VmKey) -> Option<&'a VmRecord>,
    ) -> Vec<DnsClaimed> {
        let claimable = |(key, machine): (&VmKey, &Queued)| {
            machine.claimable(self.plan).filter(|at| *at <= now).map(|at| (machine.due.unwrap_or(at), *key))
        };
        let mut due: Vec<(Timestamp, VmKey)> = self.machines.iter().filter_map(claimable).collect();
        due.sort_unstable();
        let mut claimed = Vec::new();
        for (_, key) in due.into_iter().take(limit) {
            let (Some(record), Some(machine)) = (record(key), self.machines.get_mut(&key)) else { continue };
            machine.token += 1;
            machine.claim = Some(Claimed { until, mark: machine.mark, plan: self.plan });
            claimed.push(DnsClaimed {
                claim: DnsClaim { key, token: machine.token },
                record: record.clone(),
                names: machine.names(),
                entries: machine.entries.values().cloned().collect(),
                thorough: machine.asked > machine.done,
            });
        }
        claimed
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.machines.values().filter_map(|machine| machine.claimable(self.plan)).min()
    }

    pub(super) fn write(&mut self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError> {
        self.claimed(claim)?;
        for change in changes {
            if let DnsChange::Put(entry) = change
                && entry.may_stand()
                && let Some(by) = self.holder(claim.key, &entry.record)
            {
                let DnsRecord { name, provider, .. } = entry.record.clone();
                return Err(DnsWriteError::Held { name, provider, by });
            }
        }
        let machine = self.claimed(claim)?;
        for change in changes {
            match change {
                DnsChange::Put(entry) => machine.entries.insert(entry.record.clone(), entry.clone()),
                DnsChange::Forget(record) => machine.entries.remove(record),
            };
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError> {
        let machine = self.claimed(claim)?;
        let Some(claimed) = machine.claim.take() else { return Err(CommitError::Fenced) };
        machine.done = claimed.mark;
        machine.plan = claimed.plan;
        if machine.mark == claimed.mark {
            machine.due = due;
        }
        Ok(())
    }

    fn claimed(&mut self, claim: &DnsClaim) -> Result<&mut Queued, CommitError> {
        let machine = self.machines.get_mut(&claim.key);
        machine
            .filter(|machine| machine.token == claim.token && machine.claim.is_some())
            .ok_or(CommitError::Fenced)
    }

    pub(super) fn holder(&self, key: VmKey, record: &DnsRecord) -> Option<VmKey> {
        let at_name = |entry: &DnsEntry| {
            let other = &entry.record;
            (&other.provider, &other.zone, &other.name) == (&record.provider, &record.zone, &record.name)
                && entry.may_stand()
        };
        let mut others = self.machines.iter().filter(|(other, _)| **other != key);
        others.find(|(_, machine)| machine.entries.values().any(at_name)).map(|(other, _)| *other)
    }

    pub(super) fn set_ptr(&mut self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> i64 {
        let names = &mut self.machines.entry(key).or_default().names;
        match name {
            Some(name) => names.insert(address, name),
            None => names.remove(&address),
        };
        self.mark(key)
    }

    pub(super) fn refresh(&mut self, key: VmKey) -> i64 {
        let mark = self.mark(key);
        self.machines.entry(key).or_default().asked = mark;
        mark
    }

    pub(super) fn status(&self, key: VmKey) -> DnsStatus {
        let unknown = Queued::default();
        let machine = self.machines.get(&key).unwrap_or(&unknown);
        DnsStatus {
            entries: machine.entries.values().cloned().collect(),
            names: machine.names(),
            mark: machine.mark,
            done: machine.done,
            due: machine.claimable(self.plan),
        }
    }
}

#[async_trait]
impl DnsStore for MemoryStore {
    async fn dns_plan(&self, fingerprint: u64) -> Result<(), StoreError> {
        self.with(|state, _| state.dns.plan(fingerprint));
        Ok(())
    }

    async fn claim_dns(&self, limit: usize, lasting: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError> {
        Ok(self.with(|State { dns, machines, .. }, now| {
            dns.claim(limit, later(now, lasting), now, |key| machines.record(key))
        }))
    }

    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.with(|state, _| state.dns.next_due()))
    }

    async fn write_dns(&self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError> {
        self.with(|state, _| state.dns.write(claim, changes))
    }

    async fn finish_dns(&self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError> {
        self.with(|state, _| state.dns.finish(claim, due))
    }

    async fn dns_holder(&self, key: VmKey, record: &DnsRecord) -> Result<Option<VmKey>, StoreError> {
        Ok(self.with(|state, _| state.dns.holder(key, record)))
    }

    async fn set_ptr(&self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> Result<i64, PtrError> {
        self.with(|State { dns, machines, .. }, _| {
            let record = machines.record(key).ok_or(PtrError::NotFound(key))?;
            if name.is_some() && record.addresses.iter().all(|held| held.address != address) {
                return Err(PtrError::NotHeld { key, address });
            }
            Ok(dns.set_ptr(key, address, name))
        })
    }

    async fn refresh_dns(&self, key: VmKey) -> Result<Option<i64>, StoreError> {
        Ok(self.with(|State { dns, machines, .. }, _| machines.record(key).map(|_| dns.refresh(key))))
    }

    async fn dns_status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        Ok(self.with(|State { dns, machines, .. }, _| machines.record(key).map(|_| dns.status(key))))
    }
}
