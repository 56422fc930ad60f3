use crate::{expected::Expected, people::Acts};
use deploy_core::{Addressing, Autostart, DiskLimits, Filtering, Limit, OwnerMark, SnapshotName, VmRecord};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is not as ordered of a machine, told from its configuration as PVE keeps it, but for what people did to it.
pub(super) fn machine(
    record: &VmRecord,
    expected: &Expected,
    machine: &Value,
    acts: &Acts,
    replaced: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    let (spec, config) = (&record.spec, &machine["config"]);
    if record.spec != expected.spec && !replaced {
        found.push(format!("its order is {:?} and should be {:?}", record.spec, expected.spec));
    }
    let mut check = |option: &str, what: &str, is: Value, wanted: Value| {
        if is != wanted && !acts.options.contains(option) {
            found.push(format!("{what} is {is} and should be {wanted}"));
        }
    };
    // A node that comes back starts a machine whose autostart somebody switched on; what is set then waits for its next start.
    let waiting = if acts.options.is_empty() { &Value::Null } else { &machine["pending"] };
    let text = |key: &str| waiting[key].as_str().or(config[key].as_str()).unwrap_or_default();
    check("node", "the node", machine["node"].clone(), spec.node.as_str().into());
    let suspended = record.life.suspended.is_some();
    if replaced {
        if suspended {
            check("status", "the status of one suspended", machine["status"].clone(), "stopped".into());
        }
    } else {
        // Without power it is off, and a node that comes back starts what was switched on to start with it.
        let boots = !suspended && !expected.runs && spec.autostart == Autostart::On;
        let is_left = boots || expected.runs && acts.off || acts.options.contains("onboot");
        if !is_left {
            let status = if expected.runs { "running" } else { "stopped" };
            check("status", "the status", machine["status"].clone(), status.into());
        }
        let mut taken: Vec<&str> =
            machine["snapshots"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        taken.sort_unstable();
        let wanted: Vec<&str> = expected.snapshots.iter().map(SnapshotName::as_str).collect();
        check("snapshots", "snapshots", taken.into(), wanted.into());
    }
    // What people change waits for a power cycle.
    if acts.options.is_empty() {
        check("pending", "pending", machine["pending"].clone(), serde_json::json!({}));
    }
    check("deleted", "deleted", machine["deleted"].clone(), serde_json::json!([]));
    check("lock", "the lock", config["lock"].clone(), Value::Null);
    check(
        "description",
        "the mark",
        OwnerMark::find(text("description")).is_some_and(|mark| mark == record.mark()).into(),
        true.into(),
    );
    check("name", "the name", config["name"].clone(), record.numbered.pve_name.as_str().into());
    // PVE's default goes without saying.
    let sockets = if text("sockets").is_empty() { "1" } else { text("sockets") };
    check("sockets", "sockets", sockets.into(), spec.sockets.get().to_string().into());
    check("cores", "cores", text("cores").into(), spec.cores.get().to_string().into());
    check("memory", "memory", text("memory").into(), spec.memory.get().to_string().into());
    check(
        "onboot",
        "onboot",
        (text("onboot") == "1").into(),
        (spec.autostart == Autostart::On && !suspended).into(),
    );
    let tags: BTreeSet<&str> = text("tags").split(';').filter(|tag| !tag.is_empty()).collect();
    check("tags", "tags", tags.len().into(), spec.tags.len().into());
    nics(&mut check, record, text);
    check("nic", "a NIC too many", config[format!("net{}", spec.nics.len())].clone(), Value::Null);
    let system = record_disk(text("boot"));
    disk(&mut check, &system, text(&system), spec.system_disk.size.get(), spec.system_disk.limits);
    for (slot, wanted) in record.slots.iter().zip(&spec.additional_disks) {
        disk(&mut check, &slot.to_string(), text(&slot.to_string()), wanted.size.get(), wanted.limits);
    }
    check(
        "slots",
        "the count of additional disks",
        record.slots.len().into(),
        spec.additional_disks.len().into(),
    );
    if !expected.rolled_back {
        check("unused0", "unused volumes", config["unused0"].clone(), Value::Null);
    }
    guest(&mut check, record, config, text);
    found
}

fn nics<'a>(
    mut check: impl FnMut(&str, &str, Value, Value),
    record: &VmRecord,
    text: impl Fn(&str) -> &'a str,
) {
    let spec = &record.spec;
    for (n, (nic, mac)) in spec.nics.iter().zip(&record.macs).enumerate() {
        let slot = format!("net{n}");
        let net = text(&slot);
        check(&slot, &format!("the MAC of net{n}"), net.contains(&mac.to_string()).into(), true.into());
        let tag = nic.vlan.map_or_else(String::new, |vlan| format!("tag={}", vlan.get()));
        check(
            &slot,
            &format!("the VLAN of net{n} in {net}"),
            net.contains("tag=").into(),
            nic.vlan.is_some().into(),
        );
        check(&slot, &format!("the tag of net{n} in {net}"), net.contains(&tag).into(), true.into());
        check(
            &slot,
            &format!("the bridge of net{n}"),
            net.contains(&format!("bridge={}", nic.bridge.as_str())).into(),
            true.into(),
        );
        check(
            &slot,
            &format!("the limit of net{n}"),
            net.contains("rate=").into(),
            matches!(nic.rate, Limit::At(_)).into(),
        );
    }
}

