//! What a command makes of a machine's order.

use super::Command;
use crate::{
    Addressing, Assignment, CloudInit, Draw, Family, FromPools, Invalid, MacAddr, NicSlot, NicSpec, Numbered,
    PasswordHash, SshKey, Template, UserName, VmRecord, VmSpec, life::Wanted,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Another order for a machine that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The order, whole: what it leaves out the machine has no more.
    pub spec: VmSpec,
    /// A MAC for each NIC, fresh; those that the machine has already keep theirs.
    pub macs: Vec<MacAddr>,
}

/// What cloud-init is told anew. `None` leaves as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The user.
    #[serde(default)]
    pub user: Option<UserName>,
    /// The user's password, hashed.
    #[serde(default)]
    pub password: Option<PasswordHash>,
    /// Keys that may log in, instead of those before.
    #[serde(default)]
    pub ssh_keys: Option<Vec<SshKey>>,
}

/// What a machine is made anew from. What is on its system disk is lost; what is on the others, as
/// [`additional_disks`](Self::additional_disks) says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInstallation {
    /// The template; `None` is the one that it was made from.
    #[serde(default)]
    pub template: Option<Template>,
    /// What cloud-init is told; `None` is what it was told before.
    #[serde(default)]
    pub cloud_init: Option<CloudInit>,
    /// What becomes of the disks beside the system disk.
    #[serde(default)]
    pub additional_disks: DataDisks,
}

/// What a reinstallation makes of the disks beside the system disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataDisks {
    /// They are lost with the machine: it is destroyed, and a new one is cloned from the template.
    #[default]
    Drop,
    /// They stay, with what is on them, and so does everything else of the machine: its identity, hardware and backups. The
    /// system disk alone is replaced, by a full copy of the template's, on the storage that it is on.
    ///
    /// Nothing else of the template is taken over, neither further disks nor hardware. A template whose disk would not boot in
    /// this machine is refused, as far as that can be seen (another firmware, bus or controller); so is a machine that has snapshots,
    /// for they hold the old disk, or is protected. Where the template is on another node the machine is moved there and back,
    /// with all its disks where their storages are not shared; PVE copies an image only within a node.
    Keep,
}

impl Command {
    /// The order that the machine shall have; `None` where the command leaves it as it is.
    pub(crate) fn order(&self, record: &VmRecord) -> Option<Result<Wanted, Invalid>> {
        let wanted = match self {
            Self::ChangePackage(package) => package.order(record),
            Self::SetCredentials(credentials) => credentials.order(record),
            Self::Reinstall(installation) => Ok(installation.order(record)),
            Self::SetDedicatedIp(nic, family) => first_held(record, *nic, *family)
                .map(|retiring| Wanted { retiring: vec![retiring.clone()], ..Wanted::as_it_is(record) }),
            Self::AddAddress(nic, family) => one_more(record, *nic, *family),
            Self::RemoveAddress(address) => one_less(record, *address),
            _ => return None,
        };
        Some(wanted.and_then(|wanted| wanted.checked(record)))
    }
}

impl Wanted {
    fn as_it_is(record: &VmRecord) -> Self {
        Self { spec: record.spec.clone(), macs: record.macs.clone(), retiring: Vec::new() }
    }

    fn checked(self, record: &VmRecord) -> Result<Self, Invalid> {
        self.spec.check()?;
        Numbered::resolve(&self.spec, &record.external_ref, record.numbered.vmid)?;
        Ok(self)
    }
}

impl Package {
    /// What can only be judged together with the order that is in force. A smaller disk is refused here, as a whole and by name:
    /// no disk can be made smaller.
    fn order(&self, record: &VmRecord) -> Result<Wanted, Invalid> {
        let (old, new) = (&record.spec, &self.spec);
        let stays = |field: &str, old: &dyn ToString, new: &dyn ToString, why: &str| {
            let (old, new) = (old.to_string(), new.to_string());
            if old == new { Ok(()) } else { Err(Invalid::new(field, new, format!("{old}: {why}"))) }
        };
        stays("cluster", &old.cluster, &new.cluster, "a machine stays in its cluster")?;
        stays("node", &old.node, &new.node, "a change of package does not move a machine")?;
        stays(
            "template.vmid",
            &old.template.vmid,
            &new.template.vmid,
            "another template is what a reinstallation is for",
        )?;
        let smaller = |field: String, old: crate::GiB, new: crate::GiB| {
            let expected = format!("at least {old}, which it has: no disk can be made smaller");
            if new < old { Err(Invalid::new(field, new, expected)) } else { Ok(()) }
        };
        smaller("system_disk.size".to_owned(), old.system_disk.size, new.system_disk.size)?;
        if new.additional_disks.len() < old.additional_disks.len() {
            let (has, wants) = (old.additional_disks.len(), new.additional_disks.len());
            let expected = format!("at least the {has} that it has: the customer's data is on them");
            return Err(Invalid::new("additional_disks", wants, expected));
        }
        for (index, (old, new)) in old.additional_disks.iter().zip(&new.additional_disks).enumerate() {
            smaller(format!("additional_disks[{index}].size"), old.size, new.size)?;
            let field = format!("additional_disks[{index}].storage");
            stays(&field, &old.storage, &new.storage, "a disk stays on its storage")?;
        }
        Ok(Wanted { spec: new.clone(), macs: self.macs(record)?, retiring: surplus(record, new) })
    }

