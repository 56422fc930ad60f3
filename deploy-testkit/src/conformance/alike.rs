//! Any sequence of calls is answered as by the memory store, down to the last field.

use super::StoreFactory;
use crate::{ManualClock, MemoryStore, sample};
use deploy_core::{
    AddressStore, Command, CommandId, Commit, Due, ErrorClass, Family, Lease, LeaseStore, ListQuery,
    LogEvent, LogId, LogLine, NewRecord, Notice, Numbered, Operation, RecordStore, Step, WorkerInfo,
};
use jiff::SignedDuration;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use std::{fmt::Write, sync::Arc};

/// So many sequences are played.
const CASES: u32 = 48;

/// Drawn anew each time; a sequence that is answered otherwise is shown as short as it still is.
pub async fn any_calls_are_answered_as_by_the_memory_store<F: StoreFactory>(factory: &F) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let sequences = prop::collection::vec(call(), 1..120);
    for _ in 0..CASES {
        let mut sequence = sequences.new_tree(&mut runner).expect("a sequence");
        let Err(mut difference) = play(factory, sequence.current()).await else { continue };
        let mut shown = sequence.current();
        while sequence.simplify() || sequence.complicate() {
            match play(factory, sequence.current()).await {
                Ok(()) if sequence.complicate() => {}
                Ok(()) => break,
                Err(simpler) => (difference, shown) = (simpler, sequence.current()),
            }
        }
        panic!("{difference}\nafter {shown:#?}");
    }
}

/// A call. Small numbers, so that calls meet: few machines, few addresses, few numbers, leases that are long gone.
#[derive(Debug, Clone)]
enum Call {
    Order { key: u32, reference: u32 },
    Adopt { key: u32, reference: u32, number: u32 },
    Cluster { last: u32 },
    Heartbeat { worker: u32 },
    Retire { worker: u32 },
    Claim { worker: u32, limit: usize },
    Commit { lease: usize, what: u8 },
    Release { lease: usize },
    Renumber { lease: usize, taken: u32, commit: bool },
    Command { key: u32, id: u32, terminate: bool },
    Check { key: u32 },
    Sweep,
    Delivered,
    Pool { name: usize, first: u8, length: u8, hole: u8 },
    DeletePool { name: usize },
    Take { lease: usize, count: u8, pools: usize },
    TakeExactly { lease: usize, octets: Vec<u8>, pools: usize },
    GiveBack { lease: usize },
    Wait { seconds: i64 },
}

const POOLS: [&str; 3] = ["a", "b", "c"];
const WANTED: [&[&str]; 4] = [&["a"], &["b", "a"], &["c", "b", "a"], &["b"]];

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (1..9_u32, 1..6_u32).prop_map(|(key, reference)| Call::Order { key, reference }),
        3 => (1..9_u32, 1..6_u32, 100..108_u32)
            .prop_map(|(key, reference, number)| Call::Adopt { key, reference, number }),
        1 => (102..108_u32).prop_map(|last| Call::Cluster { last }),
        2 => (1..4_u32).prop_map(|worker| Call::Heartbeat { worker }),
        1 => (1..4_u32).prop_map(|worker| Call::Retire { worker }),
        6 => (1..4_u32, 0..4_usize).prop_map(|(worker, limit)| Call::Claim { worker, limit }),
        9 => (0..12_usize, 0..12_u8).prop_map(|(lease, what)| Call::Commit { lease, what }),
        3 => (0..12_usize).prop_map(|lease| Call::Release { lease }),
        2 => (0..12_usize, 100..106_u32, any::<bool>())
            .prop_map(|(lease, taken, commit)| Call::Renumber { lease, taken, commit }),
        3 => (1..9_u32, 1..20_u32, any::<bool>())
            .prop_map(|(key, id, terminate)| Call::Command { key, id, terminate }),
        2 => (1..9_u32).prop_map(|key| Call::Check { key }),
        1 => Just(Call::Sweep),
        1 => Just(Call::Delivered),
        3 => (0..3_usize, 0..12_u8, 0..6_u8, 0..4_u8)
            .prop_map(|(name, first, length, hole)| Call::Pool { name, first, length, hole }),
        1 => (0..3_usize).prop_map(|name| Call::DeletePool { name }),
        6 => (0..12_usize, 0..4_u8, 0..4_usize)
            .prop_map(|(lease, count, pools)| Call::Take { lease, count, pools }),
        4 => (0..12_usize, prop::collection::vec(0..24_u8, 1..4), 0..4_usize)
            .prop_map(|(lease, octets, pools)| Call::TakeExactly { lease, octets, pools }),
        4 => (0..12_usize).prop_map(|lease| Call::GiveBack { lease }),
        3 => (0..700_i64).prop_map(|seconds| Call::Wait { seconds }),
    ]
}

