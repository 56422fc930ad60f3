//! Another package, and other credentials.

use super::Life;
use deploy_core::{AdditionalDisk, Command, Credentials, DiskLimits, Limit};
use secrecy::SecretString;

pub(super) async fn hardware(life: &mut Life) -> anyhow::Result<()> {
    // Another package: the whole order, or one option of it.
    let (two, memory, gib_12, gib_8) = (2.try_into()?, 2048.try_into()?, 12.try_into()?, 8.try_into()?);
    life.change("2 cores, 2 GiB, 12 GiB", |order| {
        (order.cores, order.memory, order.system_disk.size) = (two, memory, gib_12);
    })
    .await?;
    life.change("a disk of 8 GiB", |order| order.system_disk.size = gib_8).await?; // refused by name
    let gold = "gold".parse()?;
    life.change("one tag more", |order| order.tags.extend([gold])).await?; // without a restart
    Ok(())
}

pub(super) async fn credentials(life: &mut Life) -> anyhow::Result<()> {
    // What its guest is told: user, password, keys.
    let password = life.panel.hash_password(&SecretString::from("a new one"))?;
    let credentials = Credentials { user: Some("ann".parse()?), password: Some(password), ssh_keys: None };
    life.give(Command::SetCredentials(Box::new(credentials))).await?;
    Ok(())
}

pub(super) async fn disks(life: &mut Life) -> anyhow::Result<()> {
    // Another disk, larger ones, other bandwidths.
    let write =
        |rate: &str| anyhow::Ok(DiskLimits { write: Limit::At(rate.parse()?), ..DiskLimits::default() });
    let disk = AdditionalDisk { storage: "shared".parse()?, size: 4.try_into()?, limits: write("20")? };
    life.change("a disk more", |order| order.additional_disks.push(disk)).await?;
    let (gib_14, gib_6, slow, fast) = (14.try_into()?, 6.try_into()?, write("50")?, write("80")?);
    life.change("larger disks", |order| {
        order.system_disk.size = gib_14;
        order.additional_disks[0].size = gib_6;
    })
    .await?;
    life.change("other bandwidths", |order| {
        order.system_disk.limits = slow;
        order.additional_disks[0].limits = fast;
    })
    .await?;
    Ok(())
}
