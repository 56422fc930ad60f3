//! A record in each phase, and commands that fit it.

use super::new;
use crate::{
    Command, CommandId, Credentials, DataDisks, Family, MacAddr, NewBackup, NewInstallation, NewRecord,
    NewSnapshot, NicSlot, Operation, Package, Phase, QueuedCommand, Resume, Step, StopHow, VmKey, VmRecord,
    VmSpec, Vmid,
};
use jiff::Timestamp;
use serde_json::json;

fn spec() -> VmSpec {
    serde_json::from_value(json!({
        "cluster": "demo", "node": "pve1", "domain": "vps-{vmid}.example.net", "pve_name": "vps-{vmid}",
        "template": { "vmid": 9000, "node": "pve1" }, "clone": { "mode": "linked" },
        "sockets": 1, "cores": 1, "memory": 1024, "system_disk": { "size": 8 },
        "nics": [{ "bridge": "vmbr0", "addressing": { "pools": { "v4": { "count": 2 } } } }],
        "cloud_init": { "user": "admin" },
    }))
    .unwrap()
}

/// A record in this phase. The command that is withdrawn waits in it; nothing else does, for that would change what becomes of
/// others of its kind.
pub(super) fn record(phase: Phase, command: &Command) -> VmRecord {
    let order = NewRecord {
        key: VmKey(uuid::Uuid::from_u128(1)),
        external_ref: "order-1".parse().unwrap(),
        macs: vec![MacAddr::local([0; 6])],
        spec: spec(),
        metadata: serde_json::Value::Null,
        created_at: Timestamp::UNIX_EPOCH,
        adopts: None,
    };
    let mut record = order.numbered(Vmid::try_from(1000).unwrap()).unwrap();
    record.addresses = vec![
        serde_json::from_value(json!({
            "nic": 0, "address": "203.0.113.10", "prefix_len": 24, "gateway": null, "resolvers": [], "pool": "v4",
        }))
        .unwrap(),
    ];
    (record.operation, record.step) = match phase {
        Phase::Deploying => (Operation::Create, Step::SetNetwork),
        Phase::Adopting => (Operation::Adopt, Step::Marking),
        Phase::Busy => (Operation::Backup, Step::BackingUp),
        Phase::Ready | Phase::Held => (Operation::Create, Step::Ready),
        Phase::Suspended => (Operation::Suspend, Step::Suspended),
        Phase::Removed => (Operation::Remove, Step::Removed),
        Phase::Terminating => (Operation::Terminate, Step::Removing),
        Phase::Terminated => (Operation::Terminate, Step::Terminated),
    };
    record.life.held = phase == Phase::Held;
    if let Command::Withdraw(id) = command {
        record.life.queue = vec![QueuedCommand { id: *id, command: Command::Reset }];
    }
    assert_eq!(Phase::of(&record), phase);
    record
}

/// One of each command but those that are given a step, in the order in which they are documented.
pub(super) fn commands() -> Vec<Command> {
    let name: crate::SnapshotName = "before".parse().unwrap();
    let nic = NicSlot::try_from(0).unwrap();
    let volume = || "shared:backup/vzdump-qemu-1000-2026_01_01-12_00_00.vma.zst".to_owned();
    vec![
        Command::Start,
        Command::Stop(StopHow::Graceful),
        Command::Restart(StopHow::Graceful),
        Command::Reset,
        Command::Suspend,
        Command::Unsuspend(Resume::Started),
        Command::ChangePackage(Box::new(Package { spec: spec(), macs: vec![MacAddr::local([1; 6])] })),
        Command::SetCredentials(Box::new(Credentials {
            user: Some("ann".parse().unwrap()),
            ..Credentials::default()
        })),
        Command::SetDedicatedIp(nic, Family::V4),
        Command::AddAddress(nic, Family::V4),
        Command::RemoveAddress("203.0.113.10".parse().unwrap()),
        Command::Reinstall(Box::default()),
        Command::Reinstall(Box::new(NewInstallation {
            additional_disks: DataDisks::Keep,
            ..NewInstallation::default()
        })),
        Command::CreateSnapshot(NewSnapshot {
            name: name.clone(),
            description: String::new(),
            expires: None,
        }),
        Command::DeleteSnapshot(name.clone()),
        Command::RollBack(name),
        Command::Backup(NewBackup {
            storage: "shared".parse().unwrap(),
            mode: crate::BackupMode::default(),
            expires: None,
        }),
        Command::DeleteBackup(volume()),
        Command::RestoreBackup(volume()),
        Command::SetDnsRecords,
        Command::Remove,
        Command::Terminate,
        Command::LetGo,
        Command::Retry,
        Command::Hold,
        Command::Release,
        Command::Withdraw(CommandId(uuid::Uuid::from_u128(1))),
    ]
}

/// The steps that `with` may be given.
pub(super) fn deployment_steps(with: &dyn Fn(Step) -> Command) -> Vec<Step> {
    let ready = |step: Step| record(Phase::Ready, &with(step));
    let is_taken = |step: &Step| super::admit(&ready(*step), &with(*step), new()).is_ok();
    Step::ALL.iter().copied().filter(is_taken).collect()
}
