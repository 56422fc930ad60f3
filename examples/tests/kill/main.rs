//! Real processes: a simulated cluster, and workers that are killed (`kill -9`) and frozen at random moments while machines are
//! made and taken away. Once one worker with a database file; once three with one PostgreSQL server, which is stopped hard
//! (`pg_ctl stop -m immediate`) at random moments, too.
//!
//! Each prints its seed; `KILL_SEED`, `KILL_MACHINES` and `KILL_KILLS` set another one, and longer runs. The same seed gives the
//! same orders and the same plan, but not the same run: processes and the time are real.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // in tests also outside of test functions

mod cluster;
mod crew;
mod desk;
mod harm;
mod invariants;
mod machine;
mod operator;
mod ordeal;
mod orders;
mod pace;
mod panel;
mod picture;
mod plan;
mod server;
mod settings;
mod strangers;
mod worker;

use ordeal::Ordeal;
use server::Server;
use settings::Settings;
use tokio::sync::Mutex;

/// Both would want all of the machine.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_a_worker_loses_and_doubles_nothing() {
    let _turn = TURN.lock().await;
    run(&Settings::from_environment(40, 60), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_like_their_server_three_workers_lose_and_double_nothing() {
    let _turn = TURN.lock().await;
    run(&Settings::from_environment(32, 36), Some(Server::start().await)).await;
}

async fn run(settings: &Settings, server: Option<Server>) {
    let Settings { seed, machines, kills } = *settings;
    println!("KILL_SEED={seed} KILL_MACHINES={machines} KILL_KILLS={kills}");
    let mut ordeal = Ordeal::begin(settings, server).await;
    ordeal.deploy(kills).await;
    ordeal.take_away(settings.later_kills()).await;
    println!("{}", ordeal.summary().await);
}
