//! A disk that is full.

use crate::rig::{Logged, begun, leased, not_written, noted, notes, order};
use deploy_core::{CreateError, Created, LeaseStore, NewRecord, RecordStore, StoreError, StoreOutcome};
use deploy_testkit::sample;
use std::{sync::Arc, time::Duration};
use throwaway_postgres::Server;

/// The n-th order with so much of the embedder's own that a few hundred of them fill the disk. It looks random, or it would be
/// packed.
fn large(n: u32) -> NewRecord {
    let mut state = u64::from(n) + 1;
    let digits = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:08x}", state >> 32)
    });
    NewRecord { metadata: serde_json::json!(digits.take(2000).collect::<String>()), ..sample::order(n) }
}

#[tokio::test]
async fn a_full_disk_is_told_and_gone_on_with_once_there_is_room() {
    // 2 MiB and a piece of a page: PostgreSQL can write half a page, and says what it says when a disk is full (53100).
    let server = Server::builder().largest_file(4097).wal_segments(1).start().unwrap();
    let url = server.create_database("panel").unwrap();
    let store = begun(&url).await;
    let lease = leased(&store, 1).await.lease;
    let mut written = 1;
    let words = loop {
        match store.create(&large(written + 1)).await {
            Ok(Created::New(_)) => written += 1,
            Ok(Created::Existing(record)) => panic!("{record:?}"),
            refused => break not_written(refused),
        }
        assert!(written < 1000, "the disk does not fill up");
    };
    for word in ["53100", "disk is full", "make room"] {
        assert!(words.contains(word), "{word:?} in: {words}");
    }
    // What needs no more room is done meanwhile, and the refused order left nothing behind.
    store.commit(&lease, noted("meanwhile")).await.unwrap();
    let count = || server.psql("panel", "SELECT count(*) FROM pve_deploy.vm").unwrap();
    assert_eq!(count(), written.to_string());
    assert_eq!(store.by_reference(&sample::order(written + 1).external_ref).await.unwrap(), None);

    server.enlarge_disk().unwrap();
    assert!(matches!(store.create(&large(written + 1)).await.unwrap(), Created::New(_)));
    order(&store, written + 2).await;
    assert_eq!(count(), (written + 2).to_string());
    let numbers = "SELECT count(DISTINCT vmid) FROM pve_deploy.vm";
    assert_eq!(server.psql("panel", numbers).unwrap(), (written + 2).to_string());
    assert_eq!(notes(&store, lease.key).await, ["meanwhile"]);
}

/// Then the server crashes, and crashes again or gives up, until somebody makes room and starts it.
#[tokio::test]
async fn a_server_whose_write_ahead_log_has_no_room_is_gone_on_with() {
    let logged = Logged::listen();
    let server = Arc::new(Server::builder().largest_file(4097).wal_segments(4).start().unwrap());
    let store = begun(&server.url("postgres")).await; // another database would not fit
    let operator = Arc::clone(&server);
    let makes_room = tokio::task::spawn_blocking(move || {
        let panicked = (0..6000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            operator.log().unwrap().contains("PANIC:  could not write to log file")
        });
        assert!(panicked);
        operator.enlarge_disk().unwrap();
        operator.stop_immediately().unwrap();
        operator.start_again().unwrap();
    });
    let mut written = 0;
    while !makes_room.is_finished() || written < 20 {
        match store.create(&large(written + 1)).await {
            Ok(Created::New(_)) => written += 1,
            Err(CreateError::Store(StoreError { outcome: StoreOutcome::NotWritten, message })) => {
                assert!(message.contains("recover") || message.contains("cannot be reached"), "{message}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("order {}: {other:?}", written + 1),
        }
    }
    let count = "SELECT count(*), count(DISTINCT vmid) FROM pve_deploy.vm";
    assert_eq!(server.psql("postgres", count).unwrap(), format!("{written}|{written}"));
    logged.must_have("WARN", "the connection that writes was lost");
    logged.must_have("INFO", "connected again");
}
