//! Everything that can be asked of a hypervisor.

use crate::{
    Backup, BackupMode, CloneMode, ClusterName, Configure, Disk, DiskSlot, DnsName, FirewallOptions,
    FirewallRule, GiB, NicSlot, NodeName, OwnerMark, PvePool, Revision, SmbiosUuid, SnapshotName, StorageId,
    Vmid,
};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// Where a machine is expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its number.
    pub vmid: Vmid,
    /// The node it was last on; a hint, machines move.
    pub node: NodeName,
}

/// What a change is made to, and on what knowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The machine, with the node it was seen on.
    pub machine: MachineId,
    /// Our mark.
    pub mark: OwnerMark,
    /// The recorded identity, once there is one.
    pub smbios: Option<SmbiosUuid>,
    /// The revision of the configuration that the decision was made on; a change of the configuration is refused by the
    /// hypervisor if it is no longer that.
    pub revision: Option<Revision>,
    /// After this time nothing of the change is sent any more: whoever stood still for so long may have lost the machine,
    /// and its successors wait for a late request only so long. [`decide`](crate::decide) leaves it open, for it knows no
    /// time; [`turn`](crate::turn) fills it in when the intent is written down.
    pub not_after: Option<Timestamp>,
}

impl Target {
    /// Whether it is too late to send anything.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|not_after| now > not_after)
    }
}

/// A change, a goal ("the size is 20 GiB", "slot scsi1 holds a disk of 32 GiB"), never a delta: asking twice does no more than
/// asking once. What is no goal says what a repeat does: [`Reset`](Self::Reset), [`RollBack`](Self::RollBack),
/// [`Backup`](Self::Backup), [`RestoreBackup`](Self::RestoreBackup). Closed, so that the compiler leads to every place that must
/// know a new one.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The target's number is a clone of a template.
    Clone {
        /// The template.
        template: Vmid,
        /// The node of the template.
        template_node: NodeName,
        /// Linked or full.
        mode: CloneMode,
        /// The name.
        name: DnsName,
    },
    /// It is in this resource pool.
    JoinPool(PvePool),
    /// It is on this node.
    Migrate {
        /// The node.
        to: NodeName,
        /// The storage its disks go to; `None` keeps each storage's name.
        storage: Option<StorageId>,
    },
    /// Its configuration has these settings.
    Configure(Box<Configure>),
    /// A slot holds a copy of another machine's volume, in the place of this disk, whose storage, limits and options it has. The disk
    /// that is there becomes `unusedN`. Both machines must be on the same node. Only for a stopped machine, and guarded by the
    /// revision: repeated blindly it makes a second copy.
    Import {
        /// The slot.
        slot: DiskSlot,
        /// The volume that is copied, in the hypervisor's own words.
        image: String,
        /// The disk that is there now.
        replaced: Disk,
    },
    /// A disk has this size.
    Resize {
        /// The disk.
        slot: DiskSlot,
        /// The size, absolute.
        size: GiB,
    },
    /// Its firewall has these parts.
    SetFirewall(Box<SetFirewall>),
    /// It runs.
    Start,
    /// It does not run.
    Stop(StopMode),
    /// It is switched off and on again at once (PVE: `status/reset`), within the same process: settings that wait go on
    /// waiting. A machine that does not run is refused. No goal, nothing of it is to be seen afterwards: a repeat resets the
    /// guest once more.
    Reset,
    /// The high-availability manager does not care for it (PVE: no HA resource `vm:ID`). It goes on running, or not, as it
    /// is. While it is managed PVE takes a start or a stop for a wish to the manager, which starts what was stopped otherwise.
    LeaveHa,
    /// It has a snapshot of this name, without memory. One that has the name already is left as it is, whatever its description.
    CreateSnapshot {
        /// The name.
        name: SnapshotName,
        /// Its description, with an [`ExpiryMark`](crate::ExpiryMark) where it shall go by itself.
        description: String,
    },
    /// It has no snapshot of this name.
    DeleteSnapshot(SnapshotName),
    /// Configuration and disks are those of this snapshot, but for the notes, which stay; and it does not run: PVE stops it hard.
    /// What was written since is lost, and disks that were added since become `unusedN`. No goal, for what was written since the last time shows nowhere:
    /// a repeat loses that, too. [`MachineConfig::parent`](crate::MachineConfig::parent) says that it was done at least once.
    RollBack(SnapshotName),
    /// There is a backup of it, with these notes. No goal: a repeat makes a second one. Notes that are used once tell whether
    /// there is one already ([`Backup::notes`](crate::Backup::notes)).
    Backup {
        /// The storage it goes to.
        storage: StorageId,
        /// How the guest is treated meanwhile.
        mode: BackupMode,
        /// One line. Not beside it: `{{` begins one of PVE's variables.
        notes: String,
    },
    /// This backup is gone.
    DeleteBackup(Backup),
    /// The stopped machine is what this backup was made of. Everything comes from the backup: disks, settings, MACs, notes with
    /// the mark, SMBIOS UUID; the firewall where it holds one. Disks that the machine has and the backup has not become
    /// `unusedN`, as does every other volume of the number that PVE finds on any storage, also another cluster's. Snapshots
    /// are gone. While it works, and where it fails, there is a [husk](crate::MachineConfig::is_husk) in the machine's place,
    /// often without a lock; it can be restored over, and be destroyed, as the machine can. A machine that runs or is protected is
    /// refused by the task; one that is gone is to be cloned first, for a restore to a free number that fails leaves a machine
    /// that shows nothing of whose it is. No goal, for what was written since the last time shows nowhere: a repeat does all
    /// of it again, and loses that.
    RestoreBackup {
        /// The backup.
        backup: Backup,
        /// The storage its disks go to; `None` puts each where it came from.
        storage: Option<StorageId>,
        /// The identity that the backup must show, which the machine has from then on. It is read from the backup right before,
        /// and any other is refused: a number that is used again, or a storage that clusters share, shows backups of others'
        /// machines. [`Hypervisor::archived`](crate::Hypervisor::archived) tells it.
        identity: SmbiosUuid,
    },
    /// The machine is gone, with its disks.
    Destroy(DestroyMode),
}

