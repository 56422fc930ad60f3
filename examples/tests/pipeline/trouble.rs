//! What goes wrong at run time: the machine stays at its step, the log says why in words, and it goes on by itself once
//! that is mended.

use super::bench::{Bench, client, small, spec, vmid};
use deploy_core::{Progress, Step, VmRecord};
use ip_pool::PoolDefinition;
use proxmox_sim::{ClusterConfig, Server, ServerOptions, StorageConfig, StorageKind, Switch, TemplateConfig};
use serde_json::{Value, json};

fn waits_at(step: Step) -> impl Fn(&VmRecord) -> bool {
    move |record| record.step == step && record.attention.is_some()
}

fn message(record: &VmRecord) -> String {
    record.attention.as_ref().map(|attention| attention.message.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_system_disk_below_the_templates_is_told_with_both_sizes() {
    let bench = Bench::new().await;
    let mut order = small();
    order["system_disk"] = json!({ "size": 1 });
    let key = bench.order("tiny", spec(order)).await;
    let record = bench.run_until(key, waits_at(Step::SetSystemDiskSize)).await;
    let message = message(&record);
    assert!(message.contains("2 GiB") && message.contains("1 GiB"), "{message}");
}

#[tokio::test]
async fn a_missing_template_is_named_and_waited_for() {
    let bench = Bench::new().await;
    let mut order = small();
    order["template"] = json!({ "vmid": 9500, "node": "pve1" });
    let key = bench.order("no-template", spec(order)).await;
    let record = bench.run_until(key, waits_at(Step::Clone)).await;
    assert!(message(&record).contains("template 9500 does not exist on node pve1"), "{}", message(&record));
    let mut template: TemplateConfig = ClusterConfig::quick().templates[0].clone();
    template.vmid = 9500;
    bench.sim.switch(Switch::AddTemplate { template }).expect("switch");
    assert_eq!(bench.run(key).await.step, Step::Ready);
}

#[tokio::test]
async fn a_missing_storage_is_named_and_waited_for() {
    let bench = Bench::new().await;
    let mut order = small();
    order["additional_disks"] = json!([{ "storage": "tank", "size": 4 }]);
    let key = bench.order("no-storage", spec(order)).await;
    let record = bench.run_until(key, waits_at(Step::SetCreatedAdditionalDisk)).await;
    assert!(message(&record).contains("tank"), "{}", message(&record));
    bench
        .sim
        .switch(Switch::AddStorage {
            storage: StorageConfig::new("tank", StorageKind::Dir, true, &["images"]),
        })
        .expect("switch");
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
    assert_eq!(record.attention, None, "what is mended is not shown any more");
}

#[tokio::test]
async fn a_full_pool_is_named_and_waited_for() {
    let bench = Bench::new().await;
    let narrow = |ranges: &str| PoolDefinition {
        gateway: Some("203.0.113.1".parse().expect("gateway")),
        prefix_len: Some(24),
        ..PoolDefinition::new(
            "v4".parse().expect("name"),
            "demo".parse().expect("name"),
            "vmbr0".parse().expect("bridge"),
            [ranges.parse().expect("range")],
        )
    };
    bench.pools.put(&narrow("203.0.113.10")).await.expect("pool");
    let first = bench.order("first", spec(small())).await;
    assert_eq!(bench.run(first).await.step, Step::Ready);
    let second = bench.order("second", spec(small())).await;
    let record = bench.run_until(second, waits_at(Step::SetIp)).await;
    assert!(message(&record).contains("v4"), "{}", message(&record));
    bench.pools.put(&narrow("203.0.113.10-203.0.113.20")).await.expect("pool");
    let record = bench.run(second).await;
    assert_eq!(record.step, Step::Ready);
    assert_eq!(record.addresses[0].address.to_string(), "203.0.113.11");
}

#[tokio::test]
async fn a_wrong_token_and_a_wrong_fingerprint_are_told_in_words() {
    let mut config = ClusterConfig::quick();
    config.unauthorized_delay = 0.0;
    let sim = Server::start(config, ServerOptions::default()).await.expect("simulator");
    let wrong = client(&sim, &[sim.url()], "root@pam!sim=00000000-0000-0000-0000-000000000000");
    let bench = Bench::around(sim, wrong).await;
    let key = bench.order("token", spec(small())).await;
    let record = bench.run_until(key, waits_at(Step::Clone)).await;
    assert!(message(&record).contains("401"), "{}", message(&record));
    assert_eq!(record.numbered.vmid, vmid(1000));

    let sim = Server::start(ClusterConfig::quick(), ServerOptions::default()).await.expect("simulator");
    let other = Server::start(ClusterConfig::quick(), ServerOptions::default()).await.expect("simulator");
    // The fingerprint of one server, the address of another.
    let wrong = client(&other, &[sim.url()], sim.token());
    let bench = Bench::around(sim, wrong).await;
    let key = bench.order("fingerprint", spec(small())).await;
    let record = bench.run_until(key, waits_at(Step::Clone)).await;
    assert!(message(&record).contains("fingerprint"), "{}", message(&record));
    assert_eq!(bench.sim.counters().total_requests(), 0, "nothing is sent to a server that is not trusted");
}

#[tokio::test]
async fn an_unreachable_url_is_tried_again_and_another_url_is_used() {
    let sim = Server::start(ClusterConfig::quick(), ServerOptions::default()).await.expect("simulator");
    // Nobody listens on port 9 of this machine.
    let urls = ["https://127.0.0.1:9", sim.url()];
    let through_second = client(&sim, &urls, sim.token());
    let bench = Bench::around(sim, through_second).await;
    let key = bench.order("urls", spec(small())).await;
    assert_eq!(bench.run(key).await.step, Step::Ready);
}

#[tokio::test]
async fn a_stale_lock_is_told_with_the_command_and_waited_for() {
    let bench = Bench::new().await;
    let key = bench.order("stale", spec(small())).await;
    let record = bench.run_until(key, |record| record.step == Step::SetCpuRam).await;
    let number = record.numbered.vmid.get();
    let lock = |value: Option<&str>| Switch::Option {
        vmid: number,
        key: "lock".to_owned(),
        value: value.map(str::to_owned),
    };
    bench.sim.switch(lock(Some("backup"))).expect("switch");
    let record = bench.run_until(key, waits_at(Step::SetCpuRam)).await;
    assert!(message(&record).contains(&format!("qm unlock {number}")), "{}", message(&record));
    assert!(message(&record).contains("pve1"), "{}", message(&record));
    bench.sim.switch(lock(None)).expect("switch");
    let record = bench.run(key).await;
    assert_eq!((record.step, record.attention), (Step::Ready, None));
}

#[tokio::test]
async fn an_agent_that_never_answers_is_told_and_waited_for() {
    let mut config = ClusterConfig::quick();
    config.durations.guest_boot = 2.0;
    let bench = Bench::with(config).await;
    let key = bench.order("slow", spec(small())).await;
    let record = bench.run_until(key, waits_at(Step::Starting)).await;
    assert!(message(&record).contains("guest agent"), "{}", message(&record));
    assert_eq!(bench.run(key).await.step, Step::Ready);
}

/// The lock of a clone whose worker was killed opens by root's hand alone.
#[tokio::test]
async fn a_killed_clone_is_told_with_the_command_and_made_anew() {
    let mut config = ClusterConfig::quick();
    config.durations.clone_full = 3600.0;
    let bench = Bench::with(config).await;
    let mut order = small();
    order["clone"] = json!({ "mode": "full" });
    let key = bench.order("killed", spec(order)).await;
    let is_submitted = |record: &VmRecord| matches!(record.progress, Progress::Submitted { .. });
    let record = bench.run_until(key, is_submitted).await;
    let Progress::Submitted { task, .. } = &record.progress else { panic!("{record:?}") };
    let number = record.numbered.vmid.get();
    let is_there =
        |list: &Value| list.as_array().is_some_and(|all| all.iter().any(|one| one["vmid"] == number));
    while !is_there(&bench.ask("/cluster/resources").await) {}
    bench.sim.switch(Switch::KillTask { upid: task.to_string() }).expect("switch");
    let record = bench.run_until(key, waits_at(Step::Clone)).await;
    assert!(message(&record).contains("no task has worked on it"), "{}", message(&record));
    assert!(
        message(&record).contains(&format!("qm destroy {number} --skiplock --purge")),
        "{}",
        message(&record)
    );
    bench.sim.switch(Switch::RemoveMachine { vmid: number }).expect("switch");
    let record = bench.run_until(key, is_submitted).await;
    assert_eq!((record.step, record.numbered.vmid.get()), (Step::Clone, number), "under the same number");
}
