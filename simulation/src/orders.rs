use crate::dice::Dice;
use deploy_core::VmSpec;
use serde_json::{Value, json};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGF56157Dy8Uh/epttkDanamS9jT5CR1rxuSwD9QZgCa ann@example.net";

/// A hash as a panel would order it; of which password does not matter.
const PASSWORD: &str =
    "$6$saltsaltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// Any order that a shop could take: what can be ordered is there or not, by luck.
pub(crate) fn order(dice: &Dice) -> VmSpec {
    let (template, home) = *dice.pick(&[(9000, "pve1"), (9001, "pve2"), (9002, "pve1")]);
    let node = *dice.pick(&["pve1", "pve2", "pve3"]);
    let linked = dice.chance(0.5) && (template != 9001 || node == home);
    let firewall = dice.chance(0.5);
    let mut order = json!({
        "cluster": "demo",
        "domain": "vps-{vmid}.example.net",
        "pve_name": "vps-{vmid}",
        "node": node,
        "template": { "vmid": template, "node": home },
        "clone": if linked { json!({ "mode": "linked" }) } else { json!({ "mode": "full", "storage": "shared" }) },
        "sockets": dice.within(1..3),
        "cores": dice.within(1..5),
        "memory": 512 * dice.within(1..9),
        "system_disk": { "size": dice.within(4..12), "limits": limits(dice) },
        "nics": nics(dice, firewall),
        "when_vanished": if dice.chance(0.5) { "leave" } else { "redeploy" },
        "autostart": if dice.chance(0.5) { "on" } else { "off" },
    });
    let mut also = |share: f64, key: &str, value: Value| {
        if dice.chance(share) {
            order[key] = value;
        }
    };
    also(0.3, "pve_pool", json!("customers"));
    also(0.5, "tags", json!(["web", "gold"]));
    also(0.7, "cloud_init", cloud_init(dice));
    also(0.5, "additional_disks", disks(dice));
    if firewall {
        order["firewall"] = rules(dice);
    }
    serde_json::from_value(order).expect("an order that is one")
}

fn limits(dice: &Dice) -> Value {
    if dice.chance(0.5) {
        return json!({});
    }
    json!({ "read": { "at": dice.within(10..200) }, "write_iops": { "at": dice.within(100..2000) } })
}

fn disks(dice: &Dice) -> Value {
    (0..dice.within(1..3))
        .map(|_| json!({ "storage": "shared", "size": dice.within(1..64), "limits": limits(dice) }))
        .collect()
}

fn nics(dice: &Dice, filtered: bool) -> Value {
    let pools = match dice.within(0..4) {
        0 => json!({ "pools": { "v4": { "count": 1 } } }),
        1 => json!({ "pools": { "v4": { "count": 2 }, "v6": { "count": 1 } } }),
        2 => json!({ "pools": { "v6": { "count": 2 } } }),
        _ => json!("dhcp"),
    };
    let filtering = if filtered { "on" } else { "off" };
    let first = json!({ "bridge": "vmbr0", "filtering": filtering, "rate": { "at": dice.within(1..100) }, "addressing": pools });
    let second = json!({ "bridge": "vmbr1", "vlan": dice.within(2..4000), "addressing": "unmanaged" });
    if dice.chance(0.3) { json!([first, second]) } else { json!([first]) }
}

fn rules(dice: &Dice) -> Value {
    let rules = json!([
        { "direction": "in", "action": "ACCEPT", "macro": "SSH", "source": "198.51.100.0/24" },
        { "direction": "in", "action": "ACCEPT", "protocol": "tcp", "dest_port": "80,443" },
        { "direction": "out", "action": "REJECT", "protocol": "udp", "dest_port": "123" },
    ]);
    let count = usize::try_from(dice.within(0..4)).unwrap_or(0);
    let some = &rules.as_array().expect("a list")[..count];
    json!({ "policy_in": "DROP", "policy_out": "ACCEPT", "anti_spoofing": dice.chance(0.8), "rules": some })
}

fn cloud_init(dice: &Dice) -> Value {
    let mut told = json!({ "user": "deploy", "search_domain": "example.net" });
    if dice.chance(0.5) {
        told["password"] = json!(PASSWORD);
    }
    if dice.chance(0.5) {
        told["ssh_keys"] = json!([KEY]);
    }
    told
}
