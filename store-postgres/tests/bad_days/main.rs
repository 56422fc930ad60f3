//! Bad input and bad days, on a real server: each is told in words that say what to do, nothing is doubled or lost, and
//! everything goes on by itself once it is over.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod clocks;
mod crowd;
mod every_message;
mod frozen;
mod full_disk;
mod input;
mod lost;
mod many;
mod migrate;
mod other;
#[path = "../place/mod.rs"]
mod place;
mod pooler;
mod read_only;
mod rig;
mod stopped;
mod tls;
mod wire;
