//! The files of a simulator that has a process of its own.

use anyhow::Context as _;
use proxmox_sim::Running;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Where a simulator is served, and how one gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    /// Its process.
    pub(crate) pid: u32,
    /// `https://127.0.0.1:port`
    pub(crate) url: String,
    /// The fingerprint of its certificate.
    pub(crate) fingerprint: String,
    /// The certificate.
    pub(crate) ca_pem: String,
    /// An API token.
    pub(crate) token: String,
}

impl Address {
    pub(super) fn of(running: &Running) -> Self {
        Self {
            pid: std::process::id(),
            url: running.url().to_owned(),
            fingerprint: running.fingerprint().to_owned(),
            ca_pem: running.ca_pem().to_owned(),
            token: running.token().to_owned(),
        }
    }
}

/// What lies beside a database.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The database.
    pub(super) database: PathBuf,
    /// The [`Address`], as JSON. Taking it away ends the simulator.
    pub(super) state: PathBuf,
    /// Locked for as long as a simulator lives: unlike a process id, a lock cannot be somebody else's by chance.
    pub(super) lock: PathBuf,
    /// What the simulator has to say.
    pub(super) log: PathBuf,
}

impl Files {
    pub(super) fn of(database: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = OsString::from(database);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            database: database.to_owned(),
            state: beside(".simulator.json"),
            lock: beside(".simulator.lock"),
            log: beside(".simulator.log"),
        }
    }

    /// The lock, if nobody has it; it is given back when the file is dropped.
    pub(super) fn try_lock(&self) -> anyhow::Result<Option<File>> {
        let shown = self.lock.display();
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock);
        let file = file.with_context(|| format!("{shown} cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{shown} cannot be locked"))
            }
        }
    }

    pub(super) fn is_alive(&self) -> anyhow::Result<bool> {
        Ok(self.try_lock()?.is_none())
    }

    /// The address, if the file is there and complete.
    pub(super) fn read(&self) -> Option<Address> {
        serde_json::from_slice(&fs::read(&self.state).ok()?).ok()
    }

    /// Writes the address in one step: whoever reads sees nothing or all of it.
    pub(super) fn write(&self, address: &Address) -> anyhow::Result<()> {
        let mut draft = OsString::from(&self.state);
        draft.push(".new");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(address)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.state)?;
        Ok(())
    }

    pub(super) fn remove_state(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", self.state.display()))
            }
            _ => Ok(()),
        }
    }
}
