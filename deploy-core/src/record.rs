//! The record of one machine: what was bought, what was fixed, and how far it is.

use crate::{
    Adopted, Assignment, Change, ChangeKind, DiskSlot, DnsName, ExternalRef, Invalid, Life, MacAddr, Machine,
    MachineId, NameParts, NodeName, Operation, OwnerMark, QueuedCommand, Remembered, SmbiosUuid, Step,
    TaskId, VmKey, VmSpec, Vmid,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An order on its way into a store: complete but for its number, which the store reserves.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRecord {
    /// The key.
    pub key: VmKey,
    /// The embedder's reference.
    pub external_ref: ExternalRef,
    /// The order.
    pub spec: VmSpec,
    /// One MAC for each NIC of the order.
    pub macs: Vec<MacAddr>,
    /// The embedder's own data.
    pub metadata: serde_json::Value,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// The machine that the record is made for, where that is there already. Its number is reserved, and no other.
    pub adopts: Option<Adopted>,
}

impl NewRecord {
    /// The record with this number. Called by a store, inside the transaction that reserves the number.
    ///
    /// # Errors
    /// [`Invalid`] where a name pattern gives no DNS name with this number.
    pub fn numbered(&self, vmid: Vmid) -> Result<VmRecord, Invalid> {
        let operation = if self.adopts.is_some() { Operation::Adopt } else { Operation::Create };
        Ok(VmRecord {
            key: self.key,
            external_ref: self.external_ref.clone(),
            numbered: Numbered::resolve(&self.spec, &self.external_ref, vmid)?,
            spec: self.spec.clone(),
            macs: self.macs.clone(),
            metadata: self.metadata.clone(),
            created_at: self.created_at,
            operation,
            step: operation.first(),
            progress: Progress::Untried,
            failures: 0,
            due: Due::At(self.created_at),
            attention: None,
            waiting: None,
            node: self.adopts.as_ref().map_or(&self.spec.template.node, |adopts| &adopts.node).clone(),
            smbios: self.adopts.as_ref().map(|adopts| adopts.smbios),
            slots: Vec::new(),
            addresses: Vec::new(),
            remembered: BTreeSet::new(),
            life: Life { adopts: self.adopts.clone(), ..Life::default() },
            pending: Vec::new(),
        })
    }
}

/// The number of a machine and the names made from it; they change together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// The number.
    pub vmid: Vmid,
    /// The guest's fully qualified domain name.
    pub fqdn: DnsName,
    /// The name in PVE.
    pub pve_name: DnsName,
}

impl Numbered {
    /// The names that `spec` gives a machine with this number.
    ///
    /// # Errors
    /// [`Invalid`] where a pattern gives no DNS name, and where cloud-init would call the guest otherwise than `domain`.
    pub fn resolve(spec: &VmSpec, reference: &ExternalRef, vmid: Vmid) -> Result<Self, Invalid> {
        let parts = NameParts { vmid, reference, cluster: &spec.cluster, node: &spec.node };
        let fqdn = spec.domain.resolve(parts).map_err(|e| e.at("domain"))?;
        let pve_name = spec.pve_name.resolve(parts).map_err(|e| e.at("pve_name"))?;
        // The guest would be called otherwise than it was sold as.
        if spec.cloud_init.is_some() && pve_name != fqdn && pve_name.as_str() != fqdn.host() {
            let expected = format!(
                "the domain ({fqdn}) or its first label ({}): PVE gives cloud-init the machine's name as the guest's",
                fqdn.host()
            );
            return Err(Invalid::new("pve_name", &pve_name, expected));
        }
        Ok(Self { vmid, fqdn, pve_name })
    }
}

/// The record of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct VmRecord {
    /// The key, for ever.
    pub key: VmKey,
    /// The embedder's reference.
    pub external_ref: ExternalRef,
    /// The number and the names.
    pub numbered: Numbered,
    /// The order.
    pub spec: VmSpec,
    /// The MAC of each NIC, in the order of `spec.nics`; ours, fixed when the order was taken.
    pub macs: Vec<MacAddr>,
    /// The embedder's own data.
    pub metadata: serde_json::Value,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// What is being done.
    pub operation: Operation,
    /// What is due.
    pub step: Step,
    /// How far the step is.
    pub progress: Progress,
    /// Failures of this step in a row.
    pub failures: u32,
    /// When it is looked at next.
    pub due: Due,
    /// What a human has to see to, if anything.
    pub attention: Option<Attention>,
    /// What it waits for, if its last turn found something under way.
    pub waiting: Option<Waiting>,
    /// The node it was last seen on; before the clone, the template's.
    pub node: NodeName,
    /// The identity of the incarnation that we made, recorded after the clone; or of the one that is adopted.
    pub smbios: Option<SmbiosUuid>,
    /// The slot of each additional disk, in the order of `spec.additional_disks`; empty until fixed.
    pub slots: Vec<DiskSlot>,
    /// The addresses it holds.
    pub addresses: Vec<Assignment>,
    /// What cannot be read back from the machine.
    pub remembered: BTreeSet<Remembered>,
    /// What commands have made of it.
    pub life: Life,
    /// Commands that have come and were not looked at yet, oldest first.
    pub pending: Vec<QueuedCommand>,
}

