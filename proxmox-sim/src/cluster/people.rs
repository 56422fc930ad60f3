//! What people do to machines: those who may, and somebody else who takes a number.

use super::Cluster;
use super::start::TaskStart;
use crate::access::ROOT;
use crate::faults::{Incarnation, Kind, MishapKind};
use crate::flock::Flock;
use crate::works::{Work, place};
use crate::world::{Drive, Machine, net_of, print_size, split_volid};

/// How many of the first free numbers somebody else chooses from.
const NEXT_NUMBERS: usize = 16;

impl Cluster {
    /// Somebody does something to one of the machines that can be touched.
    pub(super) fn meddle(&mut self, kind: Kind) -> Option<MishapKind> {
        let mut machines = self.touchable();
        while let Some(vmid) = self.mishaps.pick(machines.clone()) {
            if let Some(done) = self.meddle_with(kind, vmid) {
                return Some(done);
            }
            machines.retain(|other| *other != vmid);
        }
        None
    }

    /// Machines that the cluster lets people change at the moment.
    fn touchable(&self) -> Vec<u32> {
        if !self.world.quorate {
            return Vec::new();
        }
        let free = |machine: &&Machine| {
            let node = self.world.nodes.get(&machine.node);
            machine.config.lock().is_none()
                && node.is_some_and(crate::world::Node::takes_requests)
                && self.locks.is_free(&Flock::machine(&machine.node, machine.vmid).key)
        };
        self.customers().filter(free).map(|machine| machine.vmid).collect()
    }

    /// Machines of the range that people have to do with: no templates, nothing of a stranger.
    fn customers(&self) -> impl Iterator<Item = &Machine> {
        let [first, last] = self.people_range().unwrap_or([1, 0]);
        let range = self.world.machines.values().filter(move |m| (first..=last).contains(&m.vmid));
        range.filter(|machine| !machine.is_template() && !self.world.is_strangers(machine))
    }

    fn people_range(&self) -> Option<[u32; 2]> {
        self.faults.faults.mishaps.vmids
    }

    fn meddle_with(&mut self, kind: Kind, vmid: u32) -> Option<MishapKind> {
        match kind {
            Kind::EditHardware => self.edit_hardware(vmid),
            Kind::EditNotes => self.edit_notes(vmid),
            Kind::EditOnboot => {
                let on = self.world.machines.get(&vmid)?.config.flag("onboot");
                self.edit(vmid, "onboot", if on { "0" } else { "1" })
            }
            Kind::EditTags => self.edit_tags(vmid),
            Kind::EditBridge => self.edit_bridge(vmid),
            Kind::DeleteRule => self.delete_rule(vmid),
            Kind::GrowDisk => self.grow_disk(vmid),
            Kind::Stop => self.stop_machine(vmid),
            Kind::Delete => self.delete_machine(vmid),
            Kind::NodeDown
            | Kind::NodeCrash
            | Kind::NodeFreeze
            | Kind::QuorumLost
            | Kind::StorageFull
            | Kind::PowerOff
            | Kind::TakeNumber => None,
        }
    }

    /// Changes an option as the API would: what a running machine does not take over stays pending.
    fn edit(&mut self, vmid: u32, option: &str, new: &str) -> Option<MishapKind> {
        let config = &mut self.world.machines.get_mut(&vmid)?.config;
        let old = config.view().get(option).cloned();
        config.set_pending(option, new);
        self.world.apply_selected(vmid, Some(&[option.to_owned()]));
        let machine = Incarnation::of(self.world.machines.get(&vmid)?);
        Some(MishapKind::Edit { machine, option: option.to_owned(), old, new: new.to_owned() })
    }

    fn edit_hardware(&mut self, vmid: u32) -> Option<MishapKind> {
        let (option, values) = if self.mishaps.roll() < 0.5 {
            ("cores", ["1", "2", "3", "6"])
        } else {
            ("memory", ["512", "1024", "3072", "6144"])
        };
        let view = self.world.machines.get(&vmid)?.config.view();
        let others = values.into_iter().filter(|value| view.get(option).is_none_or(|old| old != value));
        let new = self.mishaps.pick(others.collect())?;
        self.edit(vmid, option, new)
    }

    fn edit_notes(&mut self, vmid: u32) -> Option<MishapKind> {
        let old = self.world.machines.get(&vmid)?.config.view().remove("description");
        let replaced = self.mishaps.roll() < 0.5;
        let new = match old {
            Some(old) if !replaced => format!("{old}\nCustomer called, all well."),
            _ => "Do not touch, ask Anna.".to_owned(),
        };
        self.edit(vmid, "description", &new)
    }

    fn edit_tags(&mut self, vmid: u32) -> Option<MishapKind> {
        let old = self.world.machines.get(&vmid)?.config.view().remove("tags").unwrap_or_default();
        let mut tags: Vec<&str> = old.split(';').filter(|tag| !tag.is_empty()).collect();
        let others = ["monitored", "night-shift", "vip"].into_iter().filter(|tag| !tags.contains(tag));
        tags.push(self.mishaps.pick(others.collect())?);
        tags.sort_unstable();
        self.edit(vmid, "tags", &tags.join(";"))
    }