/// One store with all that was learned from it.
struct Side<S> {
    store: S,
    clock: Arc<ManualClock>,
    /// Every lease that was ever given.
    leases: Vec<Lease>,
}

impl<S: LeaseStore + RecordStore + AddressStore> Side<S> {
    async fn new(store: S, clock: Arc<ManualClock>) -> Self {
        let leases = vec![Lease { key: sample::key(1), worker: sample::worker(1).id, epoch: 1 }];
        let side = Self { store, clock, leases };
        side.store.put_cluster(&sample::cluster(100, 105)).await.expect("an answer");
        side.store.heartbeat(&worker(1), SignedDuration::from_mins(10)).await.expect("an answer");
        side
    }

    fn lease(&self, index: usize) -> Lease {
        self.leases[index % self.leases.len()]
    }

    /// Makes a call and says the answer.
    async fn answer(&mut self, call: &Call) -> String {
        let store = &self.store;
        match *call {
            Call::Order { key, reference } => {
                let reference = sample::order(reference).external_ref;
                let order =
                    NewRecord { key: sample::key(key), external_ref: reference, ..sample::order(key) };
                format!("{:?}", store.create(&order).await)
            }
            Call::Adopt { key, reference, number } => {
                let reference = sample::order(reference).external_ref;
                let order = NewRecord {
                    key: sample::key(key),
                    external_ref: reference,
                    ..sample::adoption(key, number)
                };
                format!("{:?}", store.create(&order).await)
            }
            Call::Cluster { last } => format!("{:?}", store.put_cluster(&sample::cluster(101, last)).await),
            Call::Heartbeat { worker: n } => {
                format!("{:?}", store.heartbeat(&worker(n), SignedDuration::from_mins(10)).await)
            }
            Call::Retire { worker: n } => format!("{:?}", store.retire(worker(n).id).await),
            Call::Claim { worker: n, limit } => {
                let claimed = store.claim(worker(n).id, limit).await;
                self.leases.extend(claimed.iter().flatten().map(|leased| leased.lease));
                format!("{claimed:?}")
            }
            Call::Commit { lease, what } => {
                let commit = self.commit(what);
                format!("{:?}", self.store.commit(&self.lease(lease), commit).await)
            }
            Call::Release { lease } => format!("{:?}", store.release(&self.lease(lease)).await),
            Call::Renumber { lease, taken, commit } => self.renumber(lease, taken, commit).await,
            Call::Command { key, id, terminate } => {
                let command = if terminate { Command::Terminate } else { Command::Retry };
                format!("{:?}", store.command(sample::key(key), CommandId(sample::key(id).0), command).await)
            }
            Call::Check { key } => format!("{:?}", store.check(sample::key(key)).await),
            Call::Sweep => format!("{:?}", store.sweep().await),
            Call::Delivered => match store.notices(worker(1).id, 1).await.expect("an answer").first() {
                Some(notice) => format!("{:?}", store.delivered(notice.id).await),
                None => "nothing waits".to_owned(),
            },
            Call::Pool { name, first, length, hole } => self.put_pool(POOLS[name], first, length, hole).await,
            Call::DeletePool { name } => {
                format!("{:?}", store.delete_pool(&sample::parsed(POOLS[name])).await)
            }
            Call::Take { lease, count, pools } => {
                let want = sample::want(Family::V4, count, WANTED[pools]);
                format!("{:?}", store.take(&self.lease(lease), &[want]).await)
            }
            Call::TakeExactly { lease, ref octets, pools } => {
                let addresses: Vec<String> = octets.iter().map(|octet| format!("192.0.2.{octet}")).collect();
                let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
                let want = sample::exactly(&addresses, WANTED[pools]);
                format!("{:?}", store.take(&self.lease(lease), &[want]).await)
            }
            Call::GiveBack { lease } => format!("{:?}", store.give_back(&self.lease(lease)).await),
            Call::Wait { seconds } => {
                format!("{}", self.clock.advance(SignedDuration::from_secs(seconds)))
            }
        }
    }

