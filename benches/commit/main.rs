//! How fast commits are written, and at which cost, beside statements written by hand for just these rows.
//!
//! Both write whole deployments of many machines into the same tables of the same database, in turn. The hand-written way is
//! what nothing can beat that writes the same rows, indexes and bytes as durably: it knows beforehand which columns
//! every commit changes, has 64 of them at hand for each transaction, and asks for nothing.

#![allow(clippy::print_stdout, reason = "the table is what the bench is run for")]

mod by_hand;
mod postgres;
mod sqlite;

use deploy_testkit::sample;

/// Machines in a round: so many that writes wait for one another, as they do where it matters how fast it is.
const MACHINES: u32 = 256;
/// Rounds of each way.
const ROUNDS: usize = 11;

#[tokio::main]
async fn main() {
    let commits = benches::deployment(&sample::full_spec()).await;
    println!(
        "Deployments of {MACHINES} machines at once, {} commits each, {ROUNDS} rounds of each way",
        commits.len()
    );
    sqlite::run(&commits).await;
    postgres::run(&commits).await;
}
