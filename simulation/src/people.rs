use crate::stage::Stage;
use deploy_core::{Attention, Clock as _, VmRecord};
use jiff::{SignedDuration, Timestamp};
use proxmox_sim::{Incarnation, MishapKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Longer than whatever mends itself takes to be tried again.
const LONG: SignedDuration = SignedDuration::from_mins(30);

/// What people did to machines over a whole run.
pub(crate) struct People {
    now: Timestamp,
    /// By number and UUID: what befell an earlier machine of a number is no excuse for a later one.
    acts: BTreeMap<(u32, Option<String>), Acts>,
    /// Numbers whose machine was destroyed, or that a stranger took.
    replaced: BTreeSet<u32>,
}

/// What people did to one machine.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    /// Options that were changed, and slots of disks that grew.
    pub(crate) options: BTreeSet<String>,
    /// Rules were deleted.
    pub(crate) rules: bool,
    /// It was switched off, or lost power.
    pub(crate) off: bool,
}

impl People {
    pub(crate) fn of(stage: &Stage) -> Self {
        let (acts, replaced) = Default::default();
        let mut people = Self { now: stage.clock.now(), acts, replaced };
        stage.sim.with_cluster(|cluster| {
            for mishap in cluster.mishaps() {
                people.note(&mishap.kind);
            }
        });
        people
    }

    fn note(&mut self, kind: &MishapKind) {
        match kind {
            MishapKind::Edit { machine, option, .. } => {
                self.on(machine).options.insert(option.clone());
            }
            MishapKind::GrowDisk { machine, slot, .. } => {
                self.on(machine).options.insert(slot.clone());
            }
            MishapKind::DeleteRule { machine, .. } => self.on(machine).rules = true,
            MishapKind::NodeCrash { stopped, .. } => {
                for machine in stopped {
                    self.on(machine).off = true;
                }
            }
            MishapKind::PowerOff { machine } | MishapKind::Stop { machine } => self.on(machine).off = true,
            MishapKind::Delete { machine } | MishapKind::TakeNumber { machine } => {
                self.replaced.insert(machine.vmid);
            }
            _ => {}
        }
    }

    fn on(&mut self, machine: &Incarnation) -> &mut Acts {
        self.acts.entry((machine.vmid, machine.uuid.clone())).or_default()
    }

    /// What they did to this very machine.
    pub(crate) fn acts(&self, vmid: u32, machine: &Value) -> Option<&Acts> {
        let smbios = machine["config"]["smbios1"].as_str().unwrap_or_default();
        let uuid = smbios.split(',').find_map(|part| part.strip_prefix("uuid="));
        self.acts.get(&(vmid, uuid.map(str::to_owned)))
    }

    /// There may be no machine of ours.
    pub(crate) fn replaced(&self, vmid: u32) -> bool {
        self.replaced.contains(&vmid)
    }

    /// It may stand still for good, having said why: people did something to its machine that only people can mend.
    pub(crate) fn may_stand(&self, record: &VmRecord) -> bool {
        let stands = |attention: &Attention| self.now.duration_since(attention.since) > LONG;
        let vmid = record.numbered.vmid.get();
        let concerned = self.replaced(vmid)
            || self.acts.iter().any(|((of, _), acts)| *of == vmid && !acts.options.is_empty());
        record.attention.as_ref().is_some_and(stands) && concerned
    }
}
