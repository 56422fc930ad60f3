//! One pass for cron, and what it shows of machines, jobs, traffic and orphans.

use crate::desk::Desk;
use proxmox_sim::{ClusterConfig, NicTraffic, Running, Server, ServerOptions, Switch};
use std::time::{Duration, Instant};

/// A simulated cluster, and a worker's files that lead to it.
async fn place() -> (Running, Desk) {
    let nic_traffic = NicTraffic { received: 1 << 30, sent: 1 << 20 };
    let config = ClusterConfig { pools: vec!["demo".to_owned()], nic_traffic, ..ClusterConfig::quick() };
    let sim = Server::start(config, ServerOptions::default()).await.unwrap();
    let desk = Desk::new();
    desk.connect(&sim);
    (sim, desk)
}

/// Runs it beside the simulator, and asserts how it ends.
#[track_caller]
fn run(desk: &Desk, arguments: &[&str], ends: i32) -> String {
    let (status, said, log) = tokio::task::block_in_place(|| desk.run(arguments));
    assert_eq!(status, Some(ends), "{said}\n{log}");
    said
}

/// The row of a table that begins so.
#[track_caller]
fn row<'a>(table: &'a str, begins: &str) -> &'a str {
    let row = table.lines().find(|line| line.trim_start().starts_with(begins));
    row.unwrap_or_else(|| panic!("no {begins} in:\n{table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_of_cron_deploy_and_tables_show_what_is() {
    let (sim, desk) = place().await;
    let first = run(&desk, &["--tick"], 0);
    assert!(row(&first, "process").contains("4 ready"), "{first}");
    assert!(row(&first, "orphans").contains("0 machines and 0 addresses"), "{first}");
    assert!(run(&desk, &["--show", "traffic"], 0).contains("no machine was counted yet"));
    let again = run(&desk, &["--tick"], 0);
    assert!(row(&again, "process").contains("0 machines were due"), "{again}");
    for job in ["traffic", "orphans", "snapshots", "retention"] {
        assert!(row(&again, job).contains("too early; next at"), "{again}");
    }
    assert!(row(&run(&desk, &["--show", "jobs"], 0), "orphans").contains("0 machines and 0 addresses"));

    let all = run(&desk, &["--status"], 0);
    for machine in ["web-1", "store-1", "mail-1", "lab-1"] {
        let row = row(&all, machine);
        assert!(row.contains("ready"), "{all}");
    }
    // Somebody changes one, and makes another that nobody ordered.
    let vmid = 1000;
    let option =
        |key: &str, value: &str| Switch::Option { vmid, key: key.to_owned(), value: Some(value.to_owned()) };
    sim.switch(option("memory", "777")).unwrap();
    sim.switch(option("lock", "backup")).unwrap();
    let page = run(&desk, &["--status", "web-1"], 0);
    assert!(row(&page, "state").contains("running"), "{page}");
    assert!(row(&page, "not as ordered").contains("memory: 777 MiB instead of 1024 MiB"), "{page}");
    assert!(row(&page, "lock").contains("backup, seen since 20"), "{page}");
    assert!(row(&page, "guest agent").contains("answers: 203.0.113."), "{page}");
    run(&desk, &["--status", "never-ordered"], 1);
    assert!(run(&desk, &["--show", "orphans"], 0).contains("no machine is there that no record knows"));
    desk.change("worker.toml", "traffic_seconds = 300", "traffic_seconds = 1");
    // The list knows machines ten seconds after they were made.
    let patience = Instant::now() + Duration::from_secs(60);
    while !row(&run(&desk, &["--tick"], 0), "traffic").contains("4 machines counted, 0 could not be") {
        assert!(Instant::now() < patience, "not counted");
    }
    let traffic = run(&desk, &["--show", "traffic"], 0);
    // A GiB a second in, a MiB a second out.
    let figures: Vec<&str> = row(&traffic, "web-1").split_whitespace().collect();
    let [_, received, _, sent, ..] = figures[..] else { panic!("{traffic}") };
    let (received, sent): (f64, f64) = (received.parse().unwrap(), sent.parse().unwrap());
    assert!(received > 0.5 && (received / sent - 1024.0).abs() < 100.0, "{traffic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_cannot_reach_its_cluster_ends_in_failure() {
    let desk = Desk::new();
    let said = run(&desk, &["--tick"], 1);
    for job in ["traffic", "orphans", "snapshots"] {
        assert!(row(&said, job).contains("failed: "), "{said}");
    }
    assert!(row(&said, "retention").contains("0 entries"), "{said}");
    let all = run(&desk, &["--status"], 0);
    // Nothing can be there yet: that needs no cluster to be known.
    assert!(row(&all, "web-1").contains("unknown") || row(&all, "web-1").contains("absent"), "{all}");
}
