//! Machines in a memory store, a model of a provider, and turns.

use super::{model::Model, stops::Stops};
use crate::{Matching, Providers, Zone, Zones, turn::Turns};
use deploy_core::{
    Assignment, Clock, Commit, DnsClaimed, DnsState, DnsStatus, DnsStore, Lease, LeaseStore, Operation,
    RecordStore, RetryPolicy, VmKey,
};
use deploy_testkit::{ManualClock, MemoryStore, sample};
use jiff::SignedDuration;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

pub(super) const FORWARD: &str = "example.net";
pub(super) const REVERSE: &str = "2.0.192.in-addr.arpa";
pub(super) const REVERSE6: &str = "8.b.d.0.1.0.0.2.ip6.arpa";

/// How long claims last.
pub(super) const LASTING: Duration = Duration::from_secs(120);

pub(super) struct Stage {
    pub(super) store: MemoryStore,
    pub(super) clock: Arc<ManualClock>,
    pub(super) model: Model,
    pub(super) turns: Turns,
    leases: BTreeMap<VmKey, Lease>,
}

pub(super) fn zone(provider: &str, name: &str, ttl: u32) -> Zone {
    Zone { provider: sample::parsed(provider), name: sample::parsed(name), ttl }
}

pub(super) fn zones() -> Vec<Zone> {
    [FORWARD, REVERSE, REVERSE6].map(|name| zone("ns1", name, 300)).into()
}

impl Stage {
    /// With one provider that serves a zone of names and two of addresses.
    pub(super) async fn new() -> Self {
        let model = Model::with(&[FORWARD, REVERSE, REVERSE6]);
        let providers = Providers::new().with(sample::parsed("ns1"), Arc::new(model.clone()), 4);
        Self::of(model, providers, Zones::new(zones(), Matching::Longest)).await
    }

    pub(super) async fn of(model: Model, providers: Providers, zones: Zones) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
        store.heartbeat(&sample::worker(1), SignedDuration::from_hours(10_000)).await.unwrap();
        let turns = Turns {
            store: Arc::new(Stops(store.clone())),
            providers,
            zones: Arc::new(zones),
            clock: clock.clone(),
            policy: RetryPolicy::default(),
            lasting: LASTING,
        };
        Self { store, clock, model, turns, leases: BTreeMap::new() }
    }

    /// Orders the n-th machine, which is called `vps-(99 + n).example.net`.
    pub(super) async fn machine(&mut self, n: u32) -> VmKey {
        self.machine_called(n, "vps-{vmid}.example.net").await
    }

    pub(super) async fn machine_called(&mut self, n: u32, domain: &str) -> VmKey {
        let spec = deploy_core::VmSpec { domain: sample::parsed(domain), ..sample::spec() };
        self.store.create(&sample::order_of(n, spec)).await.unwrap();
        for leased in self.store.claim(sample::worker(1).id, 10).await.unwrap() {
            self.leases.insert(leased.lease.key, leased.lease);
        }
        sample::key(n)
    }

    pub(super) async fn commit(&self, key: VmKey, commit: Commit) {
        self.store.commit(&self.leases[&key], commit).await.unwrap();
    }

    pub(super) async fn assign(&self, key: VmKey, addresses: &[&str]) {
        let assigned = addresses.iter().map(|address| Assignment {
            nic: sample::want(deploy_core::Family::V4, 1, &[]).nic,
            address: sample::parsed(address),
            prefix_len: 24,
            gateway: None,
            resolvers: Vec::new(),
            pool: sample::parsed("public"),
        });
        self.commit(key, Commit { addresses: Some(assigned.collect()), ..Commit::default() }).await;
    }

    pub(super) async fn terminate(&self, key: VmKey) {
        let commit = Commit { operation: Some(Operation::Terminate), ..Commit::default() };
        self.commit(key, commit).await;
    }

    pub(super) async fn claim(&self) -> Vec<DnsClaimed> {
        let lasting = SignedDuration::try_from(LASTING).unwrap();
        self.store.claim_dns(10, lasting).await.unwrap()
    }

    /// Takes the turns that are due now.
    pub(super) async fn turn(&self) {
        for claimed in self.claim().await {
            self.turns.take(claimed, Instant::now()).await.unwrap();
        }
    }

    pub(super) async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
        tokio::time::advance(Duration::try_from(time).unwrap()).await;
    }

    /// Takes turns until nothing is due any more; time passes as far as it must. What is still tried again after an hour is
    /// left.
    pub(super) async fn settle(&self) {
        let end = self.clock.now() + SignedDuration::from_hours(1);
        while let Some(at) = self.store.next_dns_due().await.unwrap().filter(|at| *at <= end) {
            let wait = at.duration_since(self.clock.now()).max(SignedDuration::ZERO);
            self.pass(wait).await;
            self.turn().await;
        }
    }

    pub(super) async fn status(&self, key: VmKey) -> DnsStatus {
        self.store.dns_status(key).await.unwrap().unwrap()
    }

    /// Each record's name and state.
    pub(super) async fn states(&self, key: VmKey) -> Vec<(String, DnsState)> {
        let entries = self.status(key).await.entries;
        entries.iter().map(|entry| (entry.record.to_string(), entry.state)).collect()
    }

    /// What is said of the record of this name that is in this state.
    pub(super) async fn error_of(&self, key: VmKey, name: &str) -> String {
        let entries = self.status(key).await.entries;
        let entry = entries.into_iter().find(|entry| entry.record.name.as_str() == name);
        entry.expect("a record of this name").last_error.expect("an error")
    }
}
