//! One run, from the command line to the verdict.

use crate::{
    Input,
    cli::Cli,
    fleet::{self, Phase},
    place::Place,
    policy,
    progress::{self, Display},
    proof::{self, Left},
    report,
    simulator::{Counters, Inspection, Simulator, Tried},
    watch::{Ended, Watch},
};
use anyhow::{Context as _, bail};
use deploy_core::{LogId, Step, VmKey, VmRecord};
use deploy_worker::SystemClock;
use examples::{
    database::Store,
    engine::{self, Engine},
    orders::{self, Orders},
};
use proxmox_api::Client;
use std::{io::Write as _, path::Path, sync::Arc, time::Duration};
use store_sqlite::SqliteStore;
use tokio::signal::unix::{SignalKind, signal};

/// A run whose whole input was read and judged; nothing was created yet.
pub(crate) struct Prepared {
    cli: Cli,
    orders: Orders,
    /// The client of a real cluster; `None` is a simulated one.
    cluster: Option<Client>,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything is as it should be.
    Complete,
    /// Something is not.
    Incomplete,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl Prepared {
    /// Reads and judges all input.
    pub(crate) fn new(cli: Cli) -> anyhow::Result<Self> {
        cli.check()?;
        let cluster = if cli.url.is_empty() { None } else { Some(cli.client()?) };
        let orders = match &cli.orders {
            Some(path) => orders::load(path, "--orders")?,
            None => orders::parse("orders.toml (built in)", orders::DEMO)?,
        };
        if let (Some(_), Some(database)) = (&cluster, &cli.db)
            && Simulator::belongs_to(database)
        {
            bail!(
                "--db: {} belongs to a simulated cluster; give the machines of --url a database of their own",
                database.display()
            );
        }
        Ok(Self { cli, orders, cluster })
    }

    /// Deploys, and takes away again if that is asked for.
    pub(crate) async fn run(self) -> anyhow::Result<Verdict> {
        let place = Place::of(&self.cli)?;
        let store =
            SqliteStore::open(place.database(), Arc::new(SystemClock)).await.context(Input("--db"))?;
        // One name, however its path is written: the simulated cluster lies beside it.
        let database = store.path().to_owned();
        // Asked before a new one is started in its place.
        let resumed = self.cli.db.is_some() && self.cluster.is_none() && Simulator::is_alive(&database)?;
        let phase = fleet::phase(&store, &self.orders, self.cli.terminate).await?;
        fleet::refuse_changes(&store, &self.orders, phase).await.context(Input("--orders"))?;
        let (client, simulator) = self.cluster(&store, &database).await?;
        let store: Arc<dyn Store> = Arc::new(store);
        engine::define(&store, &self.orders.cluster).await?;
        let reached = (self.orders.cluster.settings.name.clone(), client.clone());
        let engine = Engine::start(store, Arc::new(SystemClock), [reached], |worker| match simulator {
            Some(_) => worker.with_policy(policy::of_demonstration()),
            None => worker,
        });
        let mut run = Run {
            cli: &self.cli,
            orders: &self.orders,
            engine,
            client,
            simulator,
            display: progress::display(),
            place,
        };
        run.introduce(phase, resumed);
        let outcome = run.all(phase).await;
        run.finish(outcome).await
    }

    async fn cluster(
        &self,
        store: &SqliteStore,
        database: &Path,
    ) -> anyhow::Result<(Client, Option<Simulator>)> {
        if let Some(client) = &self.cluster {
            return Ok((client.clone(), None));
        }
        let (tried, faults) = (Tried::of(&self.orders), self.cli.faults.unwrap_or(0.0));
        let simulator = if self.cli.db.is_some() {
            Simulator::beside(database, &tried, faults, fleet::living(store).await?).await?
        } else {
            Simulator::here(&tried, faults).await?
        };
        Ok((simulator.client()?, Some(simulator)))
    }
}

struct Run<'a> {
    cli: &'a Cli,
    orders: &'a Orders,
    engine: Engine,
    client: Client,
    simulator: Option<Simulator>,
    display: Box<dyn Display>,
    place: Place,
}

/// Everything there is to tell at the end.
struct Outcome {
    ended: Ended,
    machines: Vec<report::Machine>,
    seen: Option<(Counters, Inspection)>,
    left: Option<Left>,
}

