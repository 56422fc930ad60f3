//! A reinstallation that keeps the additional disks: what changes, what does not, and what is refused.

use super::{
    bench::{Bench, done_steps, small, spec},
    create::everything,
    rights,
};
use deploy_core::{
    Command, CommandOutcome, CommandState, DataDisks, NewInstallation, Operation, Step, Template, VmRecord,
};
use proxmox_sim::{Faults, Switch};
use serde_json::{Map, Value, json};

/// A machine that is ready.
struct Ready {
    bench: Bench,
    record: VmRecord,
}

impl Ready {
    async fn with(bench: Bench, order: Value) -> Self {
        let key = bench.order("a_1", spec(order)).await;
        let record = bench.run(key).await;
        assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
        Self { bench, record }
    }

    /// A machine with an additional disk.
    async fn small() -> Self {
        Self::with(Bench::new().await, with_data(small())).await
    }

    /// Reinstalls it from this template, or from its own, and keeps its disks.
    async fn reinstall(&mut self, template: Option<(u32, &str)>) -> CommandOutcome {
        let template = template.map(|(vmid, node)| Template {
            vmid: vmid.try_into().expect("a number"),
            node: node.parse().expect("a node"),
        });
        let keep = DataDisks::Keep;
        let new = NewInstallation { template, additional_disks: keep, ..NewInstallation::default() };
        let command = Command::Reinstall(Box::new(new));
        self.command(command).await
    }

    /// Gives a command, waits until it is over, and says what became of it.
    async fn command(&mut self, command: Command) -> CommandOutcome {
        let given = self.bench.deployments.command(self.record.key, command).await.expect("taken");
        let id = given.id().expect("an id");
        let is_over = |record: &VmRecord| matches!(record.command_state(id), CommandState::Settled(_));
        self.record = self.bench.run_until(self.record.key, is_over).await;
        match self.record.command_state(id) {
            CommandState::Settled(outcome) => outcome,
            other => panic!("{other:?}:\n{}", self.log().await),
        }
    }

    async fn log(&self) -> String {
        self.bench.log_text(self.record.key).await
    }

    async fn config(&self) -> Map<String, Value> {
        self.bench.config(&self.record).await.as_object().expect("a configuration").clone()
    }

    async fn volumes(&self) -> String {
        self.bench.ask("/nodes/pve1/storage/shared/content").await.to_string()
    }

    fn set(&self, vmid: u32, key: &str, value: Option<&str>) {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        self.bench.sim.switch(Switch::Option { vmid, key, value }).expect("a machine");
    }

    fn number(&self) -> u32 {
        self.record.numbered.vmid.get()
    }
}

fn with_data(mut order: Value) -> Value {
    order["additional_disks"] = json!([{ "storage": "local-lvm", "size": 4 }]);
    order
}

/// The volume of a drive.
fn volume<'a>(config: &'a Map<String, Value>, slot: &str) -> &'a str {
    config[slot].as_str().and_then(|drive| drive.split(',').next()).expect("a volume")
}

/// All of a configuration but what is meant to change.
fn rest(mut config: Map<String, Value>) -> Map<String, Value> {
    config.remove("scsi0");
    config.remove("digest");
    config
}

/// With the documented rights, on a machine whose template is on another node, with every option that can be ordered.
#[tokio::test]
async fn the_system_disk_is_another_one_and_everything_else_as_before() {
    let mut machine = Ready::with(rights::bench("VM.GuestAgent.Audit").await, everything()).await;
    let (before, addresses) = (machine.config().await, machine.record.addresses.clone());
    let steps = done_steps(&machine.bench.log(machine.record.key).await).len();
    assert_eq!(
        machine.reinstall(Some((9000, "pve1"))).await,
        CommandOutcome::Done,
        "{}",
        machine.log().await
    );
    assert_eq!(machine.record.step, Step::Ready);
    let after = machine.config().await;
    assert_eq!(rest(after.clone()), rest(before.clone()), "hardware, identity, disks, addresses, cloud-init");
    assert_eq!(after["scsi1"], before["scsi1"], "the customer's data");
    let (old, new) = (volume(&before, "scsi0"), volume(&after, "scsi0"));
    assert_ne!(old, new);
    let options = |config: &Map<String, Value>| {
        let drive = config["scsi0"].as_str().expect("a drive").split_once(',').expect("options");
        drive.1.to_owned()
    };
    assert_eq!(options(&after), options(&before), "limits, options and the size that was ordered");
    let volumes = machine.volumes().await;
    assert!(!volumes.contains(old) && volumes.contains(new) && volumes.contains(volume(&after, "scsi1")));
    assert_eq!(machine.record.addresses, addresses);
    assert_eq!(
        (machine.record.spec.template.vmid.get(), machine.record.life.replacing.clone()),
        (9000, None)
    );
    let expected: Vec<Step> = Operation::ReinstallKeeping.steps().split_last().expect("steps").1.to_vec();
    assert_eq!(done_steps(&machine.bench.log(machine.record.key).await)[steps..], expected);
    let status = format!("/nodes/{}/qemu/{}/status/current", machine.record.spec.node, machine.number());
    assert_eq!(machine.bench.ask(&status).await["status"], "running");
    assert!(!machine.log().await.contains("Permission check failed"), "{}", machine.log().await);
}

