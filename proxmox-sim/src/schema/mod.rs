//! What every call accepts: the tables under `spec/` and the checks made from them.
//!
//! Checking is driven by data, so that a parameter which the real server would refuse is refused
//! here with the same text, also for calls whose effect is simplified.

mod check;
#[cfg(test)]
mod described;
mod field;
mod format;
mod property;
mod table;

pub(crate) use check::{Arguments, check};
pub(crate) use field::Kind;
pub(crate) use property::{Properties, parse as parse_properties};
pub(crate) use table::{Endpoint, Found, Schema};
