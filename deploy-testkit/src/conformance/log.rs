//! The deploy log: every line once, repetitions counted, readable from a cursor.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    Clock, Commit, ErrorClass, Lease, LeaseStore, LogEntry, LogEvent, LogId, LogLine, Operation, RecordStore,
    Step,
};
use jiff::SignedDuration;

fn failed(message: &str) -> LogEvent {
    LogEvent::Failed { class: ErrorClass::Unreachable, message: message.to_owned() }
}

/// Writes a line and moves the clock on by a second.
async fn write<S>(rig: &Rig<S>, lease: &Lease, event: LogEvent) -> LogLine
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let line = rig.line(event);
    rig.commit(lease, Commit { log: Some(line.clone()), ..Commit::default() }).await;
    rig.clock.advance(SignedDuration::from_secs(1));
    line
}

/// Written together with the record.
pub async fn the_first_line_is_the_order<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let record = rig.ordered(1).await;
    let log = rig.log(record.key).await;
    assert_eq!(log.len(), 1);
    let line = LogLine {
        at: record.created_at,
        operation: Operation::Create,
        step: Step::Creation,
        event: LogEvent::Ordered,
    };
    let entry = LogEntry { id: log[0].id, key: record.key, last_at: line.at, line, times: 1 };
    assert_eq!(log, [entry]);
}

/// A thousand tries that fail alike are one line; any other line in between begins a new one.
pub async fn equal_lines_in_a_row_are_counted<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    let first = write(&rig, &lease, failed("no route to host")).await;
    write(&rig, &lease, failed("no route to host")).await;
    let last = write(&rig, &lease, failed("no route to host")).await;
    write(&rig, &lease, failed("connection refused")).await;
    write(&rig, &lease, failed("no route to host")).await;
    let elsewhere = LogLine { step: Step::Clone, ..rig.line(failed("no route to host")) };
    let otherwise = LogLine { operation: Operation::Terminate, ..elsewhere.clone() };
    for line in [elsewhere, otherwise] {
        rig.commit(&lease, Commit { log: Some(line), ..Commit::default() }).await;
    }
    let log = rig.log(lease.key).await;
    assert_eq!(log.iter().map(|entry| entry.times).collect::<Vec<_>>(), [1, 3, 1, 1, 1, 1]);
    assert_eq!((&log[1].line, log[1].last_at), (&first, last.at));
    assert_eq!(last.at, first.at + SignedDuration::from_secs(2));
}

/// What another machine writes in between does not matter.
pub async fn machines_are_counted_apart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    for _ in 0..3 {
        write(&rig, &one, failed("no route to host")).await;
        write(&rig, &two, failed("no route to host")).await;
    }
    for lease in [one, two] {
        let times: Vec<u32> = rig.log(lease.key).await.iter().map(|entry| entry.times).collect();
        assert_eq!(times, [1, 3]);
    }
}

/// The numbers grow over the whole store; a page begins after the last one read.
pub async fn events_are_read_on_from_a_cursor<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    for step in ["a", "b", "c"] {
        write(&rig, &one, LogEvent::Noted { what: step.to_owned() }).await;
        write(&rig, &two, LogEvent::Noted { what: step.to_owned() }).await;
    }
    let all = rig.store.events(LogId(0), 100).await.expect("events");
    assert_eq!(all.len(), 8);
    assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "ascending: {all:?}");
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(LogId(0), |entry: &LogEntry| entry.id);
        let page = rig.store.events(after, 3).await.expect("events");
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, all);
    let of_two: Vec<LogEntry> = all.into_iter().filter(|entry| entry.key == two.key).collect();
    assert_eq!(rig.log(two.key).await, of_two);
    let rest = rig.store.log(two.key, of_two[1].id, 1).await.expect("log");
    assert_eq!(rest, of_two[2..3]);
    assert_eq!(rig.store.log(sample::key(9), LogId(0), 10).await.expect("log"), []);
    assert!(rig.clock.now() > sample::epoch());
}
