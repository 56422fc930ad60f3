//! The quickstart as its users run it: the built program, from outside.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

mod cluster;
mod deploy;
mod input;
mod program;
mod resume;
