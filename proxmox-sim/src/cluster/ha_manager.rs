//! The HA manager: looks every few seconds whether its machines are as it is told, and starts or stops them.

use std::time::Duration;

use super::{Cluster, Event};
use crate::flock::Flock;
use crate::works::{Power, PowerAction};

/// How often it looks.
const ROUND: Duration = Duration::from_secs(10);

/// How long a guest is given that is to be stopped.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Sees to it that somebody looks, as long as there is anything to look after.
    pub(super) fn wake_ha_manager(&mut self) {
        if self.world.ha_manager && !self.ha_awake && !self.world.ha.is_empty() {
            self.ha_awake = true;
            self.schedule(ROUND, Event::HaRound);
        }
    }

    /// One round. A machine that somebody works on, or that is locked, is left for the next one.
    pub(super) fn ha_round(&mut self) {
        self.ha_awake = false;
        let wishes: Vec<(u32, String)> =
            self.world.ha.iter().map(|(vmid, resource)| (*vmid, resource.state.clone())).collect();
        for (vmid, state) in wishes {
            self.tend(vmid, &state);
        }
        self.wake_ha_manager();
    }

    fn tend(&mut self, vmid: u32, state: &str) {
        let Some(machine) = self.world.machines.get(&vmid) else { return };
        let (node, runs) = (machine.node.clone(), machine.running.is_some());
        let takes_requests = self.world.nodes.get(&node).is_some_and(crate::world::Node::takes_requests);
        let busy = machine.config.lock().is_some() || !self.locks.is_free(&Flock::machine(&node, vmid).key);
        if busy || !takes_requests || !self.world.quorate {
            return;
        }
        let (kind, action) = match (state, runs) {
            ("started", false) => ("qmstart", PowerAction::Start),
            ("stopped" | "disabled", true) => ("qmshutdown", PowerAction::Shutdown(PATIENCE, true)),
            _ => return,
        };
        self.begin_by_hand(kind, vmid, &node, Box::new(Power::new(&node, vmid, action)));
    }
}
