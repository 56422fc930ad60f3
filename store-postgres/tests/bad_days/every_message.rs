//! Every message of a write gets lost once, the request and the answer: whatever the store answers is what happened.

use crate::{
    rig::{ALIVE, begun, claim, leased, noted, notes, order, wired},
    wire::{Weather, Wire},
};
use deploy_core::{
    AddressStore, Command, CommandId, Commit, CommitError, Created, Due, Family, LeaseStore, Leased,
    Operation, RecordStore, Step, StoreError, StoreOutcome,
};
use deploy_testkit::sample;
use std::sync::atomic::{AtomicU32, Ordering};
use store_postgres::PostgresStore;
use throwaway_postgres::{Database, shared};
use tokio::task::JoinSet;

/// More messages than any write has.
const MOST: u32 = 40;

/// What is lost, and with which message; the first is 0.
type Lost = (Weather, u32);

/// A store behind a wire.
struct Rig {
    database: Database<'static>,
    wire: Wire,
    store: PostgresStore,
    next: AtomicU32,
}

impl Rig {
    async fn new() -> Self {
        let database = shared().fresh_database().unwrap();
        let (wire, url) = wired(&database.url()).await;
        let store = begun(&url).await;
        let addresses = [sample::range("192.0.2.10", "192.0.2.250")];
        store.put_pool(&sample::pool("public", 24, &addresses), &addresses).await.unwrap();
        Self { database, wire, store, next: AtomicU32::new(1) }
    }

    fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A machine of its own, leased.
    async fn machine(&self) -> Leased {
        leased(&self.store, self.next()).await
    }

    /// Makes a call that meets this weather; says whether it did.
    async fn call<T>(&self, (weather, message): Lost, call: impl Future<Output = T>) -> (T, bool) {
        self.wire.forecast_after(weather, message);
        let answer = call.await;
        (answer, self.wire.has_struck())
    }

    fn count(&self, what: &str) -> String {
        self.database.psql(&format!("SELECT count(*) FROM pve_deploy.{what}")).unwrap()
    }
}

/// Has `one` done again and again, each time with another of its messages lost, until nothing is. It says whether something was.
async fn each_message_lost(one: impl AsyncFn(&Rig, Lost) -> bool) {
    let rig = Rig::new().await;
    for weather in [Weather::RequestLost, Weather::AnswerLost] {
        let mut message = 0;
        while one(&rig, (weather, message)).await {
            message += 1;
            assert!(message < MOST, "it never ends");
        }
        assert!(message > 0, "nothing was lost");
    }
}

#[tokio::test]
async fn a_commit_is_written_once() {
    each_message_lost(async |rig, lose| {
        let lease = rig.machine().await.lease;
        let (answer, broke) = rig.call(lose, rig.store.commit(&lease, noted("once"))).await;
        answer.unwrap();
        assert_eq!(notes(&rig.store, lease.key).await, ["once"], "{lose:?}");
        broke
    })
    .await;
}

#[tokio::test]
async fn commits_that_go_together_are_written_once_and_the_fenced_one_is_not() {
    each_message_lost(async |rig, lose| {
        let leases = [rig.machine().await.lease, rig.machine().await.lease, rig.machine().await.lease];
        rig.store.release(&leases[1]).await.unwrap();
        let together = async {
            let mut calls = JoinSet::new();
            for (n, lease) in leases.into_iter().enumerate() {
                let store = rig.store.clone();
                calls.spawn(async move { (n, store.commit(&lease, noted("once")).await) });
            }
            let mut answers = calls.join_all().await;
            answers.sort_by_key(|(n, _)| *n);
            answers
        };
        let (answers, broke) = rig.call(lose, together).await;
        let fenced = Err(CommitError::Fenced);
        assert_eq!(answers, [(0, Ok(())), (1, fenced), (2, Ok(()))], "{lose:?}");
        for (lease, wanted) in leases.iter().zip([1, 0, 1]) {
            assert_eq!(notes(&rig.store, lease.key).await.len(), wanted, "{lose:?}");
        }
        // What was released is due; the next machine of this test shall be alone.
        assert_eq!(claim(&rig.store).await.len(), 1);
        broke
    })
    .await;
}

#[tokio::test]
async fn an_order_is_written_once_and_takes_one_number() {
    each_message_lost(async |rig, lose| {
        let n = rig.next();
        let (answer, broke) = rig.call(lose, rig.store.create(&sample::order(n))).await;
        assert!(matches!(answer.unwrap(), Created::New(_)), "{lose:?}");
        assert_eq!(rig.count("vm"), n.to_string());
        assert_eq!(rig.count("vmid_reservation"), n.to_string());
        assert_eq!(rig.count("deploy_log"), n.to_string());
        broke
    })
    .await;
}

