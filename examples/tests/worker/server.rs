//! A PostgreSQL server that cannot be used: told in words, and never with the password.

use crate::desk::Desk;
use throwaway_postgres::shared;

/// Asserts that a worker with this database ends with this status and says this.
#[track_caller]
fn refused(database: &str, status: i32, expected: &str) {
    let desk = Desk::new();
    desk.change("worker.toml", "\"deploy.db\"", &format!("{database:?}"));
    let said = desk.refused(status, expected);
    assert!(!said.contains("s3cret"), "{said}");
    let password = password(database);
    assert!(password.is_empty() || !said.contains(password), "{said}");
}

fn password(url: &str) -> &str {
    let account = url.split_once("://").unwrap().1.split_once('@').unwrap().0;
    account.split_once(':').unwrap_or_default().1
}

#[test]
fn a_server_that_is_away_or_refuses_is_told_and_may_be_tried_again() {
    refused(
        "postgres://joe:s3cret@127.0.0.1:1/panel",
        1,
        "database panel at 127.0.0.1:1, schema pve_deploy: PostgreSQL",
    );
    let database = shared().fresh_database().unwrap();
    let url = database.url();
    let wrong = url.replacen(password(&url), "s3cret", 1);
    refused(&wrong, 1, "check user and password");
    refused(&url.replace(database.name(), "nowhere"), 1, "create the database");
}

#[test]
fn a_newer_schema_is_left_alone() {
    let database = shared().fresh_database().unwrap();
    let desk = Desk::new();
    desk.change("worker.toml", "\"deploy.db\"", &format!("{:?}", database.url()));
    let said = desk.work_and_stop();
    let place = format!("database {} at 127.0.0.1:", database.name());
    assert!(said.contains(&place) && said.contains("ordered=4 going=0"), "{said}");
    assert!(said.contains("worker=\"worker on db1\"") && said.contains("clusters=\"demo\""), "{said}");
    assert!(!said.contains(password(&database.url())), "{said}");
    assert!(!desk.has_database());
    let known = database.psql("SELECT version FROM pve_deploy.version").unwrap();
    database.psql("UPDATE pve_deploy.version SET version = 99").unwrap();
    let expected = format!("of version 99, this program knows up to version {known}: update the program");
    desk.refused(2, &expected);
}
