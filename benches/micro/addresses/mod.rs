//! Taking one address and giving it back, from pools of all sizes and as full as they get.

mod postgres;
mod sqlite;

use benches::{CpuTime, Fleet};
use criterion::Criterion;
use deploy_core::{
    AddressRequest, AddressStore, IpPool, Lease, LeaseStore, NicSlot, Pool, PoolName, RecordStore, Span,
    VmKey,
};
use deploy_testkit::sample;
use ip_pool::{PoolDefinition, Pools};
use jiff::SignedDuration;
use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use throwaway_postgres::Server;
use tokio::runtime::Runtime;

/// How full each pool is.
const CASES: [Filling; 4] = [
    Filling { name: "/24, empty", network: "203.0.113.0/24", used: 0, gap: 1 },
    Filling { name: "/12, empty", network: "10.0.0.0/12", used: 0, gap: 1 },
    Filling { name: "/12, 99.9 % full", network: "10.0.0.0/12", used: 1 << 20, gap: 1_000 },
    Filling { name: "IPv6 /64, 10,000 taken", network: "2001:db8::/64", used: 20_000, gap: 2 },
];
/// Machines that take in turn: in life each does so once, and traces of what it held before slow it down.
const TAKERS: u32 = 512;
/// Machines that hold what is taken.
const HOLDERS: u32 = 1_000;

pub(crate) fn on_sqlite(criterion: &mut Criterion<CpuTime>) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("take and give back an address, SQLite");
    for filling in &CASES {
        let site = OnceCell::new();
        group.bench_function(filling.name, |b| {
            let (_, site) = site.get_or_init(|| runtime.block_on(sqlite::site(filling)));
            b.to_async(&runtime).iter(|| site.take_and_give_back());
        });
    }
    group.finish();
}

/// Without `fsync`: a disk would be all that is seen.
pub(crate) fn on_postgres(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let server = OnceCell::new();
    let mut group = criterion.benchmark_group("take and give back an address, PostgreSQL");
    for filling in &CASES {
        let site = OnceCell::new();
        group.bench_function(filling.name, |b| {
            let server = server.get_or_init(|| Server::start().expect("a server"));
            let (_, site) = site.get_or_init(|| runtime.block_on(postgres::site(server, filling)));
            b.to_async(&runtime).iter(|| site.take_and_give_back());
        });
    }
    group.finish();
}

/// A network of which the lowest addresses are used, but for the last of every `gap`.
pub(crate) struct Filling {
    name: &'static str,
    network: &'static str,
    used: u128,
    gap: u128,
}

/// What the database is told about a pool that was filled: by far faster than machine by machine.
pub(crate) struct Filled {
    pub(crate) pool: Pool,
    pub(crate) taken: Vec<u128>,
    pub(crate) free: Vec<Span>,
}

impl Filling {
    /// Addresses do not rest, so that each can be taken again at once.
    fn definition(&self) -> PoolDefinition {
        let (name, bridge) = (sample::parsed("public"), sample::parsed("vmbr0"));
        let mut definition =
            PoolDefinition::new(name, sample::cluster_name(), bridge, [sample::parsed(self.network)]);
        definition.rest = SignedDuration::ZERO;
        definition
    }

    fn filled(&self) -> Filled {
        let plan = self.definition().plan().expect("a pool");
        let usable = Span::of_ranges(plan.pool.family, &plan.usable).expect("spans");
        let (first, last) = (usable[0].first, usable[0].last);
        let taken: Vec<u128> = (0..self.used)
            .filter(|n| n % self.gap != self.gap - 1)
            .map(|n| first + n)
            .take_while(|number| *number <= last)
            .collect();
        let free = Span::without(&usable, &taken);
        Filled { pool: plan.pool, taken, free }
    }
}

impl Filled {
    /// What is taken, and by whom.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u128, VmKey)> {
        let holders = (TAKERS + 1..=TAKERS + HOLDERS).map(sample::key).cycle();
        self.taken.iter().copied().zip(holders)
    }
}

/// A pool in a store, and machines that take from it, one after the other.
pub(crate) struct Site<S> {
    pools: Pools<S>,
    leases: Vec<Lease>,
    next: AtomicUsize,
    request: AddressRequest,
}

impl<S: AddressStore + LeaseStore + RecordStore + Clone + 'static> Site<S> {
    /// The pool, still empty, and the machines that will hold its addresses.
    async fn new(store: S, filling: &Filling) -> Self {
        let mut fleet = Fleet::new(store.clone(), sample::spec()).await;
        let leases = fleet.lease(TAKERS).await;
        fleet.order(HOLDERS).await;
        let pools = Pools::new(Arc::new(store));
        let pool = pools.put(&filling.definition()).await.expect("a pool");
        let request = AddressRequest {
            nic: NicSlot::in_order().next().expect("a NIC"),
            cluster: pool.cluster,
            bridge: pool.bridge,
            vlan: pool.vlan,
            family: pool.family,
            count: 1,
            pools: vec![pool.name],
            besides: Vec::new(),
            exactly: Vec::new(),
        };
        Self { pools, leases, next: AtomicUsize::new(0), request }
    }

    /// Whether the store believes what it was told.
    async fn check(&self, filled: &Filled) {
        let name: &PoolName = &filled.pool.name;
        let usage = self.pools.usage(name).await.expect("an answer").expect("the pool");
        let free: u128 = filled.free.iter().map(|span| span.size()).sum();
        assert_eq!((usage.free, u128::from(usage.held)), (free, filled.taken.len() as u128), "{name}");
    }

    async fn take_and_give_back(&self) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let lease = &self.leases[turn % self.leases.len()];
        let taken = self.pools.assign(lease, std::slice::from_ref(&self.request)).await;
        let taken = taken.expect("an address");
        let given = self.pools.release(lease).await.expect("it is given back");
        assert_eq!(given, [taken[0].address], "one address");
    }
}
