//! From any state to nothing left.

use super::bench::{Bench, small, spec, vmid};
use deploy_core::{Command, Family, LogEvent, Progress, Step, StopHow, VmRecord};
use jiff::{SignedDuration, Timestamp};
use proxmox_sim::{BackupConfig, ClusterConfig, Switch};
use std::time::Duration;

#[tokio::test]
async fn a_ready_machine_is_taken_away_with_all_it_had() {
    let mut config = ClusterConfig::quick();
    // Of another machine that had the number before.
    config.backups.push(backup(1000, false, Some("of an earlier machine")));
    let bench = Bench::with(config).await;
    let free = bench.free(Family::V4).await;
    let key = bench.order("gone", spec(small())).await;
    let record = bench.run(key).await;
    assert_eq!(record.numbered.vmid, vmid(1000));
    assert_eq!(bench.free(Family::V4).await, free - 1);
    cluster_is_past(&record).await;
    let (ours, theirs) = (record.mark().to_string(), "somebody else's");
    // One that is as new as ours, and one that nothing can be read out of.
    let backups = [
        (1000, false, Some(ours.as_str())),
        (1000, true, Some(ours.as_str())),
        (1000, false, Some(theirs)),
        (1000, false, None),
        (1050, false, Some(ours.as_str())),
    ];
    for (number, protected, notes) in backups {
        let backup = backup(number, protected, notes);
        bench.sim.switch(Switch::AddBackup { backup }).expect("a storage");
    }

    let record = bench.terminate(key).await;
    assert_eq!(record.step, Step::Terminated, "{}", bench.log_text(key).await);
    assert_eq!(record.addresses, []);
    let machines = bench.ask("/cluster/resources").await;
    let left = machines.as_array().expect("a list").iter().find(|machine| machine["vmid"] == 1000);
    assert_eq!(left, None);
    let content = bench.ask("/nodes/pve1/storage/shared/content").await;
    let of = |number: u32| content.as_array().expect("a list").iter().filter(|v| v["vmid"] == number).count();
    assert_eq!(of(1000), 4, "only the protected backup and what is not known to be ours stay: {content}");
    assert_eq!(of(1050), 1, "a stranger's backup is left alone: {content}");
    let fates = record.life.receipt.iter().map(ToString::to_string);
    let fates = fates.filter(|line| line.starts_with("backup "));
    let mut fates: Vec<String> =
        fates.map(|line| line.split_once(": ").expect("a fate").1.to_owned()).collect();
    fates.sort();
    let foreign = "left, nothing proves whose it is";
    assert_eq!(fates[..4], ["deleted", "kept, it is protected", foreign, foreign]);
    assert!(fates[4].starts_with("not known: whose it is cannot be read: "), "{fates:?}");
    // The address rests: it is neither held nor free.
    assert_eq!(bench.free(Family::V4).await, free - 1);
    let usage = bench.pools.usage(&"v4".parse().expect("name")).await.expect("usage").expect("a pool");
    assert_eq!((usage.held, usage.resting), (0, 1));
}

/// Waits until what the cluster makes now counts as made after the order: it counts whole seconds, from a whole second on,
/// and may be two behind.
pub(super) async fn cluster_is_past(record: &VmRecord) {
    let passes = async {
        while Timestamp::now() <= record.created_at + SignedDuration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), passes).await.expect("a clock that goes");
}

/// With these notes of the machine in it; without any nothing can be read out of it.
pub(super) fn backup(vmid: u32, protected: bool, notes: Option<&str>) -> BackupConfig {
    BackupConfig {
        vmid,
        storage: "shared".to_owned(),
        node: String::new(),
        size: 1,
        protected,
        config: notes.map(|notes| ("description".to_owned(), notes.to_owned())).into_iter().collect(),
    }
}

#[tokio::test]
async fn a_machine_in_the_middle_of_its_clone_is_taken_away_after_it() {
    let bench = Bench::new().await;
    let key = bench.order("halfway", spec(small())).await;
    bench.run_until(key, |record| matches!(record.progress, Progress::Submitted { .. })).await;
    bench.deployments.command(key, Command::Terminate).await.expect("command");
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Terminated, "{}", bench.log_text(key).await);
    assert_eq!(bench.sim.counters().clones.len(), 1, "the clone was not stopped");
    let machines = bench.ask("/cluster/resources").await;
    assert!(!machines.to_string().contains("1000"), "{machines}");
}

#[tokio::test]
async fn an_order_that_was_never_begun_is_simply_forgotten() {
    let bench = Bench::new().await;
    let key = bench.order("never", spec(small())).await;
    let record = bench.terminate(key).await;
    assert_eq!(record.step, Step::Terminated);
    assert!(bench.sim.counters().clones.is_empty());
    let began = |event: &LogEvent| matches!(event, LogEvent::Began);
    assert_eq!(bench.log(key).await.iter().filter(|entry| began(&entry.line.event)).count(), 1);
    // The reference is free again, and the number rests.
    let again = bench.order("never", spec(small())).await;
    assert_ne!(again, key);
    let record = bench.deployments.status(again).await.expect("status").expect("a record");
    assert_eq!(record.numbered.vmid, vmid(1001));
}

/// What was removed, or vanished, has backups all the same.
#[tokio::test]
async fn backups_of_a_machine_that_is_removed_go_with_its_record() {
    let bench = Bench::new().await;
    let key = bench.order("removed", spec(small())).await;
    let record = bench.run(key).await;
    for command in [Command::Stop(StopHow::Hard), Command::Remove] {
        bench.deployments.command(key, command).await.expect("command");
        bench.run(key).await;
    }
    for notes in [record.mark().to_string(), "somebody else's".to_owned()] {
        let backup = backup(1000, false, Some(&notes));
        bench.sim.switch(Switch::AddBackup { backup }).expect("a storage");
    }
    let record = bench.terminate(key).await;
    assert_eq!(record.step, Step::Terminated, "{}", bench.log_text(key).await);
    let fates = record.life.receipt.iter().map(ToString::to_string);
    let fates = fates.filter(|line| line.starts_with("backup "));
    let mut fates: Vec<String> =
        fates.map(|line| line.split_once(": ").expect("a fate").1.to_owned()).collect();
    fates.sort();
    assert_eq!(fates, ["deleted", "left, nothing proves whose it is"]);
    let content = bench.ask("/nodes/pve1/storage/shared/content").await;
    let left = content.as_array().expect("a list").iter().filter(|volume| volume["vmid"] == 1000).count();
    assert_eq!(left, 1, "{content}");
}
