//! Locks: whose task holds them, and what is done where nobody does.

use crate::{
    bench::{Bench, Trouble},
    machines::{at, plain_machine},
    orders::{NUMBER, TEMPLATE, order, p, plain, vmid},
    seams::{Mocks, leased},
};
use deploy_core::*;
use deploy_testkit::{
    ManualClock,
    world::{Delivery, Fault, Faults, LookFault, ModelMachine},
};
use jiff::SignedDuration;
use std::sync::Arc;

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

fn bench() -> Bench {
    Bench::new(order(plain()), |cluster| {
        cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1")));
        cluster.timing.clone = minutes(5);
    })
}

/// A bench whose clone is under way; its answer was lost.
fn cloning() -> Bench {
    let bench = bench();
    let lost = Fault { delivery: Delivery::AnswerLost, ..Fault::default() };
    bench.world.with(|cluster| cluster.faults.changes.push_back(lost));
    bench.work_for(SignedDuration::from_millis(500), |_| {});
    assert!(bench.world.with(|cluster| cluster.machines.contains_key(&vmid(NUMBER))));
    bench
}

fn says(bench: &Bench, text: &str) -> usize {
    bench.ledger.with(|state| {
        let events = state.log.iter().map(|line| line.event.to_string());
        events.filter(|event| event.contains(text)).count()
    })
}

#[test]
fn a_clone_whose_answer_was_lost_is_followed_by_its_task() {
    let bench = bench();
    let lost = Fault { delivery: Delivery::AnswerLost, ..Fault::default() };
    let faults = Faults { changes: [lost].into(), ..Faults::default() };
    bench.run(Trouble { faults, ..Trouble::default() });
    assert_eq!(bench.record().step, Step::Ready);
    assert_eq!(says(&bench, "its task was found"), 1);
    assert_eq!(says(&bench, "waiting: the machine is busy"), 0, "it is not polled beside its task");
    assert_eq!(bench.world.with(|cluster| cluster.counters.clones[&vmid(NUMBER)]), 1);
    let doubts = bench.record().remembered;
    assert!(!doubts.contains(&Remembered::CloneInDoubt), "what was found is in no doubt");
}

/// The lock stays for ever, and only root can open it: that is told soon, once, with the command; and goes on by itself.
#[test]
fn a_killed_clone_is_told_soon_and_recovers_once_it_is_cleared() {
    for known in [true, false] {
        let bench = if known { bench() } else { cloning() };
        bench.work_for(SignedDuration::from_secs(2), |_| {});
        bench.world.with(|cluster| cluster.kill_tasks(vmid(NUMBER)));
        let killed_at = bench.clock.now();
        let mut told_after = None;
        bench.work_for(minutes(30), |bench| {
            if told_after.is_none() && bench.record().attention.is_some() {
                told_after = Some(bench.clock.now().duration_since(killed_at));
            }
        });
        let told_after = told_after.expect("a human is told");
        assert!(told_after >= minutes(2) && told_after <= minutes(4), "{told_after}");
        let attention = bench.record().attention.unwrap().message;
        assert!(attention.contains("no task has worked on it for 2 min"), "{attention}");
        assert!(attention.contains("on n1 as root"), "{attention}");
        assert!(attention.contains(&format!("qm destroy {NUMBER} --skiplock --purge")), "{attention}");
        assert_eq!(bench.ledger.with(|state| state.notices.len()), 1);
        assert_eq!(bench.record().step, Step::Clone);

        // The command was given.
        bench.world.with(|cluster| cluster.machines.remove(&vmid(NUMBER)));
        bench.work_for(minutes(30), |_| {});
        assert_eq!((bench.record().step, bench.record().attention), (Step::Ready, None));
        assert_eq!(bench.world.with(|cluster| cluster.counters.clones[&vmid(NUMBER)]), 1);
    }
}

