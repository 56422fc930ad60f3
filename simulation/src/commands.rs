use crate::dice::Dice;
use deploy_core::{
    Addressing, Autostart, Command, CommandId, Credentials, Draw, Family, MacAddr, NewInstallation,
    NewSnapshot, NicSlot, Package, Resume, SnapshotName, Step, StopHow, VmRecord, VmSpec,
};
use deploy_testkit::sample;
use serde_json::json;
use std::fmt::Debug;

/// A command that was queued, with what of it can be told only at that time.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) id: CommandId,
    pub(crate) command: Command,
    /// The NIC that had the address which is to be taken away.
    pub(crate) nic: Option<NicSlot>,
}

impl Given {
    pub(crate) fn new(id: CommandId, command: Command, record: &VmRecord) -> Self {
        let nic = match &command {
            Command::RemoveAddress(address) => {
                record.addresses.iter().find(|held| held.address == *address).map(|held| held.nic)
            }
            _ => None,
        };
        Self { id, command, nic }
    }
}

/// Any command that a panel could give to this machine; whether it is legal now is for the engine to say.
pub(crate) fn any(dice: &Dice, record: &VmRecord, given: &[Given]) -> Command {
    let first: NicSlot = slot(0);
    let snapshot: SnapshotName = sample::parsed(dice.pick::<&str>(&["before", "later"]));
    match dice.within(0..26) {
        0 => Command::Start,
        1 => Command::Stop(*dice.pick(&[StopHow::Graceful, StopHow::Within(5), StopHow::Hard])),
        2 => Command::Restart(*dice.pick(&[StopHow::Graceful, StopHow::Hard])),
        3 => Command::Reset,
        4 | 5 => Command::Suspend,
        6 => Command::Unsuspend(Resume::Started),
        7 => Command::Unsuspend(Resume::AsBefore),
        8..=11 => Command::ChangePackage(Box::new(package(dice, &record.spec))),
        12 => Command::SetCredentials(Box::new(credentials(dice))),
        13 => Command::AddAddress(first, *dice.pick(&[Family::V4, Family::V6])),
        14 if !record.addresses.is_empty() => Command::RemoveAddress(dice.pick(&record.addresses).address),
        14 | 15 => Command::SetDedicatedIp(first, *dice.pick(&[Family::V4, Family::V6])),
        16 => Command::Reinstall(Box::new(installation(dice))),
        17 => Command::Remove,
        18 => Command::RunOn(Step::Clone),
        19 => Command::RunOn(*dice.pick(&[Step::SetNetwork, Step::SetFirewall, Step::Starting])),
        20 => Command::Step(*dice.pick(&[
            Step::SetCpuRam,
            Step::SetFirewall,
            Step::SetIp,
            Step::SetSystemDiskSize,
        ])),
        21 => Command::CreateSnapshot(NewSnapshot {
            name: snapshot,
            description: "by the customer".to_owned(),
            expires: None,
        }),
        22 => Command::DeleteSnapshot(snapshot),
        23 => Command::RollBack(snapshot),
        24 => Command::Hold,
        _ => given.last().map_or(Command::Release, |last| Command::Withdraw(last.id)),
    }
}

/// Another order, as shops sell them: bigger, smaller, another network, a disk that would have to shrink.
fn package(dice: &Dice, now: &VmSpec) -> Package {
    let mut spec = now.clone();
    match dice.within(0..7) {
        0 => {
            spec.cores = number(dice.within(1..9));
            spec.memory = number(512 * dice.within(1..9));
        }
        1 => spec.system_disk.size = number(dice.within(8..24)),
        2 => {
            let disk = json!({ "storage": "shared", "size": dice.within(1..8) });
            spec.additional_disks.push(serde_json::from_value(disk).expect("a disk"));
        }
        3 => {
            spec.tags = if spec.tags.is_empty() { [sample::parsed("silver")].into() } else { [].into() };
            spec.autostart = *dice.pick(&[Autostart::On, Autostart::Off]);
        }
        4 if spec.nics.len() < 3 => {
            let filtering = if spec.firewall.is_some() { "on" } else { "off" };
            let nic = json!({ "bridge": "vmbr0", "filtering": filtering, "addressing": { "pools": { "v4": { "count": 1 } } } });
            spec.nics.push(serde_json::from_value(nic).expect("a NIC"));
        }
        4 | 5 => spec.nics.truncate(1),
        _ => {
            for disk in &mut spec.additional_disks {
                disk.size = number(dice.within(8..64));
            }
        }
    }
    let macs = spec.nics.iter().map(|_| MacAddr::local(std::array::from_fn(|_| byte(dice)))).collect();
    Package { spec, macs }
}

fn number<T: TryFrom<u64, Error: Debug>>(n: u64) -> T {
    T::try_from(n).expect("a number that can be ordered")
}

fn byte(dice: &Dice) -> u8 {
    u8::try_from(dice.within(0..256)).unwrap_or(0)
}

fn credentials(dice: &Dice) -> Credentials {
    Credentials {
        user: Some(sample::parsed(dice.pick::<&str>(&["ann", "bob"]))),
        ssh_keys: dice.chance(0.5).then(Vec::new),
        ..Credentials::default()
    }
}

/// The template that it has, or another one on the same node.
fn installation(dice: &Dice) -> NewInstallation {
    if dice.chance(0.5) {
        return NewInstallation::default();
    }
    let template = json!({ "vmid": *dice.pick(&[9000, 9002]), "node": "pve1" });
    NewInstallation {
        template: Some(serde_json::from_value(template).expect("a template")),
        ..NewInstallation::default()
    }
}

fn slot(n: u8) -> NicSlot {
    NicSlot::try_from(n).expect("a slot")
}

/// What a NIC of this order draws from the pools of a family.
pub(crate) fn draw(spec: &mut VmSpec, nic: NicSlot, family: Family) -> Option<&mut Option<Draw>> {
    match spec.nics.get_mut(usize::from(nic.get())).map(|nic| &mut nic.addressing) {
        Some(Addressing::Pools(from)) => Some(match family {
            Family::V4 => &mut from.v4,
            Family::V6 => &mut from.v6,
        }),
        Some(Addressing::Dhcp | Addressing::Unmanaged) | None => None,
    }
}
