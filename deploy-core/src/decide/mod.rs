//! What to do.

mod absent;
mod archived;
mod dns;
mod ha;
mod ours;
mod reinstall;
mod seen;

pub use archived::Archived;
pub(crate) use ours::MAY_ARRIVE;

use crate::{
    AddressRequest, Addressing, Backups, Change, DnsStatus, Ended, ErrorClass, Family, Holder, Leftover,
    LookError, Machine, NicSlot, NoteDown, Obscured, Ownership, Progress, QueuedCommand, RetryPolicy,
    Sighting, StoreError, Target, TaskId, TaskState, VmRecord,
    query::{due_command, is_checked, is_first_clone, next_in_queue},
    rules::{Work, work},
};
use absent::{absent, send_clone};
use dns::dns;
use jiff::SignedDuration;
use seen::seen;
use std::net::IpAddr;

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// What was seen of the machine.
    pub machine: Option<Sighting>,
    /// How the task stands.
    pub task: Option<TaskState>,
    /// Who holds the machine's lock.
    pub holder: Option<Holder>,
    /// What volumes are left behind.
    pub leftovers: Option<Result<Vec<Leftover>, LookError>>,
    /// What was seen of the template.
    pub template: Option<Sighting>,
    /// The backups that were found where there is no machine.
    pub backups: Option<Result<Backups, LookError>>,
    /// What the backup shows that is to be deleted or restored.
    pub archived: Option<Archived>,
    /// How its DNS records are.
    pub dns: Option<DnsSighting>,
}

/// What is known of a machine's DNS records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsSighting {
    /// This worker has no DNS.
    NoDns,
    /// They are like this.
    Seen(DnsStatus),
    /// The store could not say.
    Unknown(StoreError),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// A command that has come is taken.
    Take(Box<QueuedCommand>),
    /// The first of the commands that wait is begun.
    Begin,
    /// What was commanded turned out to be impossible.
    Refuse(String),
    /// The step is done.
    Done(String),
    /// Something is written down before anything is done.
    Note(NoteDown),
    /// A change is asked for.
    Submit(Box<Target>, Box<Change>),
    /// A change was carried out, without effect.
    Ineffective(ChangeText),
    /// The task ended.
    TaskEnded(Ended),
    /// Addresses are taken.
    TakeAddresses(Vec<AddressRequest>),
    /// Addresses are given back.
    ReleaseAddresses,
    /// These addresses are given back.
    ReleaseOnly(Vec<IpAddr>),
    /// The machine's DNS records are marked, to be set now.
    RefreshDns,
    /// It was tried and did not come about; it is not tried again.
    GiveUp(String),
    /// A stranger has our number: another one is taken.
    Renumber,
    /// Something is under way; nothing is done.
    Wait(String),
    /// The HA manager was asked for this and has so long to do it.
    AwaitHa(String, SignedDuration),
    /// A lock is waited for that nobody holds any more.
    WaitInVain(String),
    /// A task was found that carries out a change of ours whose answer was lost.
    Follow(TaskId, Box<Change>),
    /// It cannot be decided, because the look gave no answer.
    Blind(Obscured),
    /// It cannot go on; a human must change something.
    Impossible(String),
    /// The machine is proven to be gone, or somebody else's is there instead.
    Vanished(String),
    /// A resting machine was looked at: it is there, or nobody can tell.
    Checked,
    /// Nothing is due.
    Rest,
}

/// A change in words, for the log.
pub type ChangeText = String;

