//! Whenever it is terminated, nothing is left of a machine, and its addresses come back only then.

use crate::{
    bench::{Bench, Trouble, tried},
    comes_to_rest::{assert_orderly, bench, told, troubles},
    orders::{Case, cases},
};
use deploy_core::*;
use deploy_testkit::world::Archive;
use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn terminated_at_any_moment_it_leaves_nothing(
        case in cases(),
        trouble in troubles(),
        turn in 1..150_u32,
    ) {
        let bench = bench(&case);
        let run = bench.run(Trouble { commands: [(turn, Command::Terminate)].into(), ..trouble });
        assert_orderly(&bench, &run);
        assert_gone(&bench, &case);
    }

    /// Commands in any order and number: the last word is the termination's.
    #[test]
    fn no_sequence_of_commands_keeps_it(
        case in cases(),
        trouble in troubles(),
        turn in 1..100_u32,
        retries in vec(1..200_u32, 0..8),
    ) {
        let bench = bench(&case);
        let retries = retries.into_iter().map(|turn| (turn, Command::Retry));
        let commands = retries.chain([(turn, Command::Terminate), (turn + 3, Command::Terminate)]).collect();
        let run = bench.run(Trouble { commands, ..trouble });
        assert_orderly(&bench, &run);
        assert_gone(&bench, &case);
    }

    /// Whoever holds it may be at work on it: nothing is done until he releases it, and then it is terminated.
    #[test]
    fn a_held_machine_is_terminated_when_it_is_released(
        case in cases(),
        trouble in troubles(),
        turn in 1..120_u32,
        later in 1..20_u32,
        before in any::<bool>(),
    ) {
        let bench = bench(&case);
        // Both before anybody took the hold, or long after it.
        let terminated = if before { turn + later } else { turn + 100 };
        let held = [(turn, Command::Hold), (turn + 50, Command::Start), (terminated, Command::Terminate)];
        let commands = held.into_iter().chain([(400, Command::Release)]).collect();
        let run = bench.run(Trouble { commands, ..trouble });
        assert_orderly(&bench, &run);
        assert_gone(&bench, &case);
        let log = bench.ledger.with(|state| state.log.clone());
        let at = |what: &str| {
            let is = |line: &LogLine| line.event == LogEvent::Noted { what: what.to_owned() };
            log.iter().position(is)
        };
        let (held, released) = (at("held by an operator").unwrap(), at("released by the operator").unwrap());
        let done = |line: &&LogLine| !matches!(line.event, LogEvent::Noted { .. });
        assert_eq!(log[held..released].iter().find(done), None, "{}", told(&bench));
        let begins = LogLine { operation: Operation::Terminate, ..log[released + 1].clone() };
        assert_eq!((&log[released + 1], &begins.event), (&begins, &LogEvent::Began), "{}", told(&bench));
    }

    /// A machine in its customer's hands: running, protected, with backups, of which somebody wants to keep one, and
    /// another one was there before it.
    #[test]
    fn a_ready_machine_goes_with_its_backups(case in cases(), trouble in troubles(), calm in any::<bool>()) {
        let bench = bench(&case);
        bench.run(Trouble::default());
        let now = bench.clock.now();
        let backup = |volume: &str, protected| Backup {
            node: case.spec.node.clone(),
            storage: "backup".parse().unwrap(),
            volume: volume.to_owned(),
            protected,
            size: None,
            made_at: Some(now),
            notes: None,
        };
        bench.world.with(|cluster| {
            let machine = cluster.machines.get_mut(&bench.record().numbered.vmid).unwrap();
            machine.config.protected = true;
            machine.ha = Some("started".to_owned());
            machine.config.unused.insert(UnusedSlot(3), "local:forgotten".to_owned());
            machine.backups = vec![
                backup("old", false),
                backup("kept", true),
                backup("stranger's", false),
                backup("broken", false),
                backup("new", false),
            ];
            // As new as ours, of a machine of another cluster that has the number.
            let ours = Archive::of(machine);
            let mut theirs = ours.clone();
            "a neighbour's".clone_into(&mut theirs.config.description);
            theirs.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(99)));
            let held = [("old", &ours), ("kept", &ours), ("stranger's", &theirs), ("new", &ours)];
            cluster.archives.extend(held.map(|(volume, archive)| (volume.to_owned(), archive.clone())));
        });
        let resources = resources(&bench);
        bench.ledger.command(Command::Terminate).unwrap();
        let trouble = if calm { Trouble::default() } else { Trouble { refusals: 0, ..trouble } };
        let run = bench.run(trouble);
        assert_orderly(&bench, &run);
        assert_gone(&bench, &case);
        let left = bench.world.with(|cluster| cluster.kept_backups[&bench.record().numbered.vmid].clone());
        let left: BTreeSet<String> = left.into_iter().map(|backup| backup.volume).collect();
        assert!(["kept", "stranger's", "broken"].iter().all(|volume| left.contains(*volume)), "{left:?}");
        let mut receipt = fates(&bench.record());
        // A guest that did not follow, or whose answer was lost, was stopped hard.
        let guest = receipt.remove("guest").unwrap();
        let fell = guest == Fate::NotRunning && case.falls > 0;
        assert!(fell || matches!(guest, Fate::ShutDown { .. } | Fate::Stopped), "{guest}");
        // Asked for where a destroy was not answered, and not always to be had.
        let leftovers = receipt.remove("volumes that nothing names");
        assert!(leftovers.is_none() || !calm, "{leftovers:?}");
        let expected = resources.into_iter().map(|resource| (resource, Fate::Deleted));
        let kept = [("kept", Kept::Protected), ("stranger's", Kept::Unproven)];
        let kept = kept.map(|(volume, why)| (format!("backup {volume}"), Fate::Kept(why)));
        let mut expected: BTreeMap<_, _> = expected.chain(kept).collect();
        // Nor are snapshots asked for without end.
        let snapshots = receipt.remove("snapshots");
        assert!(snapshots.is_none() || !calm, "{snapshots:?}");
        // Nor are the disks known to be gone where volumes are not.
        if let Some(unknown) = leftovers {
            let disks = expected.iter_mut().filter(|(named, _)| named.contains("disk "));
            disks.for_each(|(_, fate)| *fate = unknown.clone());
        }
        // What cannot be looked into is left and named: what is broken, and what was met by one fault after the other.
        for volume in ["broken", "old", "new", "stranger's"] {
            let named = format!("backup {volume}");
            let fate = receipt[&named].clone();
            if let Fate::NotKnown(why) = &fate {
                // It may have gone all the same, by a request whose answer was lost.
                assert!(why.starts_with("whose it is cannot be read: "), "{why}");
                assert!(left.contains(volume) || !calm, "{volume}: {why}");
                assert!(volume == "broken" || !calm, "{volume}: {why}");
                expected.insert(named, fate);
            }
        }
        assert!(expected.contains_key("backup broken"), "{receipt:#?}");
        assert_eq!(receipt, expected, "{}", told(&bench));
    }
}

