//! What it costs to deploy many machines: the whole engine (client, worker, pools, durable store) against a Proxmox VE that
//! is simulated in a process of its own, or against one of yours.
//!
//! Every run has a process of its own, so that its peak of memory and its CPU are its own. The clock runs from the first
//! order ([`Deployments::create`](deploy_core::Deployments::create)) until a notifier was told that the last machine is
//! ready. What comes before (the process, the database, the cluster's settings) is not in the wall time, but it is in CPU and
//! memory, which are those of the whole process.

mod arrivals;
mod child;
mod cli;
mod ideal;
mod plot;
mod report;
mod requests;
mod run;
mod session;
mod simulator;
mod summary;
mod work;

use clap::Parser as _;
use cli::{Cli, Role};
use session::Interrupted;
use std::{io::Write as _, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let done = runtime.block_on(async {
        match cli.role {
            Some(Role::Simulator) => simulator::serve().await.map(|()| true),
            Some(Role::Run) => run::measure().await.map(|()| true),
            None => session::hold(&cli).await,
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => {
            tell(&error);
            ExitCode::from(130)
        }
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    tell(error);
    ExitCode::from(2)
}

/// Says what went wrong, causes included.
fn tell(error: &anyhow::Error) {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(std::io::stderr(), "load: {error:#}");
}
