//! The demonstration file, and every way to spoil it.

use super::{DEMO, Orders, parse};
use deploy_core::{Addressing, CloneMode, Limit, MiBps};

/// The demonstration with `from` replaced by `to`.
fn spoilt(from: &str, to: &str) -> String {
    assert!(DEMO.contains(from), "{from:?} is not in the file");
    parse("orders.toml", &DEMO.replacen(from, to, 1)).expect_err(to).to_string()
}

#[track_caller]
fn refused(from: &str, to: &str, expected: &[&str]) {
    let message = spoilt(from, to);
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
}

fn demo() -> Orders {
    parse("orders.toml", DEMO).unwrap()
}

#[test]
fn the_demonstration_orders_four_different_machines() {
    let Orders { cluster, machines } = demo();
    assert_eq!((cluster.settings.vmids.first().get(), cluster.pools.len(), machines.len()), (1000, 3, 4));
    let spec = |at: usize| machines[at].spec.clone();
    let (web, store, mail, lab) = (spec(0), spec(1), spec(2), spec(3));
    assert_eq!((web.clone, web.node.as_str()), (CloneMode::Linked, "pve1"));
    assert!(web.cloud_init.unwrap().password.is_some());
    assert_eq!((store.node.as_str(), store.additional_disks.len(), store.sockets.get()), ("pve3", 1, 2));
    assert_eq!(store.system_disk.limits.write, Limit::At(MiBps::from_thousandths(100_500).unwrap()));
    assert_eq!(store.pve_name.as_str(), "{reference}");
    assert_eq!((mail.memory.get(), mail.firewall.unwrap().rules.len()), (2048, 3));
    assert_eq!(mail.cloud_init.unwrap().ssh_keys.len(), 2);
    assert_eq!(lab.nics[0].addressing, Addressing::Dhcp);
    // What a guest with addresses from pools is told, it is told by cloud-init.
    assert!(store.cloud_init.is_some() && store.nics[0].addressing != Addressing::Unmanaged);
}

#[test]
fn each_machine_has_a_hash_with_a_salt_of_its_own() {
    let text = DEMO.replace("template = { vmid = 9001, node = \"pve2\" }", "");
    let hashes: Vec<_> = parse("orders.toml", &text)
        .unwrap()
        .machines
        .into_iter()
        .filter_map(|order| order.spec.cloud_init?.password)
        .map(|hash| hash.expose().to_owned())
        .collect();
    assert!(hashes.len() >= 2 && hashes[0] != hashes[1]);
}

