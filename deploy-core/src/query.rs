//! What must be looked at.

use crate::{
    ChangeKind, Command, Due, Look, MachineId, Progress, QueuedCommand, ReadyWhen, Remembered, RetryPolicy,
    Step, TaskId, VmRecord, goal,
    rules::{Rule, WhenAbsent, Work, work},
};
use jiff::Timestamp;

/// What must be known before it can be decided what to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub struct Query {
    /// What to look at on the machine.
    pub look: Option<Look>,
    /// The task to ask for.
    pub task: Option<TaskId>,
    /// Whether to ask who holds the machine's lock, if the look shows one.
    pub holder: bool,
    /// Whether to ask what volumes are left behind, once the machine is seen unlocked before its start, or seen not to be there
    /// before it is cloned again, or when it is taken away.
    pub leftovers: bool,
    /// The template that is to be looked at, before anything is given up for a machine made from it.
    pub template: Option<MachineId>,
    /// Whether to look into the backup that is to be deleted or restored, to see whose it is; and for backups also where there is no
    /// machine, when it is taken away.
    pub archived: bool,
    /// Whether to ask how the machine's DNS records are.
    pub dns: bool,
}

/// What must be looked at for the due step. Pure: time is an argument.
pub fn query(record: &VmRecord, now: Timestamp, policy: &RetryPolicy) -> Query {
    if let Progress::Submitted { task, .. } = &record.progress {
        return Query { task: Some(task.clone()), ..Query::default() };
    }
    if due_command(record).is_some() || next_in_queue(record).is_some() || record.life.held {
        return Query::default();
    }
    match work(record) {
        Work::Reach(_) if is_first_clone(record) => Query::default(),
        Work::Reach(rule) => Query {
            look: Some(look(record, rule, policy)),
            holder: asks_for_holder(record, now, policy),
            leftovers: is_unanswered_destroy(record)
                || (matches!(record.step, Step::Clone | Step::Starting | Step::CpStart | Step::Removing)
                    && record.remembered.contains(&Remembered::VolumesInDoubt)),
            task: None,
            template: (record.step == Step::Reinstall).then(|| goal::template(record)),
            archived: matches!(
                record.step,
                Step::DeletingBackups | Step::DeletingBackup | Step::RestoreBackup
            ),
            dns: false,
        },
        Work::Rest if is_checked(record) => Query { look: Some(Look::CONFIG), ..Query::default() },
        Work::SetDns => Query { dns: true, ..Query::default() },
        Work::Advance | Work::TakeAddresses | Work::ReleaseAddresses | Work::ReleaseRetiring | Work::Rest => {
            Query::default()
        }
    }
}

/// Whether somebody wants to know if a resting machine is still there ([`LeaseStore::check`](crate::LeaseStore::check)).
pub(crate) fn is_checked(record: &VmRecord) -> bool {
    matches!(record.step, Step::Ready | Step::Suspended) && matches!(record.due, Due::At(_))
}

/// Whether settings may wait that a look shows as if they were in force: part of a call that failed, on a machine that
/// does not run. A disk that is resized meanwhile would be shown with the size that waits, for ever.
pub(crate) fn settings_doubted(record: &VmRecord, rule: Rule) -> bool {
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

/// Whether nothing of a clone under this number can be there or still arrive, so that there is nothing to look for: none was
/// sent, or it was refused or failed. The number is reserved for this machine alone, and where somebody took it all the same
/// the clone fails before it makes anything: at once on the same node, else in its task.
pub(crate) fn is_first_clone(record: &VmRecord) -> bool {
    record.step == Step::Clone
        && record.progress == Progress::Untried
        && record.failures == 0
        && record.smbios.is_none()
        && record.remembered.is_empty()
}

pub(crate) fn is_unanswered_clone(record: &VmRecord) -> bool {
    let clone =
        matches!(&record.progress, Progress::Intended { change, .. } if change.kind == ChangeKind::Clone);
    clone && record.step == Step::Clone
}

/// The rule's look, with what this record needs beyond it and without what it does not.
fn look(record: &VmRecord, rule: Rule, policy: &RetryPolicy) -> Look {
    let look = match record.step {
        // For the receipt alone, which must not hinder the destroy for ever.
        Step::Removing if record.failures >= policy.attention_after => rule.look.without(Look::SNAPSHOTS),
        _ => usual_look(record, rule),
    };
    if settings_doubted(record, rule) { look.and(Look::PENDING).and(Look::POWER) } else { look }
}

fn usual_look(record: &VmRecord, rule: Rule) -> Look {
    match record.step {
        Step::Clone | Step::Adopting | Step::Marking if record.spec.pve_pool.is_none() => {
            rule.look.without(Look::POOL)
        }
        // At the first try the options are written in any case, whatever they are.
        Step::SetFirewall if is_first_try(record) => rule.look.without(Look::FIREWALL_OPTIONS),
        Step::Starting if record.operation.deploys() => {
            // Whether it runs is told by the start itself, the first time.
            if is_first_try(record) && !goal::rules_doubted(record) {
                return Look::CONFIG.and(Look::PENDING);
            }
            let running = Look::CONFIG.and(Look::POWER);
            // Once started, only what is waited for is still of interest, for as long as the guest boots.
            let look = if goal::was_started(record) { running } else { running.and(Look::PENDING) };
            // Not asked where nothing hangs on it: its right may be missing, and its silence costs the node.
            let look =
                if record.spec.ready_when == ReadyWhen::Running { look } else { look.and(Look::AGENT) };
            // A guest that stops again is started again, and must not be without its rules having been seen.
            if goal::rules_doubted(record) { look.and(Look::FIREWALL) } else { look }
        }
        // It must not be started without its rules having been seen, either.
        Step::CpStart if goal::rules_doubted(record) => rule.look.and(Look::FIREWALL),
        _ => rule.look,
    }
}

/// Whether the machine's destroy was sent, and nobody took down what came of it.
pub(crate) fn is_unanswered_destroy(record: &VmRecord) -> bool {
    let destroy =
        matches!(&record.progress, Progress::Intended { change, .. } if change.kind == ChangeKind::Destroy);
    destroy && record.step == Step::Removing
}

fn is_first_try(record: &VmRecord) -> bool {
    record.progress == Progress::Untried && record.failures == 0
}

/// The command that has come and is looked at now. While a task works nothing is begun: a clone is waited for, never stopped.
pub(crate) fn due_command(record: &VmRecord) -> Option<&QueuedCommand> {
    match record.progress {
        Progress::Submitted { .. } => None,
        Progress::Untried | Progress::Intended { .. } | Progress::Applied { .. } => {
            let is_next =
                |queued: &&QueuedCommand| matches!(queued.command, Command::Terminate | Command::Hold);
            // It goes before all that waits, but for a hold that was there before it.
            let terminate =
                record.pending.iter().find(is_next).filter(|first| first.command == Command::Terminate);
            terminate.or_else(|| record.pending.first())
        }
    }
}

/// The command that was taken and whose turn it is, because the machine rests. A termination waits for nothing but the release
/// of a machine that an operator holds.
pub(crate) fn next_in_queue(record: &VmRecord) -> Option<&QueuedCommand> {
    let first = record.life.queue.first().filter(|_| !record.life.held)?;
    let rests = record.step.is_rest() && record.step != Step::Terminated;
    (rests || first.command == Command::Terminate).then_some(first)
}
