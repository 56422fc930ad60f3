//! The worker: brings ordered machines to `ready` and takes others away, as a service, until it is told to stop.
//!
//! `worker worker.toml`; the file is explained in `examples/worker.toml`. Every notice is a line of JSON on the standard
//! output, everything else is logged to the standard error output. Killed at any moment it goes on where it was when it
//! is started again: whatever matters is in its database.
//!
//! Instead of running on it makes one pass for cron (`--tick`), or shows how the machines are on their clusters (`--status`),
//! or what no record knows, what traffic machines had, how the jobs went (`--show`), or which DNS zones can be written
//! (`--check-dns`).

mod config;
mod names;
mod post;
mod service;
mod views;

use clap::{Args, Parser, ValueEnum};
use deploy_core::ExternalRef;
use std::{io::Write as _, path::PathBuf, process::ExitCode};

/// Brings machines on Proxmox VE clusters from their order to `ready`, and takes others away, until it is told to stop.
///
/// Exit status: 0 stopped by SIGTERM or Ctrl-C, 1 broken off (also where the database cannot be reached), 2 wrong input.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Cli {
    /// What it works on, and how: a file such as examples/worker.toml
    config: PathBuf,
    #[command(flatten)]
    instead: Instead,
}

/// What it does instead of working until it is stopped.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Instead {
    /// Make one pass, for cron, every minute: machines, and every job whose time has come
    #[arg(long)]
    tick: bool,
    /// Show how machines are on their clusters and what differs from their orders: these, one by one, or all in one table
    #[arg(long, value_name = "REFERENCE", num_args = 0..)]
    status: Option<Vec<ExternalRef>>,
    /// Show this
    #[arg(long, value_enum)]
    show: Option<Show>,
    /// Check whether each DNS zone of the file can be written, by a record that is put and taken away again
    #[arg(long)]
    check_dns: bool,
}

/// What else is shown.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Show {
    /// What is on the clusters, or holds addresses, and no record knows
    Orphans,
    /// The traffic of each machine, this month and in all
    Traffic,
    /// How the last run of each job went
    Jobs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    let job = match config::load(&cli.config) {
        Ok(job) => job,
        Err(error) => return fail(&error, 2),
    };
    let work = async {
        match cli.instead {
            Instead { tick: true, .. } => service::tick(job).await,
            Instead { status: Some(references), .. } => views::status(job, &references).await,
            Instead { show: Some(Show::Orphans), .. } => views::orphans(job).await,
            Instead { show: Some(Show::Traffic), .. } => views::traffic(job).await,
            Instead { show: Some(Show::Jobs), .. } => views::jobs(job).await,
            Instead { check_dns: true, .. } => views::zones(job.names).await,
            Instead { tick: false, status: None, show: None, check_dns: false } => service::run(job).await,
        }
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<service::WrongInput>() => fail(&error, 2),
        Err(error) => fail(&error, 1),
    }
}

/// Says what went wrong, causes included.
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(status)
}