#[test]
fn a_password_that_no_guest_takes_is_shown_where_it_is_and_not_repeated() {
    let too_long = format!("\"\"\"s3cret{}\"\"\"", "x".repeat(256));
    for password in ["\"\"", "\"s3cret\\nmore\"", &too_long] {
        let message = spoilt("\"change me at once\"", password);
        let line = 1 + DEMO.lines().position(|line| line.starts_with("password = ")).unwrap();
        let expected = format!(
            "orders.toml:{line}:12: machines[0] (web-1): cloud_init.password: \"(hidden)\" is not valid: 1 to 256 bytes"
        );
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    assert_eq!(
        spoilt("vlan = 120\nranges", "vlan = 5000\nranges"),
        "orders.toml:42:8: vlan: \"5000\" is not valid: a VLAN tag from 1 to 4094 (leave it out for untagged)\n    \
         |\n 42 | vlan = 5000\n    |        ^^^^"
    );
}

#[test]
fn unknown_keys_and_wrong_units_are_told_the_right_one() {
    refused(
        "size_gib = 8",
        "size_gb = 8",
        &["unknown key `size_gb`", "Write size_gib, in GiB (2^30 bytes)?"],
    );
    refused(
        "memory_mib = 1024",
        "memory = 1024",
        &["unknown key `memory`", "Write memory_mib, in MiB (2^20 bytes)?"],
    );
    refused(
        "rate_mibps = 12.5",
        "rate_mbit = 100",
        &["unknown key `rate_mbit`", "Write rate_mibps, in MiB/s?"],
    );
    refused(
        "size_gib = 8",
        "size_gib = \"8 GB\"",
        &["write a plain number", "size_gib counts GiB (2^30 bytes)"],
    );
    refused(
        "memory_mib = 1024",
        "memory_mib = 0.5",
        &["write a plain number", "memory_mib counts MiB (2^20 bytes)"],
    );
    refused("autostart = true", "autostrat = true", &["unknown key `autostrat`", "Did you mean autostart?"]);
    refused("[cluster]", "[cluster]\nnodes = 3", &["unknown key `nodes`", "Known here: name, vmids"]);
    refused(
        "bridge = \"vmbr1\"\nvlan = 120\nrate",
        "bridge = \"vmbr1\"\nvlam = 120\nrate",
        &["Did you mean vlan?"],
    );
    refused("vmids = { first", "vmids = { start", &["unknown key `start`"]);
    refused("anti_spoofing", "antispoofing", &["unknown key `antispoofing`", "Did you mean anti_spoofing?"]);
}

#[test]
fn values_say_what_would_be_right() {
    refused("size_gib = 8", "size_gib = 0", &["a size in GiB from 1 to 1048576"]);
    refused("rate_mibps = 12.5", "rate_mibps = 0", &["a rate in MiB/s from 0.001 to 1000000"]);
    refused("memory_mib = 1024", "memory_mib = 8", &["memory in MiB from 16"]);
    refused(
        "domain = \"{reference}",
        "domain = \"my_vm.{reference}",
        &["a DNS name: labels of 1 to 63 letters"],
    );
    refused("domain = \"{reference}", "domain = \"{name}", &["only the placeholders {vmid}, {reference}"]);
    refused("ssh-ed25519 AAAA", "ssh-ed25519 BAAA", &["one OpenSSH public key on one line"]);
    refused(
        "mode = \"linked\"",
        "mode = \"copy\"",
        &["mode: \"copy\" is not valid: write \"linked\" or \"full\""],
    );
    refused("contact = \"ann@example.net\"", "contact = \"ann\"", &["an e-mail address such as"]);
    refused("template = { vmid = 9000", "template = { vmid = 99", &["a number from 100 to 999999999"]);
    refused("count = 2, pools = [\"public-v4\"]", "count = 0", &["v4.count", "a count from 1 to 64"]);
    refused("[\"203.0.113.0/24\"]", "[\"203.0.113.0/240\"]", &["a network such as \"203.0.113.0/24\""]);
    refused("name = \"demo\"", "name =", &["orders.toml:10:7"]);
}

#[test]
fn the_key_is_named_as_it_stands_in_the_file() {
    refused(
        "memory_mib = 1024",
        "memory_mib = -5",
        &["memory_mib: \"-5\" is not valid: memory in MiB from 16 to"],
    );
    refused(
        "count = 2, pools = [\"public-v4\"]",
        "count = 300",
        &["count: \"300\" is not valid: a count from 1 to 64"],
    );
    refused("cores = 1\n", "cores = 1.5\n", &["cores: invalid type: floating point"]);
    refused(
        "rest_minutes = 60",
        "rest_minutes = -1",
        &["rest_minutes: \"-1\" is not valid: a whole number from 0 to 4294967295"],
    );
    refused(
        "prefix_len = 24",
        "prefix_len = 300",
        &["prefix_len: \"300\" is not valid: a prefix length from 1"],
    );
    refused(
        "{ size_gib = 8 }",
        "{ size_gib = -8 }",
        &["size_gib: \"-8\" is not valid: a size in GiB from 1"],
    );
    refused("vmid = 9000", "vmid = -1", &["vmid: \"-1\" is not valid: a number from 100 to"]);
    refused("policy_in = \"DROP\"", "policy_in = \"drop\"", &["policy_in: \"drop\" is not valid: ", "DROP"]);
    refused(
        "mode = \"linked\"",
        "mode = \"fast\"",
        &["mode: \"fast\" is not valid: write \"linked\" or \"full\""],
    );
    refused("domain = \"{reference}", "domain = \"my_vm.{reference}", &[":10: domain: \"my_vm"]);
    refused(
        "search_domain = \"example.net\"",
        "search_domain = \"a b\"",
        &["search_domain: \"a b\" is not valid"],
    );
    refused(
        "\"203.0.113.200\"]",
        "\"203.0.113.300\"]",
        &["exclusions: \"203.0.113.300\" is not valid: a network"],
    );
    refused(
        "autostart = true",
        "autostart = 1",
        &["autostart: invalid type: integer `1`, expected a boolean"],
    );
    let long = format!("reference = \"{}\"", "a".repeat(64));
    refused("reference = \"web-1\"", &long, &["): domain: \"{reference}.example.net\" is not valid"]);
    let message = spoilt("password = \"change me at once\"", "password = 90210");
    assert!(
        message.contains("password: \"(hidden)\" is not valid: text") && !message.contains("90210"),
        "{message}"
    );
}

#[test]
fn what_is_wrong_with_a_pool_is_told_once() {
    for (from, to) in [
        ("gateway = \"203.0.113.1\"", "gateway = \"203.0.114.1\""),
        ("[\"192.0.2.53\", \"192.0.2.54\"]", "[\"192.0.2.53\", \"192.0.2.54\", \"192.0.2.55\"]"),
        // Of a pool that nobody names.
        ("gateway = \"10.120.0.1\"", "gateway = \"10.121.0.1\""),
    ] {
        let message = spoilt(from, to);
        assert_eq!(message.matches("orders.toml:").count(), 1, "{message}");
        assert!(message.contains(": pools["), "{message}");
    }
}

#[test]
fn pools_must_make_sense() {
    refused(
        "gateway = \"203.0.113.1\"",
        "gateway = \"203.0.114.1\"",
        &[
            "pools[0] (public-v4): gateway: \"203.0.114.1\" is not valid: a host address inside 203.0.113.0/24",
        ],
    );
    refused(
        "ranges = [\"203.0.113.0/24\"]",
        "ranges = [\"203.0.113.0/24\", \"203.0.113.9\"]",
        &["ranges[1]: \"203.0.113.9\" is not valid: a range that does not overlap 203.0.113.0/24"],
    );
    refused(
        "[\"10.120.0.10-10.120.0.250\"]",
        "[\"203.0.113.100-203.0.113.120\"]",
        &["pools[2] (customers): gateway", "203.0.113.0/24"],
    );
    refused(
        "ranges = [\"203.0.113.0/24\"]",
        "ranges = [\"203.0.113.0/24\", \"203.0.113.128/25\"]",
        &["ranges[1]: \"203.0.113.128/25\" is not valid: a range that does not overlap 203.0.113.0/24"],
    );
    refused(
        "gateway = \"10.120.0.1\"",
        "[[cluster.pools]]\nname = \"more\"\nbridge = \"vmbr0\"\nranges = [\"203.0.113.250-203.0.113.251\"]\nprefix_len = 24",
        &[
            "pools[3] (more): ranges: addresses of 203.0.113.250-203.0.113.251 belong to pool public-v4 as well",
        ],
    );
    refused("name = \"customers\"", "name = \"public-v4\"", &["pools[2] (public-v4): name: another pool"]);
    refused(
        "prefix_len = 24",
        "",
        &["the length of the network's prefix, as no range is written as a network"],
    );
}

#[test]
fn machines_must_make_sense() {
    refused(
        "clone = { mode = \"linked\" }",
        "clone = { mode = \"linked\", storage = \"local-lvm\" }",
        &["machines[0] (web-1): clone.storage: a linked clone cannot be on local-lvm"],
    );
    refused(
        "reference = \"store-1\"",
        "reference = \"web-1\"",
        &["machines[1] (web-1): reference: another machine"],
    );
    refused(
        "package = \"storage\"",
        "package = \"huge\"",
        &["no package \"huge\"; known are small, storage"],
    );
    refused(
        "pools = [\"public-v4\"]",
        "pools = [\"nowhere\"]",
        &[
            "machines[0] (web-1): nics[0].v4.pools: there is no pool \"nowhere\"; known are public-v4, public-v6, customers\n",
        ],
    );
    refused(
        "vlan = 120\nrate",
        "vlan = 121\nrate",
        &["machines[1] (store-1): nics[0].v4: cluster demo has no IPv4 pool on vmbr1"],
    );
    refused(
        "dhcp = true",
        "dhcp = true, v4 = { count = 1 }",
        &["by DHCP or has addresses from pools, not both"],
    );
    refused(
        "cores = 1\n",
        "",
        &["machines[0] (web-1): cores: is missing; the machine or its package must say it"],
    );
    refused(
        "first = 1000, last = 1999",
        "first = 1999, last = 1000",
        &["cluster: vmids", "not above the last"],
    );
    refused(
        "first = 1000, last = 1999",
        "first = 1000, last = 1002",
        &["3 numbers are too few for 4 machines"],
    );
    for pve_name in ["{reference}-{vmid}", "store-2"] {
        refused(
            "pve_name = \"{reference}\"",
            &format!("pve_name = \"{pve_name}\""),
            &[
                ":12: machines[1] (store-1): pve_name: ",
                "is not valid: the domain (store-1.example.net) or its first label",
            ],
        );
    }
    let long = format!("reference = \"{}\"", "a".repeat(64));
    refused("reference = \"web-1\"", &long, &["domain", "a DNS name: labels of 1 to 63"]);
    refused(
        "ready_when = \"address_seen\"",
        "ready_when = \"soon\"",
        &["ready_when: \"soon\" is not valid: write \"auto\" or "],
    );
}

#[test]
fn all_problems_of_a_readable_file_are_told() {
    let text = DEMO.replacen("203.0.113.1\"", "203.0.114.1\"", 1).replacen(
        "package = \"storage\"",
        "package = \"x\"",
        1,
    );
    let message = parse("orders.toml", &text).unwrap_err().to_string();
    assert!(message.contains("pools[0]") && message.contains("machines[1]"), "{message}");
}

#[test]
fn a_line_with_a_password_is_not_repeated() {
    let message = spoilt("password = \"change me at once\"", "password = \"s3cret\", x");
    assert!(!message.contains("s3cret"), "{message}");
    let cloud_init =
        "cloud_init = { user = \"Root\", password = \"s3cret\" }\nnics = [{ bridge = \"vmbr0\", dhcp";
    let message = spoilt("nics = [{ bridge = \"vmbr0\", dhcp", cloud_init);
    assert!(message.contains("a Unix user name") && !message.contains("s3cret"), "{message}");
}
