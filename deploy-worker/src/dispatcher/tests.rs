//! The loop against scripted turns.

mod blind;
mod failures;
mod lifetimes;
mod panics;
mod passes;
mod waiting;
