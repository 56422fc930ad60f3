//! What to do.

use crate::{
    AddressRequest, Addressing, Change, Command, Ended, ErrorClass, Family, Holder, Leftover, LookError,
    Machine, NicSlot, NoteDown, Obscured, Operation, Ownership, Progress, QueuedCommand, Remembered,
    RetryPolicy, Sighting, Step, StopMode, Target, TaskId, TaskState, VmRecord, goal,
    query::{due_command, is_checked, is_first_clone, is_unanswered_clone, settings_doubted},
    rules::{Rule, Verdict, WhenAbsent, WhenStranger, Work, work},
    together::carry_together,
};

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
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// An operation begins on command.
    Begin(QueuedCommand, Operation),
    /// The due step is tried at once, on command.
    RetryNow(QueuedCommand),
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
    /// A stranger has our number: another one is taken.
    Renumber,
    /// Something is under way; nothing is done.
    Wait(String),
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
        return match queued.command {
            Command::Terminate => Decision::Begin(queued, Operation::Terminate),
            Command::Retry => Decision::RetryNow(queued),
        };
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
    match work(record.step) {
        Work::Rest if is_checked(record) => check(record, observation.machine.as_ref()),
        Work::Rest => Decision::Rest,
        Work::Advance => Decision::Done("the order is written down".to_owned()),
        Work::TakeAddresses => match address_requests(record) {
            requests if requests.is_empty() => Decision::Done("no addresses ordered".to_owned()),
            requests => Decision::TakeAddresses(requests),
        },
        Work::ReleaseAddresses => Decision::ReleaseAddresses,
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
                });
            }
        }
    }
    requests
}

fn absent(record: &VmRecord, rule: Rule, observation: &Observation, policy: &RetryPolicy) -> Decision {
    let vmid = record.numbered.vmid;
    match rule.absent {
        WhenAbsent::Clone if record.smbios.is_none() => {
            // What stands in the way of the next clone is told before that fails for it.
            if let Some(found) = &observation.leftovers {
                return left_behind(record, found, policy);
            }
            send_clone(record)
        }
        WhenAbsent::Clone | WhenAbsent::Vanished => Decision::Vanished(vanished(record)),
        // A clone that was sent and not answered may still arrive: absence is believed only after that time.
        WhenAbsent::Done if record.remembered.contains(&Remembered::CloneInDoubt) => {
            Decision::Note(NoteDown::AwaitClone)
        }
        WhenAbsent::Done => match &observation.leftovers {
            Some(found) => left_behind(record, found, policy),
            None => Decision::Done(format!("there is no machine {vmid}")),
        },
    }
}

fn send_clone(record: &VmRecord) -> Decision {
    let mut target = target(record, None);
    target.machine.node = record.spec.template.node.clone();
    submit(record, target, goal::clone_change(record))
}

/// What may have been left behind was looked for: that is written down, once. A look that failed for a reason that passes is
/// repeated for a while, but not for ever: a storage that cannot be read hinders neither a start nor a termination.
fn left_behind(
    record: &VmRecord,
    found: &Result<Vec<Leftover>, LookError>,
    policy: &RetryPolicy,
) -> Decision {
    match found {
        Err(LookError { class, message })
            if !class.needs_attention() && record.failures < policy.attention_after =>
        {
            Decision::Blind(Obscured { class: *class, message: message.clone() })
        }
        found => Decision::Note(NoteDown::Leftovers(found.clone().map_err(|error| error.message))),
    }
}

fn seen(
    record: &VmRecord,
    rule: Rule,
    machine: &Machine,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    match Ownership::judge(record.mark(), record.identity_of(machine), machine.shown()) {
        Ownership::Ours | Ownership::OursUnmarked if reappeared(record) => Decision::Impossible(format!(
            "machine {} carries our mark, but it is not known to be ours: it vanished, and was not cloned anew since. It is \
             left alone; if it was restored, terminate it or take the mark out of its notes and free the number",
            record.numbered.vmid
        )),
        Ownership::Ours | Ownership::OursUnmarked => ours(record, rule, machine, observation, policy),
        Ownership::TooEarly => {
            let lock = machine.lock.as_deref().unwrap_or("none");
            let (vmid, node) = (record.numbered.vmid, &machine.node);
            let why = format!(
                "the machine is busy and does not yet show whose it is (lock: {lock}); if nothing works on it any more, \
                 remove it on {node} as root: {}",
                goal::destroy_command(vmid)
            );
            locked(record, machine, observation.holder.as_ref(), why)
        }
        Ownership::Stranger => match rule.stranger {
            WhenStranger::Renumber if record.smbios.is_none() => match made_without_mark(record) {
                Some(why) => Decision::Impossible(why),
                None => Decision::Renumber,
            },
            WhenStranger::Done => Decision::Done(format!(
                "number {} belongs to somebody else's machine; ours is gone, theirs is left alone",
                record.numbered.vmid
            )),
            WhenStranger::Renumber | WhenStranger::Replaced => Decision::Vanished(replaced(record)),
        },
    }
}

