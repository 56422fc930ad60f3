//! Address pools: free addresses as intervals, held and resting ones as rows.

mod define;
mod free;
mod take;
mod usage;

pub(crate) use define::{delete, put};
pub(crate) use take::{give_back, held, take};
pub(crate) use usage::{definitions, pools};
