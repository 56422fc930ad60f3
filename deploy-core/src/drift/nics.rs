//! NICs.

use super::{Differences, disks::limit, list, shown};
use crate::{Configure, Filtering, MachineConfig, Nic};

pub(super) fn differences(missing: &Configure, seen: &MachineConfig, found: &mut Differences) {
    for (slot, wanted) in &missing.nics {
        let Some(nic) = seen.nics.get(slot) else {
            found.push(slot.to_string(), &summary(wanted), &"no NIC");
            continue;
        };
        for ((part, ordered), (_, seen)) in parts(wanted).into_iter().zip(parts(nic)) {
            found.compare(format!("{slot}.{part}"), ordered, seen);
        }
    }
    for slot in &missing.remove_nics {
        found.push(slot.to_string(), &"no NIC", &shown(seen.nics.get(slot).map(summary), "a NIC"));
    }
}

fn summary(nic: &Nic) -> String {
    format!("{} {} on {}", nic.model, nic.mac, shown(nic.bridge.as_ref(), "no bridge"))
}

fn parts(nic: &Nic) -> [(&'static str, String); 7] {
    let Nic { model, mac, bridge, vlan, rate, filtering, options } = nic;
    [
        ("model", model.clone()),
        ("mac", mac.to_string()),
        ("bridge", shown(bridge.as_ref(), "none")),
        ("vlan", shown(*vlan, "untagged")),
        ("rate", limit(*rate, "MiB/s")),
        ("filtering", if *filtering == Filtering::On { "on" } else { "off" }.to_owned()),
        ("options", list(options.iter().map(|(name, value)| format!("{name}={value}")))),
    ]
}
