//! Processes of this same program: told what to do in one line on their standard input, and to end by its end.
//!
//! The end of the input also comes when this process dies, however it does, so that none of them outlives it.

use crate::cli::Role;
use anyhow::{Context as _, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead as _, Read as _, Write as _},
    process::Stdio,
    thread,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    sync::oneshot,
};

/// A process that this one started. Dropped, it is killed.
pub(crate) struct Child {
    role: Role,
    process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts it and tells it what to do.
    pub(crate) async fn start(role: Role, task: &impl Serialize) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(role.option())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C at the terminal is for us alone: we end the others.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the process with {} cannot be started", role.option()))?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (Some(mut input), Some(output)) = (input, output) else {
            return Err(anyhow!("a process without input and output"));
        };
        let mut line = serde_json::to_vec(task)?;
        line.push(b'\n');
        input.write_all(&line).await?;
        Ok(Self { role, process, input, output: BufReader::new(output).lines() })
    }

    /// What it says next.
    pub(crate) async fn said<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let role = self.role.option();
        let Some(line) = self.output.next_line().await? else {
            let status = self.process.wait().await?;
            return Err(anyhow!("the process with {role} ended before it was done: {status}"));
        };
        serde_json::from_str(&line)
            .with_context(|| format!("the process with {role} said something that is not understood"))
    }

    /// Asks it to end, and takes its last words.
    pub(crate) async fn end<T: DeserializeOwned>(mut self) -> anyhow::Result<T> {
        self.input.shutdown().await?;
        drop(self.input);
        let Some(line) = self.output.next_line().await? else {
            return Err(anyhow!("the process with {} ended without a word", self.role.option()));
        };
        self.process.wait().await?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// In such a process: what to do, and a message for the time when it shall end.
pub(crate) fn told<T: DeserializeOwned>() -> anyhow::Result<(T, oneshot::Receiver<()>)> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let task = serde_json::from_str(&line).context("this role is for processes that `load` starts itself")?;
    let (tell, ended) = oneshot::channel();
    // A thread, for tokio's input would keep the runtime from ending.
    thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = tell.send(());
    });
    Ok((task, ended))
}

/// In such a process: says something.
pub(crate) fn say(words: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(words)?;
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output.write_all(&line)?;
    Ok(output.flush()?)
}

/// Lets this process have as many connections as the system allows it.
pub(crate) fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, the usual number has to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
