//! The simulator as a process.

mod flags;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use proxmox_sim::{Running, Server};
use serde_json::json;

use flags::Flags;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without an error output nobody can be told.
            let _ = writeln!(std::io::stderr(), "proxmox-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    let config = flags.cluster()?;
    let running = Server::start(config, flags.options()).await?;
    if let Some(file) = &flags.cert_out {
        write_whole(file, running.ca_pem())?;
    }
    let ready = json!({
        "url": running.url(), "fingerprint": running.fingerprint(), "token": running.token(),
        "ca_pem": running.ca_pem(), "pid": std::process::id(),
    });
    if let Some(file) = &flags.ready_file {
        write_whole(file, &ready.to_string())?;
    }
    announce(&running)?;
    tokio::select! {
        () = running.ended() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    running.shutdown().await;
    Ok(())
}

fn announce(running: &Running) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "url          {}", running.url())?;
    writeln!(out, "fingerprint  {}", running.fingerprint())?;
    writeln!(out, "token        {}", running.token())
}

/// Writes a file so that a reader sees all of it or nothing.
fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, text)?;
    std::fs::rename(&part, file)
}
