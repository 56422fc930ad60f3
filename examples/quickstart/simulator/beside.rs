//! Finds, starts and ends the simulator of a database. Everything here blocks.
//!
//! The lock file decides, not the state file: whoever can take the lock knows that no simulator lives, and a second
//! simulator that finds it taken ends at once. So a run that is killed between starting the process and seeing its address
//! leaves a simulator that the next run finds.

use super::state_file::{Address, Files};
use anyhow::{Context as _, bail};
use proxmox_sim::ClusterConfig;
use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

/// The simulator of this database; a new one where none lives and nothing is lost by that.
pub(super) fn find_or_spawn(
    files: &Files,
    config: &ClusterConfig,
    faults: f64,
    living: usize,
) -> anyhow::Result<Address> {
    let mut child = None;
    if let Some(free) = files.try_lock()? {
        check_nothing_is_lost(files, living)?;
        // While the lock is ours, so that it is not the file of a simulator that starts right now.
        files.remove_state()?;
        drop(free);
        child = Some(spawn(files, config, faults)?);
    }
    wait_for(files, child)
}

fn check_nothing_is_lost(files: &Files, living: usize) -> anyhow::Result<()> {
    if living == 0 {
        return Ok(());
    }
    let database = files.database.display();
    match files.read() {
        Some(address) => bail!(
            "the simulated cluster of {database} (process {}) is gone, and with it the {living} machines that this \
             database still has in it. A new cluster would not know them. Remove {database}* to begin anew, or name \
             another --db",
            address.pid
        ),
        None => bail!(
            "{database} has {living} machines, but no simulated cluster belongs to it. If they are on a real cluster, name \
             it with --url; else remove {database}* to begin anew, or name another --db"
        ),
    }
}

/// Starts this program again, in a process group of its own (a Ctrl-C at the terminal is not meant for it).
fn spawn(files: &Files, config: &ClusterConfig, faults: f64) -> anyhow::Result<Child> {
    let log = File::create(&files.log).with_context(|| format!("{} cannot be made", files.log.display()))?;
    Command::new(std::env::current_exe()?)
        .arg("--serve-simulator")
        .arg("--db")
        .arg(&files.database)
        .arg("--faults")
        .arg(faults.to_string())
        .env(super::serve::CONFIG, serde_json::to_string(config)?)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("the process of the simulated cluster cannot be started")
}

fn wait_for(files: &Files, mut child: Option<Child>) -> anyhow::Result<Address> {
    let until = Instant::now() + STARTS_WITHIN;
    loop {
        if let Some(address) = files.read() {
            return Ok(address);
        }
        // It ends at once where another simulator was quicker; then that one's address is on its way.
        let ended = match &mut child {
            Some(child) => child.try_wait()?.is_some(),
            None => true,
        };
        if (ended && files.try_lock()?.is_some()) || Instant::now() > until {
            let said = fs::read_to_string(&files.log).unwrap_or_default();
            bail!("the simulated cluster did not start: {} (see {})", said.trim(), files.log.display());
        }
        thread::sleep(GLANCE);
    }
}

/// Ends the simulator: it goes when its state file does.
pub(super) fn end(files: &Files) -> anyhow::Result<()> {
    files.remove_state()?;
    let until = Instant::now() + ENDS_WITHIN;
    while files.is_alive()? {
        if Instant::now() > until {
            bail!("the simulated cluster does not end (see {})", files.log.display());
        }
        thread::sleep(GLANCE);
    }
    for file in [&files.lock, &files.log] {
        // Gone already is as good.
        let _ = fs::remove_file(file);
    }
    Ok(())
}
