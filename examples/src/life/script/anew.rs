//! A machine that is made anew, removed, and taken away.

use super::{Life, saved::backup};
use deploy_core::{Command, DataDisks, NewInstallation, Step, StopHow, Template};

pub(super) async fn reinstalled(life: &mut Life) -> anyhow::Result<()> {
    // Made anew from its template or another one, with its addresses.
    life.give(Command::Reinstall(Box::default())).await?; // from its template
    let template = Template { vmid: 9002.try_into()?, node: "pve1".parse()? };
    let another = NewInstallation { template: Some(template), ..NewInstallation::default() };
    life.give(Command::Reinstall(Box::new(another))).await?;
    // Or its system disk alone is: all else stays, and so does what is on the other disks.
    let keeping = NewInstallation { additional_disks: DataDisks::Keep, ..NewInstallation::default() };
    life.give(Command::Reinstall(Box::new(keeping))).await?;
    Ok(())
}

pub(super) async fn removed(life: &mut Life) -> anyhow::Result<()> {
    // Removed: record, addresses and backups stay.
    life.give(Command::Remove).await?; // refused: it runs
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Remove).await?;
    life.give(Command::RunOn(Step::Clone)).await?;
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Remove).await?;
    Ok(())
}

pub(super) async fn terminated(life: &mut Life) -> anyhow::Result<()> {
    // And taken away, with its backups.
    life.give(Command::Backup(backup()?)).await?;
    life.give(Command::Terminate).await?;
    life.give(Command::Start).await?; // refused: it is gone
    Ok(())
}
