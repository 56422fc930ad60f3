//! Look and decide.

use crate::{
    AddressRequest, Addressing, Change, ChangeKind, Command, Due, Ended, ErrorClass, Family, Holder,
    Leftover, Look, LookError, Machine, NicSlot, NoteDown, Obscured, Operation, Ownership, Progress,
    QueuedCommand, ReadyWhen, Remembered, RetryPolicy, Sighting, Step, StopMode, Target, TaskId, TaskState,
    VmRecord, goal,
    rules::{CONFIGURED_TOGETHER, Rule, Verdict, WhenAbsent, WhenStranger, Work, work},
};
use jiff::Timestamp;

/// What must be known before it can be decided what to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// What to look at on the machine.
    pub look: Option<Look>,
    /// The task to ask for.
    pub task: Option<TaskId>,
    /// Whether to ask who holds the machine's lock, if the look shows one.
    pub holder: bool,
    /// Whether to ask what volumes are left behind, once the machine is seen unlocked before its start, or seen to be gone.
    pub leftovers: bool,
}

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

/// What must be looked at for the due step. Pure: time is an argument.
pub fn query(record: &VmRecord, now: Timestamp, policy: &RetryPolicy) -> Query {
    if let Progress::Submitted { task, .. } = &record.progress {
        return Query { task: Some(task.clone()), ..Query::default() };
    }
    if due_command(record).is_some() {
        return Query::default();
    }
    match work(record.step) {
        Work::Reach(rule) => Query {
            look: Some(look(record, rule)),
            holder: asks_for_holder(record, now, policy),
            leftovers: matches!(record.step, Step::Starting | Step::Removing)
                && record.remembered.contains(&Remembered::VolumesInDoubt),
            task: None,
        },
        Work::Rest if is_checked(record) => Query { look: Some(Look::CONFIG), ..Query::default() },
        Work::Advance | Work::TakeAddresses | Work::ReleaseAddresses | Work::Rest => Query::default(),
    }
}

/// Whether somebody wants to know if a resting machine is still there ([`LeaseStore::check`](crate::LeaseStore::check)).
fn is_checked(record: &VmRecord) -> bool {
    record.step == Step::Ready && matches!(record.due, Due::At(_))
}

/// Whether settings may wait that a look shows as if they were in force: part of a call that failed, on a machine that
/// does not run. A disk that is resized meanwhile would be shown with the size that waits, for ever.
fn settings_doubted(record: &VmRecord, rule: Rule) -> bool {
    rule.absent == WhenAbsent::Vanished && record.remembered.contains(&Remembered::SettingsInDoubt)
}

/// Whether a lock is worth the question who holds it: at once where it may be our own clone's, whose task we lost; else
/// once it has lasted for a while, until a human was told.
fn asks_for_holder(record: &VmRecord, now: Timestamp, policy: &RetryPolicy) -> bool {
    match &record.waiting {
        Some(waiting) if record.was_told_of(&waiting.why) => false,
        Some(waiting) => now.duration_since(waiting.since) >= policy.stale_lock / 4,
        None => is_unanswered_clone(record),
    }
}

fn is_unanswered_clone(record: &VmRecord) -> bool {
    let clone =
        matches!(&record.progress, Progress::Intended { change, .. } if change.kind == ChangeKind::Clone);
    clone && record.step == Step::Clone
}

/// The rule's look, with what this record needs beyond it and without what it does not.
fn look(record: &VmRecord, rule: Rule) -> Look {
    let look = usual_look(record, rule);
    if settings_doubted(record, rule) { look.and(Look::PENDING).and(Look::POWER) } else { look }
}

fn usual_look(record: &VmRecord, rule: Rule) -> Look {
    match record.step {
        Step::Clone if record.spec.pve_pool.is_none() => Look::CONFIG,
        Step::Starting => {
            let running = Look::CONFIG.and(Look::POWER);
            // Once started, only what is waited for is still of interest, for as long as the guest boots.
            let look = if goal::was_started(record) { running } else { running.and(Look::PENDING) };
            // Not asked where nothing hangs on it: its right may be missing, and its silence costs the node.
            let look =
                if record.spec.ready_when == ReadyWhen::Running { look } else { look.and(Look::AGENT) };
            // A guest that stops again is started again, and must not be without its rules having been seen.
            if goal::rules_doubted(record) { look.and(Look::FIREWALL) } else { look }
        }
        _ => rule.look,
    }
}

/// The waiting command whose turn it is. While a task works nothing is begun: a clone is waited for, never stopped.
fn due_command(record: &VmRecord) -> Option<QueuedCommand> {
    match record.progress {
        Progress::Submitted { .. } => None,
        Progress::Untried | Progress::Intended { .. } | Progress::Applied { .. } => {
            let terminate = record.pending.iter().find(|queued| queued.command == Command::Terminate);
            terminate.or_else(|| record.pending.first()).copied()
        }
    }
}

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
            Some(Sighting::ProvenAbsent) => absent(record, rule, observation),
            Some(Sighting::Unknown(obscured)) => Decision::Blind(obscured.clone()),
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

fn absent(record: &VmRecord, rule: Rule, observation: &Observation) -> Decision {
    let vmid = record.numbered.vmid;
    match rule.absent {
        WhenAbsent::Clone if record.smbios.is_none() => {
            let mut target = target(record, None);
            target.machine.node = record.spec.template.node.clone();
            submit(record, target, goal::clone_change(record))
        }
        WhenAbsent::Clone | WhenAbsent::Vanished => Decision::Vanished(vanished(record)),
        // A clone that was sent and not answered may still arrive: absence is believed only after that time.
        WhenAbsent::Done if record.remembered.contains(&Remembered::CloneInDoubt) => {
            Decision::Note(NoteDown::AwaitClone)
        }
        WhenAbsent::Done if observation.leftovers.is_some() => left_behind(observation),
        WhenAbsent::Done => Decision::Done(format!("there is no machine {vmid}")),
    }
}

/// What may have been left behind was looked for: that is written down, once.
fn left_behind(observation: &Observation) -> Decision {
    let found = observation.leftovers.clone().unwrap_or(Ok(Vec::new()));
    Decision::Note(NoteDown::Leftovers(found.map_err(|error| error.message)))
}

fn seen(
    record: &VmRecord,
    rule: Rule,
    machine: &Machine,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    match Ownership::judge(record.mark(), record.identity_of(machine), machine.shown()) {
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
    if observation.leftovers.is_some() {
        return left_behind(observation);
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
    let hinders = |lock: &&String| !(*lock == "suspended" && matches!(change, Change::Destroy));
    if let Some(lock) = machine.lock.as_ref().filter(hinders) {
        let (vmid, node) = (record.numbered.vmid, &machine.node);
        let why = format!(
            "the machine is locked ({lock}); if nothing works on it any more, release it on {node} as root: qm unlock {vmid}"
        );
        return locked(record, machine, holder, why);
    }
    let change = match change {
        Change::Configure(mut configure) if record.failures == 0 => {
            // One call carries what the following steps need too. After a failure each step goes alone, so that the
            // step that cannot be done is the one that says so.
            for (_, goal) in following(record.step) {
                if let Verdict::Unmet(Change::Configure(more)) | Verdict::Unseen(_, Change::Configure(more)) =
                    goal(record, machine)
                {
                    configure.merge(*more);
                }
            }
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

/// The configuration goals of the steps after `step`.
fn following(step: Step) -> &'static [(Step, crate::rules::Goal)] {
    match CONFIGURED_TOGETHER.iter().position(|(s, _)| *s == step) {
        Some(at) => &CONFIGURED_TOGETHER[at + 1..],
        None => &[],
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
