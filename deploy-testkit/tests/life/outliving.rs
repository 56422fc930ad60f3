//! What outlives a machine or keeps it alive: backups, high availability, protection.

use crate::bench::*;
use deploy_core::*;
use deploy_testkit::sample::{parsed, vmid};

/// A start and a stop are wishes; what was stopped otherwise is started again, until the machine has left.
#[test]
fn a_managed_machine_is_as_its_manager_wants_it() {
    let bench = Bench::new(|cluster| machine(cluster).ha = Some("started".to_owned()));
    let is = |power: Power, wished: &str| {
        let seen = bench.look(Look::POWER.and(Look::HA));
        assert_eq!((seen.power, seen.ha), (Some(power), Some(HaState::Managed(Some(wished.to_owned())))));
    };
    bench.pass(11);
    is(Power::Running, "started");
    bench.submit(&Change::Stop(StopMode::Hard)).unwrap();
    bench.pass(2);
    is(Power::Running, "stopped");
    bench.pass(10);
    is(Power::Stopped, "stopped");
    let kept = bench.submit(&Change::Destroy(DestroyMode::KeepBackups)).unwrap_err();
    assert_eq!(kept.class, ErrorClass::Refused);
    bench.submit(&Change::Start).unwrap();
    bench.pass(12);
    is(Power::Running, "started");
    bench.cluster(|cluster| machine(cluster).power = Power::Stopped);
    bench.pass(12);
    is(Power::Running, "started");
    bench.submit(&Change::LeaveHa).unwrap();
    bench.submit(&Change::Stop(StopMode::Hard)).unwrap();
    bench.pass(60);
    let seen = bench.look(Look::POWER.and(Look::HA));
    assert_eq!((seen.power, seen.ha), (Some(Power::Stopped), Some(HaState::Unmanaged)));
}

/// They carry the number, whoever has it next; and one of ours that nobody deleted is counted.
#[test]
fn backups_outlive_their_machine() {
    for (mode, left) in [(DestroyMode::KeepBackups, 0), (DestroyMode::Purge, 1)] {
        let bench = Bench::new(backed_up);
        bench.submit(&Change::Destroy(mode)).unwrap();
        bench.pass(3);
        assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), left);
        bench.cluster(|cluster| cluster.add(vmid(NUMBER), ours()));
        let shown = bench.look(Look::BACKUPS).backups.unwrap();
        assert_eq!(shown.found, [backup("nas:one")]);
        bench.submit(&Change::DeleteBackup(backup("nas:one"))).unwrap();
        bench.pass(3);
        assert_eq!(bench.look(Look::BACKUPS).backups.unwrap().found, []);
        bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
        bench.pass(3);
        assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), left);
    }
    let bench = Bench::new(backed_up);
    bench.submit(&Change::Destroy(DestroyMode::KeepBackups)).unwrap();
    bench.pass(3);
    bench.cluster(|cluster| cluster.add(vmid(NUMBER), ours()));
    bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
    bench.pass(3);
    assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), 1, "ours of before");
}

#[test]
fn a_protected_machine_keeps_its_disks() {
    let scsi0: DiskSlot = parsed("scsi0");
    let unplug =
        Change::Configure(Box::new(Configure { remove_disks: [scsi0].into(), ..Configure::default() }));
    let bench = Bench::new(|cluster| machine(cluster).config.protected = true);
    assert_eq!(bench.submit(&unplug).unwrap_err().class, ErrorClass::Refused);
    bench.cluster(|cluster| machine(cluster).config.protected = false);
    bench.submit(&unplug).unwrap();
    let config = bench.look(Look::CONFIG).config;
    assert_eq!((config.disks.len(), config.unused.len()), (0, 1));
}
