//! Who orders and takes back: the file of the next worker, or a panel that writes into the database.

use crate::{cluster::Cluster, desk::Desk, orders::Orders, server::Server};
use deploy_core::{Command, CommandError, CreateError, Deployments, StoreError};
use deploy_worker::SystemEntropy;
use examples::{
    database::Store,
    engine::{self, is_gone},
    orders::{self, Order},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use store_postgres::{PostgresStore, Settings};

/// How long a server that was stopped is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Panel {
    /// What is written there, the next worker is told.
    File,
    /// Everybody is told at once.
    Database(Box<Writer>),
}

/// A panel with a database that may go away.
pub(crate) struct Writer {
    deployments: Deployments,
    machines: Vec<Order>,
    /// What was ordered and taken back; both are done once.
    ordered: BTreeSet<String>,
    taken_back: BTreeSet<String>,
}

impl Panel {
    /// With a server, it writes down what the cluster is.
    pub(crate) async fn new(server: Option<&Server>, orders: &Orders) -> Self {
        let Some(server) = server else { return Self::File };
        let whole = orders::parse("orders", &orders.whole()).unwrap();
        let store = PostgresStore::connect(Settings::parse(server.url()).unwrap()).await.unwrap();
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        engine::define(&shared, &whole.cluster).await.unwrap();
        let deployments = Deployments::new(Arc::new(store.clone()), store.clock(), Arc::new(SystemEntropy));
        Self::Database(Box::new(Writer {
            deployments,
            machines: whole.machines,
            ordered: BTreeSet::new(),
            taken_back: BTreeSet::new(),
        }))
    }

    /// Orders the first so many machines, and takes these away.
    pub(crate) async fn tell(
        &mut self,
        desk: &Desk,
        cluster: &Cluster,
        orders: &Orders,
        machines: usize,
        gone: &BTreeSet<String>,
    ) {
        match self {
            Self::File => desk.configure(cluster, orders, machines, gone),
            Self::Database(writer) => writer.tell(machines, gone).await,
        }
    }
}

impl Writer {
    async fn tell(&mut self, machines: usize, gone: &BTreeSet<String>) {
        for order in &self.machines[..machines] {
            let reference = order.reference.as_str();
            if gone.contains(reference) {
                if !self.taken_back.contains(reference) {
                    take_back(&self.deployments, order).await;
                    self.taken_back.insert(reference.to_owned());
                }
            } else if !self.ordered.contains(reference) {
                create(&self.deployments, order).await;
                self.ordered.insert(reference.to_owned());
            }
        }
    }
}

/// Ordered again until it is answered: that is safe.
async fn create(deployments: &Deployments, order: &Order) {
    let until = Instant::now() + PATIENCE;
    let metadata = serde_json::Value::Null;
    while let Err(error) =
        deployments.create(order.reference.clone(), order.spec.clone(), metadata.clone()).await
    {
        match error {
            CreateError::Store(error) => wait(&error, until).await,
            error => panic!("{}: {error}", order.reference),
        }
    }
}

/// Taken back again until it is answered; one that was never ordered is not.
async fn take_back(deployments: &Deployments, order: &Order) {
    let until = Instant::now() + PATIENCE;
    loop {
        let record = match deployments.by_reference(&order.reference).await {
            Ok(Some(record)) if !is_gone(&record) => record,
            Ok(_) => return,
            Err(error) => {
                wait(&error, until).await;
                continue;
            }
        };
        match deployments.command(record.key, Command::Terminate).await {
            Ok(_) => return,
            Err(CommandError::Store(error)) => wait(&error, until).await,
            Err(error) => panic!("{}: {error}", order.reference),
        }
    }
}

async fn wait(error: &StoreError, until: Instant) {
    assert!(Instant::now() < until, "the database does not come back: {error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
