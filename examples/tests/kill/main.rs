//! Real processes: a simulated cluster, and a worker with a database file that is killed (`kill -9`) and frozen at random moments
//! while machines are made and taken away.
//!
//! It prints its seed; `KILL_SEED`, `KILL_MACHINES` and `KILL_KILLS` set another one, and longer runs. The same seed gives the
//! same orders and the same plan, but not the same run: processes and the time are real.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // in tests also outside of test functions

mod cluster;
mod database;
mod invariants;
mod machine;
mod operator;
mod ordeal;
mod orders;
mod pace;
mod settings;
mod strangers;
mod worker;

use ordeal::Ordeal;
use settings::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_a_worker_loses_and_doubles_nothing() {
    let settings = Settings::from_environment();
    let Settings { seed, machines, kills } = settings;
    println!("KILL_SEED={seed} KILL_MACHINES={machines} KILL_KILLS={kills}");
    let mut ordeal = Ordeal::begin(&settings).await;
    ordeal.deploy(kills).await;
    ordeal.take_away(settings.later_kills()).await;
    println!("{}", ordeal.summary().await);
}
