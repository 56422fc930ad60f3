//! The tokio loop that drives deployments through their turns.
mod activity;
mod dispatcher;
mod driver;
#[cfg(test)]
mod fake;
mod limits;
mod mailbox;
mod outbox;
mod running;
mod settings;
mod system;
mod tick;
mod turnstile;
mod watch;
mod worker;

pub use activity::{Doing, MachineActivity};
pub use limits::Limits;
pub use running::{RunningWorker, StopError};
pub use system::{SystemClock, SystemEntropy};
pub use tick::TickReport;
pub use turnstile::Turnstile;
pub use worker::Worker;
