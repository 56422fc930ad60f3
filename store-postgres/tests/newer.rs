//! Records that a newer program wrote: refused by name, left untouched, in nobody's way.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{Command, CommandId, LeaseStore, ListQuery, RecordStore, SPEC_VERSION};
use deploy_testkit::sample;
use place::{Place, worker};
use store_postgres::PostgresStore;

/// Three orders, the first of which was changed by `sql` as a newer program might.
async fn with(sql: &str) -> (Place, PostgresStore) {
    let place = Place::new();
    let store = place.with_cluster().await;
    for n in 1..=3 {
        store.create(&sample::order(n)).await.unwrap();
    }
    place.database.psql(&sql.replace("$key", &sample::key(1).to_string())).unwrap();
    (place, store)
}

/// The first order's rows, all of them.
fn rows(place: &Place) -> String {
    let sql = format!(
        "SELECT vm::text, state::text FROM pve_deploy.vm JOIN pve_deploy.vm_state AS state USING (key) WHERE key = '{}'",
        sample::key(1)
    );
    place.database.psql(&sql).unwrap()
}

async fn expect_passed_over(place: &Place, store: PostgresStore, says: &[&str]) {
    let named = |what: String| {
        assert!(says.iter().all(|word| what.contains(word)), "{what:?} says {says:?}");
        assert!(what.contains(&sample::key(1).to_string()), "it names the machine: {what}");
    };
    named(store.get(sample::key(1)).await.unwrap_err().to_string());
    named(store.by_reference(&sample::order(1).external_ref).await.unwrap_err().to_string());
    let id = CommandId(sample::key(9).0);
    named(store.command(sample::key(1), id, Command::Terminate).await.unwrap_err().to_string());
    named(store.create(&sample::order(1)).await.unwrap_err().to_string());

    let listed = store.list(&ListQuery::default()).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.key).collect::<Vec<_>>(), [2, 3].map(sample::key));
    let mut leased = Vec::new();
    for _ in 0..3 {
        leased.extend(store.claim(worker(), 1).await.unwrap().iter().map(|leased| leased.lease.key));
    }
    assert_eq!(leased, [2, 3].map(sample::key), "the first in line is passed over");
    assert_eq!(store.next_due().await.unwrap(), None, "a worker need not wake up for it");
    store.sweep().await.unwrap();
    assert!(rows(place).contains(&sample::key(1).to_string()));
}

#[tokio::test]
async fn a_newer_form_of_order_is_refused_by_name() {
    let newer = SPEC_VERSION + 1;
    let (place, store) = with(&format!(
        "UPDATE pve_deploy.vm SET spec_version = {newer}, spec = '{{\"gpu\": 2}}' WHERE key = '$key';
         UPDATE pve_deploy.vm_state SET spec_version = {newer} WHERE key = '$key'"
    ))
    .await;
    let before = rows(&place);
    let (newer, known) = (format!("version {newer}"), format!("version {SPEC_VERSION}"));
    expect_passed_over(&place, store, &["order-1", &newer, &known, "update the program"]).await;
    assert_eq!(rows(&place), before, "it is left untouched");
}

#[tokio::test]
async fn an_unknown_step_is_refused_by_name() {
    let (place, store) = with("UPDATE pve_deploy.vm_state SET step = 'set_gpu' WHERE key = '$key'").await;
    let before = rows(&place);
    expect_passed_over(&place, store, &["column step", "set_gpu"]).await;
    assert_eq!(rows(&place), before, "it is left untouched");
}

/// What cannot be seen in SQL shows when it is leased: it is given back at once, and left to others from then on.
#[tokio::test]
async fn what_cannot_be_understood_is_given_back() {
    let (place, store) =
        with("UPDATE pve_deploy.vm_state SET progress = '{\"state\": \"dreaming\"}' WHERE key = '$key'")
            .await;
    expect_passed_over(&place, store, &["column progress", "dreaming"]).await;
    let owned =
        "SELECT owner IS NULL, epoch FROM pve_deploy.vm_state WHERE progress ->> 'state' = 'dreaming'";
    assert_eq!(place.database.psql(owned).unwrap().trim(), "t|1", "leased once");
}
