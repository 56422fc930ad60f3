//! What the core promises, held against a model of a cluster that keeps no promise of its own.
#![allow(clippy::unwrap_used)] // a test that cannot go on should say so at once

mod adopts;
mod bench;
mod comes_to_rest;
mod commands;
mod decisions;
mod drift;
mod ha;
mod ledger;
mod leftovers;
mod locks;
mod lost_answers;
mod machines;
mod names;
mod orders;
mod parsers;
mod receipts;
mod retries;
mod seams;
mod snapshots;
mod tables;
mod terminates;
mod time;
mod traffic;
mod vanished;
