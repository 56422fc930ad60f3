//! The typed calls about one machine, for the recorded answers.

use crate::expected::{Is, rows, same, text, whole};
use crate::recorded_calls::{Outcome, is, nothing, right, state, task};
use proxmox_api::{
    Client, CloneVm, ConfigUpdate, DiskSize, FirewallOptions, FirewallRule, MigrateVm, Params, PendingEntry,
    VmConfig,
};
use serde_json::{Value, json};

pub(crate) async fn machine(
    client: &Client,
    method: &str,
    node: &str,
    rest: &[&str],
    row: &Value,
) -> Outcome {
    const VM: u32 = 100;
    let data = &row["response"]["data"];
    let migrate = MigrateVm {
        target: "pve2",
        online: true,
        with_local_disks: false,
        targetstorage: None,
        bwlimit: None,
    };
    let update = ConfigUpdate { set: Params::new().set("cores", 1), ..ConfigUpdate::default() };
    let clone = CloneVm { newid: 101, ..CloneVm::default() };
    match (method, rest) {
        ("GET", ["config"]) => right(client.vm_config(node, VM).await, |ours| config(&ours, data)),
        ("GET", ["pending"]) => right(client.vm_pending(node, VM).await, |all| pending(&all, data)),
        ("POST", ["config"]) => task(client.update_vm_config(node, VM, &update, None).await, data),
        ("PUT", ["config"]) => nothing(client.update_vm_config_sync(node, VM, &update).await, data),
        ("POST", ["clone"]) => task(client.clone_vm(node, VM, &clone).await, data),
        ("GET", ["migrate"]) => right(client.migrate_preview(node, VM).await, |preview| {
            same(data, &[("running", Is::Flag(preview.running))]);
            assert_eq!(json!(preview.allowed_nodes), data["allowed_nodes"]);
            assert_eq!(json!(preview.local_disks), data["local_disks"]);
            assert_eq!(json!(preview.local_resources), data["local_resources"]);
        }),
        ("POST", ["migrate"]) => task(client.migrate_vm(node, VM, &migrate).await, data),
        ("PUT", ["resize"]) => {
            task(client.resize_disk(node, VM, "scsi0", DiskSize::from_gib(1), None).await, data)
        }
        ("GET", ["status", "current"]) => right(client.vm_status(node, VM).await, |vm| {
            // For a moment there is nothing but `ha`.
            if data.get("status").is_some() {
                same(data, &[("status", state(vm.status))]);
            }
            same(
                data,
                &[("qmpstatus", Is::Text(vm.qmpstatus.as_deref())), ("lock", Is::Text(vm.lock.as_deref()))],
            );
            same(data, &[("uptime", whole(vm.uptime)), ("agent", Is::Flag(vm.agent))]);
            same(data, &[("name", Is::Text(vm.name.as_deref())), ("template", Is::Flag(vm.template))]);
            same(
                &data["ha"],
                &[("managed", Is::Flag(vm.ha.managed)), ("state", Is::Text(vm.ha.state.as_deref()))],
            );
            is(&vm.tags, data);
        }),
        ("POST", ["status", "start"]) => task(client.start_vm(node, VM).await, data),
        ("POST", ["status", "stop"]) => task(client.stop_vm(node, VM, None).await, data),
        ("POST", ["status", "shutdown"]) => task(client.shutdown_vm(node, VM, None, false).await, data),
        ("POST", ["status", "reboot"]) => task(client.reboot_vm(node, VM, None).await, data),
        ("GET", ["snapshot"]) => right(client.snapshots(node, VM).await, |snapshots| {
            let real =
                data.as_array().unwrap().iter().filter(|row| row["name"] != "current").cloned().collect();
            for (data, snapshot) in rows(&Value::Array(real), &snapshots) {
                same(
                    data,
                    &[("name", Is::Text(Some(&snapshot.name))), ("snaptime", whole(snapshot.snaptime))],
                );
                same(data, &[("parent", Is::Text(snapshot.parent.as_deref()))]);
                same(data, &[("snapstate", Is::Text(snapshot.snapstate.as_deref()))]);
                same(data, &[("vmstate", Is::Flag(snapshot.vmstate))]);
                same(data, &[("description", Is::Text(Some(&snapshot.description)))]);
            }
        }),
        ("POST", ["snapshot"]) => task(client.create_snapshot(node, VM, "s1", None, false).await, data),
        ("POST", ["snapshot", _, "rollback"]) => task(client.roll_back(node, VM, "s1").await, data),
        ("POST", ["status", "reset"]) => task(client.reset_vm(node, VM).await, data),
        ("DELETE", ["snapshot", _]) => task(client.delete_snapshot(node, VM, "s1", false).await, data),
        ("PUT", ["cloudinit"]) => nothing(client.regenerate_cloud_init(node, VM).await, data),
        ("GET", ["cloudinit"]) => right(client.cloud_init_pending(node, VM).await, |all| pending(&all, data)),
        ("POST", ["agent", "ping"]) => nothing(client.agent_ping(node, VM).await, &Value::Null),
        ("GET", ["agent", "network-get-interfaces"]) => {
            right(client.agent_interfaces(node, VM).await, |all| assert!(!all.is_empty()))
        }
        (_, ["firewall", rest @ ..]) => firewall(client, method, node, rest, data).await,
        _ => None,
    }
}

