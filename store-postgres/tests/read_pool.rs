//! Reads through a pool of the embedder's.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deadpool_postgres::{Manager, Pool};
use deploy_core::{ListQuery, LogId, RecordStore};
use deploy_testkit::sample;
use place::Place;
use store_postgres::{PostgresStore, Settings};
use throwaway_postgres::Server;
use tokio_postgres::NoTls;

#[tokio::test]
async fn reads_go_through_the_pool_and_see_what_was_written() {
    let place = Place::new();
    let manager = Manager::new(place.database.url().parse().unwrap(), NoTls);
    let pool = Pool::builder(manager).max_size(2).build().unwrap();
    let store = PostgresStore::connect(place.settings().with_read_pool(pool.clone())).await.unwrap();
    store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    let created = store.create(&sample::order(1)).await.unwrap();
    assert_eq!(store.list(&ListQuery::default()).await.unwrap(), [created.record().clone()]);
    assert_eq!(pool.status().size, 1, "the read was the pool's");
    let (first, second) = (store.get(sample::key(1)), store.get(sample::key(2)));
    assert_eq!(tokio::try_join!(first, second).unwrap(), (Some(created.record().clone()), None));
    pool.close();
    let error = store.get(sample::key(1)).await.unwrap_err();
    assert!(error.to_string().contains("read pool"), "{error}");
}

/// A standby has its primary's lines and not its locks: which lines are still to come it cannot know.
#[tokio::test]
async fn a_standby_does_not_say_which_events_there_are() {
    let primary = Server::start().unwrap();
    let url = primary.create_database("panel").unwrap();
    let standby = Server::builder().standby_of(&primary).unwrap().start().unwrap();
    let reads = |url: String| {
        let pool = Pool::builder(Manager::new(url.parse().unwrap(), NoTls)).build().unwrap();
        PostgresStore::connect(Settings::parse(&primary.url("panel")).unwrap().with_read_pool(pool))
    };
    let store = reads(url).await.unwrap();
    store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    store.create(&sample::order(1)).await.unwrap();
    assert_eq!(store.events(LogId(0), 9).await.unwrap().len(), 1);
    let behind = reads(standby.url("panel")).await.unwrap();
    // It follows in its own time.
    while behind.get(sample::key(1)).await.map_or(true, |machine| machine.is_none()) {
        tokio::task::yield_now().await;
    }
    let refused = behind.events(LogId(0), 9).await.unwrap_err().to_string();
    assert!(refused.contains("standby") && refused.contains("primary"), "{refused}");
}
