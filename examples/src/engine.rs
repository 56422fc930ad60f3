//! The engine, wired: store, pools, hypervisor, worker, and the front door that orders go through.

use crate::{clusters::Cluster, database::Store, orders::Order};
use anyhow::Context as _;
use deploy_core::{Clock, ClusterName, Command, Deployments, Doorbell, RecordStore, Step, VmKey, VmRecord};
use deploy_worker::{Jobs, RunningWorker, SystemEntropy, Worker};
use ip_pool::Pools;
use proxmox_api::{Client, Proxmox};
use std::{sync::Arc, time::Duration};

/// How long requests that are under way are waited for at the end.
const DRAINS_WITHIN: Duration = Duration::from_secs(5);

/// The engine at work.
pub struct Engine {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The front door.
    pub deployments: Deployments,
    worker: RunningWorker,
}

/// Whether all of a machine was taken away.
pub fn is_gone(record: &VmRecord) -> bool {
    record.step == Step::Terminated
}

/// Writes a cluster and its pools down.
///
/// # Errors
/// What is wrong with it, or with the store.
pub async fn define(store: &Arc<dyn Store>, cluster: &Cluster) -> anyhow::Result<()> {
    store.put_cluster(&cluster.settings).await?;
    let pools = Pools::new(Arc::clone(store));
    for pool in &cluster.pools {
        pools.put(pool).await?;
    }
    Ok(())
}

/// The clusters that these clients reach. One clock for all: a request is held back by the time that the worker gave it.
pub fn hypervisor(
    clock: &Arc<dyn Clock>,
    clients: impl IntoIterator<Item = (ClusterName, Client)>,
) -> Arc<Proxmox> {
    let hypervisor = Proxmox::new().with_clock(Arc::clone(clock));
    Arc::new(
        clients
            .into_iter()
            .fold(hypervisor, |hypervisor, (name, client)| hypervisor.with_cluster(name, client)),
    )
}

/// A worker that was not started.
pub fn worker(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, hypervisor: Arc<Proxmox>) -> Worker {
    let pools = Pools::new(Arc::clone(store));
    Worker::new(hypervisor, Arc::new(pools), Arc::clone(store) as _).with_clock(Arc::clone(clock))
}

/// The jobs that are done now and then.
pub fn jobs(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, hypervisor: Arc<Proxmox>) -> Jobs {
    Jobs::new(hypervisor, Arc::clone(store) as _).with_clock(Arc::clone(clock))
}

/// Orders every machine that is not there yet, and says which all of them are.
///
/// # Errors
/// The first that cannot be ordered; those before it are.
pub async fn order(deployments: &Deployments, orders: &[Order]) -> anyhow::Result<Vec<VmKey>> {
    let mut keys = Vec::new();
    for order in orders {
        let (reference, spec) = (order.reference.clone(), order.spec.clone());
        let created = deployments.create(reference, spec, serde_json::Value::Null).await;
        keys.push(created.with_context(|| order.reference.to_string())?.record().key);
    }
    Ok(keys)
}

/// Asks for the end of every machine; those that are gone already stay so.
///
/// # Errors
/// The store's; those before it are asked for.
pub async fn terminate(deployments: &Deployments, keys: &[VmKey]) -> anyhow::Result<()> {
    for key in keys {
        if deployments.status(*key).await?.is_some_and(|record| !is_gone(&record)) {
            deployments.command(*key, Command::Terminate).await?;
        }
    }
    Ok(())
}

impl Engine {
    /// Starts a worker that `tune` may have changed, on the clusters that these clients reach. `clock` is the store's.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        clients: impl IntoIterator<Item = (ClusterName, Client)>,
        tune: impl FnOnce(Worker) -> Worker,
    ) -> Self {
        let worker = tune(worker(&store, &clock, hypervisor(&clock, clients))).start();
        let records: Arc<dyn RecordStore> = Arc::clone(&store) as _;
        let deployments =
            Deployments::new(records, clock, Arc::new(SystemEntropy)).with_doorbell(worker.doorbell());
        Self { store, deployments, worker }
    }

    /// The bell that tells the worker of orders and commands.
    pub fn doorbell(&self) -> Arc<dyn Doorbell> {
        self.worker.doorbell()
    }

    /// Orders every machine that is not there yet, and says which all of them are.
    ///
    /// # Errors
    /// The first that cannot be ordered; those before it are.
    pub async fn order(&self, orders: &[Order]) -> anyhow::Result<Vec<VmKey>> {
        order(&self.deployments, orders).await
    }

    /// Asks for the end of every machine; those that are gone already stay so.
    ///
    /// # Errors
    /// The store's; those before it are asked for.
    pub async fn terminate(&self, keys: &[VmKey]) -> anyhow::Result<()> {
        terminate(&self.deployments, keys).await
    }

    /// Ends the worker and releases its machines. What is under way goes on with the next one.
    ///
    /// # Errors
    /// That its machines could not be released; they are when its lease has run out, or the next worker starts.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.worker.drain_within(DRAINS_WITHIN).await?)
    }
}
