//! Notifications: one for a batch of orders, from whichever process, and none that is needed.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{Command, CommandId, Doorbell, RecordStore, VmKey};
use deploy_testkit::sample;
use place::Place;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// What a bell was told; `None` is being woken.
struct Bell(UnboundedSender<Option<VmKey>>);

impl Doorbell for Bell {
    fn ring(&self, key: VmKey) {
        let _ = self.0.send(Some(key));
    }

    fn wake(&self) {
        let _ = self.0.send(None);
    }
}

fn bell() -> (Arc<Bell>, UnboundedReceiver<Option<VmKey>>) {
    let (told, heard) = unbounded_channel();
    (Arc::new(Bell(told)), heard)
}

async fn next(heard: &mut UnboundedReceiver<Option<VmKey>>) -> Option<VmKey> {
    timeout(Duration::from_secs(20), heard.recv()).await.expect("it rings").unwrap()
}

#[tokio::test]
async fn orders_wake_and_commands_ring() {
    let place = Place::new();
    let (panel, worker) = (place.with_cluster().await, place.open().await);
    let (bell, mut heard) = bell();
    let _listening = worker.listen(bell);
    assert_eq!(next(&mut heard).await, None, "once at the start, for what was missed");
    panel.create(&sample::order(1)).await.unwrap();
    assert_eq!(next(&mut heard).await, None);
    let key = sample::key(1);
    panel
        .command(key, CommandId(sample::key(7).0), Command::Retry)
        .await
        .unwrap_or_else(|_| panic!("admitted"));
    assert_eq!(next(&mut heard).await, Some(key));
}

/// Ten orders of one transaction are told once.
#[tokio::test]
async fn a_batch_of_orders_is_one_notification() {
    let place = Place::new();
    let worker = place.with_cluster().await;
    let (bell, mut heard) = bell();
    let _listening = worker.listen(bell);
    next(&mut heard).await;
    let orders: Vec<String> = (1..=10)
        .map(|n| {
            let order = store_postgres::Order::new(&place.settings(), &sample::order(n)).unwrap();
            let parameter = order.parameter().replace('\'', "''");
            order.sql().replace("$1", &format!("'{parameter}'"))
        })
        .collect();
    place.database.psql(&orders.join("; ")).unwrap();
    assert_eq!(next(&mut heard).await, None);
    // A command comes behind all that its predecessors sent.
    worker.command(sample::key(1), CommandId(sample::key(7).0), Command::Terminate).await.unwrap();
    assert_eq!(next(&mut heard).await, Some(sample::key(1)), "nothing came in between");
}

#[tokio::test]
async fn it_listens_again_after_the_connection_was_lost() {
    let place = Place::new();
    let (panel, worker) = (place.with_cluster().await, place.open().await);
    let (bell, mut heard) = bell();
    let _listening = worker.listen(bell);
    next(&mut heard).await;
    place
        .database
        .psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database() AND pid <> pg_backend_pid()")
        .unwrap();
    assert_eq!(next(&mut heard).await, None, "lost");
    assert_eq!(next(&mut heard).await, None, "and back");
    panel.create(&sample::order(1)).await.unwrap();
    assert_eq!(next(&mut heard).await, None);
}
