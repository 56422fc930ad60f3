//! The whole life of a machine: after each command record and machine are, field by field, what was asked.

mod expected;

use deploy_core::{CommandOutcome, Step};
use examples::life::{self, Life, Outcome, Told};
use expected::Expected;
use std::slice;

/// What was told, command by command, held against what is expected of the machine.
struct Tale<'a> {
    told: slice::Iter<'a, Told>,
    expected: Expected,
}

impl<'a> Tale<'a> {
    fn next(&mut self, command: &str) -> &'a Told {
        let told = self.told.next().unwrap_or_else(|| panic!("nothing is told of {command}"));
        assert!(told.command.starts_with(command), "{} instead of {command}", told.command);
        told
    }

    /// It was carried out, and made this of the machine.
    fn done(&mut self, command: &str, change: impl FnOnce(&mut Expected)) -> &'a Told {
        let told = self.next(command);
        assert_eq!(told.outcome, Outcome::Settled(CommandOutcome::Done), "{command}");
        change(&mut self.expected);
        self.expected.assert(told);
        told
    }

    /// It was refused when it was given, with this reason, and changed nothing.
    fn denied(&mut self, command: &str, why: &str) {
        let told = self.next(command);
        let Outcome::Denied(said) = &told.outcome else { panic!("{command}: {:?}", told.outcome) };
        assert!(said.contains(why), "{command}: {said}");
        self.expected.assert(told);
    }
}

fn nothing(_: &mut Expected) {}

#[tokio::test]
async fn after_each_command_the_machine_is_what_was_asked() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut life = Life::begin().await.expect("a machine");
    life::play(&mut life).await.expect("every command");
    let told = life.told();
    let mut tale = Tale { told: told.iter(), expected: Expected::ordered(&told[0].after) };
    tale.done("(ordered)", nothing);
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("start", |machine| machine.power = Some("running"));
    tale.done("restart", nothing);
    tale.done("reset", nothing);
    tale.done("suspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("stopped"), "0", Step::Suspended);
    });
    tale.denied("start", "unsuspend it first");
    tale.done("unsuspend", |machine| {
        (machine.power, machine.onboot, machine.step) = (Some("running"), "1", Step::Ready);
    });
    tale.done("change_package", |machine| {
        (machine.cores, machine.memory, machine.disk) = ("2", "2048", "12G");
    });
    tale.denied("change_package", "system_disk.size: \"8 GiB\" is not valid: at least 12 GiB");
    tale.done("change_package", |machine| machine.tags = "demo;gold");
    let credentials = tale.done("set_credentials", |machine| machine.user = "ann");
    let password = |scene: &life::Scene| scene.record.spec.cloud_init.clone().and_then(|told| told.password);
    assert_ne!(password(&credentials.before), password(&credentials.after));
    addresses(&mut tale);
    let repaired = tale.done("step set_network", nothing);
    assert!(repaired.before.config["net0"].ends_with("rate=1"), "somebody had changed it");
    tale.done("step set_cpu_ram", nothing);
    let repaired = tale.done("run_on set_network", nothing);
    assert!(repaired.before.config["net0"].ends_with("rate=1"), "somebody had changed it");
    tale.done("create_snapshot", |machine| machine.snapshots = &["before-update"]);
    tale.done("roll_back", nothing);
    tale.done("delete_snapshot", |machine| machine.snapshots = &[]);
    tale.done("backup", |machine| machine.backups = 1);
    tale.done("restore_backup", nothing);
    tale.done("delete_backup", |machine| machine.backups = 0);
    queue(&mut tale);
    tale.done("reinstall", Expected::made_anew);
    let Outcome::Settled(CommandOutcome::Refused(why)) = &tale.next("remove").outcome else {
        panic!("it runs")
    };
    assert!(why.contains("stop it first"), "{why}");
    tale.done("stop", |machine| machine.power = Some("stopped"));
    tale.done("remove", |machine| (machine.power, machine.step) = (None, Step::Removed));
    tale.done("run_on clone", |machine| {
        (machine.power, machine.step) = (Some("running"), Step::Ready);
        machine.made_anew();
    });
    let backed_up = tale.done("backup", |machine| machine.backups = 1);
    let terminated = tale.done("terminate", |machine| {
        (machine.power, machine.step, machine.backups) = (None, Step::Terminated, 0);
        machine.v4.clear();
        machine.v6.clear();
    });
    let receipt = &terminated.after.record.life.receipt;
    let receipt: Vec<String> = receipt.iter().map(ToString::to_string).collect();
    let expected = [
        "guest: shut down, or stopped after 5 s".to_owned(),
        format!("backup {}: deleted", backed_up.after.backups[0]),
        "disk scsi0, shared:9000/base-9000-disk-0.qcow2/1000/vm-1000-disk-0.qcow2: deleted".to_owned(),
        "machine 1000: deleted".to_owned(),
        format!("address {}: deleted", backed_up.after.record.addresses[0].address),
        "address 2001:db8:1::1000: deleted".to_owned(),
    ];
    assert_eq!(receipt, expected);
    tale.denied("start", "terminated");
    assert!(tale.told.next().is_none());
    assert_eq!(life.off_schema(), 0);
    life.end().await.expect("a good end");
}

fn addresses(tale: &mut Tale<'_>) {
    tale.done("set_dedicated_ip", |machine| {
        machine.v4 = vec!["203.0.113.11".to_owned()];
        // The old one rests.
        machine.free_v4 -= 1;
    });
    tale.done("add_address", |machine| {
        machine.v4.push("203.0.113.12".to_owned());
        machine.free_v4 -= 1;
    });
    tale.done("remove_address", |machine| machine.v4.truncate(1));
}

fn queue(tale: &mut Tale<'_>) {
    let retried = tale.next("retry");
    assert_eq!(retried.outcome, Outcome::Settled(CommandOutcome::Done));
    let grown = tale.done("change_package", |machine| machine.disk = "16G");
    assert!(grown.took.as_secs() < 30, "it did not wait for its delay: {:?}", grown.took);
    let withdrawn = tale.next("withdraw");
    assert_eq!(withdrawn.outcome, Outcome::Settled(CommandOutcome::Done));
    assert_eq!(tale.next("reinstall").outcome, Outcome::Settled(CommandOutcome::Withdrawn));
    tale.done("restart", nothing);
    tale.done("hold", |machine| machine.held = true);
    tale.denied("stop", "release it first");
    tale.done("release", |machine| machine.held = false);
}
