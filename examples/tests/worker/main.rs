//! The worker as its operators run it: what it refuses before anything is done, how it ends, and how several share one database.
//! What it does in between, also when it is killed, is in the test `kill`.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

mod desk;
mod ending;
mod input;
mod server;
mod several;
mod views;
