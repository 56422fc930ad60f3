//! Restoring: only what is ours over what is ours, and what is left where that fails.

use crate::bench::*;
use deploy_core::*;
use deploy_testkit::{
    sample::{key, parsed, vmid},
    world::{Cluster, Delivery, Effect, ModelMachine},
};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// The husk of a restore that failed half-way is ours to restore over and to destroy, and nothing else can be done with it.
#[test]
fn a_restore_that_failed_half_way_can_be_repeated() {
    let half = || {
        let bench = Bench::new(backed_up);
        let submitted = bench.meet(&restore(OURS), fault(Delivery::Answered, Effect::HalfDone)).unwrap();
        let judge = |machine: &Machine| Ownership::judge(OwnerMark(key(1)), Some(OURS), machine.shown());
        assert_eq!(judge(&bench.look(Look::CONFIG)), Ownership::TooEarly, "while it works");
        bench.pass(3);
        assert!(matches!(bench.ended(&submitted), Some(Ended::Failed { .. })));
        assert_eq!(judge(&bench.look(Look::CONFIG)), Ownership::TooEarly);
        bench
    };
    let bench = half();
    assert_eq!(bench.submit(&Change::Start).unwrap_err().sent, Sent::No);
    bench.submit(&restore(OURS)).unwrap();
    bench.pass(3);
    assert_eq!(bench.see(is_as_it_was), Some(true));
    let bench = half();
    bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
    bench.pass(3);
    assert_eq!(bench.picture(), None);
}

#[test]
fn only_our_own_backup_is_restored_over_only_our_own_machine() {
    let earlier = SmbiosUuid(uuid::Uuid::from_u128(0xc1_0d));
    let of = |smbios, mark: &'static str| {
        move |cluster: &mut Cluster| {
            backed_up(cluster);
            let archive = cluster.archives.get_mut("nas:one").unwrap();
            archive.config.smbios = Some(smbios);
            archive.config.description = mark.replace("OURS", &OwnerMark(key(1)).to_string());
        }
    };
    // What the archive shows, what was decided on, and whether that may be.
    for (shows, mark, decided, may) in [
        (OURS, "OURS", OURS, true),
        (OURS, "edited", OURS, true),
        (earlier, "OURS", earlier, true),
        (earlier, "OURS", OURS, false),
        (OURS, "OURS", earlier, false),
        (earlier, "edited", earlier, false),
    ] {
        let bench = Bench::new(of(shows, mark));
        let archived = now(bench.world.archived(&id(), &backup("nas:one"))).unwrap();
        assert_eq!(archived.smbios, Some(shows));
        let outcome = bench.submit(&restore(decided));
        assert_eq!(outcome.is_ok(), may, "{shows} {mark} {decided}");
        bench.pass(3);
        assert_eq!(bench.see(is_as_it_was), Some(may));
        assert_eq!(bench.see(|machine| machine.config.smbios), Some(Some(if may { shows } else { OURS })));
    }
    // One that arrives late finds somebody else's machine there.
    let bench = Bench::new(backed_up);
    let late = fault(Delivery::Late(SignedDuration::from_secs(20)), Effect::Good);
    bench.meet(&restore(OURS), late).unwrap_err();
    let mut stranger = ModelMachine::bare(parsed("node1"));
    stranger.config.smbios = Some(earlier);
    bench.cluster(|cluster| cluster.add(vmid(NUMBER), stranger));
    let before = bench.picture();
    bench.pass(30);
    assert_eq!(bench.picture(), before);
    assert!(now(bench.world.archived(&id(), &backup("nas:none"))).is_err());
}

#[test]
fn a_machine_that_runs_or_is_protected_is_not_restored_over() {
    let hindrances: [fn(&mut ModelMachine); 2] =
        [|machine| machine.power = Power::Running, |machine| machine.config.protected = true];
    for hinder in hindrances {
        let bench = Bench::new(|cluster| {
            backed_up(cluster);
            hinder(machine(cluster));
        });
        let before = bench.picture();
        let submitted = bench.submit(&restore(OURS)).unwrap();
        bench.pass(3);
        assert!(matches!(bench.ended(&submitted), Some(Ended::Failed { .. })));
        assert_eq!(bench.picture(), before);
    }
}

/// What a backup or a snapshot does not have stays, unplugged.
#[test]
fn disks_that_came_later_are_kept_unused() {
    let scsi1 = DiskSlot::for_additional_disks().next().unwrap();
    let new = DiskGoal::Create {
        storage: parsed("local"),
        size: 1_u64.try_into().unwrap(),
        limits: DiskLimits::default(),
    };
    let plug =
        Change::Configure(Box::new(Configure { disks: [(scsi1, new)].into(), ..Configure::default() }));
    for change in [Change::RollBack(name()), restore(OURS)] {
        let bench = Bench::new(backed_up);
        with_snapshot(&bench);
        bench.submit(&plug).unwrap();
        let volume = bench.see(|machine| machine.config.disks[&scsi1].volume.clone()).unwrap();
        bench.submit(&change).unwrap();
        bench.pass(3);
        let config = bench.look(Look::CONFIG).config;
        assert_eq!(config.unused.values().collect::<Vec<_>>(), [&volume], "{change}");
        assert!(!config.is_taken(scsi1));
        let named: BTreeSet<String> =
            bench.see(|machine| machine.named_volumes().into_iter().map(str::to_owned).collect()).unwrap();
        let there: BTreeSet<String> = bench.cluster(|cluster| cluster.volumes.keys().cloned().collect());
        assert_eq!(named, there, "{change}: nothing is left behind, and nothing is named that is not there");
        let free = Configure { remove_unused: config.unused.into_keys().collect(), ..Configure::default() };
        bench.submit(&Change::Configure(Box::new(free))).unwrap();
        assert!(bench.cluster(|cluster| !cluster.volumes.contains_key(&volume)));
    }
}
