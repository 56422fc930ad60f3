//! Commands: what can be asked of a machine.

mod admit;
#[cfg(test)]
mod documented;
mod order;
mod phase;

pub use admit::{Admission, Denied, admit};
pub(crate) use admit::{Legal, judge};
pub use order::{Credentials, DataDisks, NewInstallation, Package};
pub use phase::Phase;

use crate::{BackupMode, CommandId, Family, Invalid, NicSlot, Operation, SnapshotName, Step, StorageId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// What can be asked of a machine.
///
/// Commands of one machine wait in the order in which they came; what one that comes does to those that wait is said by
/// [`admit`] and in `docs/commands.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Try the due step now, whatever its delay.
    Retry,
    /// Take the machine away, with its addresses and backups.
    Terminate,
    /// Give up its adoption: its record ends, and nothing is done to it. Once it is adopted this is refused, so that what was meant
    /// to spare a machine never takes it away.
    LetGo,
    /// Start it; one that runs is left alone.
    Start,
    /// Stop it; one that is stopped is left alone.
    Stop(StopHow),
    /// Stop it and start it.
    Restart(StopHow),
    /// Reset its guest, as by the button. It must run.
    Reset,
    /// Stop it, keep it from being started, also with its node, until it is unsuspended.
    Suspend,
    /// Give it back to its customer.
    Unsuspend(Resume),
    /// Make it what another order says.
    ChangePackage(Box<Package>),
    /// Give its guest another user, password or keys, through cloud-init.
    SetCredentials(Box<Credentials>),
    /// Give it another address instead of the first one of this family on this NIC; the old one rests in its pool.
    SetDedicatedIp(NicSlot, Family),
    /// Give it one address more.
    AddAddress(NicSlot, Family),
    /// Take this address of its own from it.
    RemoveAddress(IpAddr),
    /// Make it anew from a template, with its addresses and MACs, and with or without its additional disks.
    Reinstall(Box<NewInstallation>),
    /// Destroy it, and keep its record, its addresses and its backups. It must not run.
    Remove,
    /// Take this step of its deployment, and no other.
    Step(Step),
    /// Go on with its deployment from this step.
    RunOn(Step),
    /// Have its DNS records looked at and set now, whatever delay they wait for.
    SetDnsRecords,
    /// Take a snapshot of its disks.
    CreateSnapshot(NewSnapshot),
    /// Delete a snapshot.
    DeleteSnapshot(SnapshotName),
    /// Take disks and settings back to a snapshot; what was written since is lost. Then it is made as ordered again, and
    /// started if it ran.
    RollBack(SnapshotName),
    /// Make a backup.
    Backup(NewBackup),
    /// Delete a backup, by its volume.
    DeleteBackup(String),
    /// Take disks and settings from a backup of this machine, by its volume; what was written since is lost. Then it is made as
    /// ordered again, and started if it ran.
    RestoreBackup(String),
    /// Take the machine out of the workers' hands: nothing is done to it until it is released.
    Hold,
    /// Give it back to the workers.
    Release,
    /// Take a command back that waits.
    Withdraw(CommandId),
}

/// A snapshot to take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// When it goes by itself.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// A backup to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBackup {
    /// The storage it goes to.
    pub storage: StorageId,
    /// How the guest is treated meanwhile.
    #[serde(default)]
    pub mode: BackupMode,
    /// Until when it is kept, in its notes.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// How a machine is stopped on command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopHow {
    /// The guest is asked, and stopped hard if it does not follow within
    /// [`shutdown_patience`](crate::RetryPolicy::shutdown_patience).
    #[default]
    Graceful,
    /// The guest is asked, and stopped hard if it does not follow within so many seconds.
    Within(u16),
    /// At once, like pulling the plug.
    Hard,
}

/// Whether an unsuspended machine is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// It is started if it is off.
    #[default]
    Started,
    /// It is started if it ran when it was suspended.
    AsBefore,
}

/// What displaces what in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The last one wins.
    Power,
    /// One cancels the other.
    Suspension,
    /// They wait for one another.
    Work,
    /// They are carried out as soon as they come.
    AtOnce,
}