    fn edit_bridge(&mut self, vmid: u32) -> Option<MishapKind> {
        let machine = self.world.machines.get(&vmid)?;
        let view = machine.config.view();
        let node = machine.node.clone();
        let nics = (0..32).filter_map(|n| Some((n, net_of(&view, n)?))).collect();
        let (n, mut nic) = self.mishaps.pick(nics)?;
        let bridges = self.world.nodes.get(&node)?.bridges.iter();
        let others = bridges.filter(|bridge| nic.get("bridge") != Some(bridge)).cloned().collect();
        nic.set("bridge", self.mishaps.pick(others)?);
        self.edit(vmid, &format!("net{n}"), &nic.print("model"))
    }

    fn delete_rule(&mut self, vmid: u32) -> Option<MishapKind> {
        let machine = Incarnation::of(self.world.machines.get(&vmid)?);
        let roll = self.mishaps.roll();
        let rules = &mut self.world.firewalls.get_mut(&vmid)?.rules;
        if rules.is_empty() {
            return None;
        }
        let rule = rules.remove(place(roll, rules.len()));
        Some(MishapKind::DeleteRule { machine, rule })
    }

    fn grow_disk(&mut self, vmid: u32) -> Option<MishapKind> {
        let machine = self.world.machines.get(&vmid)?;
        let (node, identity) = (machine.node.clone(), Incarnation::of(machine));
        let disks = machine.drives().filter(|(_, drive)| !drive.is_cdrom() && !drive.is_cloud_init());
        let disks = disks.map(|(slot, drive)| (slot.to_owned(), drive)).collect();
        let (slot, mut drive): (String, Drive) = self.mishaps.pick(disks)?;
        let volid = drive.volume()?.to_owned();
        if self.world.storage(split_volid(&volid).0).ok()?.full {
            return None;
        }
        let old = self.world.volume(&node, &volid)?.size;
        let new = old + self.mishaps.pick(vec![1_u64 << 30, 3 << 30, 10 << 30])?;
        self.world.change_volume(&node, &volid, |volume| volume.size = new);
        drive.properties.set("size", print_size(new));
        self.world.machines.get_mut(&vmid)?.config.set(&slot, drive.print());
        self.done_by_hand("resize", vmid, &node);
        Some(MishapKind::GrowDisk { machine: identity, slot, old, new })
    }

    fn stop_machine(&mut self, vmid: u32) -> Option<MishapKind> {
        let machine = self.world.machines.get_mut(&vmid)?;
        machine.running.take()?;
        let (node, machine) = (machine.node.clone(), Incarnation::of(machine));
        self.world.apply_pending(vmid);
        self.done_by_hand("qmstop", vmid, &node);
        Some(MishapKind::Stop { machine })
    }

    fn delete_machine(&mut self, vmid: u32) -> Option<MishapKind> {
        self.stop_machine(vmid);
        let machine = self.world.erase(vmid)?;
        self.lock_since.remove(&vmid);
        self.done_by_hand("qmdestroy", vmid, &machine.node);
        Some(MishapKind::Delete { machine: Incarnation::of(&machine) })
    }

    /// A guest ends its own machine, whatever happens to it from outside at the moment.
    pub(super) fn power_off(&mut self) -> Option<MishapKind> {
        let running = self.customers().filter(|machine| machine.running.is_some()).map(|m| m.vmid).collect();
        let vmid = self.mishaps.pick(running)?;
        let machine = self.world.machines.get_mut(&vmid)?;
        machine.running = None;
        let (node, machine) = (machine.node.clone(), Incarnation::of(machine));
        // The clean-up needs the lock of the configuration; who has it goes on with what is pending.
        if self.locks.is_free(&Flock::machine(&node, vmid).key) {
            self.world.apply_pending(vmid);
        }
        Some(MishapKind::PowerOff { machine })
    }

    /// Somebody else creates a machine under one of the numbers that are next.
    pub(super) fn take_number(&mut self) -> Option<MishapKind> {
        let [first, last] = self.people_range()?;
        let node = self.some_node().filter(|_| self.world.quorate)?;
        let free = (first..=last).filter(|vmid| !self.world.machines.contains_key(vmid));
        let mut free: Vec<u32> = free.take(NEXT_NUMBERS).collect();
        free.retain(|vmid| self.locks.is_free(&Flock::machine(&node, *vmid).key));
        let vmid = self.mishaps.pick(free)?;
        let storages = self.world.storages.values().filter(|s| s.content.iter().any(|c| c == "images"));
        let storage = self.mishaps.pick(storages.map(|s| s.name.clone()).collect());
        let machine = Incarnation::of(self.world.add_stranger(vmid, &node, storage.as_deref())?);
        self.done_by_hand("qmcreate", vmid, &node);
        Some(MishapKind::TakeNumber { machine })
    }

    /// Writes down a task of somebody else that is over already.
    fn done_by_hand(&mut self, kind: &'static str, vmid: u32, node: &str) {
        let upid = self.new_upid(kind, &vmid.to_string(), node, ROOT);
        let task = self.world.tasks.begin(upid);
        let now = self.world.unix();
        self.world.tasks.finish(task, now, Ok(0));
        self.counters.task(kind, true);
    }

    /// Starts a task that no request asked for.
    pub(super) fn begin_by_hand(&mut self, kind: &'static str, vmid: u32, node: &str, work: Box<dyn Work>) {
        let start = TaskStart { kind, id: vmid.to_string(), node: node.to_owned(), work };
        self.begin_task(start, ROOT, None, None);
    }
}

impl Incarnation {
    pub(super) fn of(machine: &Machine) -> Self {
        let uuid = machine.uuid().map(str::to_owned);
        Self { vmid: machine.vmid, uuid }
    }
}
