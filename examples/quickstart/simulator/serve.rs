//! The simulator's own process.

use super::state_file::{Address, Files};
use anyhow::Context as _;
use std::{path::Path, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// The environment variable with the cluster's configuration, as JSON.
pub(super) const CONFIG: &str = "QUICKSTART_SIMULATOR";

const GLANCE: Duration = Duration::from_millis(200);

/// Serves the cluster of a database until its state file is taken away.
pub(crate) async fn serve(database: &Path, faults: f64) -> anyhow::Result<()> {
    let files = Files::of(database);
    // Held until this process ends, however it ends.
    let Some(_lock) = files.try_lock()? else { return Ok(()) };
    // The terminal that it was started from may be closed.
    let _hangup = signal(SignalKind::hangup())?;
    let config = std::env::var(CONFIG).with_context(|| format!("{CONFIG} is missing"))?;
    let running = super::start(serde_json::from_str(&config).context(CONFIG)?, faults).await?;
    let address = Address::of(&running);
    files.write(&address).with_context(|| format!("{} cannot be written", files.state.display()))?;
    while files.read().as_ref() == Some(&address) {
        tokio::time::sleep(GLANCE).await;
    }
    running.shutdown().await;
    Ok(())
}