/// What a receipt says of each resource, which it names once.
fn fates(record: &VmRecord) -> BTreeMap<String, Fate> {
    let mut fates = BTreeMap::new();
    for line in &record.life.receipt {
        let Receipt::Resource { resource, fate } = line else { panic!("{line}") };
        assert_eq!(fates.insert(resource.to_string(), fate.clone()), None, "{resource} twice");
    }
    fates
}

/// What is deleted of a machine, as a receipt names it.
fn resources(bench: &Bench) -> Vec<String> {
    let record = bench.record();
    let machine = bench.world.with(|cluster| cluster.machines[&record.numbered.vmid].clone());
    let disks = machine.config.disks.iter().map(|(slot, disk)| format!("disk {slot}, {}", disk.volume));
    let addresses = record.addresses.iter().map(|held| format!("address {}", held.address));
    let others = ["HA resource", "protection", "backup old", "backup new", "unused disk local:forgotten"];
    let others = others.into_iter().map(str::to_owned);
    others.chain([format!("machine {}", record.numbered.vmid)]).chain(disks).chain(addresses).collect()
}

fn assert_gone(bench: &Bench, case: &Case) {
    let record = bench.record();
    assert_eq!(record.step, Step::Terminated);
    // Nothing arrives afterwards either.
    for _ in 0..2 {
        bench.world.with(|cluster| {
            assert_eq!(cluster.marked(record.mark()), [], "machines of the order");
            if !case.stranger {
                assert!(!cluster.machines.contains_key(&record.numbered.vmid), "a machine without a mark");
                assert_eq!(cluster.volumes_of(record.numbered.vmid), 0, "volumes");
            }
        });
        bench.clock.advance(SignedDuration::from_mins(10));
    }
    assert!(bench.pool.held.lock().unwrap().is_empty(), "addresses");
    assert!(record.addresses.is_empty());
    let ends = |notice: &&Notice| matches!(notice, Notice::Terminated { .. });
    assert_eq!(bench.ledger.with(|state| state.notices.iter().filter(ends).count()), 1);
}
