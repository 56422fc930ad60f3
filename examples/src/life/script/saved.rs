//! Snapshots and backups.

use super::Life;
use anyhow::Context as _;
use deploy_core::{BackupMode, Command, NewBackup, NewSnapshot};

pub(super) async fn snapshots(life: &mut Life) -> anyhow::Result<()> {
    // Snapshots, which may expire by themselves.
    let name: deploy_core::SnapshotName = "before-update".parse()?;
    let snapshot = NewSnapshot { name: name.clone(), description: String::new(), expires: None };
    life.give(Command::CreateSnapshot(snapshot)).await?;
    life.give(Command::RollBack(name.clone())).await?;
    life.give(Command::DeleteSnapshot(name)).await?;
    Ok(())
}

pub(super) async fn backups(life: &mut Life) -> anyhow::Result<()> {
    // Backups.
    life.give(Command::Backup(backup()?)).await?;
    let volume = life.before.backups.first().context("no backup")?.clone();
    life.give(Command::RestoreBackup(volume.clone())).await?;
    life.give(Command::DeleteBackup(volume)).await?;
    Ok(())
}

pub(super) fn backup() -> anyhow::Result<NewBackup> {
    Ok(NewBackup { storage: "shared".parse()?, mode: BackupMode::Snapshot, expires: None })
}