/// What goes with a machine that is destroyed. Always what its configuration names: disks, also unused ones (`unusedN`) and
/// those that only its snapshots name, its cloud-init drive, its firewall, its rights, its place in a pool. Never its backups,
/// nor volumes that carry its number and that it does not name: a cluster that shares the storage may have them from a machine
/// of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestroyMode {
    /// Also its entries in backup jobs, replication jobs and HA (PVE: `purge`).
    Purge,
    /// These stay, for the same number is to be made anew. PVE refuses it of a machine that is in HA or replicated.
    KeepBackups,
}

/// How a machine is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// At once.
    Hard,
    /// The guest is asked, and stopped hard after so many seconds.
    Graceful {
        /// Seconds to wait for the guest.
        patience: u16,
    },
}

/// Parts that a machine's firewall shall have, in the order in which they are made: sets before members, members before
/// rules, and the options, which switch filtering on, last. An empty anti-spoofing set would cut the machine off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetFirewall {
    /// Anti-spoofing sets to make.
    pub create_filters: BTreeSet<NicSlot>,
    /// Members to add.
    pub add_members: BTreeSet<(NicSlot, IpNet)>,
    /// Members to take out, after the new ones are in.
    pub remove_members: BTreeSet<(NicSlot, IpNet)>,
    /// A surplus rule of ours, by position, guarded by the revision of the rules: positions move.
    pub remove_rule: Option<(u32, Option<Revision>)>,
    /// Rules to add, in the order in which they shall stand. PVE inserts at the top, so they are sent in reverse.
    pub add_rules: Vec<FirewallRule>,
    /// Options to set.
    pub options: Option<FirewallOptions>,
}

/// What kind of change, for logs and for what must be remembered of a change under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are those of `Change`
pub enum ChangeKind {
    Clone,
    JoinPool,
    Migrate,
    Configure,
    Import,
    Resize,
    SetFirewall,
    Start,
    Stop,
    Reset,
    LeaveHa,
    CreateSnapshot,
    DeleteSnapshot,
    RollBack,
    Backup,
    DeleteBackup,
    RestoreBackup,
    Destroy,
}

impl ChangeKind {
    /// Whether it makes or frees volumes, which a worker that is killed in between leaves behind.
    pub(crate) fn moves_volumes(self) -> bool {
        match self {
            Self::Clone
            | Self::Migrate
            | Self::Configure
            | Self::Import
            | Self::RestoreBackup
            | Self::Destroy => true,
            // Snapshots without memory are no volumes, and going back to one makes none.
            Self::CreateSnapshot
            | Self::DeleteSnapshot
            | Self::RollBack
            | Self::JoinPool
            | Self::Resize
            | Self::SetFirewall
            | Self::Start
            | Self::Stop
            | Self::Reset
            | Self::LeaveHa
            | Self::Backup
            | Self::DeleteBackup => false,
        }
    }