async fn firewall(client: &Client, method: &str, node: &str, rest: &[&str], data: &Value) -> Outcome {
    const VM: u32 = 100;
    let rule = FirewallRule { kind: "in".to_owned(), action: "ACCEPT".to_owned(), ..FirewallRule::default() };
    match (method, rest) {
        ("GET", ["options"]) => {
            right(client.firewall_options(node, VM).await, |options| firewall_options(&options, data))
        }
        ("PUT", ["options"]) => {
            let options = FirewallOptions { enable: Some(true), ..FirewallOptions::default() };
            nothing(client.set_firewall_options(node, VM, &options, &[]).await, data)
        }
        ("GET", ["rules"]) => right(client.firewall_rules(node, VM).await, |all| {
            for (data, rule) in rows(data, &all) {
                same(data, &[("pos", whole(rule.pos.map(Into::into))), ("enable", Is::Flag(rule.enable))]);
                same(data, &[("type", Is::Text(Some(&rule.kind))), ("action", Is::Text(Some(&rule.action)))]);
                let texts = [
                    ("macro", &rule.macro_name),
                    ("source", &rule.source),
                    ("dest", &rule.dest),
                    ("proto", &rule.proto),
                    ("dport", &rule.dport),
                    ("sport", &rule.sport),
                    ("icmp-type", &rule.icmp_type),
                    ("iface", &rule.iface),
                    ("log", &rule.log),
                    ("comment", &rule.comment),
                    ("digest", &rule.digest),
                ];
                for (key, value) in &texts {
                    same(data, &[(key, Is::Text(value.as_deref()))]);
                }
            }
        }),
        ("POST", ["rules"]) => nothing(client.add_firewall_rule(node, VM, &rule).await, data),
        ("DELETE", ["rules", _]) => nothing(client.delete_firewall_rule(node, VM, 0, None).await, data),
        ("GET", ["ipset"]) => right(client.ipsets(node, VM).await, |sets| {
            for (data, set) in rows(data, &sets) {
                same(
                    data,
                    &[("name", Is::Text(Some(&set.name))), ("comment", Is::Text(set.comment.as_deref()))],
                );
                same(data, &[("digest", Is::Text(set.digest.as_deref()))]);
            }
        }),
        ("POST", ["ipset"]) => nothing(client.create_ipset(node, VM, "set", None).await, data),
        ("GET", ["ipset", _]) => right(client.ipset_members(node, VM, "set").await, |members| {
            for (data, member) in rows(data, &members) {
                same(data, &[("cidr", Is::Text(Some(&member.cidr))), ("nomatch", Is::Flag(member.nomatch))]);
                same(data, &[("comment", Is::Text(member.comment.as_deref()))]);
                same(data, &[("digest", Is::Text(member.digest.as_deref()))]);
            }
        }),
        ("POST", ["ipset", _]) => {
            nothing(client.add_ipset_member(node, VM, "set", "10.0.0.1", None).await, data)
        }
        ("DELETE", ["ipset", _]) => nothing(client.delete_ipset(node, VM, "set", false).await, data),
        ("DELETE", ["ipset", _, _, ..]) => {
            nothing(client.delete_ipset_member(node, VM, "set", "10.0.0.1", None).await, data)
        }
        _ => None,
    }
}

