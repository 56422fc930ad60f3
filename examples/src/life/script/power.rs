//! Power, and suspension.

use super::Life;
use deploy_core::{Command, Resume, StopHow};

pub(super) async fn power(life: &mut Life) -> anyhow::Result<()> {
    // Power: the guest is asked to stop; asked, and stopped after so many seconds; or not asked.
    life.give(Command::Stop(StopHow::Graceful)).await?;
    life.give(Command::Start).await?;
    life.deaf_guest()?;
    life.give(Command::Stop(StopHow::Within(2))).await?;
    life.give(Command::Start).await?;
    life.deaf_guest()?;
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Start).await?;
    life.give(Command::Restart(StopHow::Graceful)).await?; // or as above
    life.give(Command::Reset).await?;
    Ok(())
}

pub(super) async fn suspension(life: &mut Life) -> anyhow::Result<()> {
    // Suspension: stopped, kept from being started, and given back.
    life.give(Command::Suspend).await?;
    life.give(Command::Start).await?; // refused: unsuspend it first
    life.give(Command::Unsuspend(Resume::Started)).await?;
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Suspend).await?;
    life.give(Command::Unsuspend(Resume::AsBefore)).await?; // it was stopped, and stays so
    life.give(Command::Start).await?;
    Ok(())
}
