//! What somebody typed wrong, or forgot to do.

use crate::rig::{as_role, begun, leased, noted, own_server, settings};
use deploy_core::{AddressStore, Family, LeaseStore, LogId, RecordStore};
use deploy_testkit::sample;
use store_postgres::{ConnectError, PostgresStore, Settings};
use throwaway_postgres::shared;

/// Why nothing can be had at `url`.
async fn refused(url: &str) -> ConnectError {
    match PostgresStore::connect(settings(url)).await {
        Ok(store) => panic!("{store:?}"),
        Err(error) => error,
    }
}

/// That the server was not reached or refused, and all the words.
async fn said(url: &str) -> String {
    let error = refused(url).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    error.to_string()
}

fn must_say(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn a_url_that_is_none_says_how_one_looks() {
    for (url, words) in [
        ("db1.example.net", vec!["database: \"db1.example.net\"", "postgres://user@host/database"]),
        ("mysql://joe@db1/panel", vec!["mysql://joe@db1/panel", "postgres://user@host/database"]),
        ("postgres://joe@db1:many/panel", vec!["db1:many", "port"]),
        ("postgres://joe@db1/panel?sslmode=verify-ca", vec!["sslmode", "verify-ca", "verify-full"]),
        ("postgres://joe@db1/panel?colour=red", vec!["colour"]),
        (
            "postgres://joe@db1/panel?sslmode=verify-full&sslrootcert=/no/such.pem",
            vec!["sslrootcert", "/no/such.pem", "PEM"],
        ),
        // Not left unchecked in silence.
        (
            "postgres://joe@db1/panel?sslmode=require&sslrootcert=/etc/ca.pem",
            vec!["sslrootcert", "/etc/ca.pem", "verify-full"],
        ),
        ("postgres://joe@db1/panel?sslrootcert=/etc/ca.pem", vec!["sslrootcert", "sslmode=verify-full"]),
    ] {
        must_say(&Settings::parse(url).unwrap_err().to_string(), &words);
    }
    let schema = Settings::parse("postgres://joe@db1/panel").unwrap().with_schema("Deploy").unwrap_err();
    must_say(&schema.to_string(), &["schema", "\"Deploy\"", "lower-case"]);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_with_the_address() {
    // A port that was free a moment ago, and a name that is reserved for never being one (RFC 6761).
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words = said(&format!("postgres://joe:s3cret@127.0.0.1:{port}/panel")).await;
    must_say(
        &words,
        &["database panel", &format!("127.0.0.1:{port}"), "cannot be reached", "Connection refused"],
    );
    assert!(!words.contains("s3cret"), "{words}");
    must_say(
        &said("postgres://joe@db1.invalid/panel").await,
        &["db1.invalid:5432", "cannot be reached", "lookup"],
    );
    must_say(&said("postgres://joe@%2Fno%2Fsuch/panel").await, &["/no/such", "cannot be reached"]);
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_user_are_told() {
    let database = own_server().fresh_database().unwrap();
    let url = as_role(&database, "");
    let wrong = url.replace(":secret@", ":s3cret@");
    let words = said(&wrong).await;
    must_say(
        &words,
        &["password authentication failed", "check user and password", "pg_hba.conf", database.name()],
    );
    assert!(!words.contains("s3cret"), "{words}");
    must_say(&said(&url.replace("role_of_", "nobody_of_")).await, &["nobody_of_", "check user and password"]);
    must_say(&said(&url.replace(":secret@", "@")).await, &["password missing", "PGPASSWORD"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_with_how_to_make_it() {
    let words = said(&shared().url("not_there")).await;
    must_say(&words, &["database \"not_there\" does not exist", "createdb", "127.0.0.1"]);
}

#[tokio::test]
async fn a_user_who_may_not_make_the_schema_is_told_what_is_missing() {
    let database = own_server().fresh_database().unwrap();
    let url = as_role(&database, "");
    let error = refused(&url).await;
    assert!(matches!(error, ConnectError::Migration(_)), "{error:?}");
    must_say(&error.to_string(), &["permission denied", "CREATE on the database"]);
    // With that right it is enough, and the next start needs it no more.
    let role = format!("role_of_{}", database.name());
    database.psql(&format!("GRANT CREATE ON DATABASE {} TO {role}", database.name())).unwrap();
    PostgresStore::connect(settings(&url)).await.unwrap().close().await;
    database.psql(&format!("REVOKE CREATE ON DATABASE {} FROM {role}", database.name())).unwrap();
    PostgresStore::connect(settings(&url)).await.unwrap().close().await;
}

/// An operator made the schema, and lets the program make nothing else.
#[tokio::test]
async fn a_schema_that_is_there_needs_no_right_to_make_one() {
    let database = own_server().fresh_database().unwrap();
    let url = as_role(&database, "CREATE SCHEMA pve_deploy AUTHORIZATION $role;");
    PostgresStore::connect(settings(&url)).await.unwrap().close().await;
}

/// Somebody else made all of it.
#[tokio::test]
async fn a_schema_of_another_owner_needs_the_rights_that_are_documented() {
    let database = own_server().fresh_database().unwrap();
    let url = as_role(&database, "");
    database.psql(&settings(&url).migration_sql()).unwrap();
    let role = format!("role_of_{}", database.name());
    database
        .psql(&format!(
            "GRANT USAGE ON SCHEMA pve_deploy TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pve_deploy TO {role};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA pve_deploy TO {role}"
        ))
        .unwrap();
    let store = begun(&url).await;
    let lease = leased(&store, 1).await.lease;
    store.commit(&lease, noted("works")).await.unwrap();
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.unwrap();
    let wants = [sample::want(Family::V4, 1, &["public"])];
    assert_eq!(store.take(&lease, &wants).await.unwrap().len(), 1);
    assert_eq!(store.events(LogId(0), 9).await.unwrap().len(), 2);
    assert_eq!(store.sweep().await.unwrap(), 0);
    store.retire(sample::worker(1).id).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_left_alone() {
    let database = shared().fresh_database().unwrap();
    PostgresStore::connect(settings(&database.url())).await.unwrap().close().await;
    database.psql("UPDATE pve_deploy.version SET version = version + 1").unwrap();
    let dump = || database.psql("SELECT * FROM pve_deploy.version").unwrap();
    let before = dump();
    let error = refused(&database.url()).await;
    let ConnectError::TooNew { found, known, .. } = error else { panic!("{error:?}") };
    assert_eq!((found, known), (before.parse().unwrap(), found - 1));
    must_say(&error.to_string(), &["schema pve_deploy", &format!("version {found}"), "update the program"]);
    assert_eq!(dump(), before);
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_left_alone() {
    let database = shared().fresh_database().unwrap();
    database.psql("CREATE SCHEMA pve_deploy; CREATE TABLE pve_deploy.invoice (id int)").unwrap();
    let error = refused(&database.url()).await;
    assert!(matches!(error, ConnectError::Foreign { .. }), "{error:?}");
    must_say(&error.to_string(), &["schema pve_deploy", "not of this store", "another"]);
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'pve_deploy'";
    assert_eq!(database.psql(tables).unwrap(), "invoice");
}
