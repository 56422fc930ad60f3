//! Notices through the whole: worker, outbox and notifiers, to a real mail server.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

mod bench;
mod once;
mod program;
