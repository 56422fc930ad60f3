//! From an order to `ready`.

use super::bench::{Bench, done_steps, small, spec};
use deploy_core::{Operation, Step};
use serde_json::{Value, json};

#[tokio::test]
async fn the_smallest_order_gets_ready_through_every_step() {
    let bench = Bench::new().await;
    let key = bench.order("small", spec(small())).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
    let log = bench.log(key).await;
    let expected: Vec<Step> =
        Operation::Create.steps().iter().copied().filter(|step| *step != Step::Ready).collect();
    assert_eq!(done_steps(&log), expected, "{}", bench.log_text(key).await);
    let config = bench.config(&record).await;
    assert_eq!(config["name"], format!("vps-{}.example.net", record.numbered.vmid));
    assert_eq!(config["cores"], 2);
    assert_eq!(config["ipconfig0"], "ip=203.0.113.2/24,gw=203.0.113.1");
}

const KEY_A: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGF56157Dy8Uh/epttkDanamS9jT5CR1rxuSwD9QZgCa ann@example.net";
const KEY_B: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAz9KT5L6jPzNxeAliX6j+cD+phmSmxj4Tqul2s4nNrM ben@example.net";

/// Everything that can be ordered, at once; on a template with a NIC too many, far from the node it shall run on.
pub(super) fn everything() -> Value {
    json!({
        "cluster": "demo",
        "domain": "web-{reference}.example.net",
        "pve_name": "web-{reference}",
        "contact": "ann@example.net",
        "node": "pve3",
        "template": { "vmid": 9002, "node": "pve1" },
        "clone": { "mode": "full", "storage": "shared" },
        "tags": ["web", "gold"],
        "pve_pool": "customers",
        "autostart": "on",
        "sockets": 2,
        "cores": 3,
        "memory": 3072,
        "system_disk": { "size": 20, "limits": {
            "read": { "at": 100 }, "write": { "at": "50.5" }, "read_iops": { "at": 1000 }, "write_iops": { "at": 500 } } },
        "additional_disks": [{ "storage": "shared", "size": 32, "limits": { "read": { "at": 80 } } }],
        "nics": [{
            "bridge": "vmbr0", "rate": { "at": 12.5 }, "filtering": "on", "model": "virtio",
            "addressing": { "pools": { "v4": { "count": 2, "pools": ["v4"] }, "v6": { "count": 1 } } } }],
        "firewall": { "policy_in": "DROP", "policy_out": "ACCEPT", "anti_spoofing": true, "rules": [
            { "direction": "in", "action": "ACCEPT", "macro": "SSH", "source": "198.51.100.0/24" },
            { "direction": "in", "action": "ACCEPT", "protocol": "tcp", "dest_port": "80,443" },
            { "direction": "out", "action": "REJECT", "protocol": "udp", "dest_port": "123" }] },
        "cloud_init": {
            "user": "deploy",
            "password": "$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
            "ssh_keys": [KEY_A, KEY_B],
            "search_domain": "example.net" },
        "ready_when": "address_seen",
    })
}

