//! A machine that is made anew, removed, and taken away.

use crate::tale::Tale;
use deploy_core::Step;
use examples::life::Scene;

pub(super) fn reinstalled(tale: &mut Tale<'_>) {
    tale.done("reinstall", |machine| {
        machine.made_anew();
        machine.template = Some("9000");
    });
    tale.done("reinstall", |machine| {
        machine.made_anew();
        machine.template = Some("9002");
    });
    // It is the same machine, with a copy of the template's disk and with its own other one.
    let kept = tale.done("reinstall", |machine| machine.template = None);
    let disk = |scene: &Scene, slot: &str| scene.config[slot].clone();
    assert_ne!(disk(&kept.before, "scsi0"), disk(&kept.after, "scsi0"));
    assert_eq!(disk(&kept.before, "scsi1"), disk(&kept.after, "scsi1"));
}

pub(super) fn removed(tale: &mut Tale<'_>) {
    tale.refused("remove", "stop it first");
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("remove", |machine| (machine.power, machine.step) = (None, Step::Removed));
    tale.done("run_on clone", |machine| {
        (machine.power, machine.step) = (Some("running"), Step::Ready);
        machine.template = Some("9002");
        machine.made_anew();
    });
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("remove", |machine| (machine.power, machine.step) = (None, Step::Removed));
}

pub(super) fn terminated(tale: &mut Tale<'_>) {
    let backed_up = tale.done("backup", |machine| machine.backups = 1);
    let terminated = tale.done("terminate", |machine| {
        (machine.power, machine.step, machine.backups) = (None, Step::Terminated, 0);
        machine.v4.clear();
        machine.v6.clear();
    });
    let receipt = terminated.after.record.life.receipt.iter().map(ToString::to_string);
    let (addresses, rest): (Vec<String>, Vec<String>) = receipt.partition(|line| line.starts_with("address"));
    let volume = |slot: &str| backed_up.after.config[slot].split(',').next().unwrap_or_default().to_owned();
    let expected = [
        "guest: shut down, or stopped after 5 s".to_owned(),
        format!("backup {}: deleted", backed_up.after.backups[0]),
        format!("disk scsi0, {}: deleted", volume("scsi0")),
        format!("disk scsi1, {}: deleted", volume("scsi1")),
        "machine 1000: deleted".to_owned(),
    ];
    assert_eq!(rest, expected);
    // In no order.
    let mut addresses = addresses;
    addresses.sort();
    assert_eq!(addresses, ["address 2001:db8:1::1001: deleted", "address 203.0.113.11: deleted"]);
    tale.denied("start", "terminated");
}
