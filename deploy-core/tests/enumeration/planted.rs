//! Bugs that are planted on the way to a store or a cluster, never in the code that is shipped.

use deploy_core::*;
use deploy_testkit::world::Cluster;
use std::collections::BTreeSet;

/// A bug, each of which breaks one promise of a seam, or shows the core what a careless look would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// The store writes commits without asking whose lease it is.
    UnfencedCommits,
    /// The pool gives and takes addresses without asking whose lease it is.
    UnfencedPool,
    /// The store writes log line and notice outside of the fenced transaction.
    LogOutside,
    /// The intent is written down after the request.
    IntentLate,
    /// The store gives numbers away as soon as they are free.
    NoRest,
    /// A clone is sent without a look whether there is one.
    NoLook,
    /// A clone whose number is taken is made under another.
    AnotherNumber,
    /// A clone that was not answered is tried again under the next free number.
    NextNumber,
    /// The next free slot is chosen at each try, not once.
    BlindSlot,
    /// Settings are sent without the revision they were decided on.
    NoRevision,
    /// A look that failed says that nothing is there.
    FalseAbsence,
    /// A machine whose destruction began counts as gone.
    ReleasedEarly,
    /// Disks grow by a difference.
    ResizeBy,
    /// Rules are looked for, but not how often they are there.
    RulesUnseen,
    /// A clone that is under way is not seen.
    HiddenClone,
    /// A machine that does not yet show whose it is is judged all the same.
    JudgedWhileBusy,
    /// A machine is started without a look at what is pending.
    PendingUnseen,
    /// A machine is started without another look at its settings.
    DriftUnseen,
    /// A machine is known by its number alone.
    IdentityUnread,
    /// Members of anti-spoofing sets are added, and none is taken out.
    FilterKept,
    /// Whether a machine ran before it was stopped is not written down.
    RanForgotten,
    /// What was sent and not answered is not waited for.
    LateForgotten,
    /// With the disk that was replaced an additional one is unplugged.
    DataDiskDropped,
    /// The system disk is unplugged before the copy that takes its place is made.
    UnpluggedBefore,
    /// Which disk is replaced is not written down.
    OldDiskForgotten,
    /// Which addresses are to be given back is not written down.
    RetiringForgotten,
    /// A backup is known by its number and its age.
    BackupByAge,
    /// A machine that is to be adopted is known by its number alone.
    UuidUnread,
    /// That a machine is not adopted yet is forgotten when its record is terminated.
    AdoptionForgotten,
    /// A machine that is adopted gets some addresses, whichever it has.
    AnyAddress,
}

impl Planted {
    /// What a worker with this bug makes of the record that it claimed.
    pub(crate) fn misread(self, record: &mut VmRecord, cluster: &Cluster) {
        match self {
            Self::NextNumber if is_unanswered_clone(record) => {
                let free = |vmid: &Vmid| !cluster.machines.contains_key(vmid);
                let mut numbers = std::iter::successors(Some(record.numbered.vmid), |vmid| vmid.next());
                let next = numbers.find(free).unwrap();
                record.numbered = Numbered::resolve(&record.spec, &record.external_ref, next).unwrap();
            }
            Self::BlindSlot if !record.slots.is_empty() => {
                let machine = cluster.machines.get(&record.numbered.vmid);
                let free = |slot: &DiskSlot| machine.is_none_or(|machine| !machine.config.is_taken(*slot));
                record.slots =
                    DiskSlot::for_additional_disks().filter(free).take(record.slots.len()).collect();
            }
            Self::RanForgotten => record.life.ran = false,
            Self::OldDiskForgotten => {
                if let Some(replacing) = &mut record.life.replacing {
                    replacing.old = None;
                }
            }
            Self::RetiringForgotten => record.life.retiring.clear(),
            Self::AdoptionForgotten
                if record.pending.iter().any(|queued| queued.command == Command::LetGo) =>
            {
                record.life.adopts = None;
                record.pending.iter_mut().for_each(|queued| queued.command = Command::Terminate);
            }
            Self::LateForgotten => {
                let late = [Remembered::StartInDoubt, Remembered::StopInDoubt, Remembered::DestroyInDoubt];
                record.remembered.retain(|known| !late.contains(known));
            }
            _ => {}
        }
    }

    /// What a worker with this bug makes of what it saw, given what it had been shown before.
    pub(crate) fn missee(
        self,
        record: &VmRecord,
        seen: Sighting,
        before: Option<&MachineConfig>,
    ) -> Sighting {
        let busy = |machine: &Machine| machine.lock.as_deref() == Some("clone");
        match (self, seen) {
            (Self::FalseAbsence, Sighting::Unknown(_)) => Sighting::ProvenAbsent,
            (Self::NoLook, _) if record.step == Step::Clone && !has_cloned(record) => Sighting::ProvenAbsent,
            (Self::HiddenClone, Sighting::Seen(machine)) if busy(&machine) => Sighting::ProvenAbsent,
            (Self::JudgedWhileBusy, Sighting::Seen(mut machine)) if busy(&machine) => {
                machine.lock = None;
                Sighting::Seen(machine)
            }
            (Self::RulesUnseen, Sighting::Seen(mut machine)) => {
                if let Some(firewall) = machine.firewall.as_mut().filter(|seen| seen.rules.len() > 2) {
                    firewall.rules.truncate(2);
                }
                Sighting::Seen(machine)
            }
            (Self::FilterKept, Sighting::Seen(mut machine)) => {
                let held: BTreeSet<_> = record.addresses.iter().map(|held| held.address).collect();
                if let Some(firewall) = &mut machine.firewall {
                    let members = firewall.filters.values_mut();
                    members.for_each(|members| members.retain(|net| held.contains(&net.addr())));
                }
                Sighting::Seen(machine)
            }
            (Self::PendingUnseen, Sighting::Seen(mut machine)) => {
                machine.pending = machine.pending.map(|_| BTreeSet::default());
                Sighting::Seen(machine)
            }
            (Self::DriftUnseen, Sighting::Seen(mut machine)) if record.step == Step::Starting => {
                let revision = machine.config.revision.clone();
                machine.config = before.cloned().unwrap_or(machine.config);
                machine.config.revision = revision;
                Sighting::Seen(machine)
            }
            (Self::IdentityUnread, Sighting::Seen(mut machine)) => {
                machine.config.description = record.mark().to_string();
                machine.config.smbios = record.smbios.or(machine.config.smbios);
                Sighting::Seen(machine)
            }
            (Self::UuidUnread, Sighting::Seen(mut machine)) => {
                machine.config.smbios = record.smbios.or(machine.config.smbios);
                Sighting::Seen(machine)
            }
            (_, seen) => seen,
        }
    }
}

fn is_unanswered_clone(record: &VmRecord) -> bool {
    matches!(&record.progress, Progress::Intended { change, .. } if change.kind == ChangeKind::Clone)
}

fn has_cloned(record: &VmRecord) -> bool {
    record.smbios.is_some() || matches!(record.progress, Progress::Applied { .. })
}
