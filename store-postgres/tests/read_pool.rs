//! Reads through a pool of the embedder's.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deadpool_postgres::{Manager, Pool};
use deploy_core::{ListQuery, RecordStore};
use deploy_testkit::sample;
use place::Place;
use store_postgres::PostgresStore;
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
