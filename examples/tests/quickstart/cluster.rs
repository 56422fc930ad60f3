//! A cluster that is reached by address, token and trust, as a real one is.

use crate::program::{Desk, and, quickstart, run};
use proxmox_sim::{ClusterConfig, Running, Server, ServerOptions};
use std::process::{Command, Stdio};

async fn cluster() -> Running {
    let config = ClusterConfig { pools: vec!["demo".to_owned()], ..ClusterConfig::quick() };
    Server::start(config, ServerOptions::default()).await.unwrap()
}

/// Runs a command while the cluster is served.
async fn during(command: Command) -> crate::program::Ended {
    tokio::task::spawn_blocking(|| run(command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_made_where_the_url_leads() {
    let (desk, cluster) = (Desk::new(), cluster().await);
    let token = desk.file("token", &format!("{}\n", cluster.token()));
    let urls = format!("https://127.0.0.1:1,{}", cluster.url());
    let command =
        quickstart(["--json", "--url", &urls, "--fingerprint", cluster.fingerprint(), "--token-file"]);
    let database = desk.database();
    let ended = during(and(and(and(command, token.clone()), "--db"), database.clone())).await;
    let document = ended.document();
    assert_eq!((&document["status"], &document["simulated"]), (&"ready".into(), &false.into()));
    assert_eq!(cluster.counters().clones.into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);

    // The same trust, said in another way.
    let ca = desk.file("ca.pem", cluster.ca_pem());
    let command = quickstart(["--json", "--terminate", "--url", cluster.url(), "--token-file"]);
    let ended = during(and(and(and(and(and(command, token), "--ca"), ca), "--db"), database)).await;
    let document = ended.document();
    assert_eq!(document["left"]["volumes"], serde_json::json!([]));
    assert_eq!(cluster.counters().destroyed.len(), 4);
    assert_eq!(cluster.counters().clones.len(), 4, "something was made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_of_real_machines_is_kept() {
    let (desk, cluster) = (Desk::new(), cluster().await);
    let token = desk.file("token", cluster.token());
    let command =
        quickstart(["--url", cluster.url(), "--fingerprint", cluster.fingerprint(), "--token-file"]);
    let ended = during(and(command, token)).await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let line = ended.stderr.lines().find(|line| line.contains("These machines are known to ")).unwrap();
    let path = line.split("known to ").nth(1).unwrap().split(';').next().unwrap();
    let path = std::path::Path::new(path);
    assert!(path.exists(), "{}", path.display());
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_engine_makes_one_machine() {
    let (desk, cluster) = (Desk::new(), cluster().await);
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embed"));
        command
            .args([cluster.url(), cluster.token(), cluster.fingerprint()])
            .current_dir(desk.database().parent().unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = during(command).await;
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(cluster.counters().clones.into_iter().collect::<Vec<_>>(), [(5000, 1)]);
    }
}
