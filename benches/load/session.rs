//! All runs that were asked for, one after the other, each with a process, a database and a cluster of its own.

use crate::{
    child::Child,
    cli::{Cli, Role, StoreChoice},
    plot, report,
    run::{Assignment, Place, Taken, Trusted, What},
    simulator::Simulator,
    summary::{FromOutside, Run, Summary},
    work,
};
use anyhow::{Context as _, ensure};
use std::{fmt, fs, path::PathBuf};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// Somebody pressed Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::error::Error for Interrupted {}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

/// Makes the runs and tells of them. Says whether every machine became ready.
pub(crate) async fn hold(cli: &Cli) -> anyhow::Result<bool> {
    for file in [&cli.json, &cli.plot].into_iter().flatten() {
        // Before hours of work, not after them.
        fs::write(file, "").with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    // Whatever runs is dropped then, and with it the processes and folders.
    let series = tokio::select! {
        series = all(cli) => series?,
        _ = tokio::signal::ctrl_c() => return Err(Interrupted.into()),
        _ = terminate.recv() => return Err(Interrupted.into()),
    };
    let summaries: Vec<_> = series.iter().map(|(machines, runs)| Summary::of(*machines, runs)).collect();
    report::print(&summaries)?;
    if let Some(file) = &cli.json {
        let runs: Vec<_> = series.iter().flat_map(|(_, runs)| runs).collect();
        report::write_json(file, cli, &summaries, &runs)?;
    }
    if let Some(file) = &cli.plot {
        plot::draw(file, &summaries)?;
    }
    Ok(summaries.iter().all(|summary| summary.ready == summary.machines))
}

async fn all(cli: &Cli) -> anyhow::Result<Vec<(u32, Vec<Run>)>> {
    if !cli.real.url.is_empty() {
        let run = real(cli).await?;
        return Ok(vec![(run.taken.machines, vec![run])]);
    }
    let mut series = Vec::new();
    for machines in &cli.machines {
        let mut runs = Vec::new();
        for repetition in 0..cli.repeat {
            let run = simulated(cli, *machines, u64::from(repetition)).await?;
            report::say(&report::progress(*machines, repetition + 1, cli.repeat, &run))?;
            runs.push(run);
        }
        series.push((*machines, runs));
    }
    Ok(series)
}

async fn simulated(cli: &Cli, machines: u32, repetition: u64) -> anyhow::Result<Run> {
    let seed = cli.simulated.seed.wrapping_add(repetition);
    let simulator = Simulator::start(&work::cluster(&cli.simulated, machines, seed)?).await?;
    let folder = tempfile::tempdir().context("no folder for the database")?;
    // Kept until the run is over.
    let (place, _server) = place(cli.store, &folder)?;
    let address = simulator.address().clone();
    let mut taken = run(&Assignment {
        what: What::Repeated(machines),
        urls: vec![address.url],
        token: address.token,
        trusted: Trusted::Fingerprints(vec![address.fingerprint]),
        store: place,
        limits: cli.limits(),
        patience: cli.patience,
        counts: false,
    })
    .await?;
    let saw = simulator.end().await?;
    let outside = FromOutside::new(seed, &saw, &cli.limits().limits());
    taken.requests = saw.requests;
    Ok(Run { taken, seen: Some(outside) })
}

/// The machines of a file, on a cluster that is there.
async fn real(cli: &Cli) -> anyhow::Result<Run> {
    let file = |path: &Option<_>| path.clone().context("--url needs --token-file, --orders and --db");
    let (db, orders): (PathBuf, PathBuf) = (file(&cli.real.db)?, file(&cli.real.orders)?);
    ensure!(!db.exists(), "--db: {} is there already; a run needs a new database", db.display());
    // What is wrong with the file is told before anything is started.
    let named = work::Work::of_file(&orders)?.machines;
    let secret = fs::read_to_string(file(&cli.real.token_file)?).context("--token-file")?;
    let trusted = match &cli.real.ca {
        Some(path) => Trusted::Ca(path.clone()),
        None => Trusted::Fingerprints(cli.real.fingerprint.clone()),
    };
    report::say(&format!("{named} machines; which they are, {} alone knows", db.display()))?;
    let taken = run(&Assignment {
        what: What::File(orders),
        urls: cli.real.url.clone(),
        token: secret.trim().to_owned(),
        trusted,
        store: Place::Sqlite(db),
        limits: cli.limits(),
        patience: cli.patience,
        counts: true,
    })
    .await?;
    Ok(Run { taken, seen: None })
}

async fn run(assignment: &Assignment) -> anyhow::Result<Taken> {
    Child::start(Role::Run, assignment).await?.said().await
}

/// Where a run keeps its records, and the server that must live for as long.
fn place(
    store: StoreChoice,
    folder: &TempDir,
) -> anyhow::Result<(Place, Option<throwaway_postgres::Server>)> {
    Ok(match store {
        StoreChoice::Sqlite => (Place::Sqlite(folder.path().join("load.db")), None),
        StoreChoice::Memory => (Place::Memory, None),
        StoreChoice::Postgres => {
            let server = throwaway_postgres::Server::builder().durable().start()?;
            let url = server.create_database("load")?;
            (Place::Postgres(url), Some(server))
        }
    })
}
