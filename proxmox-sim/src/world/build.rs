//! Building the world from a configuration.

use super::machine::Machine;
use super::storage::Storage;
use super::{Node, Random, Statistics, World};
use crate::access::Accounts;
use crate::config::{ClusterConfig, StorageConfig, TemplateConfig};
use crate::task::Tasks;

impl World {
    pub(crate) fn build(config: &ClusterConfig) -> Self {
        let node = |(n, name): (usize, &String)| {
            let id = u32::try_from(n + 1).unwrap_or(u32::MAX);
            (
                name.clone(),
                Node { id, online: true, frozen: false, daemon: true, bridges: config.bridges.clone() },
            )
        };
        let accounts = Accounts::new(&config.tokens, &config.root_password, config.seed, config.version);
        let mut world = Self {
            name: config.name.clone(),
            version: config.version,
            epoch: config.epoch,
            now: std::time::Duration::ZERO,
            durations: config.durations.clone(),
            nodes: config.nodes.iter().enumerate().map(node).collect(),
            node_cpus: config.node_cpus,
            nic_traffic: config.nic_traffic,
            ha_manager: config.ha_manager,
            quorate: true,
            storages: config.storages.iter().map(|s| (s.name.clone(), Storage::build(s))).collect(),
            files: std::collections::BTreeMap::new(),
            write_order: Vec::new(),
            cluster_firewall: std::collections::BTreeMap::new(),
            machines: std::collections::BTreeMap::new(),
            firewalls: std::collections::BTreeMap::new(),
            pools: config.pools.iter().map(|pool| (pool.clone(), Vec::new())).collect(),
            ha: std::collections::BTreeMap::new(),
            tasks: Tasks::remembering(config.task_history),
            accounts,
            random: Random::new(config.seed),
            statistics: Statistics::default(),
            strangers: std::collections::BTreeSet::new(),
        };
        if config.firewall {
            world.cluster_firewall.insert("enable".to_owned(), "1".to_owned());
        }
        for template in &config.templates {
            world.add_template(template);
        }
        for backup in &config.backups {
            world.lay_down(backup);
        }
        world.statistics.refresh(world.now, &world.machines, &world.nodes);
        world
    }

    /// Adds a template. One whose storage does not exist gets no disk.
    pub(crate) fn add_template(&mut self, template: &TemplateConfig) {
        let (vmid, node, storage) = (template.vmid, template.node.as_str(), template.storage.as_str());
        let mut machine = Machine::new(vmid, node);
        let config = &mut machine.config;
        for (key, value) in [
            ("template", "1"),
            ("cores", "1"),
            ("memory", "512"),
            ("ostype", "l26"),
            ("scsihw", "virtio-scsi-single"),
            ("boot", "order=scsi0"),
            ("onboot", "0"),
            ("serial0", "socket"),
        ] {
            config.set(key, value);
        }
        config.set("name", template.name.as_str());
        config.set("agent", if template.agent { "1" } else { "0" });
        config.set("meta", format!("creation-qemu=10.0.2,ctime={}", self.unix()));
        config.set("smbios1", format!("uuid={}", self.random.uuid()));
        config.set("vmgenid", self.random.uuid());
        for (n, bridge) in template.nics.iter().enumerate() {
            config
                .set(&format!("net{n}"), format!("virtio={},bridge={bridge},firewall=0", self.random.mac()));
        }
        if let Ok(disk) = self.allocate(node, storage, vmid, template.size_gib << 30, Some("qcow2")) {
            self.change_volume(node, &disk, |volume| {
                volume.agent = template.agent;
                volume.system = true;
            });
            let base = self.make_base(node, &disk);
            let drive = format!("{base},discard=on,iothread=1,size={}G,ssd=1", template.size_gib);
            config.set("scsi0", drive);
        }
        if template.cloud_init
            && let Ok(volume) = self.allocate_cloud_init(node, storage, vmid)
        {
            config.set("ide2", format!("{volume},media=cdrom"));
        }
        self.machines.insert(vmid, machine);
    }
}

impl Storage {
    pub(crate) fn build(config: &StorageConfig) -> Self {
        Self {
            name: config.name.clone(),
            kind: config.kind,
            shared: config.shared,
            content: config.content.clone(),
            total: config.size_gib << 30,
            full: false,
            offline: false,
            volumes: super::volumes::Volumes::default(),
        }
    }
}
