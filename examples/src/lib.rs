//! What the programs `quickstart` and `worker` share: the order file, the way into a cluster, and the engine wired from both.
//!
//! An embedder's panel has orders and clusters of its own in their place; [`engine`] is what it would copy.

pub mod access;
pub mod clusters;
pub mod database;
pub mod difference;
pub mod engine;
pub mod input;
pub mod life;
pub mod orders;
pub mod trial;
