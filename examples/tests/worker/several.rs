//! Several workers on one server.

use examples::trial::{Hired, Holding, Trial};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

const GLANCE: Duration = Duration::from_millis(50);

async fn trial(machines: usize, lease: Duration) -> Trial {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let program = Path::new(env!("CARGO_BIN_EXE_worker"));
    Trial::begin(program, machines, lease).await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Starts these workers, and waits until all of them work.
async fn staff<const COUNT: usize>(trial: &Trial, names: [&str; COUNT]) -> [Hired; COUNT] {
    let workers = names.map(|name| trial.hire(name).unwrap());
    for name in names {
        until(trial, "at work", |_| trial.log(name).unwrap().contains(" working ")).await;
    }
    workers
}

/// What is not ready and in the hand of each of them.
fn in_hand(holdings: &[Holding]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for holding in holdings.iter().filter(|holding| holding.step != "ready") {
        if let Some(worker) = &holding.worker {
            *counts.entry(worker.as_str()).or_default() += 1;
        }
    }
    counts
}

/// Looks again and again until it is as wanted.
async fn until(trial: &Trial, what: &str, mut wanted: impl FnMut(&[Holding]) -> bool) {
    let patience = Instant::now() + Duration::from_secs(100);
    loop {
        let now = trial.holdings().await.unwrap();
        if wanted(&now) {
            return;
        }
        assert!(Instant::now() < patience, "not {what}: {now:?}");
        tokio::time::sleep(GLANCE).await;
    }
}

fn all_ready(holdings: &[Holding]) -> bool {
    holdings.iter().all(|holding| holding.step == "ready")
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_leaves_its_machines_to_others_at_once() {
    // Far longer than the test: nobody gets a machine because a lease ran out.
    let trial = trial(20, Duration::from_secs(600)).await;
    let [leaves, stays] = staff(&trial, ["leaves", "stays"]).await;
    trial.order().await.unwrap();
    until(&trial, "shared", |now| {
        let counts = in_hand(now);
        counts.get("leaves").is_some_and(|count| *count >= 4) && counts.contains_key("stays")
    })
    .await;
    let status = leaves.stop().await.unwrap();
    assert!(status.success(), "{status}: {}", trial.log("leaves").unwrap());
    let asked = Instant::now();
    assert!(!in_hand(&trial.holdings().await.unwrap()).contains_key("leaves"));
    until(&trial, "taken over", |now| {
        now.iter().all(|holding| holding.step == "ready" || holding.worker.as_deref() == Some("stays"))
    })
    .await;
    // It looks into the database once a second, and is told before.
    assert!(asked.elapsed() < Duration::from_secs(5), "taken over after {:?}", asked.elapsed());
    until(&trial, "ready", all_ready).await;
    let clones = trial.cluster.counters().clones;
    assert!(clones.len() == 20 && clones.values().all(|times| *times == 1), "{clones:?}");
    assert!(stays.stop().await.unwrap().success());
}

#[tokio::test]
async fn three_workers_get_a_similar_share() {
    let trial = trial(60, Duration::from_secs(10)).await;
    let names = ["worker-1", "worker-2", "worker-3"];
    let workers = staff(&trial, names).await;
    trial.order().await.unwrap();
    // Weighed by how long each machine is in hand, while there is enough for everybody.
    let (mut shares, mut looks): (BTreeMap<String, usize>, usize) = (BTreeMap::new(), 0);
    until(&trial, "ready", |now| {
        let counts = in_hand(now);
        if counts.values().sum::<usize>() >= 30 {
            looks += 1;
            for (name, count) in counts {
                *shares.entry(name.to_owned()).or_default() += count;
            }
        }
        all_ready(now)
    })
    .await;
    let all: usize = shares.values().sum();
    assert!(looks >= 10, "{looks} looks tell nothing");
    for name in names {
        let percent = shares.get(name).copied().unwrap_or_default() * 100 / all;
        assert!((24..=43).contains(&percent), "{name} had {percent}% in hand: {shares:?} in {looks} looks");
    }
    for worker in workers {
        let log = trial.log(&worker.name).unwrap();
        assert!(!log.contains("notifications do not arrive"), "{log}");
        assert!(worker.stop().await.unwrap().success());
    }
}
