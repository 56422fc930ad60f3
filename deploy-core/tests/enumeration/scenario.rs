//! What is done, and to what.

use crate::wire::Planted;
use deploy_core::*;
use deploy_testkit::{
    sample,
    world::{Cluster, ModelMachine},
};
use jiff::SignedDuration;

/// Where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// A fresh order.
    Order,
    /// The termination of a ready machine.
    Ready,
    /// The termination of a machine whose clone is under way.
    Cloning,
}

#[derive(Clone)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) spec: VmSpec,
    pub(crate) start: Start,
    /// A stranger's machine has the first number.
    pub(crate) stranger: bool,
    /// The order is taken back as soon as its first worker is gone.
    pub(crate) taken_back: bool,
    /// Every third look fails.
    pub(crate) looks_fail: bool,
    /// A clone takes longer than any request that was lost may.
    pub(crate) clones_slowly: bool,
    pub(crate) planted: Option<Planted>,
}

impl Scenario {
    fn new(name: &'static str, spec: VmSpec, start: Start) -> Self {
        Self {
            name,
            spec,
            start,
            stranger: false,
            taken_back: false,
            looks_fail: false,
            clones_slowly: false,
            planted: None,
        }
    }

    /// The creation of a small linked clone.
    pub(crate) fn small() -> Self {
        Self::new("create, small", small(), Start::Order)
    }

    /// The creation of a machine with every option.
    pub(crate) fn full() -> Self {
        Self::new("create, full", full(), Start::Order)
    }

    pub(crate) fn small_with_stranger() -> Self {
        Self { name: "create, small, number taken", stranger: true, ..Self::small() }
    }

    pub(crate) fn full_with_stranger() -> Self {
        Self { name: "create, full, number taken", stranger: true, ..Self::full() }
    }

    pub(crate) fn terminate_ready() -> Self {
        Self::new("terminate, ready", small(), Start::Ready)
    }

    pub(crate) fn terminate_blindly() -> Self {
        Self { name: "terminate, looks fail", looks_fail: true, ..Self::terminate_ready() }
    }

    pub(crate) fn terminate_beside_stranger() -> Self {
        Self { name: "terminate, cloning, number taken", stranger: true, ..Self::terminate_cloning() }
    }

    pub(crate) fn terminate_cloning() -> Self {
        Self::new("terminate, cloning", full(), Start::Cloning)
    }

    /// A creation that is taken back while its worker is gone.
    pub(crate) fn taken_back() -> Self {
        Self { name: "create, taken back", taken_back: true, ..Self::small() }
    }

    pub(crate) fn taken_back_slowly() -> Self {
        Self { name: "create, slow clone, taken back", clones_slowly: true, ..Self::taken_back() }
    }

    pub(crate) fn full_taken_back() -> Self {
        Self { name: "create, full, taken back", taken_back: true, ..Self::full() }
    }

    pub(crate) fn planted(self, bug: Planted) -> Self {
        Self { planted: Some(bug), ..self }
    }

    pub(crate) fn terminates(&self) -> bool {
        self.taken_back || self.start != Start::Order
    }

    pub(crate) fn set_up(&self, cluster: &mut Cluster) {
        cluster.add(self.spec.template.vmid, template());
        cluster.add(sample::vmid(if self.stranger { 100 } else { 500 }), stranger());
        cluster.configures_by_task = self.spec.clone != CloneMode::Linked;
        cluster.shows_pools = true;
        if self.clones_slowly {
            cluster.timing.clone = SignedDuration::from_mins(5);
        }
    }
}

pub(crate) fn template() -> ModelMachine {
    let mut template = ModelMachine::template(sample::parsed("node1"));
    template.config.agent = true;
    template
}

pub(crate) fn stranger() -> ModelMachine {
    let mut stranger = ModelMachine::template(sample::parsed("node2"));
    stranger.template = false;
    stranger.power = Power::Running;
    "a neighbour's".clone_into(&mut stranger.config.description);
    stranger.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(2)));
    for disk in stranger.config.disks.values_mut() {
        "local:strange-disk-0".clone_into(&mut disk.volume);
    }
    stranger
}

fn nic(from: FromPools) -> NicSpec {
    NicSpec {
        bridge: sample::parsed("vmbr0"),
        vlan: None,
        rate: Limit::Unlimited,
        filtering: Filtering::On,
        model: NicModel::Virtio,
        addressing: Addressing::Pools(from),
    }
}

fn draw(count: u8, pool: &str) -> Draw {
    Draw { count, pools: vec![sample::parsed(pool)] }
}

fn small() -> VmSpec {
    VmSpec { nics: vec![nic(FromPools { v4: Some(draw(1, "public-v4")), v6: None })], ..sample::spec() }
}

fn full() -> VmSpec {
    let sample = sample::full_spec();
    let rule = |port: &str| FirewallRule {
        dest_port: Some(port.to_owned()),
        ..sample.firewall.clone().unwrap().rules.remove(0)
    };
    let rules = ["22", "443"].map(rule).into();
    VmSpec {
        domain: sample::parsed("vps-{vmid}.example.net"),
        pve_name: sample::parsed("vps-{vmid}"),
        nics: vec![nic(FromPools { v4: Some(draw(2, "public-v4")), v6: Some(draw(1, "public-v6")) })],
        firewall: sample.firewall.clone().map(|firewall| FirewallSpec { rules, ..firewall }),
        additional_disks: sample.additional_disks[..1].to_vec(),
        ready_when: ReadyWhen::AgentAnswers,
        ..sample
    }
}
