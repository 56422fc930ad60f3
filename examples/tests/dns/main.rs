//! The worker's program with DNS: the records of the machines that it deploys, at real servers, and the check of zones.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

mod check;
mod command;
mod desk;
mod life;
