//! Turns against a model of a provider, dropped and frozen at every point.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod crashes;
mod failures;
mod model;
mod records;
mod stage;
mod stops;
