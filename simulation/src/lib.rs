//! The whole engine in virtual time.
//!
//! Real workers, the real client, and a simulated cluster in one process, over a store in memory, without a socket: hours
//! pass in a moment, and a seed decides everything that happens. Everything goes wrong at once: requests are lost, late and
//! doubled, tasks fail and are killed, nodes and storages go away, people interfere, the store fails, worker processes die
//! and freeze. Then it is calm, and what must hold in the end is looked for in the cluster, the records and the logs.

mod clock;
mod commands;
mod customer;
mod dice;
mod expected;
mod flag;
mod inbox;
mod link;
mod operator;
mod orders;
mod people;
mod plan;
mod planted;
mod process;
mod run;
mod senses;
mod shown;
mod shrink;
mod stage;
mod story;
mod summary;
mod verdict;
mod weather;
mod wire;
mod witness;

pub use plan::{Plan, Trouble};
pub use planted::Planted;
pub use run::{Outcome, run, run_and_tell};
pub use shrink::shrink;
pub use summary::Summary;