    fn macs(&self, record: &VmRecord) -> Result<Vec<MacAddr>, Invalid> {
        let wanted = self.spec.nics.len();
        if self.macs.len() < wanted {
            return Err(Invalid::new("macs", self.macs.len(), format!("one for each of the {wanted} NICs")));
        }
        let fresh = self.macs.iter().skip(record.macs.len());
        Ok(record.macs.iter().chain(fresh).take(wanted).copied().collect())
    }
}

impl Credentials {
    fn order(&self, record: &VmRecord) -> Result<Wanted, Invalid> {
        let mut wanted = Wanted::as_it_is(record);
        let expected = "a machine with cloud-init, which tells them to its guest";
        let told =
            wanted.spec.cloud_init.as_mut().ok_or_else(|| Invalid::new("cloud_init", "none", expected))?;
        told.user = self.user.clone().or(told.user.take());
        told.password = self.password.clone().or(told.password.take());
        told.ssh_keys = self.ssh_keys.clone().unwrap_or_else(|| std::mem::take(&mut told.ssh_keys));
        Ok(wanted)
    }
}

impl NewInstallation {
    fn order(&self, record: &VmRecord) -> Wanted {
        let mut wanted = Wanted::as_it_is(record);
        wanted.spec.template = self.template.clone().unwrap_or(wanted.spec.template);
        wanted.spec.cloud_init = self.cloud_init.clone().or(wanted.spec.cloud_init);
        wanted
    }
}

/// What the machine holds and the new order has no place for.
fn surplus(record: &VmRecord, new: &VmSpec) -> Vec<Assignment> {
    let mut kept: Vec<&Assignment> = Vec::new();
    let mut surplus = Vec::new();
    for held in &record.addresses {
        let alike = kept.iter().filter(|kept| is_alike(kept, held)).count();
        let nic = |spec: &VmSpec| spec.nics.get(usize::from(held.nic.get())).cloned();
        let stays = match (nic(&record.spec), nic(new)) {
            (Some(old), Some(new)) if (&old.bridge, old.vlan) == (&new.bridge, new.vlan) => {
                let draw = draw_of(&new, Family::of(held.address));
                draw.is_some_and(|draw| {
                    alike < usize::from(draw.count)
                        && (draw.pools.is_empty() || draw.pools.contains(&held.pool))
                })
            }
            _ => false,
        };
        if stays { kept.push(held) } else { surplus.push(held.clone()) }
    }
    surplus
}

fn is_alike(one: &Assignment, other: &Assignment) -> bool {
    one.nic == other.nic && Family::of(one.address) == Family::of(other.address)
}

fn draw_of(nic: &NicSpec, family: Family) -> Option<&Draw> {
    match (&nic.addressing, family) {
        (Addressing::Pools(from), Family::V4) => from.v4.as_ref(),
        (Addressing::Pools(from), Family::V6) => from.v6.as_ref(),
        (Addressing::Unmanaged | Addressing::Dhcp, _) => None,
    }
}

fn first_held(record: &VmRecord, nic: NicSlot, family: Family) -> Result<&Assignment, Invalid> {
    let held = record.addresses.iter().find(|held| held.nic == nic && Family::of(held.address) == family);
    held.ok_or_else(|| Invalid::new("nic", nic, format!("a NIC with an {family} address of ours")))
}

fn one_more(record: &VmRecord, nic: NicSlot, family: Family) -> Result<Wanted, Invalid> {
    let mut wanted = Wanted::as_it_is(record);
    let draw = family_of(&mut wanted.spec, nic, family)?;
    let count = draw.as_ref().map_or(0, |draw| draw.count).saturating_add(1);
    let pools = draw.take().map(|draw| draw.pools).unwrap_or_default();
    *draw = Some(Draw { count, pools });
    Ok(wanted)
}

fn one_less(record: &VmRecord, address: IpAddr) -> Result<Wanted, Invalid> {
    let held = record.addresses.iter().find(|held| held.address == address).ok_or_else(|| {
        let expected =
            format!("one of its own: {}", listed(record.addresses.iter().map(|held| held.address)));
        Invalid::new("address", address, expected)
    })?;
    let mut wanted = Wanted { retiring: vec![held.clone()], ..Wanted::as_it_is(record) };
    let draw = family_of(&mut wanted.spec, held.nic, Family::of(address))?;
    *draw = draw
        .take()
        .and_then(|draw| Some(Draw { count: draw.count.checked_sub(1).filter(|n| *n > 0)?, ..draw }));
    Ok(wanted)
}

fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    let list: Vec<String> = addresses.map(|address| address.to_string()).collect();
    if list.is_empty() { "it has none".to_owned() } else { list.join(", ") }
}

/// What a NIC takes of a family.
fn family_of(spec: &mut VmSpec, nic: NicSlot, family: Family) -> Result<&mut Option<Draw>, Invalid> {
    match spec.nics.get_mut(usize::from(nic.get())).map(|nic| &mut nic.addressing) {
        Some(Addressing::Pools(FromPools { v4, v6 })) => Ok(match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }),
        Some(Addressing::Unmanaged | Addressing::Dhcp) | None => {
            Err(Invalid::new("nic", nic, "a NIC of the machine that has its addresses from pools"))
        }
    }
}
