//! Commands about commands: what waits, and what is tried again.

use super::Life;
use crate::life::{Outcome, id, outcome};
use deploy_core::{Command, StopHow};
use std::time::Instant;

pub(super) async fn queue(life: &mut Life) -> anyhow::Result<()> {
    // What has no space would be tried again in a minute.
    life.storage_full(true)?;
    let mut order = life.before.record.spec.clone();
    order.system_disk.size = 16.try_into()?;
    let begun = Instant::now();
    let grown = life.panel.change_package(life.key, order).await?;
    life.failed().await?;
    life.storage_full(false)?;
    life.give(Command::Retry).await?;
    let settled = Outcome::Settled(outcome(&grown).await?);
    life.tell("change_package: 16 GiB".to_owned(), settled, begun.elapsed()).await?;

    // What waits behind another can be taken back.
    let begun = Instant::now();
    let restart = life.panel.command(life.key, Command::Restart(StopHow::Graceful)).await?;
    let reinstall = life.panel.command(life.key, Command::Reinstall(Box::default())).await?;
    life.give(Command::Withdraw(id(&reinstall)?)).await?;
    let withdrawn = Outcome::Settled(outcome(&reinstall).await?);
    life.tell("reinstall".to_owned(), withdrawn, begun.elapsed()).await?;
    let restarted = Outcome::Settled(outcome(&restart).await?);
    life.tell("restart".to_owned(), restarted, begun.elapsed()).await?;

    // Nothing is done to it while an operator holds it.
    life.give(Command::Hold).await?;
    life.give(Command::Stop(StopHow::Hard)).await?; // refused: release it first
    life.give(Command::Release).await?;
    Ok(())
}
