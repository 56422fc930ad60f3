//! Writing the cloud-init medium anew.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::World;

/// Regenerates the medium, also under a running machine.
#[derive(Debug)]
pub(crate) struct Regenerate {
    pub(crate) node: String,
    pub(crate) vmid: u32,
}

impl Work for Regenerate {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        attempt!(machine.config.need_unlocked());
        machine.medium = medium_of(&machine.config.current);
        Step::Done(Value::Null)
    }
}

/// The values that go onto the medium.
pub(crate) fn medium_of(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const VALUES: [&str; 9] = [
        "ciuser",
        "cipassword",
        "sshkeys",
        "nameserver",
        "searchdomain",
        "citype",
        "ciupgrade",
        "cicustom",
        "name",
    ];
    let wanted = |key: &str| VALUES.contains(&key) || key.starts_with("ipconfig") || key.starts_with("net");
    options.iter().filter(|(key, _)| wanted(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