impl Run<'_> {
    fn introduce(&mut self, phase: Phase, resumed: bool) {
        let (name, count) = (&self.orders.cluster.settings.name, self.orders.machines.len());
        let place = match &self.simulator {
            Some(simulator) if resumed => {
                format!("the simulated cluster {name} of an earlier run, {}", simulator.address().url)
            }
            Some(simulator) => format!("the simulated cluster {name}, {}", simulator.address().url),
            None => format!("cluster {name}, {}", self.cli.url.join(", ")),
        };
        self.display.say(&match phase {
            Phase::Deploy => format!("Deploying {count} machines on {place}"),
            Phase::TakeAway => format!("{count} machines, ordered by an earlier run, on {place}"),
        });
        let added = Tried::of(self.orders).added;
        if self.cli.orders.is_some() && self.simulator.is_some() && !resumed && !added.is_empty() {
            self.display.say(&format!("It has what the order file names: {}", added.join(", ")));
        }
    }

    async fn all(&mut self, phase: Phase) -> anyhow::Result<Outcome> {
        let mut since = Watch::latest(&self.engine).await?;
        let (keys, mut ended, mut records) = match phase {
            Phase::TakeAway => (fleet::existing(&self.engine, self.orders).await?, Ended::There, Vec::new()),
            Phase::Deploy => {
                let keys = self.engine.order(&self.orders.machines).await?;
                let (ended, records) = self.watch(&keys, since, Step::Ready).await?;
                (keys, ended, records)
            }
        };
        let mut machines = report::machines(&self.engine, &records).await?;
        let mut seen = self.look(&records).await?;
        let mut left = None;
        if self.cli.terminate && ended != Ended::Interrupted {
            self.display.say(&match fleet::terminable(&self.engine, &keys).await? {
                0 => "All of them are gone already".to_owned(),
                count => format!("Taking {count} machines away again"),
            });
            since = Watch::latest(&self.engine).await?;
            self.engine.terminate(&keys).await?;
            let deployed = ended;
            (ended, records) = self.watch(&keys, since, Step::Terminated).await?;
            left = Some(proof::left(&self.engine, &records, self.simulator.as_ref(), &self.client).await?);
            if let (Some(simulator), Some((counters, _))) = (&self.simulator, &mut seen) {
                *counters = simulator.counters().await?;
            }
            machines = remember(&machines, report::machines(&self.engine, &records).await?);
            if ended == Ended::There && phase == Phase::Deploy && deployed != Ended::There {
                ended = deployed;
            }
        }
        Ok(Outcome { ended, machines, seen, left })
    }

    async fn watch(
        &mut self,
        keys: &[VmKey],
        since: LogId,
        goal: Step,
    ) -> anyhow::Result<(Ended, Vec<VmRecord>)> {
        let mut watch = Watch::new(&self.engine, keys, since).await?;
        let patience = Duration::from_secs(u64::from(self.cli.patience));
        let ended = watch.until(goal, patience, self.display.as_mut(), interrupted()).await;
        self.display.end();
        Ok((ended?, watch.records().to_vec()))
    }

    async fn look(&self, records: &[VmRecord]) -> anyhow::Result<Option<(Counters, Inspection)>> {
        let Some(simulator) = &self.simulator else { return Ok(None) };
        let ours = |vmid| records.iter().any(|record| record.numbered.vmid.get() == vmid);
        Ok(Some((simulator.counters().await?, simulator.inspect(ours).await?)))
    }

    /// Stops the engine, tells what came of it, and ends the simulated cluster where it is no longer needed.
    async fn finish(mut self, outcome: anyhow::Result<Outcome>) -> anyhow::Result<Verdict> {
        let store = Arc::clone(&self.engine.store);
        let stopped = self.engine.stop().await;
        let outcome = outcome?;
        stopped?;
        let gone = outcome.left.as_ref().is_none_or(Left::is_nothing);
        let (verdict, status) = match outcome.ended {
            Ended::Interrupted => (Verdict::Interrupted, "interrupted"),
            Ended::There if gone => {
                (Verdict::Complete, if self.cli.terminate { "terminated" } else { "ready" })
            }
            Ended::There | Ended::Stuck => (Verdict::Incomplete, "incomplete"),
        };
        tell(self.cli, self.orders, status, &outcome)?;
        if verdict == Verdict::Interrupted {
            self.display.say(match self.place {
                Place::Named(_) => "Interrupted. The same command goes on where this one stopped.",
                Place::Temporary(_) => {
                    "Interrupted. The simulated cluster was in this process and is gone; with --db FILE it could go on."
                }
            });
        }
        if let Some(simulator) = self.simulator {
            let over =
                self.cli.terminate && verdict == Verdict::Complete && fleet::living(&*store).await? == 0;
            if over || self.cli.db.is_none() {
                simulator.end().await?;
            }
        }
        Ok(verdict)
    }
}

fn tell(cli: &Cli, orders: &Orders, status: &str, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { machines, seen, left, .. } = outcome;
    if cli.json {
        let document = report::document(
            status,
            orders.cluster.settings.name.as_str(),
            machines,
            seen.as_ref(),
            left.as_ref(),
        )?;
        return writeln!(std::io::stdout(), "{document}").context("the standard output is gone");
    }
    if outcome.ended == Ended::Interrupted {
        return Ok(());
    }
    report::print_table(machines);
    report::print_log(machines);
    if let Some((counters, _)) = seen {
        report::print_requests(counters, machines.len());
    }
    if let Some(left) = left {
        report::print_left(left);
    }
    Ok(())
}

/// The machines as they are now, with the addresses they had.
fn remember(before: &[report::Machine], mut now: Vec<report::Machine>) -> Vec<report::Machine> {
    for machine in &mut now {
        if let Some(before) = before.iter().find(|before| before.reference == machine.reference)
            && machine.addresses.is_empty()
        {
            machine.addresses.clone_from(&before.addresses);
        }
    }
    now
}

/// Waits for Ctrl-C, or for the polite request to end.
async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
