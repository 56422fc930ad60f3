//! `qmtemplate`.

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Drive, World};

/// Turns a machine into a template.
#[derive(Debug)]
pub(crate) struct MakeTemplate {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    begun: bool,
}

impl MakeTemplate {
    pub(crate) fn new(node: &str, vmid: u32) -> Self {
        Self { node: node.to_owned(), vmid, begun: false }
    }
}

impl Work for MakeTemplate {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.begun {
            self.begun = true;
            let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
            attempt!(machine.config.need_unlocked());
            machine.config.set("template", "1");
            let seconds = bench.world.durations.other;
            return Step::After(bench.world.lasting(seconds));
        }
        let machine = attempt!(bench.world.machine_on(&self.node, self.vmid));
        let drives: Vec<(String, Drive)> =
            machine.drives().filter(|(_, d)| !d.is_cdrom()).map(|(s, d)| (s.to_owned(), d)).collect();
        for (slot, mut drive) in drives {
            let Some(volid) = drive.volume().map(str::to_owned) else {
                continue;
            };
            drive.properties.set("file", bench.world.make_base(&self.node, &volid));
            let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
            machine.config.set(&slot, drive.print());
        }
        Step::Done(Value::Null)
    }
}
