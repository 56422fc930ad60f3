//! The cluster that is simulated: the demonstration's, and what an order file names beyond it, so that any file can be tried.

use deploy_core::{StorageId, Template, VmSpec};
use examples::orders::Orders;
use proxmox_sim::{ClusterConfig, StorageConfig, StorageKind, TemplateConfig};

/// A cluster to try orders on.
pub(crate) struct Tried {
    pub(super) config: ClusterConfig,
    /// What the demonstration's cluster lacks, in words.
    pub(crate) added: Vec<String>,
}

impl Tried {
    /// The cluster for these orders.
    pub(crate) fn of(orders: &Orders) -> Self {
        let (name, pools) = (orders.cluster.settings.name.to_string(), vec!["demo".to_owned()]);
        let mut config = ClusterConfig { name, pools, ..ClusterConfig::demo() };
        // Ours must not be in the way of numbers that the file gives to machines.
        let numbers = orders.cluster.settings.vmids;
        let ours = numbers.first().get()..=numbers.last().get();
        config.templates.retain(|template| !ours.contains(&template.vmid));
        let mut tried = Self { config, added: Vec::new() };
        let specs = || orders.machines.iter().map(|order| &order.spec);
        for spec in specs() {
            for node in [&spec.template.node, &spec.node] {
                add("node", node.as_str(), &mut tried.config.nodes, &mut tried.added);
            }
            if let Some(pool) = &spec.pve_pool {
                add("resource pool", pool.as_str(), &mut tried.config.pools, &mut tried.added);
            }
            let cores = u64::from(spec.sockets) * u64::from(spec.cores);
            tried.config.node_cpus = tried.config.node_cpus.max(cores);
            storages(spec).for_each(|storage| tried.storage(storage.as_str()));
            let named = |node: &str| {
                specs().any(|s| s.template.vmid == spec.template.vmid && s.template.node.as_str() == node)
            };
            tried.template(&spec.template, named);
        }
        let of_machines = specs().flat_map(|spec| &spec.nics).map(|nic| &nic.bridge);
        for bridge in of_machines.chain(orders.cluster.pools.iter().map(|pool| &pool.bridge)) {
            add("bridge", bridge.as_str(), &mut tried.config.bridges, &mut tried.added);
        }
        tried
    }

    fn storage(&mut self, name: &str) {
        let images = "images".to_owned();
        match self.config.storages.iter_mut().find(|storage| storage.name == name) {
            Some(storage) if storage.content.contains(&images) => return,
            Some(storage) => storage.content.push(images),
            None => self.config.storages.push(StorageConfig::new(name, StorageKind::Dir, true, &["images"])),
        }
        self.added.push(format!("storage {name}"));
    }

    /// `named` says whether the file expects the template of this number on a node.
    fn template(&mut self, Template { vmid, node }: &Template, named: impl Fn(&str) -> bool) {
        let templates = &mut self.config.templates;
        if templates.iter().any(|there| there.vmid == vmid.get() && named(&there.node)) {
            return;
        }
        templates.retain(|there| there.vmid != vmid.get());
        templates.push(TemplateConfig {
            vmid: vmid.get(),
            name: format!("template-{vmid}"),
            node: node.to_string(),
            storage: "shared".to_owned(),
            size_gib: 2,
            agent: true,
            nics: vec!["vmbr0".to_owned()],
            cloud_init: true,
        });
        self.added.push(format!("template {vmid} of 2 GiB on {node}"));
    }
}

/// The storages that an order names.
fn storages(spec: &VmSpec) -> impl Iterator<Item = &StorageId> {
    let cloned = spec.clone.storage();
    let drive = spec.cloud_init.as_ref().and_then(|cloud_init| cloud_init.drive_storage.as_ref());
    let additional = spec.additional_disks.iter().map(|disk| &disk.storage);
    [cloned, drive, spec.migration_storage.as_ref()].into_iter().flatten().chain(additional)
}

fn add(what: &str, name: &str, to: &mut Vec<String>, added: &mut Vec<String>) {
    if !to.iter().any(|there| there == name) {
        to.push(name.to_owned());
        added.push(format!("{what} {name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::Tried;
    use examples::orders::{DEMO, parse};

    fn added(changes: &[(&str, &str)]) -> Vec<String> {
        let text = changes.iter().fold(DEMO.to_owned(), |text, (from, to)| text.replace(from, to));
        Tried::of(&parse("orders.toml", &text).unwrap()).added
    }

    #[test]
    fn the_demonstration_lacks_nothing() {
        assert_eq!(added(&[]), [""; 0]);
    }

    #[test]
    fn what_a_file_names_is_there() {
        let changes = [
            ("node = \"pve1\"", "node = \"ams1\""),
            ("storage = \"shared\"", "storage = \"local\""),
            ("\"vmbr1\"", "\"vmbr7\""),
            ("pve_pool = \"demo\"", "pve_pool = \"gold\""),
        ];
        let expected = [
            "node ams1",
            "template 9000 of 2 GiB on ams1",
            "resource pool gold",
            "storage local",
            "bridge vmbr7",
        ];
        assert_eq!(added(&changes), expected);
    }
}
