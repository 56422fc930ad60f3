//! Traffic: counted once, by machine and day.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    CounterReading, MachineReading, Step, Traffic, TrafficOfDay, TrafficQuery, TrafficStore, TrafficTotal,
};
use jiff::{SignedDuration, civil::Date};

/// The counters of the n-th machine so many seconds after the epoch, which has run for `uptime` by then.
fn reading(n: u32, second: i64, uptime: u64, received: u64, sent: u64) -> MachineReading {
    let at = sample::epoch() + SignedDuration::from_secs(second);
    let counted = Traffic { received, sent };
    MachineReading { key: sample::key(n), reading: CounterReading { at, uptime, counted } }
}

async fn count<S: TrafficStore>(store: &S, readings: &[MachineReading]) {
    store.count_traffic(readings).await.expect("count");
}

async fn total<S: TrafficStore>(store: &S, n: u32) -> (u64, u64) {
    let totals = store.traffic_totals(&[sample::key(n)]).await.expect("totals");
    totals.first().map_or((0, 0), |total| (total.total.received, total.total.sent))
}

fn day(text: &str) -> Date {
    sample::parsed(text)
}

/// The epoch's day and the next one.
async fn days<S: TrafficStore>(store: &S) -> Vec<(u32, u64, u64)> {
    let query = TrafficQuery { key: None, from: day("2026-01-01"), until: day("2026-01-03") };
    let days = store.traffic_by_day(&query).await.expect("days");
    let number = |found: &TrafficOfDay| u32::try_from(found.day.day()).unwrap_or(0);
    days.iter().map(|found| (number(found), found.traffic.received, found.traffic.sent)).collect()
}

const HOUR: i64 = 3600;

/// The first reading counts as well: the machine was made by us, and had all of it.
pub async fn readings_add_up_to_a_total_and_days<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    let readings = [
        reading(1, 0, 60, 1000, 100),
        reading(1, HOUR, 60 + 3600, 5000, 200),
        reading(1, HOUR + 60, 60 + 3660, 5000, 200),
        reading(1, 13 * HOUR, 60 + 13 * 3600, 5001, 4_000_000_000_000_000),
    ];
    count(&rig.store, &readings).await;
    assert_eq!(days(&rig.store).await, [(1, 5000, 200), (2, 1, 3_999_999_999_999_800)]);
    let kept = rig.store.traffic_totals(&[sample::key(1)]).await.expect("totals");
    let expected = TrafficTotal {
        key: sample::key(1),
        total: Traffic { received: 5001, sent: 4_000_000_000_000_000 },
        since: sample::epoch(),
        last: readings[3].reading,
    };
    assert_eq!(kept, [expected]);
}

/// Whoever did not hear the answer hands it in again.
pub async fn a_reading_that_is_handed_in_again_counts_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    let both = [reading(1, 0, 60, 1000, 100), reading(1, 300, 360, 3000, 300)];
    for _ in 0..3 {
        count(&rig.store, &both).await;
        count(&rig.store, &both[1..]).await;
    }
    assert_eq!(total(&rig.store, 1).await, (3000, 300));
    assert_eq!(days(&rig.store).await, [(1, 3000, 300)]);
}

/// Seen by a counter that is less, an uptime that is less, and an uptime that is too short.
pub async fn counters_that_begin_anew_are_counted_from_zero<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [1, 2, 3, 4] {
        rig.ordered(n).await;
        count(&rig.store, &[reading(n, 0, 5000, 1000, 1000)]).await;
    }
    let after = [
        reading(1, 300, 5300, 400, 1500),
        reading(2, 300, 200, 1500, 1500),
        reading(3, 9000, 8000, 1500, 1500),
        // It was stopped in between.
        reading(4, 300, 0, 0, 0),
        reading(4, 600, 250, 70, 7),
    ];
    count(&rig.store, &after).await;
    assert_eq!(total(&rig.store, 1).await, (1400, 2500));
    assert_eq!(total(&rig.store, 2).await, (2500, 2500));
    assert_eq!(total(&rig.store, 3).await, (2500, 2500));
    assert_eq!(total(&rig.store, 4).await, (1070, 1007));
}

