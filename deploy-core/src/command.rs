//! Commands, and when they are legal.

use crate::{CommandId, Invalid, Operation, QueuedCommand, Step, VmRecord};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What can be asked of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Try the due step now, whatever its delay.
    Retry,
    /// Take the machine away, with its addresses and backups.
    Terminate,
}

impl Command {
    /// The command's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Terminate => "terminate",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Command {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Retry, Self::Terminate]
            .into_iter()
            .find(|command| command.as_str() == text)
            .ok_or_else(|| Invalid::new("command", text, "\"retry\" or \"terminate\""))
    }
}

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is queued under this id.
    Queued(CommandId),
    /// The same command already waits under this id: asking twice is one.
    AlreadyQueued(CommandId),
    /// It is already so, or already under way; nothing needs to be done.
    AlreadyDone,
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The machine is being terminated or is gone.
    #[error("the machine is terminated or being terminated; no other command is possible")]
    Terminating,
    /// There is nothing to try again.
    #[error("the machine rests at {0}; there is nothing to try again")]
    AtRest(Step),
}

/// Decides whether a machine takes a command. Pure; a store calls it inside the transaction that writes the command, so
/// that it judges the record as it is at that moment.
///
/// # Errors
/// [`Denied`], with the reason.
pub fn admit(record: &VmRecord, command: Command, id: CommandId) -> Result<Admission, Denied> {
    let waiting = |wanted: Command| record.pending.iter().find(|queued| queued.command == wanted);
    let terminates = record.operation == Operation::Terminate || waiting(Command::Terminate).is_some();
    if let Some(QueuedCommand { id, .. }) = waiting(command) {
        return Ok(Admission::AlreadyQueued(*id));
    }
    match command {
        Command::Terminate if terminates => Ok(Admission::AlreadyDone),
        Command::Retry if record.step.is_rest() => Err(match record.step {
            Step::Terminated => Denied::Terminating,
            step => Denied::AtRest(step),
        }),
        Command::Terminate | Command::Retry => Ok(Admission::Queued(id)),
    }
}
