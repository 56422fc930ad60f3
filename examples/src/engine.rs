//! The engine, wired: store, pools, hypervisor, worker, and the front door that orders go through.

use crate::orders::Orders;
use anyhow::Context as _;
use deploy_core::{Command, Deployments, RecordStore, Step, VmKey, VmRecord};
use deploy_worker::{RunningWorker, SystemClock, SystemEntropy, Worker};
use ip_pool::Pools;
use proxmox_api::{Client, Proxmox};
use std::{path::Path, sync::Arc, time::Duration};
use store_sqlite::{OpenError, SqliteStore};

/// How long an end in good order may take.
const DRAINS_WITHIN: Duration = Duration::from_secs(5);

/// The engine at work.
pub struct Engine {
    /// Where everything is kept.
    pub store: SqliteStore,
    /// The front door.
    pub deployments: Deployments,
    worker: RunningWorker,
}

/// Opens the database.
///
/// # Errors
/// [`OpenError`].
pub async fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Arc::new(SystemClock)).await
}

/// Whether all of a machine was taken away.
pub fn is_gone(record: &VmRecord) -> bool {
    record.step == Step::Terminated
}

impl Engine {
    /// Writes down the cluster and its pools, and starts a worker that `tune` may have changed.
    ///
    /// # Errors
    /// What is wrong with the cluster or a pool, or with the store.
    pub async fn start(
        store: SqliteStore,
        client: Client,
        orders: &Orders,
        tune: impl FnOnce(Worker) -> Worker,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(store.clone());
        let pools = Pools::new(Arc::clone(&shared));
        let front: Arc<dyn RecordStore> = Arc::clone(&shared) as _;
        front.put_cluster(&orders.cluster).await?;
        for pool in &orders.pools {
            pools.put(pool).await?;
        }
        let hypervisor = Proxmox::new().with_cluster(orders.cluster.name.clone(), client);
        let worker = tune(Worker::new(Arc::new(hypervisor), Arc::new(pools), shared)).start();
        let deployments = Deployments::new(front, Arc::new(SystemClock), Arc::new(SystemEntropy))
            .with_doorbell(worker.doorbell());
        Ok(Self { store, deployments, worker })
    }

    /// Orders every machine that is not there yet, and says which all of them are.
    ///
    /// # Errors
    /// The first that cannot be ordered; those before it are.
    pub async fn order(&self, orders: &Orders) -> anyhow::Result<Vec<VmKey>> {
        let mut keys = Vec::new();
        for order in &orders.machines {
            let (reference, spec) = (order.reference.clone(), order.spec.clone());
            let created = self.deployments.create(reference, spec, serde_json::Value::Null).await;
            keys.push(created.with_context(|| order.reference.to_string())?.record().key);
        }
        Ok(keys)
    }

    /// Asks for the end of every machine; those that are gone already stay so.
    ///
    /// # Errors
    /// The store's; those before it are asked for.
    pub async fn terminate(&self, keys: &[VmKey]) -> anyhow::Result<()> {
        for key in keys {
            if self.deployments.status(*key).await?.is_some_and(|record| !is_gone(&record)) {
                self.deployments.command(*key, Command::Terminate).await?;
            }
        }
        Ok(())
    }

    /// Ends the worker. What is under way goes on with the next one.
    ///
    /// # Errors
    /// That its machines could not be released; they are when the next one starts.
    pub async fn stop(self) -> anyhow::Result<()> {
        match tokio::time::timeout(DRAINS_WITHIN, self.worker.drain()).await {
            Ok(drained) => Ok(drained?),
            // A request hangs. Dropped like this, its machine goes on when the lease has run out.
            Err(_) => Ok(()),
        }
    }
}
