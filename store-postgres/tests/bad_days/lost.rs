//! A connection that is lost in the middle of a write: the write has one outcome, and it is known.

use crate::{
    place::{Place, leased, set_up},
    rig::{until, wired},
    wire::{Weather, Wire},
};
use deploy_core::{
    AddressStore, Commit, Created, Family, Lease, LeaseStore, LogEvent, LogId, LogLine, Operation,
    RecordStore, Step, StoreError, StoreOutcome, TakeError,
};
use deploy_testkit::sample;
use store_postgres::{PostgresStore, Settings, Sharing};

/// A store behind a wire, and one that looks from elsewhere.
struct Bench {
    _place: Place,
    wire: Wire,
    store: PostgresStore,
    elsewhere: PostgresStore,
}

impl Bench {
    async fn new() -> Self {
        let place = Place::new();
        let elsewhere = place.open().await;
        let (wire, url) = wired(&place.database.url()).await;
        let settings =
            Settings::parse(&url).unwrap().with_clock(place.clock.clone()).with_sharing(Sharing::Greedy);
        let store = PostgresStore::connect(settings).await.unwrap();
        set_up(&store).await;
        Self { _place: place, wire, store, elsewhere }
    }

    async fn failures(&self, lease: &Lease) -> u32 {
        self.elsewhere.get(lease.key).await.unwrap().unwrap().failures
    }

    async fn lines(&self, lease: &Lease) -> usize {
        self.elsewhere.log(lease.key, LogId(0), 99).await.unwrap().len()
    }
}

fn commit(failures: u32) -> Commit {
    let event = LogEvent::Failed { class: deploy_core::ErrorClass::Busy, message: format!("try {failures}") };
    let line = LogLine { at: sample::epoch(), operation: Operation::Create, step: Step::SetIp, event };
    Commit { failures: Some(failures), log: Some(line), ..Commit::default() }
}

