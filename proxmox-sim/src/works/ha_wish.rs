//! `hastart`, `hastop`, `hamigrate`: a wish for the HA manager is written down. The task is over before anything is done
//! about it.

use serde_json::Value;

use super::{Bench, Step, Work};
use crate::flock::Flock;
use crate::world::World;

/// Writes down what the HA manager is to do with a machine.
#[derive(Debug)]
pub(crate) struct HaWish {
    pub(crate) vmid: u32,
    /// `start`, `stop` or `migration`, as the log has it.
    pub(crate) what: &'static str,
    /// State to be recorded; a migration changes none.
    pub(crate) state: Option<&'static str>,
    /// End of the log line, for a migration.
    pub(crate) whereto: String,
}

impl Work for HaWish {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        Vec::new()
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        bench.log(format!("Requesting HA {} for VM {}{}", self.what, self.vmid, self.whereto));
        let resource = bench.world.ha.get_mut(&self.vmid);
        if let (Some(state), Some(resource)) = (self.state, resource) {
            state.clone_into(&mut resource.state);
        }
        Step::Done(Value::Null)
    }
}
