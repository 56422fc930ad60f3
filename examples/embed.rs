//! The engine in a program of yours: a store, pools, a cluster, a worker, and one order.
//!
//! `embed URL TOKEN FINGERPRINT`, for instance with what `proxmox-sim` prints.

use deploy_core::{ClusterSettings, Deployments, Step, Vmid, VmidRange};
use deploy_worker::{SystemClock, SystemEntropy, Worker};
use ip_pool::{PoolDefinition, Pools};
use proxmox_api::{Client, Credentials, Proxmox, Trust};
use serde_json::json;
use std::{error::Error, sync::Arc, time::Duration};
use store_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token), Some(fingerprint)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: embed URL TOKEN FINGERPRINT".into());
    };

    // Where records and addresses are kept, and how the cluster is reached.
    let store = Arc::new(SqliteStore::open("panel.db", Arc::new(SystemClock)).await?);
    let pools = Pools::new(store.clone());
    let client = Client::builder()
        .url(url)
        .credentials(Credentials::Token(token.parse()?))
        .trust(Trust::Fingerprints(vec![fingerprint.parse()?]))
        .build()?;
    let hypervisor = Proxmox::new().with_cluster("ams1".parse()?, client);

    // The worker does the work, in this process as the store is SQLite; the front door is what a panel talks to.
    let worker = Worker::new(Arc::new(hypervisor), Arc::new(pools.clone()), store.clone()).start();
    let panel = Deployments::new(store, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .with_doorbell(worker.doorbell());

    // Once: the cluster, and the addresses it may give.
    let vmids = VmidRange::new(Vmid::try_from(5000)?, Vmid::try_from(5999)?)?;
    let quarantine = jiff::SignedDuration::from_hours(24);
    panel.put_cluster(&ClusterSettings { name: "ams1".parse()?, vmids, quarantine }).await?;
    let pool = PoolDefinition {
        gateway: Some("203.0.113.1".parse()?),
        ..PoolDefinition::new("v4".parse()?, "ams1".parse()?, "vmbr0".parse()?, ["203.0.113.0/24".parse()?])
    };
    pools.put(&pool).await?;

    // For each sale: an order under a reference of yours. Ordering it again answers with the same machine.
    let order = serde_json::from_value(json!({
        "cluster": "ams1", "node": "pve1", "domain": "vps-{vmid}.example.net", "pve_name": "vps-{vmid}",
        "template": { "vmid": 9000, "node": "pve1" }, "clone": { "mode": "linked" },
        "sockets": 1, "cores": 2, "memory": 2048, "system_disk": { "size": 20 },
        "nics": [{ "bridge": "vmbr0", "addressing": { "pools": { "v4": { "count": 1 } } } }],
        "cloud_init": { "user": "admin" },
    }))?;
    let key = panel.create("order-4711".parse()?, order, json!({ "customer": 12 })).await?.record().key;

    while panel.status(key).await?.is_some_and(|machine| machine.step != Step::Ready) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(worker.drain().await?)
}
