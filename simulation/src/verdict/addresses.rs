use crate::stage::Stage;
use deploy_core::{AddressStore, Addressing, Step, VmRecord};
use std::{collections::BTreeMap, net::IpAddr};

/// Every address is held once, by whom the record says, and nothing is held for nobody.
pub(super) async fn problems(stage: &Stage, records: &[VmRecord]) -> Vec<String> {
    let mut found = Vec::new();
    let mut holders: BTreeMap<IpAddr, Vec<&str>> = BTreeMap::new();
    let mut all = 0;
    for record in records {
        let name = record.external_ref.as_str();
        let held = stage.store.held(record.key).await.expect("a list");
        all += held.len();
        for held in &held {
            holders.entry(held.address).or_default().push(name);
        }
        let mut held: Vec<IpAddr> = held.iter().map(|held| held.address).collect();
        // A machine that waits for a human keeps what is to be given back until its new order is in force.
        let noted = record.addresses.iter().chain(&record.life.retiring);
        let mut noted: Vec<IpAddr> = noted.map(|held| held.address).collect();
        if record.step.is_rest() && !record.life.retiring.is_empty() {
            found.push(format!("{name}: rests at {}, and addresses were not given back", record.step));
        }
        held.sort_unstable();
        noted.sort_unstable();
        if held != noted {
            found.push(format!("{name}: holds {held:?}, its record says {noted:?}"));
        }
        let retiring = record.life.retiring.len();
        let wanted = if record.step == Step::Terminated { 0 } else { ordered(record) + retiring };
        if held.len() != wanted {
            found.push(format!("{name}: holds {held:?}, and should hold {wanted} addresses"));
        }
    }
    found.extend(
        holders
            .iter()
            .filter(|(_, by)| by.len() > 1)
            .map(|(address, by)| format!("{address} is held by {by:?}")),
    );
    let pools = stage.pools.list().await.expect("pools");
    let counted: u64 = pools.iter().map(|usage| usage.held).sum();
    if counted != all as u64 {
        found.push(format!("the pools count {counted} addresses as held, the machines hold {all}"));
    }
    found
}

fn ordered(record: &VmRecord) -> usize {
    let of = |addressing: &Addressing| match addressing {
        Addressing::Pools(from) => {
            [&from.v4, &from.v6].into_iter().flatten().map(|draw| usize::from(draw.count)).sum()
        }
        Addressing::Dhcp | Addressing::Unmanaged => 0,
    };
    record.spec.nics.iter().map(|nic| of(&nic.addressing)).sum()
}
