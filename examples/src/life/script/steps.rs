//! Single steps of a deployment: to mend what somebody changed, and to make a machine one step at a time.

use super::Life;
use deploy_core::{Command, Step, StopHow};

/// Most steps can be taken at any time.
pub(super) async fn while_it_runs(life: &mut Life) -> anyhow::Result<()> {
    // Single steps of a deployment, which mend what somebody changed.
    life.somebody("limits net0", &[("net0", &life.option("net0").replace("rate=12.5", "rate=1"))]).await?;
    life.give(Command::Step(Step::SetNetwork)).await?;
    life.somebody_opens_the_firewall().await?;
    life.give(Command::Step(Step::SetFirewall)).await?;
    life.somebody_moves_it("pve3").await?;
    life.give(Command::Step(Step::Migrated)).await?;
    life.somebody("limits scsi0", &[("scsi0", &life.option("scsi0").replace("mbps_wr=50", "mbps_wr=1"))])
        .await?;
    life.give(Command::Step(Step::SetSystemDiskBandwidth)).await?;
    Ok(())
}

/// Some show nothing before the next start, and are taken only while it is stopped.
pub(super) async fn while_it_is_stopped(life: &mut Life) -> anyhow::Result<()> {
    // Some show nothing before the next start, and are taken only while it is stopped.
    life.somebody("sets memory", &[("memory", "512")]).await?;
    life.somebody("sets another user", &[("ciuser", "eve")]).await?;
    life.give(Command::Step(Step::SetCpuRam)).await?; // refused: stop it first
    life.give(Command::Step(Step::SetCloudinit)).await?; // refused: stop it first
    life.give(Command::Stop(StopHow::Hard)).await?;
    life.give(Command::Step(Step::SetCpuRam)).await?;
    life.give(Command::Step(Step::SetCloudinit)).await?;
    life.give(Command::RunOn(Step::Starting)).await?;
    Ok(())
}

/// What a deployment does by itself, of a machine that was removed.
pub(super) async fn one_after_the_other(life: &mut Life) -> anyhow::Result<()> {
    // Or one after the other what a deployment does by itself.
    life.give(Command::Step(Step::SetIp)).await?; // it has its addresses still
    life.give(Command::Step(Step::Clone)).await?;
    life.give(Command::Step(Step::Migrated)).await?;
    life.give(Command::Step(Step::SetCpuRam)).await?;
    life.give(Command::Step(Step::SetSystemDiskSize)).await?;
    life.give(Command::Step(Step::SetSystemDiskBandwidth)).await?;
    life.give(Command::Step(Step::SetCreatedAdditionalDisk)).await?;
    life.somebody_puts_a_smaller_disk("scsi1").await?;
    life.give(Command::Step(Step::SetAdditionalDiskSize)).await?;
    life.give(Command::Step(Step::SetAdditionalDiskBandwidth)).await?;
    life.give(Command::RunOn(Step::SetNetwork)).await?; // the step that follows, and all after it
    Ok(())
}
