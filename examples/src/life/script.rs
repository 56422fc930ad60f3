//! The commands, one after the other.

use super::{Life, Outcome, id, outcome};
use anyhow::Context as _;
use deploy_core::{
    BackupMode, Command, Credentials, Family, NewBackup, NewSnapshot, NicSlot, Resume, Step, StopHow,
};
use secrecy::SecretString;
use std::time::Instant;

/// Gives the machine every command there is, each when the one before it is over, and takes the machine away at the end.
///
/// # Errors
/// A command that cannot be given or awaited.
pub async fn play(life: &mut Life) -> anyhow::Result<()> {
    power(life).await?;
    hardware(life).await?;
    addresses(life).await?;
    steps(life).await?;
    snapshots(life).await?;
    backups(life).await?;
    queue(life).await?;
    anew(life).await?;
    life.give(Command::Backup(backup()?)).await?;
    life.give(Command::Terminate).await?;
    life.give(Command::Start).await?;
    Ok(())
}

async fn power(life: &mut Life) -> anyhow::Result<()> {
    life.give(Command::Stop(StopHow::Graceful)).await?; // or Within(seconds), or Hard
    life.give(Command::Start).await?;
    life.give(Command::Restart(StopHow::Hard)).await?;
    life.give(Command::Reset).await?;
    life.give(Command::Suspend).await?;
    life.give(Command::Start).await?; // refused: unsuspend it first
    life.give(Command::Unsuspend(Resume::Started)).await?; // or AsBefore
    Ok(())
}

async fn hardware(life: &mut Life) -> anyhow::Result<()> {
    let (two, gib_12, gib_8) = (2.try_into()?, 12.try_into()?, 8.try_into()?);
    let memory = 2048.try_into()?;
    life.change("2 cores, 2 GiB, 12 GiB", |order| {
        (order.cores, order.memory, order.system_disk.size) = (two, memory, gib_12);
    })
    .await?;
    life.change("a disk of 8 GiB", |order| order.system_disk.size = gib_8).await?; // refused by name
    let gold = "gold".parse()?;
    life.change("one tag more", |order| order.tags.extend([gold])).await?; // without a restart
    let password = life.panel.hash_password(&SecretString::from("a new one"))?;
    let credentials = Credentials { user: Some("ann".parse()?), password: Some(password), ssh_keys: None };
    life.give(Command::SetCredentials(Box::new(credentials))).await?;
    Ok(())
}

async fn addresses(life: &mut Life) -> anyhow::Result<()> {
    let net0 = NicSlot::try_from(0)?;
    life.give(Command::SetDedicatedIp(net0, Family::V4)).await?;
    life.give(Command::AddAddress(net0, Family::V4)).await?;
    let added = life.before.record.addresses.iter().rfind(|held| held.address.is_ipv4());
    let added = added.context("no address came")?.address;
    life.give(Command::RemoveAddress(added)).await?;
    Ok(())
}

async fn steps(life: &mut Life) -> anyhow::Result<()> {
    let net0 = life.before.config.get("net0").context("no net0")?.replace("rate=12.5", "rate=1");
    life.by_hand("net0", &net0).await?;
    life.give(Command::Step(Step::SetNetwork)).await?;
    life.give(Command::Step(Step::SetCpuRam)).await?;
    life.by_hand("net0", &net0).await?;
    life.give(Command::RunOn(Step::SetNetwork)).await?;
    Ok(())
}

async fn snapshots(life: &mut Life) -> anyhow::Result<()> {
    let name: deploy_core::SnapshotName = "before-update".parse()?;
    let snapshot = NewSnapshot { name: name.clone(), description: String::new(), expires: None };
    life.give(Command::CreateSnapshot(snapshot)).await?;
    life.give(Command::RollBack(name.clone())).await?;
    life.give(Command::DeleteSnapshot(name)).await?;
    Ok(())
}

async fn backups(life: &mut Life) -> anyhow::Result<()> {
    life.give(Command::Backup(backup()?)).await?;
    let volume = life.before.backups.first().context("no backup")?.clone();
    life.give(Command::RestoreBackup(volume.clone())).await?;
    life.give(Command::DeleteBackup(volume)).await?;
    Ok(())
}

fn backup() -> anyhow::Result<NewBackup> {
    Ok(NewBackup { storage: "shared".parse()?, mode: BackupMode::Snapshot, expires: None })
}

async fn queue(life: &mut Life) -> anyhow::Result<()> {
    // It has no space, and would be tried again in a minute.
    life.storage_full(true)?;
    let mut order = life.scene().await?.record.spec;
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

    life.give(Command::Hold).await?;
    life.give(Command::Stop(StopHow::Hard)).await?; // refused: release it first
    life.give(Command::Release).await?;
    Ok(())
}

async fn anew(life: &mut Life) -> anyhow::Result<()> {
    life.give(Command::Reinstall(Box::default())).await?;
    life.give(Command::Remove).await?; // refused: it runs
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Remove).await?; // record, addresses and backups stay
    life.give(Command::RunOn(Step::Clone)).await?;
    Ok(())
}
