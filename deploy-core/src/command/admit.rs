//! When a command is legal.

use super::{Command, DataDisks, Kind, Phase};
use crate::{CommandId, Invalid, Operation, QueuedCommand, Step, VmRecord};

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is queued under this id.
    Queued(CommandId),
    /// The same command already waits, or is being carried out, under this id: asking twice is one.
    AlreadyQueued(CommandId),
    /// It is already so, or already under way; nothing needs to be done.
    AlreadyDone,
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The machine is being terminated or is gone.
    #[error("the machine is terminated or being terminated; no other command is possible")]
    Terminating,
    /// There is nothing to try again.
    #[error("the machine rests at {0}; there is nothing to try again")]
    AtRest(Step),
    /// An operator holds it.
    #[error("the machine is held by an operator; release it first")]
    Held,
    /// It is not possible at this point of the machine's life.
    #[error("{command}: not while the machine is {phase}; {instead}")]
    NotNow {
        /// The command.
        command: &'static str,
        /// Where the machine is in its life.
        phase: Phase,
        /// What would be right.
        instead: &'static str,
    },
    /// What it was given contradicts itself or the machine.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Decides whether a machine takes a command. Pure; a store calls it inside the transaction that writes the command, so
/// that it judges the record as it is at that moment.
///
/// # Errors
/// [`Denied`], with the reason.
pub fn admit(record: &VmRecord, command: &Command, id: CommandId) -> Result<Admission, Denied> {
    let phase = Phase::held_or_not(record, will_be_held(record));
    if waits(record, &Command::Terminate).is_some() {
        return match (command, phase) {
            // It waits for the release, and nothing else does any more.
            (Command::Hold | Command::Release, Phase::Held) => judged(record, command, id, phase),
            (Command::Terminate | Command::Release, _) => {
                already_queued(record, command).ok_or(Denied::Terminating)
            }
            (Command::Retry, phase) if phase != Phase::Held => queued(record, command, id),
            _ => Err(Denied::Terminating),
        };
    }
    if waits(record, &Command::LetGo).is_some() {
        return already_queued(record, command)
            .filter(|_| *command == Command::LetGo)
            .ok_or(Denied::Terminating);
    }
    // Also where it is held: at the release it would be ours, or not.
    if *command == Command::Terminate && Phase::held_or_not(record, false) == Phase::Adopting {
        judge(command, Phase::Adopting)?;
    }
    judged(record, command, id, phase)
}

fn judged(record: &VmRecord, command: &Command, id: CommandId, phase: Phase) -> Result<Admission, Denied> {
    let suspended = record.life.suspended.is_some() && !matches!(phase, Phase::Held | Phase::Terminating);
    match (command, judge(command, phase)?) {
        // It is, or shall be, whatever is being done to it meanwhile.
        (Command::Suspend, _) if suspended && last_of_kind(record, Kind::Suspension).is_none() => {
            Ok(Admission::AlreadyDone)
        }
        (Command::Unsuspend(_), _) if suspended => queued(record, command, id),
        (_, Legal::Queued) => {
            command.must_fit(record)?;
            queued(record, command, id)
        }
        // What waits may have changed that by the time it is this command's turn.
        (_, Legal::AlreadySo) if waits_for_others(record, command.kind()) => queued(record, command, id),
        (_, Legal::AlreadySo) => Ok(already_queued(record, command).unwrap_or(Admission::AlreadyDone)),
    }
}

/// Whether an operator has it once what waits was taken, which is before the command that is judged: a release that is asked for
/// right after its hold must not be lost, nor a termination refused right after a release.
fn will_be_held(record: &VmRecord) -> bool {
    last_hold(record).map_or(record.life.held, |last| last.command == Command::Hold)
}

fn last_hold(record: &VmRecord) -> Option<&QueuedCommand> {
    record.pending.iter().rfind(|queued| matches!(queued.command, Command::Hold | Command::Release))
}

fn queued(record: &VmRecord, command: &Command, id: CommandId) -> Result<Admission, Denied> {
    if let Command::Withdraw(withdrawn) = command
        && !record.life.queue.iter().chain(&record.pending).any(|queued| queued.id == *withdrawn)
    {
        let expected = "the id of a command that waits; one that was begun is carried out";
        return Err(Denied::Invalid(Invalid::new("withdraw", withdrawn, expected)));
    }
    Ok(already_queued(record, command).unwrap_or(Admission::Queued(id)))
}

/// The same command, where it is the last of its kind that was asked: whatever came between would be undone.
fn already_queued(record: &VmRecord, command: &Command) -> Option<Admission> {
    let last = match command.kind() {
        Kind::AtOnce if matches!(command, Command::Hold | Command::Release) => {
            last_hold(record).filter(|last| last.command == *command)
        }
        Kind::AtOnce => waits(record, command),
        kind => last_of_kind(record, kind).filter(|last| last.command.asks_the_same(command)),
    };
    last.map(|queued| Admission::AlreadyQueued(queued.id))
}

fn waits_for_others(record: &VmRecord, kind: Kind) -> bool {
    kind != Kind::AtOnce && last_of_kind(record, kind).is_some()
}

fn waits<'a>(record: &'a VmRecord, command: &Command) -> Option<&'a QueuedCommand> {
    record.life.queue.iter().chain(&record.pending).find(|queued| queued.command == *command)
}

/// The last command of this kind that is being carried out or waits.
fn last_of_kind(record: &VmRecord, kind: Kind) -> Option<&QueuedCommand> {
    let asked = record.life.asked.iter().map(|asked| &asked.queued);
    asked.chain(&record.life.queue).chain(&record.pending).rfind(|queued| queued.command.kind() == kind)
}

