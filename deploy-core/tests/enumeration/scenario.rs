//! What is done, and to what.

use crate::{adoption::adoptee, commanded::Commanded, planted::Planted};
use deploy_core::*;
use deploy_testkit::{
    sample,
    world::{Cluster, Delivery, Effect, Fault, LookFault, ModelMachine},
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
    /// A command of a ready machine.
    Commanded,
    /// The adoption of a machine that somebody else made.
    Adoption,
}

/// What goes wrong besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Nothing,
    /// Every third look fails.
    LooksFail,
    /// Every second change fails, half-way where it can.
    HalfDone,
    /// The first change, which is the clone, arrives when nobody waits for it any more.
    CloneLate,
    /// The first change arrives when nobody waits for it any more, and takes some time to be gone; so it is sent again.
    SecondLate,
}

/// What happens as soon as the first worker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Nothing,
    /// The order is taken back.
    TakenBack,
    /// An operator takes the machine out of the workers' hands and gives it back, and the order is taken back between.
    HeldAndTakenBack,
    /// The machine is suspended.
    Suspended,
    /// Somebody changes settings of the stopped machine and leaves one of them pending.
    Meddled,
    /// Somebody takes the machine away and makes another one under its number.
    Replaced,
    /// Somebody takes the machine away, once its identity was noted; whoever finds out orders a look.
    Vanished,
    /// The clone's worker is killed, and an operator takes away what it left.
    CloneKilled,
}

#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) spec: VmSpec,
    pub(crate) start: Start,
    /// What is commanded, where it starts with that.
    pub(crate) commanded: Option<Commanded>,
    /// A stranger's machine has the first number.
    pub(crate) stranger: bool,
    pub(crate) meanwhile: Meanwhile,
    pub(crate) trouble: Trouble,
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
            commanded: None,
            stranger: false,
            meanwhile: Meanwhile::Nothing,
            trouble: Trouble::Nothing,
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

    /// Somebody takes the machine away, and its backups stay.
    pub(crate) fn terminate_vanished() -> Self {
        Self { name: "terminate, vanished", meanwhile: Meanwhile::Vanished, ..Self::terminate_ready() }
    }

    pub(crate) fn terminate_blindly() -> Self {
        Self { name: "terminate, looks fail", trouble: Trouble::LooksFail, ..Self::terminate_ready() }
    }

    pub(crate) fn terminate_replaced() -> Self {
        Self { name: "terminate, replaced", meanwhile: Meanwhile::Replaced, ..Self::terminate_ready() }
    }

    pub(crate) fn terminate_beside_stranger() -> Self {
        Self { name: "terminate, cloning, number taken", stranger: true, ..Self::terminate_cloning() }
    }

    pub(crate) fn terminate_cloning() -> Self {
        Self::new("terminate, cloning", full(), Start::Cloning)
    }

    /// A creation that is taken back while its worker is gone.
    pub(crate) fn taken_back() -> Self {
        Self { name: "create, taken back", meanwhile: Meanwhile::TakenBack, ..Self::small() }
    }

    pub(crate) fn taken_back_slowly() -> Self {
        Self { name: "create, slow clone, taken back", clones_slowly: true, ..Self::taken_back() }
    }

    pub(crate) fn full_taken_back() -> Self {
        Self { name: "create, full, taken back", meanwhile: Meanwhile::TakenBack, ..Self::full() }
    }

    pub(crate) fn taken_back_late() -> Self {
        Self { name: "create, clone late, taken back", trouble: Trouble::CloneLate, ..Self::taken_back() }
    }

    pub(crate) fn small_late() -> Self {
        Self { name: "create, clone late", trouble: Trouble::CloneLate, ..Self::small() }
    }

    pub(crate) fn full_half_done() -> Self {
        Self { name: "create, full, half done", trouble: Trouble::HalfDone, ..Self::full() }
    }

    pub(crate) fn vanished() -> Self {
        let when_vanished = WhenVanished::Redeploy;
        let scenario = Self::new("create, vanished, anew", VmSpec { when_vanished, ..small() }, Start::Order);
        Self { meanwhile: Meanwhile::Vanished, ..scenario }
    }

    /// The machine's name does not tell its number, so that it is the same under another.
    pub(crate) fn replaced() -> Self {
        let vanished = Self::vanished();
        let (domain, pve_name) = (sample::parsed("vps.example.net"), sample::parsed("vps"));
        let spec = VmSpec { domain, pve_name, ..vanished.spec.clone() };
        Self { name: "create, replaced, anew", spec, meanwhile: Meanwhile::Replaced, ..vanished }
    }

    pub(crate) fn clone_killed() -> Self {
        let meanwhile = Meanwhile::CloneKilled;
        Self { name: "create, slow clone, killed", clones_slowly: true, meanwhile, ..Self::small() }
    }

    pub(crate) fn full_meddled() -> Self {
        Self { name: "create, full, meddled with", meanwhile: Meanwhile::Meddled, ..Self::full() }
    }

    pub(crate) fn planted(self, bug: Planted) -> Self {
        Self { planted: Some(bug), ..self }
    }

    /// Whether a machine that is missing is made anew.
    pub(crate) fn redeploys(&self) -> bool {
        self.spec.when_vanished == WhenVanished::Redeploy
            && matches!(self.meanwhile, Meanwhile::Vanished | Meanwhile::Replaced)
    }

    pub(crate) fn terminates(&self) -> bool {
        matches!(self.meanwhile, Meanwhile::TakenBack | Meanwhile::HeldAndTakenBack)
            || matches!(self.start, Start::Ready | Start::Cloning)
    }

    /// Whether the machine that is terminated has backups, and its number one of somebody else's.
    pub(crate) fn has_backups(&self) -> bool {
        self.start == Start::Ready
    }

    pub(crate) fn set_up(&self, cluster: &mut Cluster) {
        cluster.add(self.spec.template.vmid, template());
        cluster.add(sample::vmid(if self.stranger { 100 } else { 500 }), stranger());
        if self.start == Start::Adoption {
            cluster.add(sample::vmid(150), adoptee());
        }
        cluster.configures_by_task = self.spec.clone != CloneMode::Linked;
        cluster.shows_pools = true;
        if self.clones_slowly {
            cluster.timing.clone = SignedDuration::from_mins(5);
        }
    }

    pub(crate) fn make_trouble(&self, cluster: &mut Cluster) {
        let faults = &mut cluster.faults;
        match self.trouble {
            Trouble::Nothing => {}
            Trouble::LooksFail => {
                let looks = [None, None, Some(LookFault::Unreachable)];
                faults.looks.extend(looks.iter().cycle().take(300).copied());
            }
            Trouble::HalfDone => {
                let half = Fault { effect: Effect::HalfDone, ..Fault::default() };
                faults.changes.extend([Fault::default(), half].iter().cycle().take(300).copied());
            }
            Trouble::CloneLate | Trouble::SecondLate => {
                let delivery = Delivery::Late(SignedDuration::from_secs(45));
                faults.changes.push_back(Fault { delivery, ..Fault::default() });
            }
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