/// Whether a machine that is seen cannot be the one that is to be deployed anew, for that was not cloned yet.
fn reappeared(record: &VmRecord) -> bool {
    let knows = |what| record.remembered.contains(&what);
    let may_arrive = knows(Remembered::CloneInDoubt) || knows(Remembered::CloneAwaited);
    record.step == Step::Clone && knows(Remembered::Vanished) && !may_arrive
}

/// A lock is waited for: what that means depends on who holds it.
fn locked(record: &VmRecord, machine: &Machine, holder: Option<&Holder>, why: String) -> Decision {
    let is_ours = is_unanswered_clone(record) && machine.lock.as_deref() == Some("clone");
    match holder {
        Some(Holder::Task(task)) if is_ours => {
            Decision::Follow(task.clone(), Box::new(goal::clone_change(record)))
        }
        Some(Holder::Nobody) => Decision::WaitInVain(why),
        Some(Holder::Task(_) | Holder::Perhaps | Holder::Unknown(_)) | None => Decision::Wait(why),
    }
}

/// Why no other number is taken although a stranger has ours: if marks do not stay on clones (a description that is
/// rewritten, a template that forbids it), every number would end so, each with a machine that nobody owns.
fn made_without_mark(record: &VmRecord) -> Option<String> {
    let vmid = record.numbered.vmid;
    let cloned = matches!(record.progress, Progress::Applied { fingerprint } if fingerprint == goal::clone_change(record).fingerprint());
    let again = record.remembered.contains(&Remembered::CloneInDoubt)
        && record.remembered.contains(&Remembered::Renumbered);
    (cloned || again).then(|| {
        format!(
            "machine {vmid} was cloned, but does not carry our mark ({}) in its notes: if it is the clone, put the mark \
             there; if it is not, free the number",
            record.mark()
        )
    })
}

fn ours(
    record: &VmRecord,
    rule: Rule,
    machine: &Machine,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    let holder = observation.holder.as_ref();
    if let Some(found) = &observation.leftovers {
        return left_behind(record, found, policy);
    }
    let change = match verdict(record, rule, machine) {
        Verdict::Met => return Decision::Done(as_ordered(record)),
        Verdict::Unseen(what, _) if record.remembered.contains(&what) => {
            return Decision::Done(as_ordered(record));
        }
        Verdict::Note(note) => return Decision::Note(note),
        Verdict::UnderWay(why) => return Decision::Wait(why),
        Verdict::Locked(why) => return locked(record, machine, holder, why),
        Verdict::Impossible(why) => return Decision::Impossible(why),
        Verdict::Unmet(change) | Verdict::Unseen(_, change) => change,
    };
    // PVE destroys a machine that was suspended to disk, and that lock stays until somebody resumes it.
    let hinders = |lock: &&String| !(*lock == "suspended" && matches!(change, Change::Destroy(_)));
    if let Some(lock) = machine.lock.as_ref().filter(hinders) {
        let (vmid, node) = (record.numbered.vmid, &machine.node);
        let why = format!(
            "the machine is locked ({lock}); if nothing works on it any more, release it on {node} as root: qm unlock {vmid}"
        );
        return locked(record, machine, holder, why);
    }
    let change = match change {
        Change::Configure(mut configure) if record.failures == 0 => {
            carry_together(record, machine, &mut configure);
            Change::Configure(configure)
        }
        Change::Stop(StopMode::Graceful { .. }) => {
            // A guest that did not follow once is not asked twice.
            let patience = policy.shutdown_patience;
            Change::Stop(if record.failures == 0 { StopMode::Graceful { patience } } else { StopMode::Hard })
        }
        change => change,
    };
    submit(record, target(record, Some(machine)), change)
}

/// The goal's verdict; but first no settings may wait that would be taken for ones in force. Settings of its own take them
/// along.
fn verdict(record: &VmRecord, rule: Rule, machine: &Machine) -> Verdict {
    let is_unknown = |what: &Remembered| !record.remembered.contains(what);
    match (rule.goal)(record, machine) {
        settings @ Verdict::Unmet(Change::Configure(_)) => settings,
        Verdict::Unseen(what, settings @ Change::Configure(_)) if is_unknown(&what) => {
            Verdict::Unmet(settings)
        }
        _ if settings_doubted(record, rule) => goal::nothing_waits(record, machine),
        verdict => verdict,
    }
}

/// How a met goal came to be: by this step's own change, or before it.
fn as_ordered(record: &VmRecord) -> String {
    match record.progress {
        Progress::Applied { .. } => "as ordered".to_owned(),
        Progress::Untried | Progress::Intended { .. } | Progress::Submitted { .. } => {
            "already as ordered".to_owned()
        }
    }
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
