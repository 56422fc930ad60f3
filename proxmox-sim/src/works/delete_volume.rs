//! `imgdel`.

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{World, split_volid};

/// Deletes one volume. One that is gone already is fine.
#[derive(Debug)]
pub(crate) struct DeleteVolume {
    pub(crate) node: String,
    pub(crate) volid: String,
    begun: bool,
}

impl DeleteVolume {
    pub(crate) fn new(node: &str, volid: &str) -> Self {
        Self { node: node.to_owned(), volid: volid.to_owned(), begun: false }
    }
}

impl Work for DeleteVolume {
    fn locks(&self, world: &World) -> Vec<Flock> {
        let storage = split_volid(&self.volid).0;
        let shared = world.storage(storage).is_ok_and(|s| s.shared);
        vec![Flock::storage(&self.node, storage, shared)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.begun {
            self.begun = true;
            let seconds = bench.world.durations.delete_volume;
            return Step::After(bench.world.lasting(seconds));
        }
        match bench.world.volume(&self.node, &self.volid) {
            None => {
                let file = bench.world.file_of(&self.volid).unwrap_or_else(|| self.volid.clone());
                bench.log(format!("disk image '{file}' does not exist"));
            }
            Some(volume) if volume.protected => {
                return Step::Failed(format!("cannot remove protected volume '{}'", self.volid));
            }
            Some(_) => attempt!(bench.world.free(&self.node, &self.volid)),
        }
        bench.log(format!("Removed volume '{}'", self.volid));
        Step::Done(Value::Null)
    }
}
