//! Ordering inside a transaction of the embedder's, with whichever client.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{Created, LeaseStore, LogEvent, LogId, NewRecord, RecordStore};
use deploy_testkit::sample;
use place::{Place, worker};
use store_postgres::Order;
use tokio_postgres::NoTls;
use uuid::Uuid;

fn order(place: &Place, n: u32) -> Order {
    Order::new(&place.settings(), &sample::order(n)).unwrap()
}

/// What it wrote is what the store's own way writes, apart from the number.
async fn expect_ordered(place: &Place, n: u32) {
    let store = place.open().await;
    let record = store.get(sample::key(n)).await.unwrap().unwrap();
    assert_eq!(record, sample::order(n).numbered(record.numbered.vmid).unwrap());
    let log = store.log(record.key, LogId(0), 9).await.unwrap();
    assert_eq!(log.iter().map(|entry| &entry.line.event).collect::<Vec<_>>(), [&LogEvent::Ordered]);
    let leased = store.claim(worker(), 9).await.unwrap();
    assert_eq!(leased.iter().map(|leased| leased.lease.key).collect::<Vec<_>>(), [record.key]);
}

#[tokio::test]
async fn with_tokio_postgres() {
    let place = Place::new();
    place.with_cluster().await;
    place.database.psql("CREATE TABLE invoice (reference text)").unwrap();
    let (mut client, connection) = tokio_postgres::connect(&place.database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);

    let first = order(&place, 1);
    let taken_back = client.transaction().await.unwrap();
    let row = taken_back.query_one(first.sql(), &[&first.parameter()]).await.unwrap();
    assert_eq!(row.get::<_, &str>("outcome"), "ordered");
    taken_back.rollback().await.unwrap();
    assert_eq!(
        place.open().await.get(sample::key(1)).await.unwrap(),
        None,
        "nor is anything else of it there"
    );

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO invoice VALUES ('order-1')", &[]).await.unwrap();
    let row = transaction.query_one(first.sql(), &[&first.parameter()]).await.unwrap();
    assert_eq!(row.get::<_, Uuid>("key"), sample::key(1).0);
    assert_eq!(row.get::<_, i32>("vmid"), 100);
    transaction.commit().await.unwrap();
    expect_ordered(&place, 1).await;
}

#[tokio::test]
async fn with_sqlx() {
    use sqlx::{Connection, PgConnection, Row};
    let place = Place::new();
    place.with_cluster().await;
    place.database.psql("CREATE TABLE invoice (reference text)").unwrap();
    let mut client = PgConnection::connect(&place.database.url()).await.unwrap();
    let first = order(&place, 1);
    let mut transaction = client.begin().await.unwrap();
    sqlx::query("INSERT INTO invoice VALUES ('order-1')").execute(&mut *transaction).await.unwrap();
    let row = sqlx::query(first.sql()).bind(first.parameter()).fetch_one(&mut *transaction).await.unwrap();
    assert_eq!((row.get::<&str, _>("outcome"), row.get::<i32, _>("vmid")), ("ordered", 100));
    transaction.commit().await.unwrap();
    expect_ordered(&place, 1).await;
}

#[tokio::test]
async fn every_outcome_is_said() {
    let place = Place::new();
    let store = place.open().await;
    let (client, connection) = tokio_postgres::connect(&place.database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let outcome = async |order: Order| {
        let row = client.query_one(order.sql(), &[&order.parameter()]).await.unwrap();
        let key: Option<Uuid> = row.get("key");
        (row.get::<_, String>("outcome"), key)
    };
    assert_eq!(outcome(order(&place, 1)).await, ("unknown_cluster".to_owned(), None));
    store.put_cluster(&sample::cluster(100, 101)).await.unwrap();
    assert_eq!(outcome(order(&place, 1)).await, ("ordered".to_owned(), Some(sample::key(1).0)));
    let again = NewRecord { key: sample::key(2), ..sample::order(1) };
    let again = Order::new(&place.settings(), &again).unwrap();
    assert_eq!(outcome(again).await, ("exists".to_owned(), Some(sample::key(1).0)));
    let same_key = NewRecord { key: sample::key(1), ..sample::order(2) };
    assert_eq!(outcome(Order::new(&place.settings(), &same_key).unwrap()).await.0, "key_taken");
    store.create(&sample::order(3)).await.unwrap();
    assert_eq!(outcome(order(&place, 4)).await.0, "no_number");
    let adopt = |n, number| Order::new(&place.settings(), &sample::adoption(n, number)).unwrap();
    assert_eq!(outcome(adopt(5, 7000)).await, ("ordered".to_owned(), Some(sample::key(5).0)));
    assert_eq!(outcome(adopt(6, 7000)).await, ("reserved".to_owned(), Some(sample::key(5).0)));
    assert!(matches!(store.create(&sample::order(1)).await.unwrap(), Created::Existing(_)));
}

#[tokio::test]
async fn what_cannot_be_kept_or_named_is_refused() {
    let place = Place::new();
    let with_nul = NewRecord { metadata: serde_json::json!({"note": ["a", "b\0"]}), ..sample::order(1) };
    let error = Order::new(&place.settings(), &with_nul).unwrap_err();
    assert_eq!((error.field.as_str(), error.value.as_str()), ("metadata", ".note[1]"));
    // Short enough with the numbers that there are now, and not with the longest.
    let mut long = sample::order(1);
    long.spec.domain = format!("{}{{vmid}}.example.net", "a".repeat(54)).parse().unwrap();
    assert!(Order::new(&place.settings(), &long).is_ok());
    long.spec.domain = "{reference}{vmid}.example.net".parse().unwrap();
    long.external_ref = "r".repeat(60).parse().unwrap();
    assert!(Order::new(&place.settings(), &long).is_err());
    // As is an order with NUL in the store's own way.
    let store = place.with_cluster().await;
    assert!(store.create(&with_nul).await.unwrap_err().to_string().contains("NUL"));
}

/// The statements that a person may run instead of the program make the same schema.
#[tokio::test]
async fn the_printed_schema_is_the_store_s() {
    let (by_hand, by_program) = (Place::new(), Place::new());
    by_hand.database.psql(&by_hand.settings().migration_sql()).unwrap();
    by_hand.with_cluster().await;
    by_program.with_cluster().await;
    let columns = "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns
         WHERE table_schema = 'pve_deploy' ORDER BY 1, 2";
    let schema = by_hand.database.psql(columns).unwrap();
    assert_eq!(schema, by_program.database.psql(columns).unwrap());
    assert!(schema.contains("vm_state|due_at"), "{schema}");
    let version = "SELECT version FROM pve_deploy.version";
    assert_eq!(by_hand.database.psql(version).unwrap(), by_program.database.psql(version).unwrap());
}
