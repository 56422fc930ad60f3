//! What happens, from the first order to the proof.

use crate::{board::Board, proof};
use anyhow::{Context as _, bail, ensure};
use deploy_core::Step;
use examples::trial::{Hired, Holding, Trial};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Short, so that nobody has to wait long for what follows the kill; 30 s is what a real worker has.
const LEASE: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(180);

/// The one that is killed.
const VICTIM: &str = "worker-2";
const NAMES: [&str; 3] = ["worker-1", VICTIM, "worker-3"];

pub(crate) async fn tell(machines: usize) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("worker");
    let trial = Trial::begin(&program, machines, LEASE).await?;
    let mut story = Story { board: Board::new(), last: BTreeMap::new(), begun: Instant::now(), trial };
    story.all().await
}

struct Story {
    trial: Trial,
    board: Board,
    /// Who had each machine in hand last.
    last: BTreeMap<String, String>,
    begun: Instant,
}

impl Story {
    async fn all(&mut self) -> anyhow::Result<()> {
        let mut workers = self.hire().await?;
        self.begun = Instant::now();
        let keys = self.trial.order().await?;
        self.board.say(&format!("{} {} machines are ordered", self.time(), keys.len()))?;
        let victim = workers.remove(VICTIM).context("it was hired")?;
        self.until_it_may_die(keys.len()).await?;
        victim.kill()?;
        // Looked at afterwards: what it finished a moment before is not in its hand any more.
        let now = self.trial.holdings().await?;
        let had: BTreeSet<_> = unfinished(&now, VICTIM).map(|holding| holding.reference.clone()).collect();
        ensure!(!had.is_empty(), "{VICTIM} finished all it had in the moment before it was killed");
        self.board.keep(&format!("{} {VICTIM} is killed (kill -9)", self.time()), &now)?;
        let finished = now.iter().filter(|holding| is_ready(holding));
        let finished = finished
            .filter(|holding| self.last.get(&holding.reference).is_some_and(|worker| worker == VICTIM));
        let finished = finished.count();
        let now = self.until_all_have_another(&had).await?;
        let text = format!(
            "{} nothing is {VICTIM}'s any more: its lease of {} s ran out",
            self.time(),
            LEASE.as_secs()
        );
        self.board.keep(&text, &now)?;
        self.until_ready().await?;
        self.board.say(&format!("{} all {} machines are ready", self.time(), keys.len()))?;
        for (name, worker) in workers {
            let status = worker.stop().await?;
            ensure!(status.success(), "{name}: {status} when asked to end:\n{}", self.trial.log(&name)?);
        }
        let proof = proof::prove(&self.trial, &keys).await?;
        self.board.say(&format!(
            "\n{proof}\n{VICTIM} had finished {finished} when it was killed; the {} that it had in hand were finished by the others",
            had.len()
        ))
    }

    /// Starts the workers, and waits until they work.
    async fn hire(&mut self) -> anyhow::Result<BTreeMap<String, Hired>> {
        let mut workers = BTreeMap::new();
        for name in NAMES {
            workers.insert(name.to_owned(), self.trial.hire(name)?);
        }
        for name in NAMES {
            while !self.trial.log(name)?.contains(" working ") {
                self.must_go_on(&format!("{name} does not begin"))?;
                tokio::time::sleep(GLANCE).await;
            }
        }
        self.board
            .say("A PostgreSQL server in a temporary folder, a simulated cluster, and three workers")?;
        Ok(workers)
    }

    /// Until a quarter of the machines is ready, and the victim has some in hand.
    async fn until_it_may_die(&mut self, machines: usize) -> anyhow::Result<()> {
        loop {
            let now = self.look().await?;
            let ready = now.iter().filter(|holding| is_ready(holding)).count();
            if ready * 4 >= machines && unfinished(&now, VICTIM).count() >= 3 {
                return Ok(());
            }
            ensure!(ready < machines, "{VICTIM} never had three machines in hand before all were ready");
        }
    }

    /// Until another worker has had, or has finished, each of these machines.
    async fn until_all_have_another(&mut self, had: &BTreeSet<String>) -> anyhow::Result<Vec<Holding>> {
        loop {
            let now = self.look().await?;
            let waits = |holding: &&Holding| {
                let worker = holding.worker.as_deref();
                had.contains(&holding.reference)
                    && !is_ready(holding)
                    && (worker.is_none() || worker == Some(VICTIM))
            };
            if now.iter().filter(waits).count() == 0 {
                return Ok(now);
            }
        }
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        while !self.look().await?.iter().all(is_ready) {}
        Ok(())
    }

    /// Who has what, a moment later.
    async fn look(&mut self) -> anyhow::Result<Vec<Holding>> {
        self.must_go_on("not all is ready")?;
        tokio::time::sleep(GLANCE).await;
        let holdings = self.trial.holdings().await?;
        for Holding { reference, worker, .. } in &holdings {
            if let Some(worker) = worker {
                self.last.insert(reference.clone(), worker.clone());
            }
        }
        self.board.show(&holdings)?;
        Ok(holdings)
    }

    fn must_go_on(&self, what: &str) -> anyhow::Result<()> {
        if self.begun.elapsed() > PATIENCE {
            let logs: Vec<_> = NAMES.iter().map(|name| self.trial.log(name).unwrap_or_default()).collect();
            bail!("{what} after {} s:\n{}", PATIENCE.as_secs(), logs.join("\n"));
        }
        Ok(())
    }

    fn time(&self) -> String {
        format!("{:5.1}s", self.begun.elapsed().as_secs_f64())
    }
}

fn unfinished<'a>(holdings: &'a [Holding], worker: &str) -> impl Iterator<Item = &'a Holding> {
    holdings.iter().filter(move |holding| holding.worker.as_deref() == Some(worker) && !is_ready(holding))
}

fn is_ready(holding: &Holding) -> bool {
    holding.step == Step::Ready.as_str()
}
