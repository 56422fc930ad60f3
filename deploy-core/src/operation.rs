//! Operations: lists of steps that end at a rest.

use crate::{Invalid, Step};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Makes the enum, its names and its steps from one table, so that they cannot drift apart.
macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: [$($step:ident),* $(,)?],)*) => {
        /// What is being done to a machine. Each operation is one line of a table: its name, and its steps, in order, the last of
        /// which is a rest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $variant,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The operation's steps, in order. Of a single step: those that can be it, and the rest after any of them.
            pub const fn steps(self) -> &'static [Step] {
                match self {
                    $(Self::$variant => &[$(Step::$step,)*],)*
                }
            }

            /// The operation's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

operations! {
    /// From an order to a ready machine.
    Create = "create": [
        Creation, SetIp, Clone, Migrated, SetCpuRam, SetSystemDiskSize, SetSystemDiskBandwidth, SetCreatedAdditionalDisk,
        SetAdditionalDiskSize, SetAdditionalDiskBandwidth, SetNetwork, SetFirewall, SetCloudinit, Starting, Ready,
    ],
    /// From any state to nothing left.
    Terminate = "terminate": [Stopping, DeletingBackups, Removing, ReleasingIp, Terminated],
    /// A stopped machine runs.
    Start = "start": [Starting, Ready],
    /// A running machine is stopped.
    Stop = "stop": [Stopping, Ready],
    /// A machine is stopped and started.
    Restart = "restart": [Stopping, Starting, Ready],
    /// A running machine is reset.
    Reset = "reset": [Resetting, Ready],
    /// A machine is taken out of its customer's hands.
    Suspend = "suspend": [Suspending, Suspended],
    /// And given back.
    Unsuspend = "unsuspend": [Unsuspending, Ready],
    /// A machine becomes what another order says.
    ChangePackage = "change_package": [
        ChangePackage, CpUpdateIp, CpStop, CpCpuRam, CpSystemDiskSize, CpSystemDiskBandwidth, CpAdditionalDisk,
        CpAdditionalDiskSize, CpAdditionalDiskBandwidth, CpNetwork, CpFirewall, CpCloudinit, CpReleaseIp, CpStart, Ready,
    ],
    /// A machine is made anew from a template, with its addresses and MACs.
    Reinstall = "reinstall": [
        Reinstall, Stopping, Removing, Clone, Migrated, SetCpuRam, SetSystemDiskSize, SetSystemDiskBandwidth,
        SetCreatedAdditionalDisk, SetAdditionalDiskSize, SetAdditionalDiskBandwidth, SetNetwork, SetFirewall, SetCloudinit,
        Starting, Ready,
    ],
    /// A machine gets the system disk of a template, and keeps its additional disks.
    ReinstallKeeping = "reinstall_keeping": [
        Reinstall, Stopping, MovingToTemplate, ReplacingSystemDisk, FreeingOldDisk, Migrated, SetCpuRam, SetSystemDiskSize,
        SetSystemDiskBandwidth, SetCreatedAdditionalDisk, SetAdditionalDiskSize, SetAdditionalDiskBandwidth, SetNetwork,
        SetFirewall, SetCloudinit, Starting, Ready,
    ],
    /// A machine is taken away, but its backups, its record and its addresses stay.
    Remove = "remove": [Removing, Removed],
    /// A snapshot is taken.
    CreateSnapshot = "create_snapshot": [Snapshotting, Ready],
    /// A snapshot is deleted.
    DeleteSnapshot = "delete_snapshot": [DeletingSnapshot, Ready],
    /// A machine goes back to a snapshot, and is then as ordered.
    RollBack = "roll_back": [
        RollingBack, CpCpuRam, CpSystemDiskSize, CpSystemDiskBandwidth, CpAdditionalDisk, CpAdditionalDiskSize,
        CpAdditionalDiskBandwidth, CpNetwork, CpFirewall, CpCloudinit, CpStart, Ready,
    ],
    /// A backup is made.
    Backup = "backup": [BackingUp, Ready],
    /// A backup is deleted.
    DeleteBackup = "delete_backup": [DeletingBackup, Ready],
    /// A machine becomes what a backup was made of, and is then as ordered.
    RestoreBackup = "restore_backup": [
        RestoreBackup, StoppingToRestore, RestoringBackup, CpCpuRam, CpSystemDiskSize, CpSystemDiskBandwidth,
        CpAdditionalDisk, CpAdditionalDiskSize, CpAdditionalDiskBandwidth, CpNetwork, CpFirewall, CpCloudinit, CpStart, Ready,
    ],
    /// A machine's DNS records are set at once.
    SetDnsRecords = "set_dns_records": [SetDnsRecords, Ready],
    /// A machine that exists becomes one of ours, as it is.
    Adopt = "adopt": [Adopting, AdoptingIp, Marking, Ready],
    /// One step of a deployment, alone.
    SingleStep = "single_step": [
        SetIp, Clone, Migrated, SetCpuRam, SetSystemDiskSize, SetSystemDiskBandwidth, SetCreatedAdditionalDisk,
        SetAdditionalDiskSize, SetAdditionalDiskBandwidth, SetNetwork, SetFirewall, SetCloudinit, Ready,
    ],
}

impl Operation {
    /// The first step.
    pub const fn first(self) -> Step {
        self.steps()[0]
    }

    /// The step after `step`; `None` at the last, and for a step that is not of this operation.
    pub fn after(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let at = steps.iter().position(|s| *s == step)?;
        let next = steps.get(at + 1).copied();
        match self {
            Self::SingleStep => next.and(steps.last().copied()),
            _ => next,
        }
    }

    /// Whether it brings a machine from its template to being ready.
    pub fn deploys(self) -> bool {
        self.clones() || self == Self::ReinstallKeeping
    }

    /// Whether it does so with a clone of the template, so that it goes on where a machine has vanished.
    pub(crate) fn clones(self) -> bool {
        matches!(self, Self::Create | Self::Reinstall)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|operation| operation.as_str() == text)
            .ok_or_else(|| Invalid::new("operation", text, "the name of an operation, such as \"create\""))
    }
}