#[tokio::test]
async fn addresses_are_taken_and_given_back_once() {
    each_message_lost(async |rig, lose| {
        let lease = rig.machine().await.lease;
        let wants = [sample::want(Family::V4, 2, &["public"])];
        let before: u32 = rig.count("address").parse().unwrap();
        let (answer, broke) = rig.call(lose, rig.store.take(&lease, &wants)).await;
        let taken = answer.unwrap();
        assert_eq!((taken.len(), taken == rig.store.held(lease.key).await.unwrap()), (2, true), "{lose:?}");
        assert_eq!(rig.count("address"), (before + 2).to_string());
        let (answer, broke_too) = rig.call(lose, rig.store.give_back(&lease)).await;
        assert_eq!(answer.unwrap(), taken, "{lose:?}");
        assert_eq!(rig.store.held(lease.key).await.unwrap(), []);
        broke || broke_too
    })
    .await;
}

#[tokio::test]
async fn another_number_is_taken_once() {
    each_message_lost(async |rig, lose| {
        let machine = rig.machine().await;
        let before: u32 = rig.count("vmid_reservation").parse().unwrap();
        let taken = machine.record.numbered.vmid;
        let (answer, broke) = rig.call(lose, rig.store.renumber(&machine.lease, taken)).await;
        assert_ne!(answer.unwrap(), taken);
        assert_eq!(rig.count("vmid_reservation"), (before + 1).to_string(), "{lose:?}");
        broke
    })
    .await;
}

#[tokio::test]
async fn a_command_is_queued_once_and_a_machine_is_terminated_once() {
    each_message_lost(async |rig, lose| {
        let lease = rig.machine().await.lease;
        let id = CommandId(lease.key.0);
        let (answer, broke) = rig.call(lose, rig.store.command(lease.key, id, Command::Terminate)).await;
        answer.unwrap();
        let pending = rig.store.get(lease.key).await.unwrap().unwrap().pending;
        assert_eq!(pending.iter().map(|queued| queued.id).collect::<Vec<_>>(), [id], "{lose:?}");
        let terminated = Commit {
            operation: Some(Operation::Terminate),
            step: Some(Step::Terminated),
            due: Some(Due::OnCommand),
            consume: Some(id),
            ..noted("gone")
        };
        let (answer, broke_too) = rig.call(lose, rig.store.commit(&lease, terminated)).await;
        answer.unwrap();
        assert_eq!(notes(&rig.store, lease.key).await, ["gone"], "{lose:?}");
        let (answer, broke_at_last) = rig.call(lose, rig.store.release(&lease)).await;
        answer.unwrap();
        assert_eq!(rig.count("vm_state WHERE owner IS NOT NULL"), "0", "{lose:?}");
        broke || broke_too || broke_at_last
    })
    .await;
}

#[tokio::test]
async fn reads_are_asked_again() {
    each_message_lost(async |rig, lose| {
        let n = rig.next();
        order(&rig.store, n).await;
        rig.store.get(sample::key(n)).await.unwrap();
        let (answer, broke) = rig.call(lose, rig.store.get(sample::key(n))).await;
        assert_eq!(answer.unwrap().unwrap().key, sample::key(n));
        broke
    })
    .await;
}

/// Nobody knows what a claim did whose answer was lost; whoever retires has given back what it may have got.
#[tokio::test]
async fn a_claim_that_nobody_heard_holds_nothing_back() {
    each_message_lost(async |rig, lose| {
        let n = rig.next();
        order(&rig.store, n).await;
        let worker = sample::worker(1000 + rig.next());
        rig.store.heartbeat(&worker, ALIVE).await.unwrap();
        let (answer, broke) = rig.call(lose, rig.store.claim(worker.id, 10)).await;
        match answer {
            Ok(leased) => assert!(leased.len() == 1 && !broke, "{lose:?}"),
            Err(StoreError { outcome, .. }) => assert_eq!(outcome, StoreOutcome::Unknown),
        }
        let (answer, broke_too) = rig.call(lose, rig.store.retire(worker.id)).await;
        answer.unwrap();
        assert_eq!(claim(&rig.store).await.len(), 1, "{lose:?}");
        broke || broke_too
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_that_nobody_heard_is_repeated() {
    each_message_lost(async |rig, lose| {
        let worker = sample::worker(1000 + rig.next());
        rig.store.heartbeat(&worker, ALIVE).await.unwrap();
        let (answer, broke) = rig.call(lose, rig.store.heartbeat(&worker, ALIVE)).await;
        match answer {
            Ok(()) => assert!(!broke),
            Err(CommitError::Store(StoreError { outcome, .. })) => assert_eq!(outcome, StoreOutcome::Unknown),
            Err(CommitError::Fenced) => panic!("its time is not over"),
        }
        rig.store.heartbeat(&worker, ALIVE).await.unwrap();
        broke
    })
    .await;
}
