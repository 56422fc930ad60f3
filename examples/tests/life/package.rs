//! Another package, and other credentials.

use crate::tale::Tale;
use examples::life::Scene;

pub(super) fn hardware(tale: &mut Tale<'_>) {
    tale.done("change_package", |machine| {
        (machine.cores, machine.memory, machine.disk) = ("2", "2048", "12G");
    });
    tale.denied("change_package", "system_disk.size: \"8 GiB\" is not valid: at least 12 GiB");
    tale.done("change_package", |machine| machine.tags = "demo;gold");
}

pub(super) fn credentials(tale: &mut Tale<'_>) {
    let told = tale.done("set_credentials", |machine| machine.user = "ann");
    let password = |scene: &Scene| scene.config["cipassword"].clone();
    assert_ne!(password(&told.before), password(&told.after));
}

pub(super) fn disks(tale: &mut Tale<'_>) {
    tale.done("change_package: a disk more", |machine| machine.more = Some(("4G", Some("20"))));
    tale.done("change_package: larger disks", |machine| {
        (machine.disk, machine.more) = ("14G", Some(("6G", Some("20"))));
    });
    tale.done("change_package: other bandwidths", |machine| {
        (machine.limit, machine.more) = (Some("50"), Some(("6G", Some("80"))));
    });
}
