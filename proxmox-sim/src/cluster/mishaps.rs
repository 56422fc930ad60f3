//! Mishaps: when they happen, and how they are mended.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Cluster, Event};
use crate::faults::{Kind, Mishap, MishapKind, Mishaps};
use crate::timing::seconds_of;
use crate::works::{Power, PowerAction, place};

/// Where mishaps come from, and what became of them.
#[derive(Debug)]
pub(super) struct MishapSource {
    rng: StdRng,
    /// Plans are numbered; events of an earlier one mean nothing any more.
    plan: u32,
    log: Vec<Mishap>,
}

impl MishapSource {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed ^ 0x0151_ab5e), plan: 0, log: Vec::new() }
    }

    /// From 0 to 1.
    pub(super) fn roll(&mut self) -> f64 {
        self.rng.random()
    }

    pub(super) fn pick<T>(&mut self, mut all: Vec<T>) -> Option<T> {
        let roll = self.roll();
        if all.is_empty() { None } else { Some(all.swap_remove(place(roll, all.len()))) }
    }
}

impl Cluster {
    /// What has happened to the cluster by itself, in order.
    pub fn mishaps(&self) -> &[Mishap] {
        &self.mishaps.log
    }

    /// Mends everything that mishaps have broken, as of the latest time seen, and lets no new ones happen until
    /// [`Cluster::set_faults`] asks for them.
    pub fn end_mishaps(&mut self) {
        self.faults.faults.mishaps.interval = 0.0;
        self.plan_mishaps();
        self.mend_all();
    }

    fn plan(&self) -> &Mishaps {
        &self.faults.faults.mishaps
    }

    /// Begins anew with the mishaps as they are described now.
    pub(super) fn plan_mishaps(&mut self) {
        self.mishaps.plan += 1;
        let end = self.plan().until.map(seconds_of);
        match end.map(|end| end.checked_sub(self.world.now)) {
            Some(None) => self.mend_all(),
            Some(Some(left)) => {
                let plan = self.mishaps.plan;
                self.schedule(left, Event::Rest(plan));
                self.schedule_mishap();
            }
            None => self.schedule_mishap(),
        }
    }

    fn schedule_mishap(&mut self) {
        let interval = self.plan().interval;
        if interval > 0.0 {
            let gap = seconds_of(-interval * (1.0 - self.mishaps.roll()).ln());
            let plan = self.mishaps.plan;
            self.schedule(gap, Event::Mishap(plan));
        }
    }

    /// It is time for one.
    pub(super) fn mishap(&mut self, plan: u32) {
        if plan != self.mishaps.plan {
            return;
        }
        let mut kinds = self.plan().weights();
        while let Some(at) = self.draw_kind(&kinds) {
            let (_, kind) = kinds.remove(at);
            if let Some(happened) = self.befall(kind) {
                self.counters.struck(kind.name());
                self.note(happened);
                break;
            }
        }
        self.schedule_mishap();
    }

    fn draw_kind(&mut self, kinds: &[(u32, Kind)]) -> Option<usize> {
        let total: u32 = kinds.iter().map(|(weight, _)| weight).sum();
        let mut left = self.mishaps.roll() * f64::from(total);
        kinds.iter().position(|(weight, _)| {
            left -= f64::from(*weight);
            left < 0.0
        })
    }

    fn note(&mut self, kind: MishapKind) {
        let lasts = kind.needs_mending();
        let now = self.world.now;
        self.mishaps.log.push(Mishap { at: now, ended: (!lasts).then_some(now), kind });
        if lasts {
            let [shortest, longest] = self.plan().lasting;
            let time = seconds_of(shortest + (longest - shortest) * self.mishaps.roll());
            self.schedule(time, Event::Mend(self.mishaps.log.len() - 1));
        }
    }

