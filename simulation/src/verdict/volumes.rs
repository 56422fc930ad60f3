use crate::people::People;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Volumes that two machines name, and such that none names and nobody was told of.
pub(super) fn problems(
    state: &Value,
    machines: &Map<String, Value>,
    people: &People,
    told: &str,
) -> Vec<String> {
    let mut named: BTreeMap<(String, String), usize> = BTreeMap::new();
    for machine in machines.values() {
        let options = machine["config"].as_object();
        let volumes: BTreeSet<&str> = options
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_str)
            .filter_map(|value| value.split(',').next())
            .filter(|volume| volume.contains(':'))
            .collect();
        for volume in volumes {
            let node = machine["node"].as_str().unwrap_or_default().to_owned();
            *named.entry((node, volume.to_owned())).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for volume in state["volumes"].as_array().into_iter().flatten() {
        let (volid, node) = (volume["volid"].as_str().unwrap_or_default(), volume["node"].as_str());
        let naming = named
            .iter()
            .filter(|((on, name), _)| name == volid && node.is_none_or(|node| node == on || node.is_empty()));
        let count: usize = naming.map(|(_, count)| count).sum();
        let is_image = volume["content"] == "images";
        // Whoever takes a machine away leaves what it does not name; it is looked for when the order is taken back.
        let owner = volume["owner"].as_u64().and_then(|owner| u32::try_from(owner).ok());
        // Where storages could not be read for long enough, that is said of this very machine, and no volume is named.
        let unknown =
            |vmid| told.contains(&format!("{vmid}: noted: it is not known whether volumes are left behind"));
        let excuses = |vmid| people.replaced(vmid) || unknown(vmid);
        let is_told = count == 0 && (told.contains(volid) || owner.is_some_and(excuses));
        if is_image && count != 1 && !is_told {
            found.push(format!("volume {volid} of {node:?} is named by {count} machines"));
        }
    }
    found
}
