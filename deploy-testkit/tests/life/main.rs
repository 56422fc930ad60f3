//! The model cluster, and what the life of a machine asks of it: each change however it travels and however it goes where it
//! arrives.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod bench;
mod changes;
mod outliving;
mod restores;