/// What passes by itself neither hides the command from whoever has to give it nor takes its place.
#[test]
fn a_lock_is_told_also_where_something_else_was_told_before() {
    let bench = cloning();
    bench.world.with(|cluster| cluster.kill_tasks(vmid(NUMBER)));
    let outage = |bench: &Bench| {
        bench.work_for(minutes(20), |bench| {
            bench.world.with(|cluster| cluster.faults.looks.push_back(Some(LookFault::Unreachable)));
        });
        bench.world.with(|cluster| cluster.faults.looks.clear());
        bench.record().attention.unwrap().message
    };
    let away = outage(&bench);
    assert!(!away.contains("qm destroy"), "{away}");
    bench.work_for(minutes(5), |_| {});
    let locked = bench.record().attention.unwrap().message;
    assert!(locked.contains(&format!("qm destroy {NUMBER} --skiplock --purge")), "{locked}");
    assert_eq!(outage(&bench), locked);
    assert_eq!(bench.ledger.with(|state| state.notices.len()), 1, "it is one attention all the time");
}

#[test]
fn a_lock_that_is_held_is_not_told_before_its_time() {
    // Nobody may look after the tasks: the lock is told when any other long wait is.
    let bench = cloning();
    bench.world.with(|cluster| cluster.kill_tasks(vmid(NUMBER)));
    let blind = [None, Some(LookFault::Forbidden)];
    bench.work_for(minutes(9), |bench| {
        bench.world.with(|cluster| {
            cluster.faults.looks.clear();
            cluster.faults.looks.extend(blind);
        });
    });
    assert_eq!(bench.record().attention, None);
    let waiting = bench.record().waiting.unwrap();
    assert_eq!(waiting.idle_since, None);
    bench.work_for(minutes(3), |_| {});
    assert!(bench.record().attention.is_some());
}

/// A record that waits for a lock since then, and its machine.
fn locked(since: jiff::Timestamp) -> (VmRecord, Machine) {
    let mut record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.config.cores = None;
    machine.lock = Some("backup".to_owned());
    let mut mocks = Mocks::new().open();
    mocks.sees(machine.clone());
    mocks.commits(vec![|commit| commit.waiting.is_some()]);
    let mut leased = leased(record.clone());
    let clock = ManualClock::new(since);
    mocks.turn_by(Arc::new(clock), &mut leased, Known::default()).unwrap();
    record = leased.record;
    (record, machine)
}

fn turn_at(record: &VmRecord, machine: &Machine, at: jiff::Timestamp, holder: Option<Holder>) -> VmRecord {
    let mut mocks = Mocks::new().open();
    mocks.sees(machine.clone());
    mocks.store.expect_commit().returning(|_, _| Ok(()));
    if let Some(holder) = holder {
        mocks
            .hypervisor
            .expect_holder()
            .times(1)
            .withf(|id, lock| (id.node.as_str(), lock) == ("n1", "backup"))
            .return_once(|_, _| holder);
    }
    let mut leased = leased(record.clone());
    mocks.turn_by(Arc::new(ManualClock::new(at)), &mut leased, Known::default()).unwrap();
    leased.record
}

#[test]
fn who_holds_a_lock_is_asked_once_it_lasts_and_until_a_human_was_told() {
    let began = jiff::Timestamp::UNIX_EPOCH;
    let after = |seconds| began + SignedDuration::from_secs(seconds);
    let (record, machine) = locked(began);
    // A wait that is short costs no question.
    let record = turn_at(&record, &machine, after(20), None);
    // A backup that works is waited for, and so is one that may.
    let held = turn_at(&record, &machine, after(40), Some(Holder::Task(p("UPID:pve1:vzdump"))));
    assert_eq!(held, record, "nothing is written down");
    let held = turn_at(&held, &machine, after(200), Some(Holder::Perhaps));
    assert_eq!(held, record);
    // Nobody at work: the time counts from then on.
    let idle = turn_at(&held, &machine, after(210), Some(Holder::Nobody));
    assert_eq!(idle.waiting.as_ref().unwrap().idle_since, Some(after(210)));
    let idle = turn_at(&idle, &machine, after(320), Some(Holder::Nobody));
    assert_eq!(idle.attention, None);
    // A new task begins.
    let held = turn_at(&idle, &machine, after(325), Some(Holder::Perhaps));
    assert_eq!(held.waiting.as_ref().unwrap().idle_since, None);
    let told = turn_at(&idle, &machine, after(330), Some(Holder::Nobody));
    let attention = told.attention.clone().unwrap().message;
    assert!(attention.contains("qm unlock 1001") && attention.contains("on n1"), "{attention}");
    // Told once, it is only looked at.
    let later = turn_at(&told, &machine, after(400), None);
    assert_eq!(later, told);
}