/// A worker that slept comes with a list of yesterday, in which the counters are less: they did not begin anew.
pub async fn an_older_reading_is_dropped<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    count(&rig.store, &[reading(1, 600, 900, 3000, 300)]).await;
    count(&rig.store, &[reading(1, 300, 600, 2000, 200)]).await;
    count(&rig.store, &[reading(1, 900, 1200, 3500, 300)]).await;
    assert_eq!(total(&rig.store, 1).await, (3500, 300));
}

/// Several workers, each with the same list.
pub async fn readings_at_one_moment_count_once<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in 1..9 {
        rig.ordered(n).await;
    }
    for (second, counted) in [(0, 1000), (300, 1700)] {
        let counting = move |store: F::Store, _| async move {
            let list: Vec<_> = (1..9).map(|n| reading(n, second, 4000, counted, counted)).collect();
            count(&store, &list).await;
        };
        rig.at_once(0..6, counting).await;
    }
    for n in 1..9 {
        assert_eq!(total(&rig.store, n).await, (1700, 1700), "machine {n}");
    }
    assert_eq!(days(&rig.store).await, [(1, 1700, 1700); 8]);
}

/// And holds up nobody.
pub async fn a_machine_without_a_record_is_left_out<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    count(&rig.store, &[reading(7, 0, 60, 5, 5), reading(1, 0, 60, 9, 9)]).await;
    let totals = rig.store.traffic_totals(&[sample::key(7), sample::key(1)]).await.expect("totals");
    assert_eq!(totals.iter().map(|total| total.key).collect::<Vec<_>>(), [sample::key(1)]);
    assert_eq!(days(&rig.store).await, [(1, 9, 9)]);
    count(&rig.store, &[]).await;
}

/// From the first, until before the last, of one machine or of all.
pub async fn days_are_those_of_the_query<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [2, 1] {
        rig.ordered(n).await;
        let readings = (0..4).map(|day: i64| {
            let number = u64::try_from(day).unwrap_or(0);
            reading(n, day * 24 * HOUR, 60 + number * 86_400, (number + 1) * 10, 0)
        });
        count(&rig.store, &readings.collect::<Vec<_>>()).await;
    }
    let query = |key: Option<u32>, from: &str, until: &str| TrafficQuery {
        key: key.map(sample::key),
        from: day(from),
        until: day(until),
    };
    let of = |n: u32, text: &str| TrafficOfDay {
        key: sample::key(n),
        day: day(text),
        traffic: Traffic { received: 10, sent: 0 },
    };
    let two = rig.store.traffic_by_day(&query(None, "2026-01-02", "2026-01-04")).await.expect("days");
    let expected = [of(1, "2026-01-02"), of(1, "2026-01-03"), of(2, "2026-01-02"), of(2, "2026-01-03")];
    assert_eq!(two, expected);
    let one = rig.store.traffic_by_day(&query(Some(2), "2026-01-04", "2026-02-01")).await.expect("days");
    assert_eq!(one, [of(2, "2026-01-04")]);
    assert_eq!(rig.store.traffic_by_day(&query(None, "2026-01-05", "2026-02-01")).await.expect("days"), []);
}

/// A bill is written later.
pub async fn traffic_outlives_its_machine_and_a_restart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.resting(1, Step::Ready).await;
    count(&rig.store, &[reading(1, 0, 60, 1000, 100)]).await;
    let rig = rig.reopened(factory).await;
    count(&rig.store, &[reading(1, 300, 360, 1500, 100)]).await;
    assert_eq!(total(&rig.store, 1).await, (1500, 100));
    rig.resting(2, Step::Terminated).await;
    count(&rig.store, &[reading(2, 0, 60, 8, 8)]).await;
    assert_eq!(total(&rig.store, 2).await, (8, 8));
}
