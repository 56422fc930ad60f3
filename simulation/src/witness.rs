use crate::{shown, stage::Stage};
use deploy_core::OwnerMark;
use proxmox_sim::{Cluster, MishapKind};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How soon after they came the machines of strangers are remembered.
const ROUND: Duration = Duration::from_secs(1);

/// Every so many rounds all marks are counted.
const CENSUS: u32 = 30;

/// Remembers what the machines of strangers were when they came, to tell whether anybody touched them.
#[derive(Default)]
pub(crate) struct Witness {
    strangers: Mutex<BTreeMap<u32, Picture>>,
    /// Orders that had two machines at once.
    doubles: Mutex<BTreeSet<String>>,
    /// Addresses that became free while something showed them.
    too_early: Mutex<BTreeSet<String>>,
}

/// A machine and its firewall.
type Picture = (Value, Value);

impl Witness {
    /// Watches out for strangers, also when nothing else goes wrong.
    pub(crate) async fn live(self: Arc<Self>, stage: Arc<Stage>) {
        let mut known = 0;
        for round in 0_u32.. {
            tokio::time::sleep(ROUND).await;
            if round.is_multiple_of(CENSUS) {
                self.count(&stage.sim.with_cluster(|cluster| cluster.state()));
            }
            stage.sim.with_cluster(|cluster| {
                let news: Vec<u32> =
                    cluster.mishaps()[known..].iter().filter_map(|mishap| taken(&mishap.kind)).collect();
                known = cluster.mishaps().len();
                if !news.is_empty() {
                    let shown = cluster.state();
                    let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
                    strangers.extend(news.into_iter().map(|vmid| (vmid, picture(&shown, vmid))));
                }
            });
        }
    }

    /// Every mark is on one machine.
    fn count(&self, state: &Value) {
        let machines = state["vms"].as_object().into_iter().flat_map(Map::values);
        let notes = machines.filter_map(|machine| machine["config"]["description"].as_str());
        let mut seen = BTreeSet::new();
        let twice = notes.filter_map(OwnerMark::find).filter(|mark| !seen.insert(mark.to_string()));
        self.doubles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(twice.map(|mark| mark.to_string()));
    }

    /// Looks whether anything still shows addresses that are given back at this moment: then whoever gets them next would share
    /// them.
    pub(crate) fn see_given_back(&self, addresses: impl Iterator<Item = IpAddr>, cluster: &Cluster) {
        let mut addresses = addresses.peekable();
        if addresses.peek().is_none() {
            return;
        }
        let state = cluster.state();
        let mut too_early = self.too_early.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            let showing = shown::by_firewalls(&state, address).chain(shown::by_machines(&state, address));
            too_early.extend(showing.map(|what| format!("{address} was given back, and {what}")));
        }
    }

    /// What was seen that may never be.
    pub(crate) fn violations(&self) -> Vec<String> {
        let doubles = self.doubles.lock().unwrap_or_else(PoisonError::into_inner);
        let too_early = self.too_early.lock().unwrap_or_else(PoisonError::into_inner);
        let doubles = doubles.iter().map(|mark| format!("two machines at once with the mark {mark}"));
        doubles.chain(too_early.iter().cloned()).collect()
    }

    /// The numbers of strangers.
    pub(crate) fn strangers(&self) -> Vec<u32> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The numbers of strangers whose machines are not what they were.
    pub(crate) fn touched(&self, state: &Value) -> Vec<u32> {
        let strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers
            .iter()
            .filter(|(vmid, was)| picture(state, **vmid) != **was)
            .map(|(vmid, _)| *vmid)
            .collect()
    }
}

fn taken(kind: &MishapKind) -> Option<u32> {
    match kind {
        MishapKind::TakeNumber { machine } => Some(machine.vmid),
        _ => None,
    }
}

/// Its configuration, where it is, and its firewall; not whether it runs, for it may be switched on and off by its node.
fn picture(state: &Value, vmid: u32) -> Picture {
    let machine = &state["vms"][vmid.to_string()];
    (
        serde_json::json!([machine["config"], machine["pending"], machine["node"]]),
        state["firewalls"][vmid.to_string()].clone(),
    )
}