    /// Whether it writes settings one by one, so that one that fails may leave some of them written.
    pub(crate) fn writes_settings(self) -> bool {
        matches!(self, Self::Configure | Self::Import)
    }
}

/// What cannot be read back from a machine and is therefore remembered in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembered {
    /// Our password was written: reading masks it, and a clone brings its template's.
    PasswordWritten,
    /// The machine was put in its PVE pool: without the right to audit pools nobody sees it.
    PoolJoined,
    /// Firewall rules were sent and not all answered: one may still arrive, a second time.
    RulesInDoubt,
    /// While rules were in doubt their time to arrive was waited for.
    RulesAwaited,
    /// Other parts of a firewall were sent and not answered: one that arrives late makes the file anew that went with the
    /// machine.
    FirewallInDoubt,
    /// Settings were sent and not all accepted: PVE has written some of them, and shows them as if they were in force.
    SettingsInDoubt,
    /// A worker that makes or frees volumes may have died: some may be left that no configuration names.
    VolumesInDoubt,
    /// It vanished, and its clone was not sent anew yet.
    Vanished,
    /// Another number was taken while a clone to the first was in doubt. Not twice: see `decide`.
    Renumbered,
    /// What the operation does once (a reset, a rollback, a restore) was done: nothing else shows it.
    CarriedOut,
    /// A change of this step was sent, whatever came of it.
    Sent,
    /// A start was sent and not answered: it may still arrive.
    StartInDoubt,
    /// A stop, a rollback or a restore was sent and not answered: it may still arrive.
    StopInDoubt,
    /// A migration was sent and not answered: it may still arrive, and take the machine from where it went since.
    MoveInDoubt,
    /// A destroy was sent and not answered: it may still arrive, and take whatever has the number by then.
    DestroyInDoubt,
    /// A backup was asked for and not answered: it may still be made, beside another one.
    BackupInDoubt,
    /// A clone was sent and not answered: it may still arrive.
    CloneInDoubt,
    /// While a clone was in doubt the machine was seen to be gone, and the clone's time to arrive was waited for.
    CloneAwaited,
}

impl Remembered {
    /// Whether it is about what may still arrive, or was left behind, when the machine is gone.
    pub(crate) fn outlives_the_machine(self) -> bool {
        match self {
            Self::StartInDoubt
            | Self::StopInDoubt
            | Self::MoveInDoubt
            | Self::DestroyInDoubt
            | Self::BackupInDoubt
            | Self::CloneInDoubt
            | Self::CloneAwaited
            | Self::Renumbered
            | Self::VolumesInDoubt => true,
            Self::PasswordWritten
            | Self::PoolJoined
            | Self::RulesInDoubt
            | Self::RulesAwaited
            | Self::FirewallInDoubt
            | Self::SettingsInDoubt
            | Self::Vanished
            | Self::Sent
            | Self::CarriedOut => false,
        }
    }
}

