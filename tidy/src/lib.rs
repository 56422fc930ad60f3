//! Checks of the workspace itself: who may import whom, what the core must never pull in, and how files are kept.
//!
//! There is nothing to call here; the checks are this crate's tests.
