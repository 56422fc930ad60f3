//! Commands in the middle of a deployment, and a machine that somebody else made.

use super::Life;
use crate::life::{Outcome, outcome};
use deploy_core::{Command, Resume, Step};
use std::time::Instant;

/// It is deployed to its end, and never starts.
pub(super) async fn suspended_in_the_middle(life: &mut Life) -> anyhow::Result<()> {
    // A suspension takes effect at once: this one is deployed to its end, and never starts.
    life.order_another("web-2").await?;
    life.is_cloned().await?;
    life.give(Command::Suspend).await?;
    life.give(Command::Unsuspend(Resume::Started)).await?;
    Ok(())
}

/// The clone is waited for, and not stopped.
pub(super) async fn terminated_in_the_middle(life: &mut Life) -> anyhow::Result<()> {
    // A termination waits for the clone that is being made.
    let begun = Instant::now();
    let reinstall = life.panel.command(life.key, Command::Reinstall(Box::default())).await?;
    life.is_cloned().await?;
    life.give(Command::Terminate).await?;
    let superseded = Outcome::Settled(outcome(&reinstall).await?);
    life.tell("reinstall".to_owned(), superseded, begun.elapsed()).await?;
    Ok(())
}

/// It is not there at first, and what is adopted is taken away like any other.
pub(super) async fn adopted(life: &mut Life) -> anyhow::Result<()> {
    // A machine that somebody else made is adopted as it is, or its adoption is given up.
    life.adopt("old-1", 400).await?;
    life.give(Command::Terminate).await?; // refused: it is not ours yet
    life.give(Command::LetGo).await?;
    life.somebody_makes("old-1", 400).await?;
    life.adopt("old-1", 400).await?;
    life.until("it is not adopted", |record| record.step == Step::Ready).await?;
    life.was_adopted().await?;
    life.give(Command::Terminate).await?;
    Ok(())
}
