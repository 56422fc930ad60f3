//! How programs are run.

use crate::{ServerError, account::Account};
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

/// A command that runs in `folder` as `account`, untouched by what the caller's environment says about PostgreSQL.
pub(crate) fn command(program: &Path, folder: &Path, account: Account) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG") || name.starts_with("LC_")) {
            command.env_remove(name);
        }
    }
    // Its words are looked at.
    command.env("LC_ALL", "C").current_dir(folder).stdin(Stdio::null());
    account.run(&mut command);
    command
}

/// Runs it to its end. Answers with what it wrote.
pub(crate) fn run(program: &'static str, command: &mut Command) -> Result<String, ServerError> {
    let output = command.output().map_err(ServerError::io(program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&said).trim().to_owned();
    Err(ServerError::Failed { program, status: output.status, output: output_text })
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
