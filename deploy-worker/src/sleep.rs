//! Waiting, on tokio.

use jiff::SignedDuration;
use std::time::Duration;

/// Waits for so long on tokio's clock: what [`Commanded::await_outcome`](deploy_core::Commanded::await_outcome) asks for, as the
/// core has no clock of its own. Nothing for a duration that is negative. Cancel-safe.
///
/// ```
/// # use deploy_core::{Command, CommandOutcome, Deployments, VmKey};
/// # async fn restart(panel: &Deployments, key: VmKey) -> Result<(), Box<dyn std::error::Error>> {
/// let restart = panel.command(key, Command::Restart(Default::default())).await?;
/// match restart.await_outcome(deploy_worker::sleep).await? {
///     CommandOutcome::Done => println!("restarted"),
///     outcome => println!("{outcome:?}"),
/// }
/// # Ok(())
/// # }
/// ```
pub async fn sleep(duration: SignedDuration) {
    tokio::time::sleep(Duration::try_from(duration).unwrap_or_default()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn it_takes_as_long_as_it_says() {
        let begun = Instant::now();
        sleep(SignedDuration::from_millis(1500)).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1500));
        sleep(SignedDuration::from_secs(-1)).await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1500));
    }
}
