//! Machines of somebody else, and machines that are gone.

use super::{Machine, World, print_size};

/// Size of a stranger's disk.
const DISK: u64 = 8 << 30;

impl World {
    /// Whether somebody else made the machine.
    pub(crate) fn is_strangers(&self, machine: &Machine) -> bool {
        machine.uuid().is_some_and(|uuid| self.strangers.contains(uuid))
    }

    /// Makes a machine of somebody else. When the storage has no space it has no disk.
    pub(crate) fn add_stranger(&mut self, vmid: u32, node: &str, storage: Option<&str>) -> Option<&Machine> {
        let mut machine = Machine::new(vmid, node);
        let uuid = self.random.uuid();
        let config = &mut machine.config;
        for (key, value) in [
            ("cores", "2"),
            ("memory", "2048"),
            ("ostype", "l26"),
            ("scsihw", "virtio-scsi-single"),
            ("boot", "order=scsi0"),
            ("description", "Not yours."),
        ] {
            config.set(key, value);
        }
        config.set("name", format!("stranger-{vmid}"));
        config.set("meta", format!("creation-qemu=10.0.2,ctime={}", self.unix()));
        config.set("smbios1", format!("uuid={uuid}"));
        config.set("vmgenid", self.random.uuid());
        if let Some(bridge) = self.nodes.get(node).and_then(|node| node.bridges.first()) {
            config.set("net0", format!("virtio={},bridge={bridge}", self.random.mac()));
        }
        let disk = storage.and_then(|storage| self.allocate(node, storage, vmid, DISK, None).ok());
        if let Some(disk) = disk {
            config.set("scsi0", format!("{disk},size={}", print_size(DISK)));
        }
        self.strangers.insert(uuid);
        self.machines.insert(vmid, machine);
        self.machines.get(&vmid)
    }

    /// Takes a machine away at once, with everything that is its own.
    pub(crate) fn erase(&mut self, vmid: u32) -> Option<Machine> {
        let machine = self.machines.remove(&vmid)?;
        for volid in machine.volumes() {
            // A base image that clones depend on stays.
            let _ = self.free(&machine.node, &volid);
        }
        self.firewalls.remove(&vmid);
        for members in self.pools.values_mut() {
            members.retain(|member| *member != vmid);
        }
        self.accounts.forget_machine(vmid);
        self.ha.remove(&vmid);
        Some(machine)
    }
}
