//! The commands, one after the other, in the order in which the README shows them.

mod addresses;
mod anew;
mod another;
mod package;
mod power;
mod queue;
mod saved;
mod steps;

use super::Life;

/// Gives the machine every command there is, each when the one before it is over, and takes the machine away at the end; then
/// another machine, to which commands come in the middle of its deployment, and one that somebody else made.
///
/// # Errors
/// A command that cannot be given or awaited.
pub async fn play(life: &mut Life) -> anyhow::Result<()> {
    power::power(life).await?;
    power::suspension(life).await?;
    package::hardware(life).await?;
    package::credentials(life).await?;
    addresses::addresses(life).await?;
    saved::snapshots(life).await?;
    saved::backups(life).await?;
    package::disks(life).await?;
    steps::while_it_runs(life).await?;
    steps::while_it_is_stopped(life).await?;
    queue::queue(life).await?;
    anew::reinstalled(life).await?;
    anew::removed(life).await?;
    steps::one_after_the_other(life).await?;
    anew::terminated(life).await?;
    another::suspended_in_the_middle(life).await?;
    another::terminated_in_the_middle(life).await?;
    another::adopted(life).await?;
    Ok(())
}