impl VmRecord {
    /// Where the machine is expected.
    pub fn machine_id(&self) -> MachineId {
        MachineId { cluster: self.spec.cluster.clone(), vmid: self.numbered.vmid, node: self.node.clone() }
    }

    /// Our mark on it.
    pub fn mark(&self) -> OwnerMark {
        OwnerMark(self.key)
    }

    /// The identity by which `machine` is to be judged: the recorded one. But one clone may have arrived after another of
    /// ours was taken away, with an identity that nobody recorded. Then the mark decides, as it does for every clone.
    pub(crate) fn identity_of(&self, machine: &Machine) -> Option<SmbiosUuid> {
        let shown = machine.shown();
        let another =
            shown.mark == Some(self.mark()) && shown.smbios.is_some() && shown.smbios != self.smbios;
        let doubts = [Remembered::CloneInDoubt, Remembered::CloneAwaited];
        let may_arrive = doubts.iter().any(|doubt| self.remembered.contains(doubt));
        self.smbios.filter(|_| !(another && may_arrive && self.is_taken_away()))
    }

    /// The node that a migration takes it to.
    pub fn bound_for(&self) -> &NodeName {
        let for_template = matches!(self.step, Step::MovingToTemplate | Step::ReplacingSystemDisk);
        if for_template { &self.spec.template.node } else { &self.spec.node }
    }

    /// Whether what is there now is on its way out, whatever comes after it.
    pub(crate) fn is_taken_away(&self) -> bool {
        match self.operation {
            Operation::Terminate => true,
            _ => {
                self.step == Step::Removing
                    || self.operation == Operation::Reinstall && self.step == Step::Stopping
            }
        }
    }

    /// Whether the attention that is raised is about this wait, or says it among other things.
    pub(crate) fn was_told_of(&self, why: &str) -> bool {
        self.attention.as_ref().is_some_and(|attention| attention.message.contains(why))
    }

    /// The step that was completed last.
    pub fn last_completed(&self) -> Option<Step> {
        self.step.last_completed(self.operation)
    }
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// Nothing was asked yet.
    Untried,
    /// It is written down that a change goes out now. Found after a crash, it means: the outcome is unknown, look first.
    Intended {
        /// What goes out.
        change: Sending,
        /// Since when.
        at: Timestamp,
    },
    /// A task of the hypervisor works on it.
    Submitted {
        /// The task.
        task: TaskId,
        /// What it does.
        change: Sending,
    },
    /// The change was carried out; what remains is to see it.
    Applied {
        /// [`Change::fingerprint`](crate::Change::fingerprint) of the change.
        fingerprint: u64,
    },
}

/// What must be known of a change that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// Its kind.
    pub kind: ChangeKind,
    /// Its [`fingerprint`](crate::Change::fingerprint).
    pub fingerprint: u64,
    /// What to remember if it succeeds.
    pub remember: BTreeSet<Remembered>,
    /// What this very sending put in doubt, and its answer resolves. A doubt that an earlier one left, whose answer
    /// was lost, is not this one's to resolve: that request may still arrive.
    #[serde(default)]
    pub doubt: Option<Remembered>,
}

impl From<&Change> for Sending {
    fn from(change: &Change) -> Self {
        Self {
            kind: change.kind(),
            fingerprint: change.fingerprint(),
            remember: change.remembered(),
            doubt: change.doubt(),
        }
    }
}

/// When a record is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time, or as soon as a command comes.
    At(Timestamp),
    /// When a command comes.
    OnCommand,
}

/// Something that a human has to see to. It never ends the retrying: once mended, the machine goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Since when.
    pub since: Timestamp,
    /// At which step.
    pub step: Step,
    /// What it is, in words.
    pub message: String,
}

/// Something that is under way and is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Since when; kept for as long as it is the same.
    pub since: Timestamp,
    /// For what, in words.
    pub why: String,
    /// Since when nobody has been at work on it, if that is known.
    #[serde(default)]
    pub idle_since: Option<Timestamp>,
}
