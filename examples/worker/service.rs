//! The service: what is ordered is ordered, what is to go is told to go, and the engine works until somebody stops it.

use crate::{config::Job, post::Lines};
use anyhow::Context as _;
use deploy_core::{ExternalRef, VmKey};
use examples::{
    difference,
    engine::{self, Engine},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// As an error's context it means that the input is wrong.
#[derive(Debug)]
pub(crate) struct WrongInput(&'static str);

impl std::fmt::Display for WrongInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Works until SIGTERM or Ctrl-C.
pub(crate) async fn run(job: Job) -> anyhow::Result<()> {
    let stopped = stopped()?;
    let store = engine::open(&job.database).await.context(WrongInput("database"))?;
    let different = difference::of(&store, &job.orders).await?;
    if !different.is_empty() {
        let different: Vec<_> = different.iter().map(ToString::to_string).collect();
        return Err(anyhow::anyhow!(
            "machines of the database were ordered otherwise than the file now says:\n  {}\nAn order is not changed \
             afterwards. Put the file as it was, or give the changed machine another reference",
            different.join("\n  ")
        )
        .context(WrongInput("orders")));
    }
    let tune = |worker| job.tuning.apply(worker).with_notifier(Arc::new(Lines));
    let engine = Engine::start(store, job.client.clone(), &job.orders, tune).await?;
    let ordered = engine.order(&job.orders).await?.len();
    let going = existing(&engine, &job.terminate).await?;
    engine.terminate(&going).await?;
    info!(ordered, going = going.len(), database = %job.database.display(), "working");
    stopped.await;
    info!("stopping");
    engine.stop().await
}

/// The machines of these references that were ordered at any time.
async fn existing(engine: &Engine, references: &BTreeSet<ExternalRef>) -> anyhow::Result<Vec<VmKey>> {
    let mut keys = Vec::new();
    for reference in references {
        keys.extend(engine.deployments.by_reference(reference).await?.map(|record| record.key));
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
