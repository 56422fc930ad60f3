//! The loop against scripted turns.

mod failures;
mod lifetimes;
mod passes;
mod waiting;
