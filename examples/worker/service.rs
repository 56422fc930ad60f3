//! The service: what is ordered is ordered, what is to go is told to go, and the engine works until somebody stops it.

use crate::{config::Job, views};
use anyhow::Context as _;
use deploy_core::{ClusterName, Deployments, ExternalRef, RecordStore, VmKey};
use deploy_dns::Dns;
use deploy_worker::SystemEntropy;
use examples::{
    database::{Database, Opened, Store},
    difference,
    engine::{self, Engine},
    orders::Order,
};
use proxmox_api::Client;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store_postgres::ConnectError;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// How long machines are worked on in a pass, so that it is over before cron begins the next one.
const TICK: Duration = Duration::from_secs(50);

/// As an error's context it means that the input is wrong.
#[derive(Debug)]
pub(crate) struct WrongInput(pub(crate) &'static str);

impl std::fmt::Display for WrongInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Makes one pass, and says what came of each job.
///
/// # Errors
/// Also where a job failed, after the table: cron tells somebody by the exit status.
pub(crate) async fn tick(job: Job) -> anyhow::Result<()> {
    let database = prepare(&job).await?;
    let (store, clock) = (database.store(), database.clock());
    let records: Arc<dyn RecordStore> = Arc::clone(&store) as _;
    let hypervisor = engine::hypervisor(&clock, job.clients.clone());
    let deployments = Deployments::new(Arc::clone(&records), Arc::clone(&clock), Arc::new(SystemEntropy));
    engine::order(&deployments, &job.orders).await?;
    engine::terminate(&deployments, &existing(&deployments, &job.terminate).await?).await?;
    let worker = engine::worker(&store, &clock, Arc::clone(&hypervisor));
    let worker = job.tuning.apply(worker).with_notifier(Arc::new(job.post.notifier(&records)));
    let jobs = job.tuning.jobs(engine::jobs(&store, &clock, hypervisor));
    let ticks = jobs.tick(&worker, TICK).await;
    let named = match job.names {
        // What is not done by then goes on with the next pass.
        Some(names) => tokio::time::timeout(TICK, names.worker(store, clock).pass()).await.unwrap_or(Ok(0)),
        None => Ok(0),
    };
    database.close().await;
    views::print_ticks(&ticks)?;
    named.context("DNS").map(|_| ())
}

/// Opens the database and writes the clusters of the file into it.
async fn prepare(job: &Job) -> anyhow::Result<Opened> {
    let database = open(job.database.clone()).await?;
    let store = database.store();
    refuse_changes(&*store, &job.orders).await?;
    for cluster in &job.clusters {
        engine::define(&store, cluster).await?;
    }
    tell_of_others(&*store, &job.clients).await?;
    Ok(database)
}

/// Works until SIGTERM or Ctrl-C.
pub(crate) async fn run(job: Job) -> anyhow::Result<()> {
    let stopped = stopped()?;
    let place = job.database.to_string();
    let database = prepare(&job).await?;
    let store = database.store();
    let records: Arc<dyn RecordStore> = Arc::clone(&store) as _;
    let notifier = Arc::new(job.post.notifier(&records));
    let clock = database.clock();
    let named = job.names.map(|names| names.worker(Arc::clone(&store) as _, Arc::clone(&clock)).start());
    let desk =
        named.as_ref().map(|named| Dns::new(Arc::clone(&store) as _).with_doorbell(named.doorbell()).desk());
    let jobs = engine::jobs(&store, &clock, engine::hypervisor(&clock, job.clients.clone()));
    let jobs = job.tuning.jobs(jobs);
    let tune = |worker| {
        let worker = job.tuning.apply(worker).with_notifier(notifier).with_jobs(jobs);
        match desk {
            Some(desk) => worker.with_dns(desk),
            None => worker,
        }
    };
    let engine = Engine::start(store, clock, job.clients.clone(), tune);
    let listening = database.listen(engine.doorbell());
    let ordered = engine.order(&job.orders).await?.len();
    let going = existing(&engine.deployments, &job.terminate).await?;
    engine.terminate(&going).await?;
    let clusters = names(job.clients.iter().map(|(name, _)| name));
    info!(worker = job.tuning.name(), database = place, clusters, ordered, going = going.len(), "working");
    // Beside the work, for the mail server may take its time; and given up with it.
    tokio::select! {
        () = stopped => {}
        () = async { job.post.check().await; std::future::pending().await } => {}
    }
    info!("stopping");
    drop(listening);
    engine.stop().await?;
    if let Some(named) = named {
        named.drain().await;
    }
    database.close().await;
    Ok(())
}

/// Opens the database. One that cannot be had right now is no wrong input: whoever supervises this may start it again.
pub(crate) async fn open(database: Database) -> anyhow::Result<Opened> {
    database.open().await.map_err(|error| match error.downcast_ref() {
        Some(
            ConnectError::Refused { .. }
            | ConnectError::ReadOnly { .. }
            | ConnectError::Migration(_)
            | ConnectError::Database(_),
        ) => error.context("database"),
        _ => error.context(WrongInput("database")),
    })
}

/// Refuses a file of orders that says something else of a machine that exists.
async fn refuse_changes(store: &dyn Store, orders: &[Order]) -> anyhow::Result<()> {
    let different = difference::of(store, orders).await?;
    if different.is_empty() {
        return Ok(());
    }
    let different: Vec<_> = different.iter().map(ToString::to_string).collect();
    Err(anyhow::anyhow!(
        "machines of the database were ordered otherwise than the file now says:\n  {}\nAn order is not changed \
         afterwards. Put the file as it was, or give the changed machine another reference",
        different.join("\n  ")
    )
    .context(WrongInput("orders")))
}

/// Says where machines may come from that this worker cannot reach: a worker takes whatever is due.
async fn tell_of_others(store: &dyn Store, clients: &[(ClusterName, Client)]) -> anyhow::Result<()> {
    let known = store.clusters().await?;
    let others: Vec<_> = known
        .iter()
        .map(|cluster| &cluster.name)
        .filter(|name| clients.iter().all(|(own, _)| own != *name))
        .collect();
    if !others.is_empty() {
        let clusters = names(others);
        warn!(
            clusters,
            "the database has clusters that this worker's file does not name: their machines fail whenever it is this \
             worker that takes them"
        );
    }
    Ok(())
}

fn names<'a>(names: impl IntoIterator<Item = &'a ClusterName>) -> String {
    names.into_iter().map(ClusterName::as_str).collect::<Vec<_>>().join(", ")
}

/// The machines of these references that were ordered at any time.
async fn existing(
    deployments: &Deployments,
    references: &BTreeSet<ExternalRef>,
) -> anyhow::Result<Vec<VmKey>> {
    let mut keys = Vec::new();
    for reference in references {
        keys.extend(deployments.by_reference(reference).await?.map(|record| record.key));
    }
    Ok(keys)
}

/// The polite request to end. Waited for from now on: one that comes while the database is opened is not lost.
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
