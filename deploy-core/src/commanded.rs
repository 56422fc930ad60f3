//! A command that was given, and what becomes of it.

use crate::{Admission, CommandId, CommandOutcome, CommandState, RecordStore, StoreError, VmKey};
use jiff::SignedDuration;
use std::{fmt, future::Future, sync::Arc};

/// A command that was given to a machine.
#[derive(Clone)]
pub struct Commanded {
    store: Arc<dyn RecordStore>,
    key: VmKey,
    admission: Admission,
}

/// What became of a command cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// So many commands came after it that it was forgotten, or it was never given.
    #[error("nothing is known of command {0} any more")]
    Forgotten(CommandId),
    /// There is no such machine.
    #[error("there is no machine {0}")]
    NotFound(VmKey),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Commanded {
    pub(crate) fn new(store: Arc<dyn RecordStore>, key: VmKey, admission: Admission) -> Self {
        Self { store, key, admission }
    }

    /// How the command was taken.
    pub fn admission(&self) -> Admission {
        self.admission
    }

    /// Its id; `None` where nothing had to be done.
    pub fn id(&self) -> Option<CommandId> {
        match self.admission {
            Admission::Queued(id) | Admission::AlreadyQueued(id) => Some(id),
            Admission::AlreadyDone => None,
        }
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`OutcomeError`].
    pub async fn state(&self) -> Result<CommandState, OutcomeError> {
        let Some(id) = self.id() else { return Ok(CommandState::Settled(CommandOutcome::Done)) };
        let record = self.store.get(self.key).await?.ok_or(OutcomeError::NotFound(self.key))?;
        Ok(record.command_state(id))
    }

    /// Waits until it is over, and says what became of it: for as long as that takes, for nothing ends the retrying. `sleep` is
    /// the runtime's (`deploy_worker::sleep` is tokio's): the core has no clock of its own.
    ///
    /// # Errors
    /// [`OutcomeError`].
    ///
    /// # Cancel safety
    /// Dropping it changes nothing: the command is carried out all the same, and can be awaited again.
    pub async fn await_outcome<S, F>(&self, sleep: S) -> Result<CommandOutcome, OutcomeError>
    where
        S: Fn(SignedDuration) -> F,
        F: Future<Output = ()>,
    {
        let mut pause = SignedDuration::from_millis(50);
        loop {
            match (self.state().await?, self.id()) {
                (CommandState::Settled(outcome), _) => return Ok(outcome),
                (CommandState::Unknown, Some(id)) => return Err(OutcomeError::Forgotten(id)),
                (CommandState::Waiting | CommandState::UnderWay | CommandState::Unknown, _) => {}
            }
            sleep(pause).await;
            // What is over is known after a quarter of the time that it took, at most.
            pause = (pause * 5 / 4).min(SignedDuration::from_secs(1));
        }
    }
}

impl fmt::Debug for Commanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commanded")
            .field("key", &self.key)
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}