pub(crate) fn firewall_options(options: &FirewallOptions, data: &Value) {
    let flags = [
        ("enable", options.enable),
        ("macfilter", options.macfilter),
        ("ipfilter", options.ipfilter),
        ("dhcp", options.dhcp),
        ("ndp", options.ndp),
        ("radv", options.radv),
    ];
    for (key, value) in &flags {
        same(data, &[(key, Is::Maybe(*value))]);
    }
    let texts = [
        ("policy_in", &options.policy_in),
        ("policy_out", &options.policy_out),
        ("log_level_in", &options.log_level_in),
        ("log_level_out", &options.log_level_out),
        ("digest", &options.digest),
    ];
    for (key, value) in &texts {
        same(data, &[(key, Is::Text(value.as_deref()))]);
    }
}

fn pending(all: &[PendingEntry], data: &Value) {
    for (data, entry) in rows(data, all) {
        same(data, &[("key", Is::Text(Some(&entry.key))), ("value", Is::Text(entry.value.as_deref()))]);
        same(data, &[("pending", Is::Text(entry.pending.as_deref()))]);
        assert_eq!(entry.delete, text(&data["delete"]).is_some_and(|delete| delete != "0"), "{data}");
        assert_eq!(entry.is_waiting(), data.get("pending").is_some() || entry.delete, "{data}");
    }
}

fn config(config: &VmConfig, data: &Value) {
    let recorded = data.as_object().unwrap();
    for (key, value) in recorded {
        let ours = if key == "digest" { config.digest() } else { config.get(key) };
        assert_eq!(ours, text(value).as_deref(), "{key} of {data}");
    }
    assert_eq!(config.iter().filter(|(key, _)| !recorded.contains_key(*key)).count(), 0, "{data}");
    for (slot, line) in config.drives() {
        let drive = config.drive(slot).unwrap().unwrap();
        assert_eq!(drive.to_string().parse(), Ok(drive), "{line}");
    }
    for index in config.nets() {
        let address = config.net(index).unwrap().unwrap().macaddr.unwrap().to_string();
        let line = data[format!("net{index}")].as_str().unwrap();
        assert!(line.to_uppercase().contains(&address.to_uppercase()), "{line}");
    }
    let uuid = config.smbios_uuid().map(|uuid| format!("uuid={uuid}"));
    assert_eq!(uuid.as_deref(), data["smbios1"].as_str(), "{data}");
    // What is not set has the server's default.
    let set = |key: &str, default: u64| text(&data[key]).map_or(default, |text| text.parse().unwrap());
    assert_eq!(config.memory_mib(), Some(set("memory", 512)), "{data}");
    assert_eq!(config.cores().map(u64::from), Some(set("cores", 1)), "{data}");
    same(data, &[("lock", Is::Text(config.lock())), ("name", Is::Text(config.name()))]);
    same(
        data,
        &[("template", Is::Flag(config.is_template())), ("protection", Is::Flag(config.is_protected()))],
    );
    is(&config.tags(), data);
    assert!(config.ipconfig(0).is_ok() && config.boot_order().is_ok());
}
