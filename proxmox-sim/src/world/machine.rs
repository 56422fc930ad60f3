//! A virtual machine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::drive::{Drive, is_drive, parse_size};
use super::machine_config::MachineConfig;

/// A machine: its configuration and, while it runs, its process.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) vmid: u32,
    pub(crate) node: String,
    pub(crate) config: MachineConfig,
    pub(crate) snapshots: Vec<Snapshot>,
    /// The snapshot that its state descends from.
    pub(crate) parent: Option<String>,
    pub(crate) running: Option<Running>,
    /// Cloud-init values as the medium holds them.
    pub(crate) medium: BTreeMap<String, String>,
}

/// The process of a running machine.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) since: Duration,
    pub(crate) pid: u32,
    pub(crate) paused: bool,
    /// The guest was never let run: the process is there for a backup.
    pub(crate) prelaunch: bool,
    /// When the guest agent begins to answer; `None` when the guest has none.
    pub(crate) agent_from: Option<Duration>,
    /// Ignores requests to shut down.
    pub(crate) deaf: bool,
    /// Options that cannot be changed while it runs, and what is said then.
    pub(crate) stuck: BTreeMap<String, String>,
    /// Why its next live migration fails.
    pub(crate) immovable: Option<String>,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) time: u64,
    pub(crate) config: BTreeMap<String, String>,
    /// The snapshot before it.
    pub(crate) parent: Option<String>,
    /// What was begun with it and has not ended.
    pub(crate) state: Option<&'static str>,
}

impl Machine {
    pub(crate) fn new(vmid: u32, node: &str) -> Self {
        Self {
            vmid,
            node: node.to_owned(),
            config: MachineConfig::default(),
            snapshots: Vec::new(),
            parent: None,
            running: None,
            medium: BTreeMap::new(),
        }
    }

    pub(crate) fn is_template(&self) -> bool {
        self.config.flag("template")
    }

    /// Name, made up where there is none.
    pub(crate) fn name(&self) -> String {
        self.config.get("name").map_or_else(|| format!("VM {}", self.vmid), str::to_owned)
    }

    /// UUID of its SMBIOS.
    pub(crate) fn uuid(&self) -> Option<&str> {
        self.config.get("smbios1")?.split(',').find_map(|part| part.strip_prefix("uuid="))
    }

    /// Current drives, by slot.
    pub(crate) fn drives(&self) -> impl Iterator<Item = (&str, Drive)> {
        drives_of(&self.config.current)
    }

    /// Every volume named anywhere in the configuration.
    pub(crate) fn volumes(&self) -> Vec<String> {
        let mut volumes: Vec<String> = Vec::new();
        for options in [&self.config.current, &self.config.pending] {
            volumes.extend(drives_of(options).filter_map(|(_, d)| d.volume().map(str::to_owned)));
            let unused = options.iter().filter(|(key, _)| key.starts_with("unused"));
            volumes.extend(unused.map(|(_, volume)| volume.clone()));
        }
        volumes.sort_unstable();
        volumes.dedup();
        volumes
    }

    pub(crate) fn agent_enabled(&self) -> bool {
        let agent = self.config.get("agent").unwrap_or("0");
        agent.split(',').any(|part| matches!(part, "1" | "enabled=1" | "enabled=yes" | "enabled=on"))
    }

    pub(crate) fn cpus(&self) -> u64 {
        let number = |key: &str| self.config.get(key).and_then(|v| v.parse().ok()).unwrap_or(1);
        number("cores") * number("sockets")
    }

    pub(crate) fn nics(&self) -> u64 {
        let is_nic = |key: &&String| key.strip_prefix("net").is_some_and(|n| n.parse::<u8>().is_ok());
        self.config.current.keys().filter(is_nic).count() as u64
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        let text = self.config.get("memory").unwrap_or("512");
        text.trim_start_matches("current=").parse::<u64>().unwrap_or(512) << 20
    }

    /// Size of the first disk of the boot order.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.boot_drive()
            .and_then(|(_, drive)| drive.properties.get("size").and_then(parse_size))
            .unwrap_or(0)
    }

    pub(crate) fn boot_drive(&self) -> Option<(String, Drive)> {
        let slot = self.boot_slot()?;
        let drive = Drive::parse(slot, self.config.get(slot)?)?;
        Some((slot.to_owned(), drive))
    }

    /// The slot of the first disk of the boot order.
    pub(crate) fn boot_slot(&self) -> Option<&str> {
        let order = self.config.get("boot")?.split(',').find_map(|part| part.strip_prefix("order="))?;
        order.split(';').find(|slot| is_drive(slot))
    }
}

/// Drives among options.
pub(crate) fn drives_of(options: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, Drive)> {
    options
        .iter()
        .filter(|(key, _)| is_drive(key))
        .filter_map(|(key, value)| Drive::parse(key, value).map(|drive| (key.as_str(), drive)))
}
