//! `GET /nodes/{node}/qemu`.

use super::{Answered, Call, figures};
use crate::world::World;

pub(super) fn list(world: &World, call: &Call) -> Answered {
    let here = world.machines.values().filter(|machine| {
        machine.node == call.node() && call.caller.may(&format!("/vms/{}", machine.vmid), "VM.Audit")
    });
    let full = call.flag("full");
    super::list(here.map(|machine| figures::of(world, machine, full)).collect())
}
