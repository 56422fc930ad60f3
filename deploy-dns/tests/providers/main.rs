//! The providers against real servers, each in a folder of its own on loopback ports.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod bind;
mod cases;
mod life;
mod place;
mod powerdns;
