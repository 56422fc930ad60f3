//! Each change, carried out, lost, late, refused, failing, killed, and repeated.

use crate::bench::*;
use deploy_core::*;
use deploy_testkit::{
    sample::{parsed, vmid},
    world::{Cluster, Delivery, Effect, ModelMachine},
};
use jiff::SignedDuration;

/// What a change is made to, and how it shows that it was carried out. A pulse shows it by being counted.
struct Case {
    change: Change,
    prepare: fn(&mut Cluster),
    snapshot: bool,
    is_done: fn(&Cluster, &ModelMachine) -> bool,
    /// It is no goal: a repeat does it again.
    pulse: bool,
}

fn pulses(cluster: &Cluster, kind: ChangeKind) -> usize {
    cluster.counters.pulses.iter().filter(|(_, pulse)| *pulse == kind).count()
}

fn cases() -> Vec<Case> {
    let nothing: fn(&mut Cluster) = |_| {};
    vec![
        Case {
            change: Change::Reset,
            prepare: runs,
            snapshot: false,
            is_done: |cluster, _| pulses(cluster, ChangeKind::Reset) > 0,
            pulse: true,
        },
        Case {
            change: Change::LeaveHa,
            prepare: |cluster| machine(cluster).ha = Some("stopped".to_owned()),
            snapshot: false,
            is_done: |_, machine| machine.ha.is_none(),
            pulse: false,
        },
        Case {
            change: take(),
            prepare: nothing,
            snapshot: false,
            is_done: |_, machine| machine.snapshots.iter().any(|taken| taken.shown.incomplete.is_none()),
            pulse: false,
        },
        Case {
            change: Change::DeleteSnapshot(name()),
            prepare: nothing,
            snapshot: true,
            is_done: |_, machine| machine.snapshots.is_empty() && machine.config.parent.is_none(),
            pulse: false,
        },
        Case {
            change: Change::RollBack(name()),
            prepare: runs,
            snapshot: true,
            is_done: |_, machine| is_as_it_was(machine) && machine.power == Power::Stopped,
            pulse: true,
        },
        Case {
            change: Change::Backup {
                storage: parsed("nas"),
                mode: BackupMode::Snapshot,
                notes: "n".to_owned(),
            },
            prepare: runs,
            snapshot: false,
            is_done: |_, machine| machine.backups.iter().any(|made| made.notes.as_deref() == Some("n")),
            pulse: true,
        },
        Case {
            change: restore(OURS),
            prepare: backed_up,
            snapshot: false,
            is_done: |_, machine| is_as_it_was(machine),
            pulse: true,
        },
    ]
}

impl Case {
    fn bench(&self) -> Bench {
        let bench = Bench::new(self.prepare);
        if self.snapshot {
            with_snapshot(&bench);
        }
        bench
    }

    fn is_done(&self, bench: &Bench) -> bool {
        bench.cluster(|cluster| (self.is_done)(cluster, &cluster.machines[&vmid(NUMBER)]))
    }
}

#[test]
fn every_change_is_carried_out_if_and_only_if_it_arrives() {
    for case in cases() {
        let change = &case.change;
        let late = Delivery::Late(SignedDuration::from_secs(20));
        let deliveries = [
            (Delivery::Answered, None, true),
            (Delivery::NotSent, Some(Sent::No), false),
            (Delivery::RequestLost, Some(Sent::Unknown), false),
            (Delivery::AnswerLost, Some(Sent::Unknown), true),
            (late, Some(Sent::Unknown), true),
        ];
        for (delivery, sent, arrives) in deliveries {
            let bench = case.bench();
            assert!(!case.is_done(&bench), "{change}");
            let outcome = bench.meet(change, fault(delivery, Effect::Good));
            assert_eq!(outcome.as_ref().err().map(|error| error.sent), sent, "{change} {delivery:?}");
            if delivery == late {
                bench.pass(10);
                assert!(!case.is_done(&bench), "{change} before it arrives");
                bench.pass(13);
            }
            bench.pass(3);
            assert_eq!(case.is_done(&bench), arrives, "{change} {delivery:?}");
            assert_eq!(bench.see(|machine| machine.lock.clone()), Some(None), "{change}");
        }
    }
}

#[test]
fn what_is_refused_or_fails_leaves_the_machine_as_it_was() {
    for case in cases() {
        for effect in [Effect::Busy, Effect::Refused, Effect::Fails] {
            let bench = case.bench();
            let before = bench.picture();
            let outcome = bench.meet(&case.change, fault(Delivery::Answered, effect));
            bench.pass(3);
            match &outcome {
                Err(error) => assert_eq!(error.sent, Sent::Answered),
                Ok(submitted) => assert!(matches!(bench.ended(submitted), Some(Ended::Failed { .. }))),
            }
            assert_eq!(bench.picture(), before, "{} {effect:?}", case.change);
            assert!(!case.is_done(&bench));
        }
        let bench = case.bench();
        let outcome = bench.meet(&case.change, fault(Delivery::Answered, Effect::EndLost)).unwrap();
        bench.pass(3);
        assert!(case.is_done(&bench), "{}", case.change);
        assert!(matches!(bench.ended(&outcome), None | Some(Ended::Lost(_))));
    }
}

#[test]
fn a_goal_once_more_changes_nothing_and_a_pulse_is_one_more() {
    for case in cases() {
        let bench = case.bench();
        bench.submit(&case.change).unwrap();
        bench.pass(3);
        let (once, kind) = (bench.picture(), case.change.kind());
        let again = bench.submit(&case.change);
        bench.pass(3);
        let counted = bench.cluster(|cluster| pulses(cluster, kind));
        if case.pulse {
            assert!(again.is_ok(), "{}", case.change);
            assert_eq!(counted, 2, "{}", case.change);
        } else {
            assert_eq!((bench.picture(), counted), (once, 0), "{}", case.change);
        }
    }
}

/// PVE locks it for the time that it takes, and a worker that is killed leaves it so.
#[test]
fn a_killed_worker_leaves_its_lock() {
    let locks = [
        (take(), Some("snapshot")),
        (Change::DeleteSnapshot(name()), Some("snapshot-delete")),
        (Change::RollBack(name()), Some("rollback")),
        (
            Change::Backup { storage: parsed("nas"), mode: BackupMode::Stop, notes: String::new() },
            Some("backup"),
        ),
        (restore(OURS), None),
    ];
    for (change, lock) in locks {
        let bench = Bench::new(backed_up);
        if !matches!(change, Change::CreateSnapshot { .. }) {
            with_snapshot(&bench);
        }
        let submitted = bench.submit(&change).unwrap();
        let seen = bench.look(Look::SNAPSHOTS);
        assert_eq!(seen.lock.as_deref(), lock, "{change}");
        let other = bench.submit(&Change::Start).unwrap_err();
        // Of a restore nothing shows whose machine it is, so that nothing is sent.
        assert_eq!(other.sent == Sent::No, lock.is_none(), "{change}: {other}");
        bench.cluster(|cluster| cluster.kill_tasks(vmid(NUMBER)));
        bench.pass(60);
        let left = bench.look(Look::CONFIG);
        assert_eq!((left.lock.as_deref(), left.shown().husk), (lock, lock.is_none()), "{change}");
        assert!(matches!(bench.ended(&submitted), Some(Ended::Lost(_))));
    }
}
