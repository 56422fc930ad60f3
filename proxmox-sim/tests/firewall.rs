//! The firewall and its quirks.

mod support;

use serde_json::json;
use support::Lab;

const FW: &str = "/nodes/pve1/qemu/777/firewall";

#[test]
fn a_machine_need_not_exist() {
    let mut lab = Lab::new();
    assert_eq!(lab.get(&format!("{FW}/rules")), json!([]));
    lab.ok("POST", &format!("{FW}/ipset"), &[("name", "ipfilter-net0")]);
    assert!(lab.cluster.state()["firewalls"]["777"].is_object());
    lab.ok("DELETE", &format!("{FW}/ipset/ipfilter-net0"), &[]);
    assert!(lab.cluster.state()["firewalls"]["777"].is_null());
}

#[test]
fn new_rules_come_first_and_are_off() {
    let mut lab = Lab::new();
    let rules = format!("{FW}/rules");
    lab.ok("POST", &rules, &[("type", "in"), ("action", "ACCEPT"), ("comment", "b"), ("pos", "7")]);
    lab.ok(
        "POST",
        &rules,
        &[
            ("type", "in"),
            ("action", "DROP"),
            ("comment", "a"),
            ("enable", "1"),
            ("source", "198.51.100.0/24"),
        ],
    );
    let list = lab.get(&rules);
    assert_eq!(
        (&list[0]["comment"], &list[0]["pos"], &list[0]["enable"]),
        (&json!("a"), &json!(0), &json!(1))
    );
    assert_eq!((&list[1]["comment"], &list[1]["enable"]), (&json!("b"), &json!(0)));
    assert_eq!(list[0]["ipversion"], 4);
    assert_eq!(lab.get(&format!("{rules}/1"))["pos"], "1", "alone the position is text");
    let digest = list[0]["digest"].as_str().expect("a digest").to_owned();
    lab.ok("DELETE", &format!("{rules}/0"), &[("digest", &digest)]);
    let stale = lab.call("DELETE", &format!("{rules}/0"), &[("digest", &digest)]);
    assert_eq!(stale.reason, "detected modified configuration - file changed by other user? Try again.");
    assert_eq!(lab.call("GET", &format!("{rules}/9"), &[]).reason, "no rule at position 9");
}

#[test]
fn rules_are_checked() {
    let mut lab = Lab::new();
    for (params, name, text) in [
        (vec![("action", "NOPE")], "action", "unknown action 'NOPE'"),
        (vec![], "action", "property is missing and it is not optional"),
        (
            vec![("action", "ACCEPT"), ("dport", "22")],
            "proto",
            "missing property - 'dport' requires this property",
        ),
        (
            vec![("action", "ACCEPT"), ("source", "10.0.0.300")],
            "source",
            "invalid format - invalid IP address: Invalid quad in IP address 10.0.0.300 - 300\n",
        ),
        (
            vec![("action", "ACCEPT"), ("source", "2001:db8::/32"), ("proto", "icmp")],
            "source",
            "detected mixed ipv4/ipv6 addresses in rule",
        ),
    ] {
        let mut all = vec![("type", "in")];
        all.extend(params);
        let reply = lab.call("POST", &format!("{FW}/rules"), &all);
        assert_eq!((reply.status, reply.error(name)), (400, Some(text)));
    }
}

#[test]
fn sets_of_addresses() {
    let mut lab = Lab::new();
    let set = format!("{FW}/ipset/ipfilter-net0");
    assert_eq!(lab.call("POST", &set, &[("cidr", "10.0.0.1")]).reason, "no such IPSet 'ipfilter-net0'");
    lab.ok("POST", &format!("{FW}/ipset"), &[("name", "ipfilter-net0")]);
    let again = lab.call("POST", &format!("{FW}/ipset"), &[("name", "ipfilter-net0")]);
    assert_eq!(again.error("name"), Some("IPSet 'ipfilter-net0' already exists"));
    // The pattern is looked at before the length.
    for name in ["x", "9bad"] {
        let reply = lab.call("POST", &format!("{FW}/ipset"), &[("name", name)]);
        assert_eq!(reply.error("name"), Some("value does not match the regex pattern"));
    }
    let long = "x".repeat(65);
    let reply = lab.call("POST", &format!("{FW}/ipset"), &[("name", &long)]);
    assert_eq!(reply.error("name"), Some("value may only be 64 characters long"));
    for cidr in ["203.0.113.14", "2001:db8:1::14", "10.1.2.3/16"] {
        lab.ok("POST", &set, &[("cidr", cidr)]);
    }
    for (cidr, stored) in [("203.0.113.14/32", "203.0.113.14"), ("2001:0DB8:1:0::14/128", "2001:db8:1::14")] {
        let text = format!("address '{stored}' already exists");
        assert_eq!(lab.call("POST", &set, &[("cidr", cidr)]).error("cidr"), Some(text.as_str()));
    }
    assert_eq!(lab.call("POST", &set, &[("cidr", "nonsense")]).reason, "no such alias 'nonsense'");
    let list = lab.get(&set);
    let cidrs: Vec<&str> =
        list.as_array().expect("rows").iter().filter_map(|row| row["cidr"].as_str()).collect();
    assert_eq!(cidrs, ["10.1.0.0/16", "2001:db8:1::14", "203.0.113.14"], "newest first, host bits gone");
    assert_eq!(lab.get(&format!("{set}/10.1.0.0/16"))["cidr"], "10.1.0.0/16", "a slash in the path is fine");
    assert_eq!(lab.call("DELETE", &set, &[]).reason, "IPSet 'ipfilter-net0' is not empty");
    lab.ok("DELETE", &format!("{set}/10.1.0.0%2F16"), &[]);
    lab.ok("DELETE", &format!("{set}/192.0.2.99"), &[]);
    lab.ok("DELETE", &set, &[("force", "1")]);
}

#[test]
fn options_change_one_by_one() {
    let mut lab = Lab::new();
    let options = format!("{FW}/options");
    assert_eq!(lab.get(&options), json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}));
    lab.ok("PUT", &options, &[("enable", "1"), ("policy_in", "DROP")]);
    lab.ok("PUT", &options, &[("ipfilter", "1"), ("delete", "policy_in")]);
    let now = lab.get(&options);
    assert_eq!((&now["enable"], &now["ipfilter"], &now["policy_in"]), (&json!(1), &json!(1), &json!(null)));
}

#[test]
fn a_clone_copies_the_templates_firewall() {
    let mut lab = Lab::new();
    let rule = [("type", "in"), ("action", "ACCEPT"), ("comment", "from the template")];
    lab.ok("POST", "/nodes/pve1/qemu/9000/firewall/rules", &rule);
    lab.ok("POST", "/nodes/pve1/qemu/100/firewall/rules", &[("type", "in"), ("action", "DROP")]);
    lab.clone_to(100);
    let rules = lab.get("/nodes/pve1/qemu/100/firewall/rules");
    assert_eq!(
        (rules.as_array().map(Vec::len), &rules[0]["comment"]),
        (Some(1), &json!("from the template"))
    );
}
