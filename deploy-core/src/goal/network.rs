//! NICs.

use super::configured;
use crate::{Configure, Machine, Nic, NicModel, NicSlot, NicSpec, VmRecord, rules::Verdict};
use std::collections::BTreeMap;

/// The NICs are as ordered, and no others are there.
pub(crate) fn network(record: &VmRecord, machine: &Machine) -> Verdict {
    let seen = &machine.config.nics;
    let wanted: BTreeMap<NicSlot, Nic> = wanted(record)
        .map(|(slot, mut nic)| {
            // Options that we do not order (queues, MTU) stay: PVE replaces the whole string.
            // Not those that would let a customer into networks that were not ordered, or keep him from his own.
            nic.options = seen.get(&slot).map(|nic| nic.options.clone()).unwrap_or_default();
            nic.options.retain(|name, _| !["trunks", "link_down"].contains(&name.as_str()));
            (slot, nic)
        })
        .collect();
    configured(Configure {
        remove_nics: seen.keys().copied().filter(|slot| !wanted.contains_key(slot)).collect(),
        nics: wanted.into_iter().filter(|(slot, nic)| seen.get(slot) != Some(nic)).collect(),
        ..Configure::default()
    })
}

/// The NICs of the order with their slots and MACs.
fn wanted(record: &VmRecord) -> impl Iterator<Item = (NicSlot, Nic)> {
    NicSlot::in_order().zip(record.spec.nics.iter().zip(&record.macs)).map(|(slot, (spec, mac))| {
        let NicSpec { bridge, vlan, rate, filtering, model, addressing: _ } = spec;
        let nic = Nic {
            model: model_name(*model).to_owned(),
            mac: *mac,
            bridge: Some(bridge.clone()),
            vlan: *vlan,
            rate: *rate,
            filtering: *filtering,
            options: BTreeMap::new(),
        };
        (slot, nic)
    })
}

fn model_name(model: NicModel) -> &'static str {
    NicModel::ALL.iter().find(|(m, _)| *m == model).map_or("virtio", |(_, name)| name)
}
