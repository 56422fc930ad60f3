//! What is deployed, and the simulated cluster that it is deployed on.

use crate::cli::Simulated;
use anyhow::Context as _;
use deploy_core::{ExternalRef, VmSpec};
use examples::{
    clusters::Cluster,
    orders::{self, Orders},
};
use proxmox_sim::{ClusterConfig, Durations, StorageConfig, StorageKind, TemplateConfig};
use std::path::Path;

/// The order file of the machine that is deployed again and again.
const ORDER: &str = include_str!("order.toml");

/// What is deployed.
pub(crate) struct Work {
    /// Where.
    pub(crate) cluster: Cluster,
    /// How many machines.
    pub(crate) machines: u32,
    orders: Vec<(ExternalRef, VmSpec)>,
}

impl Work {
    /// So many times the same machine.
    pub(crate) fn repeated(machines: u32) -> anyhow::Result<Self> {
        Ok(Self { machines, ..Self::of(orders::parse("order.toml", ORDER)?) })
    }

    /// The machines of a file.
    pub(crate) fn of_file(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::of(orders::load(path, "--orders")?))
    }

    fn of(orders: Orders) -> Self {
        let list: Vec<_> = orders.machines.into_iter().map(|order| (order.reference, order.spec)).collect();
        Self {
            cluster: orders.cluster,
            machines: u32::try_from(list.len()).unwrap_or(u32::MAX),
            orders: list,
        }
    }

    /// The orders, made one by one: thousands that wait would be memory that the engine does not need.
    pub(crate) fn orders(&self) -> impl Iterator<Item = anyhow::Result<(ExternalRef, VmSpec)>> + '_ {
        let repeated = self.orders.len() < self.machines as usize;
        (0..self.machines).zip(self.orders.iter().cycle()).map(move |(n, (reference, spec))| {
            let reference = if repeated { format!("{reference}-{n}").parse()? } else { reference.clone() };
            Ok((reference, spec.clone()))
        })
    }
}

/// The simulated cluster for so many of these machines.
pub(crate) fn cluster(simulated: &Simulated, machines: u32, seed: u64) -> anyhow::Result<ClusterConfig> {
    let usual = ClusterConfig::demo();
    let storage = |name: &str, shared, size_gib| {
        let kind = if shared { StorageKind::Dir } else { StorageKind::LvmThin };
        StorageConfig { size_gib, ..StorageConfig::new(name, kind, shared, &["images"]) }
    };
    let template = TemplateConfig {
        vmid: 9000,
        name: "template".to_owned(),
        node: "pve1".to_owned(),
        storage: "shared".to_owned(),
        size_gib: 2,
        agent: false,
        nics: vec!["vmbr0".to_owned()],
        cloud_init: true,
    };
    let per_machine = 64;
    Ok(ClusterConfig {
        seed,
        storages: vec![storage("shared", true, 1024 + per_machine * u64::from(machines))],
        templates: vec![template],
        durations: durations(simulated),
        read_latency: simulated.read_latency,
        write_latency: simulated.write_latency,
        daemon_workers: if simulated.contended { 3 } else { 0 },
        // Every task is looked at in the end.
        task_history: usize::try_from(machines).context("so many machines")?.saturating_mul(16) + 1000,
        request_history: 0,
        ..usual
    })
}

fn durations(simulated: &Simulated) -> Durations {
    let Simulated { clone, migrate, start, jitter, .. } = *simulated;
    let others = if simulated.contended {
        Durations::default()
    } else {
        Durations {
            scale: 1.0,
            config: 0.0,
            allocate: 0.0,
            storage_lock: 0.0,
            resize: 0.0,
            firewall: 0.0,
            other: 0.0,
            ..Durations::default()
        }
    };
    Durations { jitter, clone_full: clone, migrate, start, ..others }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::Filtering;
    use std::collections::BTreeSet;

    #[test]
    fn the_machine_needs_every_step_that_is_to_be_measured() {
        let work = Work::repeated(3).expect("the built-in order");
        let orders: Vec<_> = work.orders().collect::<anyhow::Result<_>>().expect("orders");
        let references: BTreeSet<_> = orders.iter().map(|(reference, _)| reference.to_string()).collect();
        assert_eq!(references.len(), 3, "{references:?}");
        let spec = &orders[0].1;
        assert_ne!(spec.node, spec.template.node);
        assert_eq!((spec.additional_disks.len(), spec.nics.len()), (1, 1));
        let firewall = spec.firewall.as_ref().expect("a firewall");
        assert!(
            firewall.anti_spoofing && firewall.rules.len() == 3 && spec.nics[0].filtering == Filtering::On
        );
        assert!(spec.cloud_init.is_some());
    }
}
