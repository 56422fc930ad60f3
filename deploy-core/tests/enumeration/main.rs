//! Every crash and every zombie: each call to a store, a pool or a cluster yields before and after its effect, and a worker
//! is stopped at each of these points in turn.
//!
//! A crash drops the worker there; its lease runs out, and another takes over. A zombie is frozen there, and wakes at every
//! point of its successor's work. Whatever the schedule, what comes of it must be what came of it undisturbed.
#![allow(clippy::unwrap_used)] // a test that cannot go on should say so at once
#![allow(clippy::print_stdout)] // how many schedules there are

mod adoption;
mod commanded;
mod driver;
mod ledger;
mod mutants;
mod planted;
mod scenario;
mod schedule;
mod schedules;
mod stage;
mod verdict;
mod wire;
