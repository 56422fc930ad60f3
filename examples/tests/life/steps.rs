//! Single steps: each sets what it is about, and nothing else.

use crate::{
    expected::Expected,
    tale::{Tale, nothing},
};
use deploy_core::Step;

pub(super) fn while_it_runs(tale: &mut Tale<'_>) {
    tale.done("(somebody limits net0)", |machine| machine.rate = Some("1"));
    tale.done("step set_network", |machine| machine.rate = Some("12.5"));
    tale.done("(somebody opens the firewall)", |machine| {
        (machine.firewall, machine.foreign) = (Some("0"), Some("203.0.113.99"));
    });
    tale.done("step set_firewall", |machine| (machine.firewall, machine.foreign) = (Some("1"), None));
    tale.done("(somebody moves it to pve3)", |machine| machine.node = "pve3");
    tale.done("step migrated", |machine| machine.node = "pve2");
    tale.done("(somebody limits scsi0)", |machine| machine.limit = Some("1"));
    tale.done("step set_system_disk_bandwidth", |machine| machine.limit = Some("50"));
}

pub(super) fn while_it_is_stopped(tale: &mut Tale<'_>) {
    tale.done("(somebody sets memory)", |machine| machine.waiting = &[("memory", "512")]);
    tale.done("(somebody sets another user)", |machine| machine.user = "eve");
    tale.refused("step set_cpu_ram", "stop it first");
    tale.refused("step set_cloudinit", "stop it first");
    tale.done("stop", |machine| {
        (machine.power, machine.memory, machine.waiting) = (Some("stopped"), "512", &[]);
    });
    tale.done("step set_cpu_ram", |machine| machine.memory = "2048");
    tale.done("step set_cloudinit", |machine| machine.user = "ann");
    tale.done("run_on starting", |machine| machine.power = Some("running"));
}

/// Each adds what it is about to what the template has.
pub(super) fn one_after_the_other(tale: &mut Tale<'_>) {
    let taken = tale.done("step set_ip", nothing);
    assert_eq!(taken.before.record.addresses, taken.after.record.addresses, "it has them still");
    tale.done("step clone", |machine| {
        machine.made_anew();
        machine.as_the_template();
        (machine.power, machine.step, machine.node) = (Some("stopped"), Step::Ready, "pve1");
    });
    tale.done("step migrated", |machine| machine.node = "pve2");
    tale.done("step set_cpu_ram", |machine| {
        (machine.cores, machine.memory, machine.tags) = ("2", "2048", "demo;gold");
    });
    tale.done("step set_system_disk_size", |machine| machine.disk = "16G");
    tale.done("step set_system_disk_bandwidth", |machine| machine.limit = Some("50"));
    tale.done("step set_created_additional_disk", |machine| machine.more = Some(("6G", Some("80"))));
    tale.done("(somebody puts a smaller disk)", |machine| machine.more = Some(("2G", None)));
    tale.done("step set_additional_disk_size", |machine| machine.more = Some(("6G", None)));
    tale.done("step set_additional_disk_bandwidth", |machine| machine.more = Some(("6G", Some("80"))));
    tale.done("run_on set_network", |machine: &mut Expected| {
        (machine.power, machine.onboot, machine.user) = (Some("running"), "1", "ann");
        (machine.rate, machine.firewall, machine.is_told) = (Some("12.5"), Some("1"), true);
    });
}
