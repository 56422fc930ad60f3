//! The quickstart: deploys machines on a simulated Proxmox VE cluster, or on yours.
//!
//! It is also an example of embedding the engine: [`examples::engine`] wires store, pools, hypervisor and worker;
//! everything else is the order file, the simulator, and showing what happens.

mod cli;
mod fleet;
mod place;
mod policy;
mod progress;
mod proof;
mod report;
mod run;
mod simulator;
mod watch;

use clap::Parser as _;
use cli::Cli;
use run::{Prepared, Verdict};
use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    if let (true, Some(database)) = (cli.serve_simulator, &cli.db) {
        let served = runtime.block_on(simulator::serve(database, cli.faults.unwrap_or(0.0)));
        return served.map_or_else(|error| fail(&error, 1), |()| ExitCode::SUCCESS);
    }
    let prepared = match Prepared::new(cli) {
        Ok(prepared) => prepared,
        Err(error) => return fail(&error, 2),
    };
    match runtime.block_on(prepared.run()) {
        Ok(Verdict::Complete) => ExitCode::SUCCESS,
        Ok(Verdict::Incomplete) => ExitCode::from(1),
        Ok(Verdict::Interrupted) => ExitCode::from(130),
        Err(error) if error.is::<Input>() => fail(&error, 2),
        Err(error) => fail(&error, 1),
    }
}

/// The part of the input that an error is about; as an error's context it means that the input is wrong.
#[derive(Debug)]
struct Input(&'static str);

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Says what went wrong, causes included.
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(std::io::stderr(), "{} {error:#}", console::style("error:").for_stderr().red().bold());
    ExitCode::from(status)
}
