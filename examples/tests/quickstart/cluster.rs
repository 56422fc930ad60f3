//! A cluster that is reached by address, token and trust, as a real one is.

use crate::program::{Desk, and, quickstart, run};
use proxmox_sim::{ClusterConfig, Running, Server, ServerOptions};
use std::ops::Deref;
use std::process::{Command, Stdio};

/// A cluster that was sent nothing that no server would have taken.
struct Watched(Running);

impl Deref for Watched {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.counters().off_schema, []);
        }
    }
}

async fn cluster() -> Watched {
    let config = ClusterConfig { pools: vec!["demo".to_owned()], ..ClusterConfig::quick() };
    Watched(Server::start(config, ServerOptions::default()).await.unwrap())
}

/// Runs a command while the cluster is served.
async fn during(command: Command) -> crate::program::Ended {
    tokio::task::spawn_blocking(|| run(command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_are_made_where_the_url_leads() {
    let (desk, cluster) = (Desk::new(), cluster().await);
    let token = desk.file("token", &format!("{}\n", cluster.token()));
    let orders = desk.file("orders.toml", include_str!("../../orders.toml"));
    let on_cluster = |args: &[&str]| {
        let command = and(and(quickstart(args), "--token-file"), token.clone());
        and(and(and(and(command, "--orders"), orders.clone()), "--db"), desk.database())
    };
    let urls = format!("https://127.0.0.1:1,{}", cluster.url());
    let ended = during(on_cluster(&["--json", "--url", &urls, "--fingerprint", cluster.fingerprint()])).await;
    let document = ended.document();
    assert_eq!((&document["status"], &document["simulated"]), (&"ready".into(), &false.into()));
    assert_eq!(cluster.counters().clones.into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);

    // The same trust, said in another way.
    let ca = desk.file("ca.pem", cluster.ca_pem());
    let terminate = ["--json", "--terminate", "--url", cluster.url(), "--ca", ca.to_str().unwrap()];
    // The second time there is nothing to do.
    for _ in 0..2 {
        let document = during(on_cluster(&terminate)).await.document();
        assert_eq!(document["status"], "terminated");
        assert_eq!(document["left"]["volumes"], serde_json::json!([]));
        assert_eq!(cluster.counters().destroyed.len(), 4);
        assert_eq!(cluster.counters().clones.len(), 4, "something was made again");
    }
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