/// What a command is at a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legal {
    /// It is carried out when its turn comes.
    Queued,
    /// There is nothing to do.
    AlreadySo,
}

/// The table of `docs/commands.md`.
#[allow(clippy::match_same_arms)] // a table is read line by line
pub(crate) fn judge(command: &Command, phase: Phase) -> Result<Legal, Denied> {
    use Phase as P;
    let not_now = |instead| Err(Denied::NotNow { command: command.as_str(), phase, instead });
    match (command, phase) {
        (Command::Terminate, P::Terminating | P::Terminated) => Ok(Legal::AlreadySo),
        (Command::Retry, P::Terminating) => Ok(Legal::Queued),
        (_, P::Terminating | P::Terminated) => Err(Denied::Terminating),

        (Command::LetGo, P::Adopting) => Ok(Legal::Queued),
        (Command::LetGo, P::Held) => Err(Denied::Held),
        (Command::LetGo, _) => not_now("it is not being adopted; terminate takes it away"),
        (Command::Terminate, P::Adopting) => {
            not_now("it is not ours yet; let go of it (let_go), or wait until it is adopted")
        }

        (Command::Hold, P::Held) => Ok(Legal::AlreadySo),
        // Whoever holds it may be at work on it: it is carried out at the release.
        (Command::Release | Command::Terminate, P::Held) => Ok(Legal::Queued),
        (_, P::Held) => Err(Denied::Held),
        (Command::Release, _) => Ok(Legal::AlreadySo),

        (Command::Reinstall(new), P::Removed) if new.additional_disks == DataDisks::Keep => {
            not_now("there is no machine whose disks could be kept; reinstall it without")
        }
        (Command::Hold | Command::Withdraw(_) | Command::Terminate | Command::Reinstall(_), _) => {
            Ok(Legal::Queued)
        }
        (Command::Retry, P::Ready) => Err(Denied::AtRest(Step::Ready)),
        (Command::Retry, P::Suspended) => Err(Denied::AtRest(Step::Suspended)),
        (Command::Retry, P::Removed) => Err(Denied::AtRest(Step::Removed)),
        (Command::Retry, P::Deploying | P::Adopting | P::Busy) => Ok(Legal::Queued),

        (Command::Suspend, P::Suspended) => Ok(Legal::AlreadySo),
        (Command::Suspend, P::Deploying | P::Adopting | P::Busy | P::Ready | P::Removed) => Ok(Legal::Queued),
        (Command::Unsuspend(_), P::Suspended) => Ok(Legal::Queued),
        (Command::Unsuspend(_), P::Deploying | P::Adopting | P::Busy | P::Ready | P::Removed) => {
            Ok(Legal::AlreadySo)
        }

        (
            Command::SetDnsRecords,
            P::Deploying | P::Adopting | P::Busy | P::Ready | P::Suspended | P::Removed,
        ) => Ok(Legal::Queued),

        (Command::Remove, P::Removed) => Ok(Legal::AlreadySo),
        (Command::Remove, P::Deploying) => not_now("terminate it, or wait until it is ready"),
        (
            Command::Step(Step::Clone | Step::SetIp) | Command::RunOn(Step::Clone | Step::SetIp),
            P::Removed,
        ) => Ok(Legal::Queued),
        (_, P::Removed) => not_now("there is no machine; clone it anew first (run_on clone)"),
        (Command::Start | Command::Stop(_) | Command::Restart(_) | Command::Reset, P::Suspended) => {
            not_now("unsuspend it first")
        }
        (Command::Start | Command::Stop(_) | Command::Restart(_) | Command::Reset, P::Deploying) => {
            not_now("wait until it is ready, or suspend it so that it does not start")
        }
        (Command::Step(_) | Command::RunOn(_), P::Deploying) => {
            not_now("its deployment takes all steps by itself")
        }
        (
            Command::Start
            | Command::Stop(_)
            | Command::Restart(_)
            | Command::Reset
            | Command::Step(_)
            | Command::RunOn(_)
            | Command::Remove,
            P::Adopting | P::Busy | P::Ready,
        )
        | (Command::Step(_) | Command::RunOn(_) | Command::Remove, P::Suspended)
        | (
            Command::ChangePackage(_)
            | Command::SetCredentials(_)
            | Command::SetDedicatedIp(..)
            | Command::AddAddress(..)
            | Command::RemoveAddress(_)
            | Command::CreateSnapshot(_)
            | Command::DeleteSnapshot(_)
            | Command::RollBack(_)
            | Command::Backup(_)
            | Command::DeleteBackup(_)
            | Command::RestoreBackup(_),
            P::Deploying | P::Adopting | P::Busy | P::Ready | P::Suspended,
        ) => Ok(Legal::Queued),
    }
}

impl Command {
    /// Judges what it was given, as far as the record tells.
    fn must_fit(&self, record: &VmRecord) -> Result<(), Invalid> {
        match self {
            Self::Step(step) | Self::RunOn(step) => {
                let operation =
                    if matches!(self, Self::Step(_)) { Operation::SingleStep } else { Operation::Create };
                let runs = operation.steps().contains(step) && !step.is_rest() && *step != Step::Creation;
                let expected = "a step of a deployment, such as \"set_network\"";
                if runs { Ok(()) } else { Err(Invalid::new("step", step, expected)) }
            }
            _ => self.order(record).map_or(Ok(()), |order| order.map(drop)),
        }
    }
}
