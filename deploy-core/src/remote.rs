//! How machines are on their clusters.

use crate::{
    Agent, Drift, ErrorClass, GuestKind, Inspected, Inspection, Lock, NodeName, NodeState, Obscured,
    Ownership, Power, RunningTask, Step, Survey, Surveyed, VmKey, VmRecord, drift, drift_listed,
};
use jiff::Timestamp;
use std::{collections::BTreeSet, fmt};

/// How a machine of ours is on its cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteStatus {
    /// The machine.
    pub key: VmKey,
    /// When it was looked for.
    pub at: Timestamp,
    /// What was seen.
    pub seen: Remote,
}

impl RemoteStatus {
    /// The machine, where it is there.
    pub fn machine(&self) -> Option<&RemoteMachine> {
        match &self.seen {
            Remote::There(machine) => Some(machine),
            Remote::Stranger { .. } | Remote::Absent | Remote::Unknown(_) => None,
        }
    }
}

/// What was seen of a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Remote {
    /// It is there.
    There(Box<RemoteMachine>),
    /// Its number is somebody else's.
    Stranger {
        /// The node that one is on.
        node: NodeName,
        /// Its name, where that is known.
        name: Option<String>,
    },
    /// It is not there: proven, or nothing was asked for yet, or nothing is left of it.
    Absent,
    /// Nobody can tell: its cluster or its node is down, a right is missing.
    Unknown(Obscured),
}

/// A machine that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteMachine {
    /// The node it is on.
    pub node: NodeName,
    /// What it does; `None` where that is not known, which is normal for a fresh machine.
    pub state: Option<MachineState>,
    /// How long it has run, in seconds.
    pub uptime: Option<u64>,
    /// Its lock.
    pub lock: Option<LockSince>,
    /// What differs from the order: of all of it, or of what a list tells.
    pub drift: Vec<Drift>,
    /// What only a look at the machine itself tells; `None` where a list was asked.
    pub close: Option<CloseLook>,
}

/// A lock, and since when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockSince {
    /// The lock.
    pub lock: Lock,
    /// Since when every look in a row has shown it ([`LockStore`](crate::LockStore)). PVE does not write that down; what was
    /// between two looks nobody knows. `None` until it was taken down.
    pub since: Option<Timestamp>,
}

impl LockSince {
    fn undated(lock: Lock) -> Self {
        Self { lock, since: None }
    }
}

/// What only a look at a machine itself tells.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseLook {
    /// The tasks that work on it, the one that began first first.
    pub tasks: Vec<RunningTask>,
    /// What its guest agent says; `None` where it could not be asked.
    pub agent: Option<Agent>,
    /// The options that wait for its next start.
    pub pending: BTreeSet<String>,
    /// What could not be seen, and why.
    pub hidden: Vec<(String, String)>,
}

/// What a machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineState {
    /// It runs. In a list also where it is paused.
    Running,
    /// It does not run.
    Stopped,
    /// Its process is there but the guest does not run; with the hypervisor's word (PVE: `qmpstatus`), such as `paused` or
    /// `io-error`.
    Paused(String),
    /// Its memory is being saved to disk.
    Suspending,
    /// Its memory is saved to disk, and it goes on from there when it is started.
    SuspendedToDisk,
}

impl MachineState {
    /// What a machine does that has this power and lock.
    pub fn of(power: &Power, lock: Option<&Lock>) -> Self {
        match (power, lock) {
            (Power::Stopped, Some(Lock::Suspended)) => Self::SuspendedToDisk,
            (Power::Running | Power::Suspended(_), Some(Lock::Suspending)) => Self::Suspending,
            (Power::Stopped, _) => Self::Stopped,
            (Power::Running, _) => Self::Running,
            (Power::Suspended(word), _) => Self::Paused(word.clone()),
        }
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Paused(word) => word,
            Self::Suspending => "suspending to disk",
            Self::SuspendedToDisk => "suspended to disk",
        })
    }
}

/// What a list tells of a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// This.
    Status(Remote),
    /// Not enough: it is missing, or does not look like ours. Only a look at it says what that means, for a list is late and
    /// shows only what we may see.
    LookCloser,
}

/// Whether there can be anything of the machine on its cluster: before its clone is due nothing is, nor after it was taken away.
fn is_expected(record: &VmRecord) -> bool {
    let is_early = matches!(record.step, Step::Creation | Step::SetIp) && record.smbios.is_none();
    !matches!(record.step, Step::Removed | Step::Terminated) && !is_early
}

/// What a list tells of a machine. A list shows no identity: what has our number and our name is taken for ours.
pub fn told(record: &VmRecord, survey: &Survey) -> Told {
    if !is_expected(record) {
        return Told::Status(Remote::Absent);
    }
    let Some(listed) = survey.guests.get(&record.numbered.vmid) else { return Told::LookCloser };
    if survey.nodes.get(&listed.node) == Some(&NodeState::Offline) {
        return Told::Status(Remote::Unknown(Obscured {
            class: ErrorClass::Unreachable,
            message: format!("node {} is down", listed.node),
        }));
    }
    let is_named = listed.name.as_ref().is_some_and(|name| name == record.numbered.pve_name.as_str());
    // On its way it may not have its name yet.
    if listed.kind != GuestKind::Machine || !is_named {
        return Told::LookCloser;
    }
    Told::Status(Remote::There(Box::new(of_list(record, listed))))
}

fn of_list(record: &VmRecord, listed: &Surveyed) -> RemoteMachine {
    RemoteMachine {
        node: listed.node.clone(),
        state: listed.power.as_ref().map(|power| MachineState::of(power, listed.lock.as_ref())),
        uptime: listed.uptime,
        lock: listed.lock.clone().map(LockSince::undated),
        drift: drift_listed(record, listed),
        close: None,
    }
}

/// What a look at a machine shows. Whose it is, is judged as before every change: by the identity that was recorded, and before
/// that by our mark.
pub fn inspected(record: &VmRecord, inspection: Inspection) -> Remote {
    let inspected = match inspection {
        Inspection::Seen(inspected) => *inspected,
        Inspection::ProvenAbsent => return Remote::Absent,
        Inspection::Unknown(why) => return Remote::Unknown(why),
    };
    let machine = &inspected.machine;
    match Ownership::judge(record.mark(), record.identity_of(machine), machine.shown()) {
        Ownership::Ours | Ownership::OursUnmarked | Ownership::TooEarly => {
            Remote::There(Box::new(of_look(record, inspected)))
        }
        Ownership::Stranger => Remote::Stranger {
            node: machine.node.clone(),
            name: machine.config.name.as_ref().map(ToString::to_string),
        },
    }
}

fn of_look(record: &VmRecord, inspected: Inspected) -> RemoteMachine {
    let Inspected { machine, uptime, tasks, hidden } = inspected;
    let lock = machine.lock.clone().map(Lock::from);
    RemoteMachine {
        state: machine.power.as_ref().map(|power| MachineState::of(power, lock.as_ref())),
        uptime,
        lock: lock.map(LockSince::undated),
        drift: drift(record, &machine),
        close: Some(CloseLook {
            tasks,
            agent: machine.agent,
            pending: machine.pending.unwrap_or_default(),
            hidden: hidden.into_iter().map(|hidden| (hidden.part.to_owned(), hidden.why.message)).collect(),
        }),
        node: machine.node,
    }
}