    fn commit(&self, what: u8) -> Commit {
        use deploy_core::Clock;
        let at = self.clock.now();
        let event = LogEvent::Failed { class: ErrorClass::Busy, message: format!("{}", what % 3) };
        let log = Some(LogLine { at, operation: Operation::Create, step: Step::Clone, event });
        let due = match what % 4 {
            0 => None,
            1 => Some(Due::OnCommand),
            _ => Some(Due::At(at + SignedDuration::from_secs(i64::from(what)))),
        };
        let terminated = what == 11;
        Commit {
            operation: terminated.then_some(Operation::Terminate),
            step: if terminated { Some(Step::Terminated) } else { (what == 10).then_some(Step::Ready) },
            due: if terminated { Some(Due::OnCommand) } else { due },
            // Adopted, if it was to be.
            life: (what == 9).then(Box::default),
            failures: what.is_multiple_of(5).then_some(u32::from(what)),
            consume: Some(CommandId(sample::key(u32::from(what)).0)),
            log,
            notice: what.is_multiple_of(6).then_some(Notice::Ready),
            ..Commit::default()
        }
    }

    async fn renumber(&self, lease: usize, taken: u32, commit: bool) -> String {
        let lease = self.lease(lease);
        let answer = self.store.renumber(&lease, sample::vmid(taken)).await;
        let mut text = format!("{answer:?}");
        if let (Ok(vmid), true) = (answer, commit) {
            let record = self.store.get(lease.key).await.expect("an answer").expect("an answer");
            let numbered = Numbered::resolve(&record.spec, &record.external_ref, vmid).expect("an answer");
            let commit = Commit { numbered: Some(numbered), ..Commit::default() };
            write!(text, "{:?}", self.store.commit(&lease, commit).await).expect("an answer");
        }
        text
    }

    /// A pool of up to two ranges with a hole in between.
    async fn put_pool(&self, name: &str, first: u8, length: u8, hole: u8) -> String {
        let address = |octet: u8| format!("192.0.2.{octet}");
        let (end, begin) = (first + length, first + length + hole + 1);
        let ranges = [
            sample::range(&address(first), &address(end)),
            sample::range(&address(begin), &address(begin + hole)),
        ];
        let usable = if hole == 0 { &ranges[..1] } else { &ranges[..] };
        format!("{:?}", self.store.put_pool(&sample::pool(name, 24, usable), usable).await)
    }

    /// All that the store shows.
    async fn shown(&self) -> String {
        let all = ListQuery { terminated: true, ..ListQuery::default() };
        let mut text = format!(
            "{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:#?}\n{:?}\n",
            self.store.list(&all).await,
            self.store.events(LogId(0), 1000).await,
            self.store.notices(worker(2).id, 1000).await,
            self.store.pools().await,
            self.store.resting(None, 1000).await,
            self.store.next_due().await
        );
        for n in 1..9 {
            let held = self.store.held(sample::key(n)).await;
            let record = self.store.by_reference(&sample::order(n).external_ref).await;
            writeln!(text, "{held:?}\n{:?}", record.map(|record| record.map(|record| record.key)))
                .expect("an answer");
        }
        text
    }
}

fn worker(n: u32) -> WorkerInfo {
    sample::worker(n)
}

/// Plays calls on both stores, and says where they differ.
async fn play<F: StoreFactory>(factory: &F, calls: Vec<Call>) -> Result<(), String> {
    let (clock, other_clock) = (Arc::new(ManualClock::default()), Arc::new(ManualClock::default()));
    let mut tested = Side::new(factory.fresh(clock.clone()).await, clock).await;
    let mut memory = Side::new(MemoryStore::new(other_clock.clone()), other_clock).await;
    for call in calls {
        let (expected, answer) = (memory.answer(&call).await, tested.answer(&call).await);
        if answer != expected {
            return Err(format!(
                "the answer to {call:?} is\n{answer}\nwhere the memory store's is\n{expected}"
            ));
        }
    }
    let (expected, shown) = (memory.shown().await, tested.shown().await);
    if shown == expected {
        Ok(())
    } else {
        Err(format!("shown is\n{shown}\nwhere the memory store shows\n{expected}"))
    }
}
