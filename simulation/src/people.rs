use crate::stage::Stage;
use deploy_core::{Attention, Clock as _, VmRecord};
use jiff::{SignedDuration, Timestamp};
use proxmox_sim::{Incarnation, MishapKind};
use std::collections::BTreeSet;

/// Longer than whatever mends itself takes to be tried again.
const LONG: SignedDuration = SignedDuration::from_mins(30);

/// What people did to machines, by their numbers, over a whole run.
pub(crate) struct People {
    now: Timestamp,
    /// Their configuration, disks or firewall were changed.
    changed: BTreeSet<u32>,
    /// They were switched off, or lost power.
    switched_off: BTreeSet<u32>,
    /// They were destroyed, or their number was taken.
    replaced: BTreeSet<u32>,
}

impl People {
    pub(crate) fn of(stage: &Stage) -> Self {
        let (changed, switched_off, replaced) = Default::default();
        let mut people = Self { now: stage.clock.now(), changed, switched_off, replaced };
        stage.sim.with_cluster(|cluster| {
            for mishap in cluster.mishaps() {
                people.note(&mishap.kind);
            }
        });
        people
    }

    fn note(&mut self, kind: &MishapKind) {
        let (acts, machines): (&mut BTreeSet<u32>, &[Incarnation]) = match kind {
            MishapKind::Edit { machine, .. }
            | MishapKind::DeleteRule { machine, .. }
            | MishapKind::GrowDisk { machine, .. } => (&mut self.changed, std::slice::from_ref(machine)),
            MishapKind::NodeCrash { stopped, .. } => (&mut self.switched_off, stopped),
            MishapKind::PowerOff { machine } | MishapKind::Stop { machine } => {
                (&mut self.switched_off, std::slice::from_ref(machine))
            }
            MishapKind::Delete { machine } | MishapKind::TakeNumber { machine } => {
                (&mut self.replaced, std::slice::from_ref(machine))
            }
            _ => return,
        };
        acts.extend(machines.iter().map(|machine| machine.vmid));
    }

    /// The machine may be otherwise than it was ordered, and nobody's fault but theirs.
    pub(crate) fn changed(&self, vmid: u32) -> bool {
        self.changed.contains(&vmid) || self.replaced.contains(&vmid)
    }

    /// The machine may be off.
    pub(crate) fn switched_off(&self, vmid: u32) -> bool {
        self.switched_off.contains(&vmid)
    }

    /// There may be no machine of ours.
    pub(crate) fn replaced(&self, vmid: u32) -> bool {
        self.replaced.contains(&vmid)
    }

    /// It may stand still for good, having said why: people did something to its machine that only people can mend.
    pub(crate) fn may_stand(&self, record: &VmRecord) -> bool {
        let stands = |attention: &Attention| self.now.duration_since(attention.since) > LONG;
        record.attention.as_ref().is_some_and(stands) && self.changed(record.numbered.vmid.get())
    }
}