impl Command {
    /// The command's name, without what it was given.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Terminate => "terminate",
            Self::LetGo => "let_go",
            Self::Start => "start",
            Self::Stop(_) => "stop",
            Self::Restart(_) => "restart",
            Self::Reset => "reset",
            Self::Suspend => "suspend",
            Self::Unsuspend(_) => "unsuspend",
            Self::ChangePackage(_) => "change_package",
            Self::SetCredentials(_) => "set_credentials",
            Self::SetDedicatedIp(..) => "set_dedicated_ip",
            Self::AddAddress(..) => "add_address",
            Self::RemoveAddress(_) => "remove_address",
            Self::Reinstall(_) => "reinstall",
            Self::Remove => "remove",
            Self::Step(_) => "step",
            Self::RunOn(_) => "run_on",
            Self::SetDnsRecords => "set_dns_records",
            Self::CreateSnapshot(_) => "create_snapshot",
            Self::DeleteSnapshot(_) => "delete_snapshot",
            Self::RollBack(_) => "roll_back",
            Self::Backup(_) => "backup",
            Self::DeleteBackup(_) => "delete_backup",
            Self::RestoreBackup(_) => "restore_backup",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Withdraw(_) => "withdraw",
        }
    }

    /// Whether it is the same command once more. The MACs of new NICs are fresh each time and say nothing.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ChangePackage(one), Self::ChangePackage(another)) => one.spec == another.spec,
            _ => self == other,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Start | Self::Stop(_) | Self::Restart(_) | Self::Reset => Kind::Power,
            Self::Suspend | Self::Unsuspend(_) => Kind::Suspension,
            Self::ChangePackage(_)
            | Self::SetCredentials(_)
            | Self::SetDedicatedIp(..)
            | Self::AddAddress(..)
            | Self::RemoveAddress(_)
            | Self::Reinstall(_)
            | Self::Remove
            | Self::Step(_)
            | Self::RunOn(_)
            | Self::SetDnsRecords
            | Self::CreateSnapshot(_)
            | Self::DeleteSnapshot(_)
            | Self::RollBack(_)
            | Self::Backup(_)
            | Self::DeleteBackup(_)
            | Self::RestoreBackup(_) => Kind::Work,
            Self::Retry | Self::Terminate | Self::LetGo | Self::Hold | Self::Release | Self::Withdraw(_) => {
                Kind::AtOnce
            }
        }
    }

    /// The operation that carries it out, and the step that it begins with; `None` for what is carried out by writing it down.
    pub fn begins(&self) -> Option<(Operation, Step)> {
        let operation = match self {
            Self::Terminate => Operation::Terminate,
            Self::Start => Operation::Start,
            Self::Stop(_) => Operation::Stop,
            Self::Restart(_) => Operation::Restart,
            Self::Reset => Operation::Reset,
            Self::Suspend => Operation::Suspend,
            Self::Unsuspend(_) => Operation::Unsuspend,
            Self::ChangePackage(_)
            | Self::SetCredentials(_)
            | Self::SetDedicatedIp(..)
            | Self::AddAddress(..)
            | Self::RemoveAddress(_) => Operation::ChangePackage,
            Self::Reinstall(new) => match new.additional_disks {
                DataDisks::Drop => Operation::Reinstall,
                DataDisks::Keep => Operation::ReinstallKeeping,
            },
            Self::Remove => Operation::Remove,
            Self::SetDnsRecords => Operation::SetDnsRecords,
            Self::CreateSnapshot(_) => Operation::CreateSnapshot,
            Self::DeleteSnapshot(_) => Operation::DeleteSnapshot,
            Self::RollBack(_) => Operation::RollBack,
            Self::Backup(_) => Operation::Backup,
            Self::DeleteBackup(_) => Operation::DeleteBackup,
            Self::RestoreBackup(_) => Operation::RestoreBackup,
            Self::LetGo => return Some((Operation::Terminate, Step::ReleasingIp)),
            Self::Step(step) => return Some((Operation::SingleStep, *step)),
            Self::RunOn(step) => return Some((Operation::Create, *step)),
            Self::Retry | Self::Hold | Self::Release | Self::Withdraw(_) => return None,
        };
        Some((operation, operation.first()))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) | Self::RunOn(step) => write!(f, "{} {step}", self.as_str()),
            Self::RemoveAddress(address) => write!(f, "{} {address}", self.as_str()),
            Self::Withdraw(id) => write!(f, "{} {id}", self.as_str()),
            _ => f.pad(self.as_str()),
        }
    }
}

impl FromStr for Command {
    type Err = Invalid;

    /// The commands that need nothing beside their name; a machine is stopped gracefully.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let plain = [
            Self::Retry,
            Self::Terminate,
            Self::LetGo,
            Self::Start,
            Self::Stop(StopHow::default()),
            Self::Restart(StopHow::default()),
            Self::Reset,
            Self::Suspend,
            Self::Unsuspend(Resume::default()),
            Self::Reinstall(Box::default()),
            Self::Remove,
            Self::SetDnsRecords,
            Self::Hold,
            Self::Release,
        ];
        let names = plain.each_ref().map(Self::as_str).join(", ");
        let command = plain.into_iter().find(|command| command.as_str() == text);
        command.ok_or_else(|| Invalid::new("command", text, format!("one of {names}")))
    }
}

/// A command that waits for its turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedCommand {
    /// Its id.
    pub id: CommandId,
    /// The command.
    pub command: Command,
}
