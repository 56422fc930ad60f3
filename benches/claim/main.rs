//! What claiming costs beside a million settled machines, and beside none.

#![allow(clippy::print_stdout, reason = "the table is what the bench is run for")]

mod postgres;
mod sqlite;

use benches::{Compared, Fleet, measured};
use deploy_core::{LeaseStore, RecordStore};
use deploy_testkit::sample;

/// Machines that are due.
const DUE: u32 = 2_000;
/// Machines that are settled: ready, and nothing is due.
const SETTLED: u32 = 1_000_000;
/// So many are claimed at once.
const CLAIMED: usize = 64;
/// Claims in a round, one after the other.
const CLAIMS: usize = 8;
/// Rounds in each store.
const ROUNDS: usize = 41;

/// Beside the settled ones a claim may take so many times what it takes without them.
const TARGET: f64 = 1.5;

#[tokio::main]
async fn main() {
    let deployment = benches::deployment(&sample::spec()).await;
    println!(
        "Claiming {CLAIMED} of {DUE} due machines, {CLAIMS} times in a row, {ROUNDS} rounds each beside none and beside {SETTLED} \
         that are settled"
    );
    sqlite::run(&deployment).await;
    postgres::run(&deployment).await;
}

/// Claims in turn from a store with and one without settled machines; `tidy` does what the database does by itself now and then.
async fn compare<S>(name: &str, none: &Fleet<S>, many: &Fleet<S>, tidy: impl Fn())
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let mut compared = Compared::default();
    for round in 0..ROUNDS {
        let (beside_none, beside_many) = if round % 2 == 0 {
            let beside_none = claim(none).await;
            (beside_none, claim(many).await)
        } else {
            let beside_many = claim(many).await;
            (claim(none).await, beside_many)
        };
        compared.add(beside_none, beside_many);
        tidy();
    }
    println!("\n{name} (target: at most {TARGET} times as long)");
    println!("{}", compared.table(["beside none", "beside settled"], "claim", CLAIMS));
}

async fn claim<S>(fleet: &Fleet<S>) -> benches::Sample
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let (leases, sample) = measured(async {
        let mut leases = Vec::with_capacity(CLAIMS * CLAIMED);
        for _ in 0..CLAIMS {
            let claimed = fleet.store().claim(fleet.worker().id, CLAIMED).await.expect("a claim");
            leases.extend(claimed.into_iter().map(|leased| leased.lease));
        }
        leases
    })
    .await;
    assert_eq!(leases.len(), CLAIMS * CLAIMED, "so many are due");
    fleet.release(&leases).await;
    sample
}
