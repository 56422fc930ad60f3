//! Somebody outside the API who holds a machine's lock: a command on the node, the clean-up after a
//! process that ended.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Step, Work};
use crate::flock::Flock;
use crate::world::World;

/// Holds the lock for a while and does nothing.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    /// Taken when it begins.
    pub(crate) time: Option<Duration>,
}

impl Work for Hold {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, _bench: &mut Bench<'_>) -> Step {
        self.time.take().map_or(Step::Done(Value::Null), Step::After)
    }
}