    fn befall(&mut self, kind: Kind) -> Option<MishapKind> {
        match kind {
            Kind::NodeDown => {
                let node = self.some_node()?;
                self.world.nodes.get_mut(&node)?.online = false;
                Some(MishapKind::NodeDown { node })
            }
            Kind::NodeCrash => {
                let node = self.some_node()?;
                let stopped = self.crash(&node);
                Some(MishapKind::NodeCrash { node, stopped })
            }
            Kind::NodeFreeze => {
                let node = self.some_node()?;
                self.world.nodes.get_mut(&node)?.frozen = true;
                Some(MishapKind::NodeFreeze { node })
            }
            Kind::QuorumLost => {
                std::mem::replace(&mut self.world.quorate, false).then_some(MishapKind::QuorumLost)
            }
            Kind::StorageFull => {
                let free = self.world.storages.values().filter(|s| !s.full).map(|s| s.name.clone()).collect();
                let storage = self.mishaps.pick(free)?;
                self.world.storage_mut(&storage).ok()?.full = true;
                Some(MishapKind::StorageFull { storage })
            }
            Kind::TakeNumber => self.take_number(),
            Kind::PowerOff => self.power_off(),
            Kind::EditHardware
            | Kind::EditNotes
            | Kind::EditOnboot
            | Kind::EditTags
            | Kind::EditBridge
            | Kind::DeleteRule
            | Kind::GrowDisk
            | Kind::Stop
            | Kind::Delete => self.meddle(kind),
        }
    }

    /// A node at which nothing is wrong.
    pub(super) fn some_node(&mut self) -> Option<String> {
        let nodes = self.world.nodes.iter().filter(|(_, node)| node.takes_requests());
        let nodes = nodes.map(|(name, _)| name.clone()).collect();
        self.mishaps.pick(nodes)
    }

    /// It is time for the mishaps to be over.
    pub(super) fn rest(&mut self, plan: u32) {
        if plan == self.mishaps.plan {
            self.mishaps.plan += 1;
            self.mend_all();
        }
    }

    fn mend_all(&mut self) {
        self.world.statistics.touch();
        for index in 0..self.mishaps.log.len() {
            self.mend(index);
        }
    }

    /// Ends a mishap that lasts.
    pub(super) fn mend(&mut self, index: usize) {
        let now = self.world.now;
        let Some(mishap) = self.mishaps.log.get_mut(index).filter(|mishap| mishap.lasts()) else {
            return;
        };
        mishap.ended = Some(now);
        match mishap.kind.clone() {
            MishapKind::NodeDown { node } => self.set_online(&node),
            MishapKind::NodeCrash { node, .. } => {
                self.set_online(&node);
                self.boot(&node);
            }
            MishapKind::NodeFreeze { node } => {
                if let Some(node) = self.world.nodes.get_mut(&node) {
                    node.frozen = false;
                }
            }
            MishapKind::QuorumLost => self.world.quorate = true,
            MishapKind::StorageFull { storage } => {
                // It may have been taken away meanwhile.
                if let Ok(storage) = self.world.storage_mut(&storage) {
                    storage.full = false;
                }
            }
            MishapKind::Edit { .. }
            | MishapKind::DeleteRule { .. }
            | MishapKind::GrowDisk { .. }
            | MishapKind::PowerOff { .. }
            | MishapKind::Stop { .. }
            | MishapKind::Delete { .. }
            | MishapKind::TakeNumber { .. } => {}
        }
    }

    fn set_online(&mut self, node: &str) {
        if let Some(node) = self.world.nodes.get_mut(node) {
            node.online = true;
        }
    }

    /// A node that comes up starts the machines that are to run from then on.
    fn boot(&mut self, node: &str) {
        if !self.world.quorate {
            return;
        }
        let machines = self.world.machines.values().filter(|machine| {
            let config = &machine.config;
            let wanted = config.flag("onboot") && !machine.is_template() && config.lock().is_none();
            machine.node == node && wanted && machine.running.is_none()
        });
        let machines: Vec<u32> = machines.map(|machine| machine.vmid).collect();
        for vmid in machines {
            let start = Power::new(node, vmid, PowerAction::Start);
            self.begin_by_hand("qmstart", vmid, node, Box::new(start));
        }
    }
}
