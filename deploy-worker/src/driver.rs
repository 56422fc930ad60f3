use async_trait::async_trait;
use deploy_core::{CommitError, Known, Leased, Seams, Turned, turn};

/// Takes one turn of one machine: all that the loop knows of the core, so that tests of the loop can script the turns.
#[async_trait]
pub(crate) trait Driver: Send + Sync {
    async fn turn(&self, leased: &mut Leased, known: Known) -> Result<Turned, CommitError>;
}

#[async_trait]
impl Driver for Seams {
    async fn turn(&self, leased: &mut Leased, known: Known) -> Result<Turned, CommitError> {
        turn(self, leased, known).await
    }
}
