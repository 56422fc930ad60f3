//! The engine, wired: store, pools, hypervisor, worker, and the front door that orders go through.

use crate::{Input, orders::Orders, policy};
use anyhow::Context as _;
use deploy_core::{Deployments, RecordStore};
use deploy_worker::{RunningWorker, SystemClock, SystemEntropy, Worker};
use ip_pool::Pools;
use proxmox_api::{Client, Proxmox};
use std::{path::Path, sync::Arc, time::Duration};
use store_sqlite::SqliteStore;

/// How long an end in good order may take.
const DRAINS_WITHIN: Duration = Duration::from_secs(5);

/// The engine at work.
pub(crate) struct Engine {
    pub(crate) store: SqliteStore,
    pub(crate) deployments: Deployments,
    worker: RunningWorker,
}

/// Opens the database.
pub(crate) async fn open(path: &Path) -> anyhow::Result<SqliteStore> {
    SqliteStore::open(path, Arc::new(SystemClock)).await.context(Input("--db"))
}

impl Engine {
    /// Writes down the cluster and its pools, and starts a worker.
    pub(crate) async fn start(
        store: SqliteStore,
        client: Client,
        simulated: bool,
        orders: &Orders,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(store.clone());
        let pools = Pools::new(Arc::clone(&shared));
        let front: Arc<dyn RecordStore> = Arc::clone(&shared) as _;
        front.put_cluster(&orders.cluster).await?;
        for pool in &orders.pools {
            pools.put(pool).await?;
        }
        let hypervisor = Proxmox::new().with_cluster(orders.cluster.name.clone(), client);
        let mut worker = Worker::new(Arc::new(hypervisor), Arc::new(pools), shared);
        if simulated {
            worker = worker.with_policy(policy::of_demonstration());
        }
        let worker = worker.start();
        let deployments = Deployments::new(front, Arc::new(SystemClock), Arc::new(SystemEntropy))
            .with_doorbell(worker.doorbell());
        Ok(Self { store, deployments, worker })
    }

    /// Ends the worker. What is under way goes on with the next one.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match tokio::time::timeout(DRAINS_WITHIN, self.worker.drain()).await {
            Ok(drained) => Ok(drained?),
            // A request hangs. Dropped like this, its machine goes on when the lease has run out.
            Err(_) => Ok(()),
        }
    }
}