#[tokio::test]
async fn everything_that_can_be_ordered_is_there_in_the_end() {
    let mut config = proxmox_sim::ClusterConfig::quick();
    config.pools.push("customers".to_owned());
    let bench = Bench::with(config).await;
    let key = bench.order("a_1", spec(everything())).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);

    let vmid = record.numbered.vmid;
    let config = bench.config(&record).await;
    let mac = record.macs[0];
    assert_eq!(config["name"], "web-a-1");
    assert_eq!(record.numbered.fqdn.as_str(), "web-a-1.example.net");
    assert_eq!(config["tags"], "gold;web");
    assert_eq!((&config["sockets"], &config["cores"]), (&json!(2), &json!(3)));
    assert_eq!(config["memory"], "3072");
    assert_eq!(config["onboot"], 1);
    assert!(
        config["description"].as_str().is_some_and(|text| text.starts_with(&format!("pve-deploy: {key}")))
    );
    let options = |drive: &str| -> Vec<String> {
        let text = config[drive].as_str().unwrap_or_else(|| panic!("no {drive} in {config}"));
        text.split(',').skip(1).map(str::to_owned).collect()
    };
    let system = options("scsi0");
    for option in ["iops_rd=1000", "iops_wr=500", "mbps_rd=100", "mbps_wr=50.5", "size=20G"] {
        assert!(system.contains(&option.to_owned()), "{option} not in {system:?}");
    }
    let additional = options(&record.slots[0].to_string());
    for option in ["mbps_rd=80", "size=32G"] {
        assert!(additional.contains(&option.to_owned()), "{option} not in {additional:?}");
    }
    assert!(config.get("unused0").is_none(), "a volume too many: {config}");
    assert_eq!(config["net0"], format!("virtio={mac},bridge=vmbr0,firewall=1,rate=12.5"));
    assert!(config.get("net1").is_none(), "the template's second NIC is still there");
    assert_eq!(
        config["ipconfig0"],
        "ip=203.0.113.2/24,gw=203.0.113.1,ip6=2001:db8:1::2/64,gw6=2001:db8:1::1"
    );
    assert_eq!(config["nameserver"], "192.0.2.53 2001:db8:53::53");
    assert_eq!((&config["searchdomain"], &config["ciuser"]), (&json!("example.net"), &json!("deploy")));
    assert_eq!(config["ciupgrade"], 0);
    let keys = proxmox_api::decode_ssh_keys(config["sshkeys"].as_str().expect("keys")).expect("encoded");
    assert_eq!(keys.trim(), format!("{KEY_A}\n{KEY_B}"));
    assert!(config["cipassword"].as_str().is_some_and(|text| text.chars().all(|c| c == '*')));

    let firewall = format!("/nodes/pve3/qemu/{vmid}/firewall");
    let members = bench.ask(&format!("{firewall}/ipset/ipfilter-net0")).await;
    let mut cidrs: Vec<&str> =
        members.as_array().expect("a list").iter().filter_map(|m| m["cidr"].as_str()).collect();
    cidrs.sort_unstable();
    assert_eq!(cidrs, ["2001:db8:1::2", "203.0.113.2", "203.0.113.3"]);
    let rules = bench.ask(&format!("{firewall}/rules")).await;
    let rules: Vec<(&str, &str, &str)> = rules
        .as_array()
        .expect("a list")
        .iter()
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or("");
            assert_eq!(rule["enable"], 1);
            (
                text("type"),
                text("action"),
                if rule.get("macro").is_some() { text("macro") } else { text("dport") },
            )
        })
        .collect();
    assert_eq!(rules, [("in", "ACCEPT", "SSH"), ("in", "ACCEPT", "80,443"), ("out", "REJECT", "123")]);
    let options = bench.ask(&format!("{firewall}/options")).await;
    for (option, value) in [("enable", 1), ("ipfilter", 1), ("macfilter", 1), ("dhcp", 0), ("radv", 0)] {
        assert_eq!(options[option], value, "{option} in {options}");
    }
    assert_eq!((&options["policy_in"], &options["policy_out"]), (&json!("DROP"), &json!("ACCEPT")));

    let status = bench.ask(&format!("/nodes/pve3/qemu/{vmid}/status/current")).await;
    assert_eq!(status["status"], "running");
    let pool = bench.ask("/pools/customers").await;
    assert_eq!(pool["members"][0]["vmid"], vmid.get());
    assert_eq!(bench.sim.counters().clones.get(&vmid.get()), Some(&1));
}

#[tokio::test]
async fn dhcp_takes_no_address_and_asks_in_the_guest() {
    let bench = Bench::new().await;
    let mut order = small();
    order["nics"] = json!([{ "bridge": "vmbr0", "addressing": "dhcp" }]);
    let free = bench.free(deploy_core::Family::V4).await;
    let key = bench.order("dhcp", spec(order)).await;
    let record = bench.run(key).await;
    assert_eq!(record.step, Step::Ready);
    assert_eq!(record.addresses, []);
    assert_eq!(bench.free(deploy_core::Family::V4).await, free);
    assert_eq!(bench.config(&record).await["ipconfig0"], "ip=dhcp,ip6=auto");
}

#[tokio::test]
async fn ordering_twice_makes_one_machine() {
    let bench = Bench::new().await;
    let first = bench.order("same", spec(small())).await;
    assert_eq!(bench.order("same", spec(small())).await, first);
    let record = bench.run(first).await;
    assert_eq!(bench.order("same", spec(small())).await, first);
    assert_eq!(bench.sim.counters().clones.len(), 1);
    assert_eq!(bench.sim.counters().clones.get(&record.numbered.vmid.get()), Some(&1));
}
