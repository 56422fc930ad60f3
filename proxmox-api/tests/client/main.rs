//! The client against a server that answers as it is told.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is tests")]

mod backups;
mod canned;
mod contract;
mod deadline;
mod described;
mod expected;
mod holders;
mod leftovers;
mod life;
mod looks;
mod outcomes;
mod recorded;
mod recorded_calls;
mod recorded_vm;
mod transport;