/// A linked clone gets a disk of its own; a machine that is suspended is not started, and stays suspended.
#[tokio::test]
async fn a_suspended_machine_is_reinstalled_and_not_started() {
    let mut machine = Ready::small().await;
    assert_eq!(machine.command(Command::Suspend).await, CommandOutcome::Done);
    let before = machine.config().await;
    assert_eq!(machine.reinstall(None).await, CommandOutcome::Done, "{}", machine.log().await);
    assert_eq!(machine.record.step, Step::Suspended);
    let after = machine.config().await;
    assert_eq!(after["scsi1"], before["scsi1"]);
    assert!(volume(&before, "scsi0").contains("base-9000"), "{before:?}");
    assert!(!volume(&after, "scsi0").contains("base-9000"), "{after:?}");
    assert_eq!(rest(after), rest(before));
    let status = format!("/nodes/pve1/qemu/{}/status/current", machine.number());
    assert_eq!(machine.bench.ask(&status).await["status"], "stopped");
}

/// Each by name, and with the machine as it was.
#[tokio::test]
async fn what_cannot_be_kept_or_would_not_boot_is_refused() {
    let mut machine = Ready::small().await;
    let own = machine.number();
    for (vmid, key, value, why) in [
        (own, "protection", "1", "protected"),
        (9000, "bios", "ovmf", "the template boots by UEFI and the machine by BIOS"),
        (9000, "scsihw", "lsi", "the SCSI controller of the template is lsi"),
    ] {
        let before = machine.bench.ask(&format!("/nodes/pve1/qemu/{vmid}/config")).await;
        machine.set(vmid, key, Some(value));
        let config = machine.config().await;
        let CommandOutcome::Refused(said) = machine.reinstall(None).await else { panic!("{key}") };
        assert!(said.contains(why) && said.ends_with("nothing was changed"), "{said}");
        assert_eq!(machine.config().await, config);
        machine.set(vmid, key, before[key].as_str());
    }
    let CommandOutcome::Refused(said) = machine.reinstall(Some((9099, "pve1"))).await else { panic!() };
    assert!(said.contains("there is no template 9099"), "{said}");
    let snapshot = json!({ "create_snapshot": { "name": "before" } });
    let snapshot: Command = serde_json::from_value(snapshot).expect("a command");
    assert_eq!(machine.command(snapshot).await, CommandOutcome::Done);
    let CommandOutcome::Refused(said) = machine.reinstall(None).await else { panic!() };
    assert!(said.contains("snapshots (before)"), "{said}");
    assert_eq!(machine.record.step, Step::Ready);
}

/// Storages that are called otherwise elsewhere: on the way back all disks would go to one.
#[tokio::test]
async fn a_machine_whose_disks_would_change_their_storages_is_not_moved() {
    let mut order = with_data(small());
    order["node"] = json!("pve2");
    order["clone"] = json!({ "mode": "full" });
    order["migration_storage"] = json!("shared");
    let mut machine = Ready::with(Bench::new().await, order).await;
    let before = machine.config().await;
    let CommandOutcome::Refused(said) = machine.reinstall(None).await else { panic!() };
    assert!(said.contains("template 9000 is on pve1") && said.contains("order a template on pve2"), "{said}");
    assert_eq!(machine.config().await, before);
}

/// Workers of PVE are killed again and again, also after they allocated a volume: there is one system disk in the end, and what they
/// left behind is told when the machine is started, with the command that frees it.
#[tokio::test]
async fn workers_that_are_killed_do_no_harm() {
    let mut machine = Ready::small().await;
    let before = machine.config().await;
    machine.bench.sim.set_faults(Faults { killed: 1, ..Faults::unweighted(0.4) });
    let outcome = machine.reinstall(None).await;
    machine.bench.sim.set_faults(Faults::none());
    assert_eq!(outcome, CommandOutcome::Done, "{}", machine.log().await);
    let after = machine.config().await;
    assert_eq!(after["scsi1"], before["scsi1"]);
    assert_ne!(volume(&after, "scsi0"), volume(&before, "scsi0"));
    assert!(!after.keys().any(|key| key.starts_with("unused")), "{after:?}");
    let (volumes, log) = (machine.volumes().await, machine.log().await);
    assert!(!volumes.contains(volume(&before, "scsi0")), "{volumes}");
    let number = format!("vm-{}-disk-", machine.number());
    let content: Value = machine.bench.ask("/nodes/pve1/storage/shared/content").await;
    for listed in content.as_array().expect("a list").iter().filter_map(|listed| listed["volid"].as_str()) {
        let named = after.values().any(|value| value.as_str().is_some_and(|value| value.starts_with(listed)));
        if listed.contains(&number) && !named {
            assert!(log.contains(&format!("pvesm free {listed}")), "{listed} is not told:\n{log}");
        }
    }
}
