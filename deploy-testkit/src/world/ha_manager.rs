//! The high-availability manager of the model: it looks every few seconds whether its machines are as it is told.

use super::{Cluster, ModelMachine};
use deploy_core::Power;
use jiff::{SignedDuration, Timestamp};

/// How often it looks.
const ROUND: SignedDuration = SignedDuration::from_secs(10);

impl Cluster {
    /// Lets it look, if it does before this time.
    pub(super) fn tend_before(&mut self, time: Timestamp) -> bool {
        if !self.machines.values().any(ModelMachine::is_managed) {
            self.ha_round = None;
            return false;
        }
        let round = *self.ha_round.get_or_insert(self.now + ROUND);
        if round > time {
            return false;
        }
        self.now = round;
        self.ha_round = Some(round + ROUND);
        self.tend();
        true
    }

    /// One that is locked, or that a task works on, is left for the next round.
    fn tend(&mut self) {
        let now = self.now;
        for (vmid, machine) in &mut self.machines {
            if machine.lock.is_some() || self.tasks.at_work_on(*vmid).is_some() {
                continue;
            }
            match (machine.ha.as_deref(), &machine.power) {
                (Some("started"), Power::Stopped) => {
                    (machine.power, machine.running_since) = (Power::Running, Some(now));
                    machine.starts += 1;
                    self.counters.started_pending += u32::from(!machine.pending.is_empty());
                }
                (Some("stopped" | "disabled"), Power::Running | Power::Suspended(_)) => {
                    (machine.power, machine.running_since) = (Power::Stopped, None);
                }
                _ => {}
            }
        }
    }
}
