//! The simulator's own process.

use super::state_file::{Address, Files};
use anyhow::Context as _;
use std::{path::Path, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// The environment variable with the cluster's name.
pub(super) const NAME: &str = "QUICKSTART_SIMULATOR_NAME";

const GLANCE: Duration = Duration::from_millis(200);

/// Serves the cluster of a database until its state file is taken away.
pub(crate) async fn serve(database: &Path, faults: f64) -> anyhow::Result<()> {
    let files = Files::of(database);
    // Held until this process ends, however it ends.
    let Some(_lock) = files.try_lock()? else { return Ok(()) };
    // The terminal that it was started from may be closed.
    let _hangup = signal(SignalKind::hangup())?;
    let name = std::env::var(NAME).unwrap_or_else(|_| "demo".to_owned());
    let running = super::start(&name, faults).await?;
    let address = Address::of(&running);
    files.write(&address).with_context(|| format!("{} cannot be written", files.state.display()))?;
    while files.read().as_ref() == Some(&address) {
        tokio::time::sleep(GLANCE).await;
    }
    running.shutdown().await;
    Ok(())
}
