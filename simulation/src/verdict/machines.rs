use super::{ordered, volumes};
use crate::{
    customer::Wish,
    expected::Expected,
    people::{Acts, People},
    stage::{Stage, vmids},
};
use deploy_core::{OwnerMark, Step, VmKey, VmRecord};
use proxmox_sim::Counters;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What the cluster shows that nobody ordered, twice, or otherwise than it was ordered.
pub(super) fn problems(
    stage: &Stage,
    people: &People,
    records: &[VmRecord],
    wishes: &BTreeMap<VmKey, Wish>,
    told: &str,
) -> Vec<String> {
    let (shown, counters) = stage.sim.with_cluster(|cluster| (cluster.state(), cluster.counters().clone()));
    let empty = Map::new();
    let machines = shown["vms"].as_object().unwrap_or(&empty);
    let living: Vec<&VmRecord> = records.iter().filter(|record| record.step != Step::Terminated).collect();
    let mut found = Vec::new();
    for record in &living {
        let Some(wish) = wishes.get(&record.key) else { continue };
        let expected = Expected::of(record, wish);
        let problems = problems_of(record, &expected, machines, &shown["firewalls"], people, &counters);
        let (name, vmid) = (record.external_ref.as_str(), record.numbered.vmid);
        found.extend(problems.into_iter().map(|problem| format!("{name} ({vmid}): {problem}")));
    }
    found.extend(left_over(stage, people, machines, &living, &counters));
    found.extend(stage.witness.touched(&shown).iter().map(|vmid| format!("the stranger {vmid} was touched")));
    if !arrives_twice(&counters) {
        let firewalls = shown["firewalls"].as_object().unwrap_or(&empty).keys();
        // PVE takes parts of a firewall for a machine that somebody destroyed a moment ago.
        let is_known = |vmid: &str| vmid.parse().is_ok_and(|vmid| people.replaced(vmid));
        let stray = firewalls.filter(|vmid| !machines.contains_key(*vmid) && !is_known(vmid));
        found.extend(stray.map(|vmid| format!("the firewall of {vmid} is left over")));
    }
    found.extend(
        counters
            .off_schema
            .iter()
            .map(|refused| format!("a request that the API does not know: {refused:?}")),
    );
    found.extend(volumes::problems(&shown, machines, people, told));
    found
}

fn problems_of(
    record: &VmRecord,
    expected: &Expected,
    machines: &Map<String, Value>,
    firewalls: &Value,
    people: &People,
    counters: &Counters,
) -> Vec<String> {
    let vmid = record.numbered.vmid.get();
    match machines.get(&vmid.to_string()) {
        None if record.step == Step::Removed => Vec::new(),
        Some(machine) if record.step == Step::Removed => {
            if machine["stranger"] == true {
                Vec::new()
            } else {
                vec!["it was removed, and is there".to_owned()]
            }
        }
        // Somebody took it away: that is noticed, and it is deployed anew where that was ordered.
        None if people.replaced(vmid) && record.attention.is_some() => Vec::new(),
        None => vec!["there is no machine".to_owned()],
        // It stands, and said why.
        Some(_) if people.may_stand(record) => Vec::new(),
        // A stranger has the number since somebody took ours away.
        Some(machine)
            if machine["stranger"] == true && people.replaced(vmid) && record.attention.is_some() =>
        {
            Vec::new()
        }
        Some(machine) => {
            let firewall = &firewalls[vmid.to_string()];
            let clones = counters.clones.get(&vmid).copied().unwrap_or(0);
            let none = Acts::default();
            let acts = people.acts(vmid, machine).unwrap_or(&none);
            // A machine that is made anew is not what the one before was.
            let replaced = people.replaced(vmid);
            let mut problems = ordered::machine(record, expected, machine, acts, replaced);
            problems.extend(ordered::firewall(record, firewall, arrives_twice(counters), acts));
            // One more where people took the first away.
            // The count begins anew with another number.
            if !(1..=expected.clones).contains(&clones) && !replaced {
                problems.push(format!("was cloned {clones} times, and should be {}", expected.clones));
            }
            problems
        }
    }
}

/// Machines under our numbers that belong neither to an order nor to a stranger.
fn left_over(
    stage: &Stage,
    people: &People,
    machines: &Map<String, Value>,
    living: &[&VmRecord],
    counters: &Counters,
) -> Vec<String> {
    let (first, last) = vmids(&stage.plan);
    let strangers = stage.witness.strangers();
    let seen: BTreeSet<u32> = living.iter().map(|record| record.numbered.vmid.get()).collect();
    let mut found = Vec::new();
    for (vmid, machine) in machines {
        let number: u32 = vmid.parse().unwrap_or(0);
        let notes = machine["config"]["description"].as_str().unwrap_or_default();
        let mark = OwnerMark::find(notes);
        // Whoever takes our mark off a machine that has no other sign yet makes it his own.
        let adopted = mark.is_none()
            && people.acts(number, machine).is_some_and(|acts| acts.options.contains("description"));
        // A clone that was answered and comes once more after its machine was taken away: nobody can know.
        let again = mark.is_some()
            && counters.faults.contains_key("duplicate")
            && counters.clones.get(&number).is_some_and(|count| *count > 1);
        let is_known = seen.contains(&number) || strangers.contains(&number) || adopted || again;
        if (first..=last).contains(&number) && !is_known {
            found.push(format!("machine {vmid} is left over ({mark:?}): {machine}"));
        }
    }
    found
}

/// Requests were carried out a second time, after they were answered: nobody can know, unless he looks for ever.
fn arrives_twice(counters: &Counters) -> bool {
    counters.faults.contains_key("duplicate")
}