/// Decides what to do. Pure: the same record and observation always give the same decision.
pub fn decide(record: &VmRecord, observation: &Observation, policy: &RetryPolicy) -> Decision {
    if let Some(queued) = due_command(record) {
        return Decision::Take(Box::new(queued.clone()));
    }
    if next_in_queue(record).is_some() {
        return Decision::Begin;
    }
    if let Progress::Submitted { .. } = record.progress {
        return match &observation.task {
            Some(TaskState::Ended(ended)) => Decision::TaskEnded(ended.clone()),
            Some(TaskState::Running) => Decision::Wait("the task is running".to_owned()),
            Some(TaskState::Unknown(why)) => Decision::Blind(Obscured {
                class: ErrorClass::Unreachable,
                message: format!("the task's state is not known: {why}"),
            }),
            None => Decision::Wait("the task was not asked for".to_owned()),
        };
    }
    match work(record) {
        // Nothing is done to it, and nothing of it is believed: whoever holds it may be at work on it.
        _ if record.life.held && is_checked(record) => Decision::Checked,
        _ if record.life.held => Decision::Rest,
        Work::Rest if is_checked(record) => check(record, observation.machine.as_ref()),
        Work::Rest => Decision::Rest,
        Work::Advance => Decision::Done("the order is written down".to_owned()),
        Work::TakeAddresses => match address_requests(record) {
            requests if requests.is_empty() && record.addresses.is_empty() => {
                Decision::Done("no addresses ordered".to_owned())
            }
            requests => Decision::TakeAddresses(requests),
        },
        Work::SetDns => dns(record, observation.dns.as_ref()),
        Work::ReleaseAddresses => Decision::ReleaseAddresses,
        Work::ReleaseRetiring if record.life.retiring.is_empty() => {
            Decision::Done("no address was replaced".to_owned())
        }
        Work::ReleaseRetiring => {
            Decision::ReleaseOnly(record.life.retiring.iter().map(|held| held.address).collect())
        }
        Work::Reach(rule) => match &observation.machine {
            Some(Sighting::Seen(machine)) => seen(record, rule, machine, observation, policy),
            Some(Sighting::ProvenAbsent) => absent(record, rule, observation, policy),
            Some(Sighting::Unknown(obscured)) => Decision::Blind(obscured.clone()),
            None if is_first_clone(record) => send_clone(record),
            None => Decision::Blind(Obscured {
                class: ErrorClass::Unknown,
                message: "the machine was not looked at".to_owned(),
            }),
        },
    }
}

/// What a look at a resting machine says. Only what is proven counts: a cluster that cannot be asked is asked about this
/// machine again when its next list lacks it.
fn check(record: &VmRecord, sighting: Option<&Sighting>) -> Decision {
    match sighting {
        Some(Sighting::Seen(machine)) => {
            match Ownership::judge(record.mark(), record.identity_of(machine), machine.shown()) {
                // Half a machine is no sign that the one that was missed is there again.
                Ownership::TooEarly if record.attention.is_some() => Decision::Blind(Obscured {
                    class: ErrorClass::Busy,
                    message: format!("number {} is being made anew by somebody", record.numbered.vmid),
                }),
                Ownership::Ours | Ownership::OursUnmarked | Ownership::TooEarly => Decision::Checked,
                Ownership::Stranger => Decision::Vanished(replaced(record)),
            }
        }
        Some(Sighting::ProvenAbsent) => Decision::Vanished(vanished(record)),
        // What is known to be gone stays told.
        Some(Sighting::Unknown(obscured)) if record.attention.is_some() => Decision::Blind(obscured.clone()),
        Some(Sighting::Unknown(_)) | None => Decision::Checked,
    }
}

fn vanished(record: &VmRecord) -> String {
    format!("machine {} has vanished from the cluster", record.numbered.vmid)
}

fn replaced(record: &VmRecord) -> String {
    let vmid = record.numbered.vmid;
    format!("number {vmid} now belongs to a machine that we did not make; it is left alone")
}

fn address_requests(record: &VmRecord) -> Vec<AddressRequest> {
    // Where a machine is adopted, those that it has.
    let exactly = |nic, family| {
        record.life.adopts.as_ref().map_or_else(Vec::new, |adopts| adopts.addresses_of(nic, family))
    };
    let mut requests = Vec::new();
    for (slot, nic) in NicSlot::in_order().zip(&record.spec.nics) {
        let Addressing::Pools(from) = &nic.addressing else { continue };
        for (family, draw) in [(Family::V4, &from.v4), (Family::V6, &from.v6)] {
            if let Some(draw) = draw {
                requests.push(AddressRequest {
                    nic: slot,
                    cluster: record.spec.cluster.clone(),
                    bridge: nic.bridge.clone(),
                    vlan: nic.vlan,
                    family,
                    count: draw.count,
                    pools: draw.pools.clone(),
                    besides: record.life.retiring.iter().map(|held| held.address).collect(),
                    exactly: exactly(slot, family),
                });
            }
        }
    }
    requests
}

fn target(record: &VmRecord, machine: Option<&Machine>) -> Target {
    let mut id = record.machine_id();
    if let Some(machine) = machine {
        id.node.clone_from(&machine.node);
    }
    Target {
        machine: id,
        mark: record.mark(),
        smbios: machine.map_or(record.smbios, |machine| record.identity_of(machine)),
        revision: machine.and_then(|machine| machine.config.revision.clone()),
        not_after: None,
    }
}

/// A change that was carried out and is missing again would be repeated without end and without pause: that is a failure.
fn submit(record: &VmRecord, target: Target, change: Change) -> Decision {
    match record.progress {
        Progress::Applied { fingerprint } if fingerprint == change.fingerprint() => {
            Decision::Ineffective(change.to_string())
        }
        _ => Decision::Submit(Box::new(target), Box::new(change)),
    }
}
