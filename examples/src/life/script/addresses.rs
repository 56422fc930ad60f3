//! Addresses.

use super::Life;
use anyhow::Context as _;
use deploy_core::{Command, Family, NicSlot};

pub(super) async fn addresses(life: &mut Life) -> anyhow::Result<()> {
    // Addresses, and their names.
    let net0 = NicSlot::try_from(0)?;
    life.give(Command::SetDedicatedIp(net0, Family::V4)).await?; // the old one rests
    life.give(Command::SetDedicatedIp(net0, Family::V6)).await?;
    life.give(Command::AddAddress(net0, Family::V4)).await?;
    let added = life.before.record.addresses.iter().rfind(|held| held.address.is_ipv4());
    let added = added.context("no address came")?.address;
    life.give(Command::RemoveAddress(added)).await?;
    life.somebody_forgets_its_name().await?;
    life.give(Command::SetDnsRecords).await?; // at once, and awaited
    Ok(())
}
