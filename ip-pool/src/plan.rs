//! A judged pool.

use crate::interval::Interval;
use deploy_core::{AddressRange, Pool};

/// A pool that was judged, and the addresses it may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlan {
    /// The pool as it is stored.
    pub pool: Pool,
    /// The addresses it may give: disjoint ranges in ascending order, never empty.
    pub usable: Vec<AddressRange>,
}

impl PoolPlan {
    /// How many addresses it may give.
    pub fn size(&self) -> u128 {
        self.usable
            .iter()
            .map(|range| Interval::of(*range))
            .map(|i| (i.last - i.first).saturating_add(1))
            .sum()
    }
}
