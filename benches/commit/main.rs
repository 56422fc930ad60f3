//! How fast commits are written, and at which cost, beside statements written by hand for just these rows.
//!
//! Both write whole deployments of many machines into the same tables of the same database, in turn. The hand-written way is
//! what nothing can beat that writes the same rows, indexes and bytes as durably: it knows beforehand which columns
//! every commit changes, has 64 of them at hand for each transaction, and asks for nothing.

#![allow(clippy::print_stdout, reason = "the table is what the bench is run for")]

mod by_hand;
mod postgres;
mod sqlite;

use benches::{Compared, Fleet, measured};
use deploy_core::{Commit, Lease, LeaseStore, RecordStore};
use deploy_testkit::sample;
use tokio::runtime::Builder;

/// Machines in a round: so many that writes wait for one another, as they do where it matters how fast it is.
const MACHINES: u32 = 256;
/// Rounds of each way.
const ROUNDS: usize = 11;

/// What is to be written of each machine, one after the other.
type Work = Vec<(Lease, Vec<Commit>)>;

fn main() {
    // On one thread there is only the work; on several, threads also wake one another, which by hand nobody has to.
    for (threads, mut runtime) in [
        ("one thread", Builder::new_current_thread()),
        ("a thread for each core", Builder::new_multi_thread()),
    ] {
        println!("\n# {threads}");
        runtime.enable_all().build().expect("a runtime").block_on(run());
    }
}

async fn run() {
    let commits = benches::deployment(&sample::full_spec()).await;
    println!(
        "Deployments of {MACHINES} machines at once, {} commits each, {ROUNDS} rounds of each way",
        commits.len()
    );
    sqlite::run(&commits).await;
    postgres::run(&commits).await;
}

/// Of what is written by hand, ours must be at least so fast, with at most so much CPU.
struct Targets {
    speed: f64,
    cpu: f64,
}

/// Writes in turn through the store of `fleet` and by hand; each is given commits of its own, made beforehand.
async fn compare<S>(
    name: &str,
    targets: &Targets,
    fleet: &mut Fleet<S>,
    by_hand: impl AsyncFn(Work),
    commits: &[Commit],
) where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let mut compared = Compared::default();
    for round in 0..ROUNDS {
        let mut works = Vec::new();
        for _ in 0..2 {
            let leases = fleet.lease(MACHINES).await;
            works.push(leases.into_iter().map(|lease| (lease, commits.to_vec())).collect::<Work>());
        }
        let (for_hand, for_ours) = (works.remove(0), works.remove(0));
        let hand = async || measured(by_hand(for_hand)).await.1;
        let ours = async || measured(fleet.commit_all(for_ours)).await.1;
        let (hand, ours) = if round % 2 == 0 {
            let hand = hand().await;
            (hand, ours().await)
        } else {
            let ours = ours().await;
            (hand().await, ours)
        };
        compared.add(hand, ours);
    }
    let Targets { speed, cpu } = targets;
    println!("\n{name} (target: at least {speed} of the speed, at most {cpu} times the CPU)");
    println!("{}", compared.table(["by hand", "store"], "commit", commits.len() * MACHINES as usize));
    println!("{:.2} of the speed, {:.2} times the CPU", 1.0 / compared.wall(), compared.cpu());
}
