//! Three workers on one PostgreSQL server: one is killed in the middle, and the others finish its machines.
//!
//! Server and Proxmox VE cluster are made for it and go with it: the server in a temporary folder, the cluster simulated. The
//! workers are the binary `worker`, each a process of its own; this program is the panel that orders.

mod board;
mod proof;
mod story;

use clap::Parser;
use std::{io::Write as _, process::ExitCode};

/// Shows three workers on one PostgreSQL server, of which one is killed in the middle.
///
/// Exit status: 0 every machine is ready and was made once, 1 something is not so, or could not be started.
#[derive(Debug, Parser)]
#[command(name = "three_workers", version)]
struct Cli {
    /// How many machines are ordered
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(6..=200))]
    machines: u8,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(story::tell(cli.machines.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(std::io::stderr(), "{} {error:#}", console::style("error:").for_stderr().red().bold());
    ExitCode::from(1)
}
