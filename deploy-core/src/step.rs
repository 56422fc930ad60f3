//! The steps of a machine's life, by the names that panels show.

use crate::{Invalid, Operation};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Makes the enum and its names from one list, so that they cannot drift apart.
macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is due on a machine. The names are the same on the wire, in the database, in the log and in the panel.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Step {
            $($(#[$doc])* $variant,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The step's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

steps! {
    /// The order is written down; nothing has happened yet.
    Creation = "creation",
    /// Addresses are taken from their pools.
    SetIp = "set_ip",
    /// The machine is cloned from its template, marked as ours and put in its PVE pool.
    Clone = "clone",
    /// The machine is moved to its node.
    Migrated = "migrated",
    /// CPU, memory, tags and description are as ordered.
    SetCpuRam = "set_cpu_ram",
    /// The system disk has its size.
    SetSystemDiskSize = "set_system_disk_size",
    /// The system disk has its limits.
    SetSystemDiskBandwidth = "set_system_disk_bandwidth",
    /// The additional disks exist.
    SetCreatedAdditionalDisk = "set_created_additional_disk",
    /// The additional disks have their sizes.
    SetAdditionalDiskSize = "set_additional_disk_size",
    /// The additional disks have their limits.
    SetAdditionalDiskBandwidth = "set_additional_disk_bandwidth",
    /// The NICs are as ordered, and no others are there.
    SetNetwork = "set_network",
    /// Anti-spoofing sets, rules and policies are in place.
    SetFirewall = "set_firewall",
    /// Cloud-init knows user, keys, addresses and resolvers.
    SetCloudinit = "set_cloudinit",
    /// The machine is started, and waited for until it is what the order calls ready.
    Starting = "starting",
    /// Nothing is due; the machine is in its customer's hands.
    Ready = "ready",
    /// The machine is shut down, and stopped hard if it does not follow.
    Stopping = "stopping",
    /// Its backups are deleted from every storage.
    DeletingBackups = "deleting_backups",
    /// It is destroyed, and its absence proven.
    Removing = "removing",
    /// Its addresses go back to their pools.
    ReleasingIp = "releasing_ip",
    /// Nothing is left of it.
    Terminated = "terminated",
    /// It is taken out of its customer's hands: stopped, and not started with its node.
    Suspending = "suspending",
    /// Nothing is due; the machine is stopped, and nobody but an unsuspend starts it.
    Suspended = "suspended",
    /// It is given back: started with its node as ordered, and started now if it shall be.
    Unsuspending = "unsuspending",
    /// The guest is reset, as by the button.
    Resetting = "resetting",
    /// There is no machine, only its record and its addresses; it can be cloned anew.
    Removed = "removed",
    /// The new package is compared with the machine, and becomes the order.
    ChangePackage = "change_package",
    /// Addresses that the new package has more are taken.
    CpUpdateIp = "cp_update_ip",
    /// The machine is stopped, if it runs and something of the new package needs that.
    CpStop = "cp_stop",
    /// CPU, memory, tags and description are as the new package says.
    CpCpuRam = "cp_cpu_ram",
    /// The system disk has its new size.
    CpSystemDiskSize = "cp_system_disk_size",
    /// The system disk has its new limits.
    CpSystemDiskBandwidth = "cp_system_disk_bandwidth",
    /// The additional disks that the new package has exist.
    CpAdditionalDisk = "cp_additional_disk",
    /// The additional disks have their new sizes.
    CpAdditionalDiskSize = "cp_additional_disk_size",
    /// The additional disks have their new limits.
    CpAdditionalDiskBandwidth = "cp_additional_disk_bandwidth",
    /// The NICs are as the new package says.
    CpNetwork = "cp_network",
    /// Anti-spoofing sets, rules and policies are as the new package says.
    CpFirewall = "cp_firewall",
    /// Cloud-init knows what the new package says.
    CpCloudinit = "cp_cloudinit",
    /// The machine runs again, if it did before.
    CpStart = "cp_start",
    /// Addresses that the machine has no more go back to their pools.
    CpReleaseIp = "cp_release_ip",
    /// What the machine is to be made anew from is looked at, and becomes the order.
    Reinstall = "reinstall",
    /// The machine is moved, stopped, to the node of its new template.
    MovingToTemplate = "moving_to_template",
    /// A copy of the template's system disk takes the place of the machine's own.
    ReplacingSystemDisk = "replacing_system_disk",
    /// The disk that was replaced is freed.
    FreeingOldDisk = "freeing_old_disk",
    /// A snapshot is taken.
    Snapshotting = "snapshotting",
    /// A snapshot is deleted.
    DeletingSnapshot = "deleting_snapshot",
    /// Disks and settings are taken back to a snapshot.
    RollingBack = "rolling_back",
    /// A backup is made.
    BackingUp = "backing_up",
    /// A backup is deleted.
    DeletingBackup = "deleting_backup",
    /// The backup that is to be restored is looked at.
    RestoreBackup = "restore_backup",
    /// The machine is stopped for a restore.
    StoppingToRestore = "stopping_to_restore",
    /// Disks and settings are taken from a backup.
    RestoringBackup = "restoring_backup",
    /// Its DNS records are looked at and set, and waited for.
    SetDnsRecords = "set_dns_records",
    /// A machine that exists is compared with the order under which it is to be adopted.
    Adopting = "adopting",
    /// The addresses that it has are taken out of their pools.
    AdoptingIp = "adopting_ip",
    /// It is put in its PVE pool and marked as ours; from then on it is.
    Marking = "marking",
}

impl Step {
    /// Whether nothing is due at this step until a command comes.
    pub fn is_rest(self) -> bool {
        matches!(self, Self::Ready | Self::Suspended | Self::Removed | Self::Terminated)
    }

    /// Whether it is judged otherwise once a change of it was sent: a guest that did not follow is not asked twice, and what is
    /// there already may be there because of it. Failures do not tell: a look may fail, too.
    pub(crate) fn minds_what_was_sent(self) -> bool {
        matches!(
            self,
            Self::Stopping
                | Self::Suspending
                | Self::CpStop
                | Self::CpStart
                | Self::StoppingToRestore
                | Self::Removing
                | Self::ReplacingSystemDisk
                | Self::Snapshotting
                | Self::RollingBack
                | Self::BackingUp
        )
    }

    /// The step of a deployment that does the same: what a package is brought to by a change is what it is deployed to.
    pub fn deploys_as(self) -> Self {
        match self {
            Self::CpUpdateIp => Self::SetIp,
            Self::CpCpuRam => Self::SetCpuRam,
            Self::CpSystemDiskSize => Self::SetSystemDiskSize,
            Self::CpSystemDiskBandwidth => Self::SetSystemDiskBandwidth,
            Self::CpAdditionalDisk => Self::SetCreatedAdditionalDisk,
            Self::CpAdditionalDiskSize => Self::SetAdditionalDiskSize,
            Self::CpAdditionalDiskBandwidth => Self::SetAdditionalDiskBandwidth,
            Self::CpNetwork => Self::SetNetwork,
            Self::CpFirewall => Self::SetFirewall,
            Self::CpCloudinit => Self::SetCloudinit,
            other => other,
        }
    }

    /// The step that was completed last, which is what older panels show; `None` at the first of the operation.
    pub fn last_completed(self, operation: Operation) -> Option<Self> {
        let steps = operation.steps();
        let at = steps.iter().position(|step| *step == self)?;
        at.checked_sub(1).map(|before| steps[before])
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Step {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|step| step.as_str() == text)
            .ok_or_else(|| Invalid::new("step", text, "the name of a step, such as \"set_network\""))
    }
}

crate::text::kept_as_text!(Step);
