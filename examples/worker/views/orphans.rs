//! What no record knows.

use super::table;
use crate::config::Job;
use deploy_core::HeldAddress;
use deploy_worker::{Orphan, OrphanReport, WhyOrphan};
use examples::engine;

/// Shows what is on the clusters, or holds addresses, and no record knows.
///
/// # Errors
/// Also where a cluster could not be read, after what the others told.
pub(crate) async fn orphans(job: Job) -> anyhow::Result<()> {
    let database = super::open(&job).await?;
    let (store, clock) = (database.store(), database.clock());
    let jobs = engine::jobs(&store, &clock, engine::hypervisor(&clock, job.clients));
    let report = jobs.orphans().await?;
    database.close().await;
    print(&report);
    match report.unread.as_slice() {
        [] => Ok(()),
        unread => {
            let unread: Vec<String> =
                unread.iter().map(|(cluster, why)| format!("{cluster}: {why}")).collect();
            Err(anyhow::anyhow!("not read: {}", unread.join("; ")))
        }
    }
}

fn print(report: &OrphanReport) {
    let machines = report.machines.iter().map(|Orphan { cluster, vmid, node, name, why }| {
        let name = name.clone().unwrap_or_else(|| "-".to_owned());
        [cluster.to_string(), vmid.to_string(), node.to_string(), name, words(why)]
    });
    let head = ["Cluster", "VMID", "Node", "Name", "What is wrong with it"];
    table::print(head, machines.collect(), "no machine is there that no record knows");
    let addresses = report.addresses.iter().map(|orphaned| {
        let HeldAddress { address, pool, .. } = &orphaned.held;
        [orphaned.cluster.to_string(), address.to_string(), pool.to_string(), orphaned.key.to_string()]
    });
    let head = ["Cluster", "Address", "Pool", "Held for a machine that is gone"];
    table::print(head, addresses.collect(), "no address is held by nobody");
    if report.unlooked > 0 {
        table::say(&format!("{} machines of others were not looked at this time", report.unlooked));
    }
}

fn words(why: &WhyOrphan) -> String {
    match why {
        WhyOrphan::Unknown => "a number of ours, and no mark".to_owned(),
        WhyOrphan::Unseen(why) => format!("a number of ours, and cannot be seen: {}", why.message),
        WhyOrphan::Forgotten(key) => format!("marked as {key}, of which no record is left"),
        WhyOrphan::Double { of, its } => format!("marked as {of}, which is machine {its}"),
    }
}
