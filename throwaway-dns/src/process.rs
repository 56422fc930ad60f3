//! A server's process.

use crate::Error;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to come up, on a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the server until its own standard input ends, which it does when this process ends in whichever way. The server is
/// killed as by a power loss.
const GUARD: &str = "\"$@\" <&- & server=$!; while read -r line; do :; done; kill -9 $server; wait $server";

/// A server's process, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    guard: Child,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) log: PathBuf,
}

impl Start {
    /// Starts it, and waits until it is up.
    pub(crate) fn start(&self, is_up: impl Fn() -> bool) -> Result<Process, Error> {
        let log = File::create(&self.log).map_err(Error::io("the server's log"))?;
        let other = log.try_clone().map_err(Error::io("the server's log"))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .arg(&self.program)
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(other)
            .spawn()
            .map_err(Error::io(self.name))?;
        let process = Process { guard };
        let begun = Instant::now();
        while !is_up() {
            if begun.elapsed() > PATIENCE {
                let reason = format!("it does not answer after {} s", PATIENCE.as_secs());
                return Err(Error::NotUp { program: self.name, reason, log: tail(&self.log) });
            }
            // Another process is waited for, which says nothing by itself.
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Where it cannot be waited for it is gone already.
        let _ = self.guard.wait();
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