fn guest<'a>(
    mut check: impl FnMut(&str, &str, Value, Value),
    record: &VmRecord,
    config: &Value,
    text: impl Fn(&str) -> &'a str,
) {
    let spec = &record.spec;
    if let Some(wanted) = &spec.cloud_init {
        check(
            "cipassword",
            "the password",
            config["cipassword"].is_string().into(),
            wanted.password.is_some().into(),
        );
        check(
            "sshkeys",
            "the keys",
            config["sshkeys"].is_string().into(),
            (!wanted.ssh_keys.is_empty()).into(),
        );
        for held in &record.addresses {
            let told = text(&format!("ipconfig{}", held.nic.get()));
            let first = record
                .addresses
                .iter()
                .find(|other| other.nic == held.nic && other.address.is_ipv4() == held.address.is_ipv4());
            let is_told = told.contains(&format!("={}/", held.address));
            check(
                "ipconfig",
                &format!("{} in {told}", held.address),
                is_told.into(),
                (first == Some(held)).into(),
            );
        }
    }
}

/// What is not as ordered of a machine's firewall; rules may have come `twice`, and people may have deleted some.
pub(super) fn firewall(record: &VmRecord, firewall: &Value, twice: bool, acts: &Acts) -> Vec<String> {
    let Some(wanted) = &record.spec.firewall else { return Vec::new() };
    let mut found = Vec::new();
    let rules: Vec<String> =
        firewall["rules"].as_array().into_iter().flatten().map(Value::to_string).collect();
    let distinct: BTreeSet<&String> = rules.iter().collect();
    let count = if twice { distinct.len() } else { rules.len() };
    if count != wanted.rules.len() && !acts.rules {
        found.push(format!("has {count} rules and should have {}: {rules:?}", wanted.rules.len()));
    }
    if firewall["options"]["enable"] != "1" {
        found.push(format!("its firewall is off: {}", firewall["options"]));
    }
    for (n, nic) in (0_u8..).zip(&record.spec.nics) {
        let from_pools = matches!(nic.addressing, Addressing::Pools(_)) && nic.filtering == Filtering::On;
        let of_nic = record.addresses.iter().filter(|held| held.nic.get() == n);
        let held: BTreeSet<String> = of_nic.map(|held| held.address.to_string()).collect();
        let filtered = (wanted.anti_spoofing && from_pools).then_some(held);
        let members = members(firewall, n);
        if members != filtered {
            found.push(format!("the filter of net{n} has {members:?} members and should have {filtered:?}"));
        }
    }
    // The set of a NIC that was taken away stays, and lets nothing out.
    let surplus =
        (u8::try_from(record.spec.nics.len()).unwrap_or(u8::MAX)..8).filter_map(|n| members(firewall, n));
    found.extend(
        surplus
            .filter(|members| !members.is_empty())
            .map(|members| format!("a filter of no NIC has {members:?}")),
    );
    found
}

fn members(firewall: &Value, nic: u8) -> Option<BTreeSet<String>> {
    let members = firewall["ipsets"][format!("ipfilter-net{nic}")].as_array()?;
    Some(members.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The first disk of the boot order.
fn record_disk(boot: &str) -> String {
    let order = boot.strip_prefix("order=").unwrap_or(boot);
    order.split(';').next().unwrap_or_default().to_owned()
}

fn disk(
    check: &mut impl FnMut(&str, &str, Value, Value),
    slot: &str,
    drive: &str,
    gib: u32,
    limits: DiskLimits,
) {
    let options: BTreeSet<&str> = drive.split(',').skip(1).collect();
    check(
        slot,
        &format!("the size of {slot} in {drive}"),
        options.contains(format!("size={gib}G").as_str()).into(),
        true.into(),
    );
    for (name, wanted) in [
        ("mbps_rd", limits.read != Limit::Unlimited),
        ("mbps_wr", limits.write != Limit::Unlimited),
        ("iops_rd", limits.read_iops != Limit::Unlimited),
        ("iops_wr", limits.write_iops != Limit::Unlimited),
    ] {
        let is = options.iter().any(|option| option.starts_with(&format!("{name}=")));
        check(slot, &format!("{name} of {slot}"), is.into(), wanted.into());
    }
}
