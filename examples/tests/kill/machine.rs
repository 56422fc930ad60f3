//! One machine, as the cluster shows it, against its order.

use crate::{
    cluster::Cluster,
    orders::{Disk, Firewall, Limits, Order},
    picture::Row,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A value such as `shared:2003/vm-2003-disk-0.qcow2,size=8G`, taken apart; what stands alone is under the empty name.
type Property = BTreeMap<String, String>;

/// Compares a machine with its order, and says what is otherwise.
pub(crate) struct Comparison<'a> {
    order: &'a Order,
    row: &'a Row,
    found: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(crate) async fn of(cluster: &Cluster, order: &'a Order, row: &'a Row) -> Vec<String> {
        let mut this = Self { order, row, found: Vec::new() };
        this.same("node", row.node.as_str(), order.node);
        let path = format!("/nodes/{}/qemu/{}", order.node, row.vmid);
        let config = cluster.get(&format!("{path}/config")).await;
        this.hardware(&config);
        this.disks(&config);
        this.nics(&config);
        this.guest(&config);
        this.same(
            "status",
            &cluster.get(&format!("{path}/status/current")).await["status"],
            &"running".into(),
        );
        let pending = cluster.list(&format!("{path}/pending")).await;
        let waits = |row: &&Value| row.get("pending").is_some() || row.get("delete").is_some();
        this.same("pending settings", pending.iter().filter(waits).count(), 0);
        this.firewall(cluster, &format!("{path}/firewall")).await;
        let name = &order.reference;
        this.found.into_iter().map(|what| format!("{name} ({}): {what}", row.vmid)).collect()
    }

    #[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made for that")]
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: T, ordered: T) {
        if is != ordered {
            self.found.push(format!("{what} is {is:?}, ordered {ordered:?}"));
        }
    }

    fn hardware(&mut self, config: &Value) {
        let order = self.order;
        // One is PVE's default, and not written down.
        let count =
            |key| Some(text(config, key)).filter(|text| !text.is_empty()).unwrap_or_else(|| "1".to_owned());
        self.same("sockets", count("sockets"), order.sockets.to_string());
        self.same("cores", count("cores"), order.cores.to_string());
        self.same("memory", text(config, "memory"), order.memory_mib.to_string());
        self.same("name", text(config, "name"), format!("{}.example.net", order.reference));
        let tags: BTreeSet<_> = text(config, "tags").split(';').map(str::to_owned).collect();
        self.same("tags", tags, order.tags.iter().map(|&tag| tag.to_owned()).collect());
        self.same("autostart", text(config, "onboot") == "1", order.autostart);
        self.same("lock", text(config, "lock"), String::new());
        let mark = format!("pve-deploy: {}", self.row.key);
        self.same("mark", text(config, "description").lines().filter(|line| *line == mark).count(), 1);
        let smbios = property(&text(config, "smbios1")).remove("uuid");
        self.same("identity", smbios, self.row.smbios.clone());
    }

    fn disks(&mut self, config: &Value) {
        let order = self.order;
        let system = property(&text(config, "scsi0"));
        self.disk("system disk", &system, order.system_disk.size_gib, &order.system_disk.limits);
        let slots: Vec<String> = keys(config, "scsi").filter(|slot| slot != "scsi0").collect();
        self.same("additional disks", slots.len(), order.additional_disks.len());
        for (slot, Disk { storage, size_gib, limits }) in slots.iter().zip(&order.additional_disks) {
            let disk = property(&text(config, slot));
            let volume = disk.get("").cloned().unwrap_or_default();
            self.same("storage", volume.split(':').next(), Some(*storage));
            self.disk(slot, &disk, *size_gib, limits);
        }
        self.same("unused disks", keys(config, "unused").count(), 0);
    }

    fn disk(&mut self, what: &str, disk: &Property, size_gib: u64, limits: &Limits) {
        self.same(&format!("size of {what}"), disk.get("size").cloned(), Some(format!("{size_gib}G")));
        let Limits { read_mibps, write_mibps, read_iops, write_iops } = limits;
        for (key, ordered) in [
            ("mbps_rd", read_mibps.map(|limit| limit.to_string())),
            ("mbps_wr", write_mibps.map(|limit| limit.to_string())),
            ("iops_rd", read_iops.map(|limit| limit.to_string())),
            ("iops_wr", write_iops.map(|limit| limit.to_string())),
        ] {
            self.same(&format!("{key} of {what}"), disk.get(key).cloned(), ordered);
        }
    }

    fn nics(&mut self, config: &Value) {
        let order = self.order;
        self.same("NICs", keys(config, "net").count(), order.nics.len());
        for (at, (nic, mac)) in order.nics.iter().zip(&self.row.macs).enumerate() {
            let is = property(&text(config, &format!("net{at}")));
            let flag = |set: bool| set.then(|| "1".to_owned());
            let ordered = [
                ("virtio", Some(mac.clone())),
                ("bridge", Some(nic.bridge.to_owned())),
                ("tag", nic.vlan.map(|tag| tag.to_string())),
                ("rate", nic.rate_mibps.map(|rate| rate.to_string())),
                ("firewall", flag(nic.firewall)),
            ];
            let ordered = ordered.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            self.same(&format!("net{at}"), is, ordered.collect());
            let drawn =
                [&nic.v4, &nic.v6].map(|draw| draw.as_ref().map_or(0, |draw| usize::from(draw.count)));
            let held = [self.held(at, IpAddr::is_ipv4).count(), self.held(at, IpAddr::is_ipv6).count()];
            self.same(&format!("addresses held for net{at}"), held, drawn);
        }
        let held: BTreeSet<_> = self.row.addresses.iter().map(|(_, address)| address).collect();
        self.same("addresses held", held.len(), self.row.addresses.len());
    }

    /// The addresses of a NIC, of one family, in the order in which they were taken.
    fn held(&self, nic: usize, family: fn(&IpAddr) -> bool) -> impl Iterator<Item = IpAddr> {
        let of_nic = self.row.addresses.iter().filter(move |(at, address)| *at == nic && family(address));
        of_nic.map(|(_, address)| *address)
    }

    fn guest(&mut self, config: &Value) {
        let Some(guest) = &self.order.cloud_init else {
            self.same("addresses told to the guest", keys(config, "ipconfig").count(), 0);
            return;
        };
        self.same("user", text(config, "ciuser").as_str(), guest.user);
        self.same("password", config.get("cipassword").is_some(), guest.password.is_some());
        let keys_told = text(config, "sshkeys");
        self.same("SSH keys", keys_told.matches("ssh-ed25519").count(), guest.ssh_keys.len());
        let (mut routed_v4, mut routed_v6) = (false, false);
        for (at, nic) in self.order.nics.iter().enumerate() {
            let told = property(&text(config, &format!("ipconfig{at}")));
            let mut ordered = Property::new();
            if nic.dhcp {
                ordered.extend([("ip", "dhcp"), ("ip6", "auto")].map(|(k, v)| (k.to_owned(), v.to_owned())));
            }
            if let Some(first) = self.held(at, IpAddr::is_ipv4).next() {
                ordered.insert("ip".to_owned(), format!("{first}/16"));
                if !std::mem::replace(&mut routed_v4, true) {
                    let gateway = if nic.bridge == "vmbr0" { "10.20.0.1" } else { "10.120.0.1" };
                    ordered.insert("gw".to_owned(), gateway.to_owned());
                }
            }
            if let Some(first) = self.held(at, IpAddr::is_ipv6).next() {
                ordered.insert("ip6".to_owned(), format!("{first}/64"));
                if !std::mem::replace(&mut routed_v6, true) {
                    ordered.insert("gw6".to_owned(), "fe80::1".to_owned());
                }
            }
            self.same(&format!("ipconfig{at}"), told, ordered);
        }
    }

    async fn firewall(&mut self, cluster: &Cluster, path: &str) {
        let rules = cluster.list(&format!("{path}/rules")).await;
        let sets = cluster.list(&format!("{path}/ipset")).await;
        let Some(ordered) = &self.order.firewall else {
            self.same("firewall rules", rules.len(), 0);
            self.same("IP sets", sets.len(), 0);
            return;
        };
        let options = cluster.get(&format!("{path}/options")).await;
        self.same("enable", text(&options, "enable"), "1".to_owned());
        self.same("policy_in", text(&options, "policy_in").as_str(), ordered.policy_in);
        self.same("policy_out", text(&options, "policy_out").as_str(), ordered.policy_out);
        // PVE's default, which it does not show.
        let mac_filter = options.get("macfilter").is_none_or(|value| scalar(value) != "0");
        self.same("macfilter", mac_filter, ordered.anti_spoofing);
        self.rules(&rules, ordered);
        let mut names = BTreeSet::new();
        for (at, nic) in self.order.nics.iter().enumerate() {
            if ordered.anti_spoofing && nic.firewall && !nic.dhcp {
                let name = format!("ipfilter-net{at}");
                self.members(cluster, &format!("{path}/ipset/{name}"), at).await;
                names.insert(name);
            }
        }
        self.same("IP sets", sets.iter().map(|set| text(set, "name")).collect(), names);
    }

    /// Each rule once, in the order of the file, and switched on.
    fn rules(&mut self, rules: &[Value], ordered: &Firewall) {
        let keys = ["type", "action", "macro", "proto", "source", "dport", "enable"];
        let is: Vec<_> = rules.iter().map(|rule| keys.map(|key| text(rule, key))).collect();
        let ordered = ordered.rules.iter().map(|rule| {
            let optional = |value: Option<&'static str>| value.unwrap_or_default();
            let (macro_name, protocol) = (optional(rule.macro_name), optional(rule.protocol));
            let (source, port) = (optional(rule.source), optional(rule.dest_port));
            [rule.direction, rule.action, macro_name, protocol, source, port, "1"].map(str::to_owned)
        });
        self.same("firewall rules", is, ordered.collect());
    }

    /// Exactly the addresses that are held, each once.
    async fn members(&mut self, cluster: &Cluster, path: &str, nic: usize) {
        let mut members: Vec<_> = cluster.list(path).await.iter().map(|row| text(row, "cidr")).collect();
        members.sort_unstable();
        let mut held: Vec<_> = [IpAddr::is_ipv4, IpAddr::is_ipv6]
            .into_iter()
            .flat_map(|family| self.held(nic, family))
            .map(|address| address.to_string())
            .collect();
        held.sort_unstable();
        self.same(path, members, held);
    }
}

/// A setting as text; empty where there is none.
fn text(of: &Value, key: &str) -> String {
    of.get(key).map(scalar).unwrap_or_default()
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn property(text: &str) -> Property {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or(("", part));
        (key.to_owned(), value.to_owned())
    };
    parts.map(pair).collect()
}

/// The keys that are this word and a number, in the order of the numbers.
fn keys(config: &Value, word: &str) -> impl Iterator<Item = String> {
    let names = config.as_object().into_iter().flat_map(|settings| settings.keys());
    let mut found: Vec<u32> = names.filter_map(|key| key.strip_prefix(word)?.parse().ok()).collect();
    found.sort_unstable();
    found.into_iter().map(move |number| format!("{word}{number}"))
}
