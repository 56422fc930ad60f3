//! One measured run, in a process of its own: places the orders, waits until all machines are ready, and says what it took.

use crate::{
    arrivals::Arrivals,
    child,
    cli::LimitsChoice,
    requests::{self, Requests},
    work::Work,
};
use anyhow::Context as _;
use benches::process_cpu;
use deploy_core::{LogEvent, LogId, Step};
use deploy_worker::Worker;
use examples::{
    access,
    database::{Database, Store},
    engine::{self, Engine},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proxmox_api::{Client, Trust};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing_subscriber::{
    Layer as _, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Orders that are placed at once: so many customers press the button at the same moment.
const PLACED_AT_ONCE: usize = 64;
/// Turns at once, where limits are to be out of the way.
const TURNS: usize = 1024;
/// Machines that are told about where some did not become ready.
const TOLD: usize = 10;
const PAGE: usize = 1000;

/// What a run is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) what: What,
    pub(crate) urls: Vec<String>,
    pub(crate) token: String,
    pub(crate) trusted: Trusted,
    pub(crate) store: Place,
    pub(crate) limits: LimitsChoice,
    /// Seconds without another machine becoming ready.
    pub(crate) patience: u64,
    /// Whether requests are counted here, because the cluster does not.
    pub(crate) counts: bool,
}

/// What is deployed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// So many times the built-in machine.
    Repeated(u32),
    /// The machines of an order file.
    File(PathBuf),
}

/// Which certificates are trusted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Trusted {
    Ca(PathBuf),
    /// These, or those of the system's CAs where none is named.
    Fingerprints(Vec<String>),
}

/// Where records are kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    /// The URL of a database of its own.
    Postgres(String),
    Memory,
}

/// What a run took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) machines: u32,
    pub(crate) ready: u32,
    /// Seconds from the first order until the last machine was told to be ready.
    pub(crate) wall: f64,
    /// Seconds of these until all orders were placed.
    pub(crate) placing: f64,
    /// Of the processors, seconds, since the process began.
    pub(crate) cpu: f64,
    /// Of these, what was over before the first order.
    pub(crate) cpu_before: f64,
    /// The most memory that the process had, MiB.
    pub(crate) peak_rss: f64,
    /// Requests by method and path.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Tries that failed, by their words, without numbers.
    pub(crate) failures: Vec<(String, u64)>,
    /// The first of those that did not become ready, and why.
    pub(crate) stuck: Vec<String>,
}

/// The process: makes the run that it is told, and says what it took.
pub(crate) async fn measure() -> anyhow::Result<()> {
    child::raise_open_files();
    let (assignment, ended) = child::told::<Assignment>()?;
    let requests = Requests::default();
    listen(assignment.counts.then(|| requests.clone()));
    tokio::select! {
        taken = run(assignment, &requests) => child::say(&taken?),
        _ = ended => Ok(()),
    }
}

/// Writes down what `RUST_LOG` asks for, and has requests counted; both cost CPU, so that neither is usual.
fn listen(requests: Option<Requests>) {
    let wanted = std::env::var_os("RUST_LOG").is_some();
    let told = wanted.then(|| {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter)
    });
    let counted =
        requests.map(|requests| requests.with_filter(filter_fn(|meta| meta.name() == requests::SPAN)));
    if told.is_some() || counted.is_some() {
        tracing_subscriber::registry().with(told).with(counted).init();
    }
}

