//! How programs are found and run.

use crate::{ServerError, folder::Folder};
use std::{
    env,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// Daemons are not on everybody's PATH.
const DAEMONS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A server that runs. It is stopped when this is dropped and when this process ends, however it does.
#[derive(Debug)]
pub(crate) struct Running {
    watchdog: Child,
}

impl Running {
    pub(crate) fn start(folder: &Folder) -> Result<Self, ServerError> {
        let server = find("chasquid")?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .arg(folder.path())
            .arg(server)
            .arg("-config_dir")
            .arg(folder.etc())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C, and whoever kills the whole group of the tests, must not hit it.
            .process_group(0)
            .spawn();
        Ok(Self { watchdog: watchdog.map_err(ServerError::io("/bin/sh"))? })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Runs a program to its end.
pub(crate) fn run(program: &'static str, arguments: &[&str]) -> Result<(), ServerError> {
    let output = Command::new(find(program)?).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(ServerError::io(program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ServerError::Failed { program, output: String::from_utf8_lossy(&said).trim().to_owned() })
}

fn find(program: &'static str) -> Result<PathBuf, ServerError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let looked: Vec<PathBuf> = env::split_paths(&path).chain(DAEMONS.map(PathBuf::from)).collect();
    let found = looked.iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    found.ok_or(ServerError::Missing { program, looked })
}