/// A word of the statement that writes commits.
const COMMITS: &str = "write_commits(";

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_to_be_written() {
    let bench = Bench::new().await;
    let lease = leased(&bench.store, 1..=1).await.remove(0);
    bench.wire.forecast(Weather::AnswerLost, COMMITS);
    bench.store.commit(&lease, commit(1)).await.unwrap();
    assert_eq!((bench.failures(&lease).await, bench.lines(&lease).await), (1, 2), "written, once");
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_sent_again() {
    let bench = Bench::new().await;
    let lease = leased(&bench.store, 1..=1).await.remove(0);
    bench.wire.forecast(Weather::RequestLost, COMMITS);
    bench.store.commit(&lease, commit(1)).await.unwrap();
    assert_eq!((bench.failures(&lease).await, bench.lines(&lease).await), (1, 2), "written, once");
}

/// The network keeps it for a while and delivers it when the world has moved on.
#[tokio::test]
async fn a_commit_that_arrives_late_does_nothing() {
    let bench = Bench::new().await;
    let lease = leased(&bench.store, 1..=1).await.remove(0);
    bench.wire.forecast(Weather::RequestLate, COMMITS);
    bench.store.commit(&lease, commit(1)).await.unwrap();
    bench.store.commit(&lease, commit(2)).await.unwrap();
    bench.wire.let_through().await;
    assert_eq!((bench.failures(&lease).await, bench.lines(&lease).await), (2, 3), "the late one is void");
}

/// Of several that share a statement, each is told its own.
#[tokio::test]
async fn fenced_commits_are_still_told_apart() {
    let bench = Bench::new().await;
    let leases = leased(&bench.store, 1..=3).await;
    let zombie = Lease { epoch: leases[0].epoch - 1, ..leases[0] };
    bench.wire.forecast(Weather::AnswerLost, COMMITS);
    let (fenced, second, third) = tokio::join!(
        bench.store.commit(&zombie, commit(9)),
        bench.store.commit(&leases[1], commit(1)),
        bench.store.commit(&leases[2], commit(1)),
    );
    assert_eq!(fenced, Err(deploy_core::CommitError::Fenced));
    assert_eq!((second, third), (Ok(()), Ok(())));
    assert_eq!(bench.failures(&leases[0]).await, 0);
    assert_eq!((bench.failures(&leases[1]).await, bench.lines(&leases[2]).await), (1, 2));
}

#[tokio::test]
async fn an_order_is_written_once_whatever_is_lost() {
    let bench = Bench::new().await;
    for (n, (weather, words)) in [
        (Weather::AnswerLost, "order_machine"),
        (Weather::RequestLost, "order_machine"),
        (Weather::RequestLate, "order_machine"),
        (Weather::AnswerLost, "COMMIT\0"),
        (Weather::RequestLost, "COMMIT\0"),
        (Weather::RequestLate, "COMMIT\0"),
    ]
    .into_iter()
    .enumerate()
    {
        bench.wire.forecast(weather, words);
        let order = sample::order(u32::try_from(n + 1).unwrap());
        let created = bench.store.create(&order).await.unwrap();
        assert!(matches!(created, Created::New(_)), "{weather:?} of {words}: {created:?}");
        assert_eq!(bench.elsewhere.get(order.key).await.unwrap().as_ref(), Some(created.record()));
    }
    assert_eq!(bench.elsewhere.events(LogId(0), 99).await.unwrap().len(), 6);
    bench.wire.let_through().await;
    assert_eq!(bench.elsewhere.events(LogId(0), 99).await.unwrap().len(), 6);
}

#[tokio::test]
async fn addresses_are_taken_once_whatever_is_lost() {
    let bench = Bench::new().await;
    let ranges = [sample::range("192.0.2.1", "192.0.2.20")];
    bench.store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.unwrap();
    let want = [sample::want(Family::V4, 1, &["public"])];
    for (n, weather) in
        [Weather::AnswerLost, Weather::RequestLost, Weather::RequestLate].into_iter().enumerate()
    {
        let n = u32::try_from(n + 1).unwrap();
        let lease = leased(&bench.store, n..=n).await.remove(0);
        bench.wire.forecast(weather, "COMMIT\0");
        let held = bench.store.take(&lease, &want).await.unwrap();
        assert_eq!(bench.elsewhere.held(lease.key).await.unwrap(), held, "{weather:?}");
    }
    let usage = bench.elsewhere.pools().await.unwrap().remove(0);
    assert_eq!((usage.held, usage.free), (3, 17));
}

/// A process that is frozen in the middle of a transaction does not hold its locks for ever: the server ends the transaction.
#[tokio::test]
async fn a_frozen_process_does_not_hold_up_the_others() {
    let bench = Bench::new().await;
    let ranges = [sample::range("192.0.2.1", "192.0.2.20")];
    bench.store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.unwrap();
    let leases = leased(&bench.store, 1..=2).await;
    let want = [sample::want(Family::V4, 1, &["public"])];
    // Its last word does not arrive, its connection stays: the pool is locked.
    bench.wire.forecast(Weather::RequestLate, "COMMIT\0");
    let frozen = bench.store.clone();
    let (lease, wants) = (leases[0], want.clone());
    let taking = tokio::spawn(async move { frozen.take(&lease, &wants).await });
    let second = until("the server ends its transaction", async || {
        match bench.elsewhere.take(&leases[1], &want).await {
            Err(TakeError::Store(StoreError { message, outcome: StoreOutcome::NotWritten })) => {
                assert!(message.contains("a transaction of somebody else"), "{message}");
                None
            }
            taken => Some(taken.unwrap()),
        }
    })
    .await;
    assert_eq!(second.len(), 1);
    taking.await.unwrap().unwrap();
    let usage = bench.elsewhere.pools().await.unwrap().remove(0);
    assert_eq!((usage.held, usage.free), (2, 18));
}