async fn run(assignment: Assignment, requests: &Requests) -> anyhow::Result<Taken> {
    let work = match &assignment.what {
        What::Repeated(machines) => Work::repeated(*machines)?,
        What::File(path) => Work::of_file(path)?,
    };
    let arrivals = Arc::new(Arrivals::new());
    let engine = start(&assignment, &work, Arc::clone(&arrivals)).await?;
    let (began, cpu_before) = (Instant::now(), process_cpu());
    let placed = stream::iter(work.orders())
        .map(|order| async {
            let (reference, spec) = order?;
            engine.deployments.create(reference, spec, serde_json::Value::Null).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(PLACED_AT_ONCE)
        .try_collect::<()>();
    placed.await.context("an order was refused")?;
    let placing = began.elapsed().as_secs_f64();
    let arrived = arrivals.of(work.machines, Duration::from_secs(assignment.patience)).await;
    // What follows is not measured any more.
    let (cpu, peak_rss) = (process_cpu(), peak_rss()?);
    let taken = Taken {
        machines: work.machines,
        ready: arrived.ready,
        wall: arrived.at.saturating_duration_since(began).as_secs_f64(),
        placing,
        cpu: cpu.as_secs_f64(),
        cpu_before: cpu_before.as_secs_f64(),
        peak_rss,
        requests: requests.counted(),
        failures: failures(&engine).await?,
        stuck: if arrived.ready < work.machines { stuck(&engine).await? } else { Vec::new() },
    };
    engine.stop().await?;
    Ok(taken)
}

async fn start(assignment: &Assignment, work: &Work, arrivals: Arc<Arrivals>) -> anyhow::Result<Engine> {
    let (store, clock) = match &assignment.store {
        Place::Memory => {
            let clock: Arc<dyn deploy_core::Clock> = Arc::new(deploy_worker::SystemClock);
            let store: Arc<dyn Store> = Arc::new(deploy_testkit::MemoryStore::new(Arc::clone(&clock)));
            (store, clock)
        }
        Place::Sqlite(path) => open(Database::Sqlite(path.clone())).await?,
        Place::Postgres(url) => {
            open(Database::Postgres(Box::new(store_postgres::Settings::parse(url)?))).await?
        }
    };
    engine::define(&store, &work.cluster).await?;
    let client = client(assignment)?;
    let machines = work.machines as usize;
    let limits = assignment.limits;
    let tune = |worker: Worker| {
        let worker =
            worker.with_notifier(arrivals).with_limits(limits.limits()).with_machines(machines.max(10_000));
        match limits {
            LimitsChoice::Default => worker,
            LimitsChoice::Raised => worker.with_turns(TURNS),
        }
    };
    Ok(Engine::start(store, clock, [(work.cluster.settings.name.clone(), client)], tune))
}

async fn open(database: Database) -> anyhow::Result<(Arc<dyn Store>, Arc<dyn deploy_core::Clock>)> {
    let shown = database.to_string();
    let opened = database.open().await.with_context(|| format!("{shown} cannot be opened"))?;
    Ok((opened.store(), opened.clock()))
}

fn client(assignment: &Assignment) -> anyhow::Result<Client> {
    let trust: Trust = match &assignment.trusted {
        Trusted::Ca(path) => access::ca(path).context("--ca")?,
        Trusted::Fingerprints(texts) => access::fingerprints(texts).context("--fingerprint")?,
    };
    access::client(&assignment.urls, assignment.token.parse()?, trust).context("--url")
}

/// The most memory that this process had, MiB.
fn peak_rss() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: Option<f64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    Ok(kibibytes.context("/proc/self/status does not tell VmHWM")? / 1024.0)
}

/// Tries that failed, with how often, the most frequent first.
async fn failures(engine: &Engine) -> anyhow::Result<Vec<(String, u64)>> {
    let mut found = BTreeMap::<String, u64>::new();
    let mut seen = LogId::default();
    loop {
        let page = engine.deployments.events(seen, PAGE).await?;
        let Some(last) = page.last() else { break };
        seen = last.id;
        for entry in page {
            if let LogEvent::Failed { message, .. } = entry.line.event {
                let words = format!("{}: {}", entry.line.step, without_numbers(&message));
                *found.entry(words).or_default() += u64::from(entry.times);
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    Ok(found)
}

/// The same for all machines.
fn without_numbers(message: &str) -> String {
    let mut words = String::new();
    for c in message.chars() {
        match c {
            '0'..='9' if words.ends_with('#') => {}
            '0'..='9' => words.push('#'),
            c => words.push(c),
        }
    }
    words
}

/// The first machines that are not ready, and why.
async fn stuck(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let mut told = Vec::new();
    let mut query = deploy_core::ListQuery::default();
    loop {
        let page = engine.deployments.list(&query).await?;
        let Some(last) = page.last() else { return Ok(told) };
        query.after = Some(last.key);
        for record in page.into_iter().filter(|record| record.step != Step::Ready) {
            if told.len() == TOLD {
                return Ok(told);
            }
            let log = engine.deployments.log(record.key, LogId::default(), PAGE).await?;
            let why = match (&record.attention, log.last()) {
                (Some(attention), _) => format!("needs attention: {}", attention.message),
                (None, Some(entry)) => entry.line.event.to_string(),
                (None, None) => "nothing happened to it".to_owned(),
            };
            told.push(format!("{} at {}: {why}", record.external_ref, record.step));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_several_machines_read_alike() {
        assert_eq!(without_numbers("VM 1001 is locked (10 s)"), "VM # is locked (# s)");
        assert_eq!(without_numbers("VM 7 is locked (3 s)"), "VM # is locked (# s)");
    }

    #[test]
    fn this_process_had_memory() {
        assert!(peak_rss().expect("Linux") > 1.0);
    }
}
