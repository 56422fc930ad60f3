//! What happens beside the kills, by the number of the kill.

use rand::{rngs::StdRng, seq::IteratorRandom};

pub(crate) struct Plan {
    pub(crate) freezes: Vec<u32>,
    pub(crate) killed_tasks: Vec<u32>,
    pub(crate) intruders: Vec<u32>,
    /// The server is stopped.
    pub(crate) outages: Vec<u32>,
}

/// How often.
pub(crate) struct Count {
    pub(crate) freezes: usize,
    pub(crate) killed_tasks: usize,
    pub(crate) intruders: usize,
    pub(crate) outages: usize,
}

impl Plan {
    pub(crate) fn draw(kills: u32, count: &Count, rng: &mut StdRng) -> Self {
        let mut some = |of, count| (0..of).choose_multiple(rng, count);
        Self {
            freezes: some(kills, count.freezes),
            killed_tasks: some(kills, count.killed_tasks),
            // While some machine has not begun yet.
            intruders: some(kills / 4, count.intruders),
            outages: some(kills, count.outages),
        }
    }
}