impl Change {
    /// Its kind.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Clone { .. } => ChangeKind::Clone,
            Self::JoinPool(_) => ChangeKind::JoinPool,
            Self::Migrate { .. } => ChangeKind::Migrate,
            Self::Configure(_) => ChangeKind::Configure,
            Self::Import { .. } => ChangeKind::Import,
            Self::Resize { .. } => ChangeKind::Resize,
            Self::SetFirewall(_) => ChangeKind::SetFirewall,
            Self::Start => ChangeKind::Start,
            Self::Stop(_) => ChangeKind::Stop,
            Self::Reset => ChangeKind::Reset,
            Self::LeaveHa => ChangeKind::LeaveHa,
            Self::CreateSnapshot { .. } => ChangeKind::CreateSnapshot,
            Self::DeleteSnapshot(_) => ChangeKind::DeleteSnapshot,
            Self::RollBack(_) => ChangeKind::RollBack,
            Self::Backup { .. } => ChangeKind::Backup,
            Self::DeleteBackup(_) => ChangeKind::DeleteBackup,
            Self::RestoreBackup { .. } => ChangeKind::RestoreBackup,
            Self::Destroy(_) => ChangeKind::Destroy,
        }
    }

    /// A number that equal changes share, to recognise one that is carried out again and again without effect.
    pub fn fingerprint(&self) -> u64 {
        crate::spec::fnv1a_of(format_args!("{self:?}"))
    }

    /// What is in doubt from the moment it goes out until it is answered.
    pub fn doubt(&self) -> Option<Remembered> {
        match self {
            Self::Clone { .. } => Some(Remembered::CloneInDoubt),
            Self::SetFirewall(set) if !set.add_rules.is_empty() => Some(Remembered::RulesInDoubt),
            Self::SetFirewall(_) => Some(Remembered::FirewallInDoubt),
            Self::Configure(_) | Self::Import { .. } => Some(Remembered::SettingsInDoubt),
            Self::Start => Some(Remembered::StartInDoubt),
            // They stop it too, and a guest must not have written anything by the time they arrive.
            Self::Stop(_) | Self::RollBack(_) | Self::RestoreBackup { .. } => Some(Remembered::StopInDoubt),
            Self::Migrate { .. } => Some(Remembered::MoveInDoubt),
            Self::Destroy(_) => Some(Remembered::DestroyInDoubt),
            Self::Backup { .. } => Some(Remembered::BackupInDoubt),
            Self::JoinPool(_)
            | Self::Resize { .. }
            | Self::Reset
            | Self::LeaveHa
            | Self::CreateSnapshot { .. }
            | Self::DeleteSnapshot(_)
            | Self::DeleteBackup(_) => None,
        }
    }

    /// What is to be remembered once it has succeeded.
    pub fn remembered(&self) -> BTreeSet<Remembered> {
        match self {
            Self::Configure(configure) if configure.cloud_init.password.is_some() => {
                BTreeSet::from([Remembered::PasswordWritten])
            }
            Self::JoinPool(_) => BTreeSet::from([Remembered::PoolJoined]),
            Self::Reset | Self::RollBack(_) | Self::RestoreBackup { .. } => {
                BTreeSet::from([Remembered::CarriedOut])
            }
            Self::Configure(_)
            | Self::Import { .. }
            | Self::Clone { .. }
            | Self::Migrate { .. }
            | Self::Resize { .. }
            | Self::SetFirewall(_)
            | Self::Start
            | Self::Stop(_)
            | Self::LeaveHa
            | Self::CreateSnapshot { .. }
            | Self::DeleteSnapshot(_)
            | Self::Backup { .. }
            | Self::DeleteBackup(_)
            | Self::Destroy(_) => BTreeSet::new(),
        }
    }
}

impl fmt::Display for Change {
    /// For the deploy log: what is asked, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clone { template, template_node, mode, .. } => {
                let mode = match mode {
                    CloneMode::Linked => "linked",
                    CloneMode::Full { .. } => "full",
                };
                write!(f, "clone template {template} of {template_node} ({mode})")
            }
            Self::JoinPool(pool) => write!(f, "join PVE pool {pool}"),
            Self::Migrate { to, .. } => write!(f, "migrate to {to}"),
            Self::Configure(configure) => write!(f, "configure {}", configure.topics().join(", ")),
            Self::Import { slot, image, .. } => write!(f, "replace {slot} by a copy of {image}"),
            Self::Resize { slot, size } => write!(f, "resize {slot} to {size}"),
            Self::SetFirewall(_) => f.write_str("set firewall"),
            Self::Start => f.write_str("start"),
            Self::Stop(StopMode::Hard) => f.write_str("stop"),
            Self::Stop(StopMode::Graceful { patience }) => write!(f, "shut down, stop after {patience} s"),
            Self::Reset => f.write_str("reset"),
            Self::LeaveHa => f.write_str("leave HA"),
            Self::CreateSnapshot { name, .. } => write!(f, "create snapshot {name}"),
            Self::DeleteSnapshot(name) => write!(f, "delete snapshot {name}"),
            Self::RollBack(name) => write!(f, "roll back to snapshot {name}"),
            Self::Backup { storage, mode, .. } => write!(f, "back up to {storage} (mode {mode})"),
            Self::DeleteBackup(backup) => write!(f, "delete backup {}", backup.volume),
            Self::RestoreBackup { backup, .. } => write!(f, "restore backup {}", backup.volume),
            Self::Destroy(DestroyMode::Purge) => f.write_str("destroy"),
            Self::Destroy(DestroyMode::KeepBackups) => f.write_str("destroy, keep backups"),
        }
    }
}
