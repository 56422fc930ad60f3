//! The rules: one line a step.

use crate::{Backup, Look, Machine, NoteDown, Operation, Remembered, Step, VmRecord, goal};

/// What a step is about.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Nothing is asked of anybody.
    Advance,
    /// Addresses are taken.
    TakeAddresses,
    /// Addresses are given back.
    ReleaseAddresses,
    /// Those addresses are given back that the machine has no more.
    ReleaseRetiring,
    /// The machine's DNS records are set.
    SetDns,
    /// The machine is brought to a goal.
    Reach(Rule),
    /// Nothing is due. Somebody may want to know whether the machine is still there.
    Rest,
}

/// How a machine is brought to a goal.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// What must be looked at.
    pub(crate) look: Look,
    /// What it means that there is no machine.
    pub(crate) absent: WhenAbsent,
    /// What it means that a stranger has our number.
    pub(crate) stranger: WhenStranger,
    /// Compares the order with the machine.
    pub(crate) goal: Goal,
}

/// What it means that there is no machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenAbsent {
    /// It is made.
    Clone,
    /// The goal is reached.
    Done,
    /// It vanished behind our back.
    Vanished,
    /// There is nothing to adopt.
    NotAdopted,
}

/// What it means that a stranger has our number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenStranger {
    /// Ours was never made: it takes another number.
    Renumber,
    /// Ours is gone, for a number is given once in a cluster.
    Done,
    /// Somebody replaced our machine.
    Replaced,
    /// It is not the machine that is to be adopted.
    NotAdopted,
}

/// Compares the order with the machine observed.
pub(crate) type Goal = fn(&VmRecord, &Machine) -> Verdict;

/// The outcome of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It is as ordered.
    Met,
    /// It is not; this makes it so.
    Unmet(crate::Change),
    /// Nobody can see it; unless it is remembered as done, this makes it so.
    Unseen(Remembered, crate::Change),
    /// If the backup is ours: this makes it so, or it is so already.
    IfOurs(Box<Backup>, Option<crate::Change>),
    /// Something must be written down before anything is done.
    Note(NoteDown),
    /// It is on its way.
    UnderWay(String),
    /// As far as can be seen it is as ordered, but not all of it could be looked at. It is tried for a while, and then noted.
    Incomplete(String, NoteDown),
    /// A lock is waited for.
    Locked(String),
    /// It cannot be made so; a human must change something.
    Impossible(String),
    /// It cannot be made so, and nothing was begun yet: the command is refused.
    Refused(String),
}

/// The table.
pub(crate) fn work(record: &VmRecord) -> Work {
    use {Operation as O, WhenAbsent as A, WhenStranger as S};
    let reach =
        |look, goal: Goal| Work::Reach(Rule { look, absent: A::Vanished, stranger: S::Replaced, goal });
    let take_away = |look, goal: Goal| Work::Reach(Rule { look, absent: A::Done, stranger: S::Done, goal });
    let adopt =
        |look, goal: Goal| Work::Reach(Rule { look, absent: A::NotAdopted, stranger: S::NotAdopted, goal });
    let config = Look::CONFIG;
    // The same request shows who sees to it that it runs.
    let power = config.and(Look::POWER).and(Look::HA);
    // One request shows both: what is set, and what of it waits.
    let settings = config.and(Look::PENDING);
    let whole = settings.and(power);
    match record.step.deploys_as() {
        Step::Creation
        // Never asked: they do what a step of a deployment does.
        | Step::CpUpdateIp
        | Step::CpCpuRam
        | Step::CpSystemDiskSize
        | Step::CpSystemDiskBandwidth
        | Step::CpAdditionalDisk
        | Step::CpAdditionalDiskSize
        | Step::CpAdditionalDiskBandwidth
        | Step::CpNetwork
        | Step::CpFirewall
        | Step::CpCloudinit => Work::Advance,
        Step::SetIp | Step::AdoptingIp => Work::TakeAddresses,
        Step::Clone => Work::Reach(Rule {
            look: settings.and(Look::POOL),
            absent: A::Clone,
            stranger: S::Renumber,
            goal: goal::cloned,
        }),
        Step::Migrated => reach(settings, goal::migrated),
        Step::SetCpuRam | Step::SetCloudinit if record.operation == O::SingleStep => {
            reach(whole, goal::set_while_stopped)
        }
        Step::SetCpuRam => reach(settings, goal::cpu_ram),
        Step::SetSystemDiskSize => reach(settings, goal::system_disk_size),
        Step::SetSystemDiskBandwidth => reach(settings, goal::system_disk_bandwidth),
        Step::SetCreatedAdditionalDisk => reach(settings, goal::additional_disks_exist),
        Step::SetAdditionalDiskSize => reach(settings, goal::additional_disk_sizes),
        Step::SetAdditionalDiskBandwidth => reach(settings, goal::additional_disk_bandwidths),
        Step::SetNetwork => reach(settings, goal::network),
        Step::SetFirewall => reach(settings.and(Look::FIREWALL), goal::firewall),
        Step::SetCloudinit if record.operation.deploys() => reach(settings, goal::cloud_init),
        Step::SetCloudinit => reach(settings.and(Look::POWER), goal::told_while_stopped),
        Step::Starting if record.operation.deploys() => {
            reach(settings.and(Look::POWER).and(Look::AGENT), goal::started)
        }
        Step::Starting => reach(power, goal::powered_on),
        Step::Ready | Step::Suspended | Step::Removed | Step::Terminated => Work::Rest,
        Step::Stopping if matches!(record.operation, O::Terminate | O::Reinstall) => {
            take_away(power, goal::stopped)
        }
        Step::Stopping if record.operation == O::ReinstallKeeping => reach(power, goal::stopped_to_exchange),
        Step::Stopping => reach(power, goal::stopped),
        Step::DeletingBackups => take_away(config.and(Look::BACKUPS), goal::backups_deleted),
        Step::Removing if record.operation == O::Remove => take_away(power, goal::removed_while_stopped),
        Step::Removing if record.operation == O::Terminate => {
            take_away(power.and(Look::SNAPSHOTS), goal::removed)
        }
        Step::Removing => take_away(power, goal::removed),
        Step::ReleasingIp => Work::ReleaseAddresses,
        Step::Suspending => reach(power, goal::suspended),
        Step::Unsuspending => reach(whole, goal::unsuspended),
        Step::Resetting => reach(power, goal::reset),
        Step::ChangePackage => reach(settings, goal::package_fits),
        Step::CpStop => reach(whole, goal::stopped_if_needed),
        Step::CpStart => reach(whole, goal::started_again),
        Step::CpReleaseIp => Work::ReleaseRetiring,
        Step::SetDnsRecords => Work::SetDns,
        Step::Reinstall if record.operation == O::ReinstallKeeping => {
            take_away(config.and(Look::SNAPSHOTS), goal::reinstallable)
        }
        Step::Reinstall => take_away(config, goal::reinstallable),
        Step::MovingToTemplate => reach(power, goal::moved_to_template),
        Step::ReplacingSystemDisk => reach(whole.and(Look::SNAPSHOTS), goal::system_disk_replaced),
        Step::FreeingOldDisk => reach(settings, goal::old_disk_freed),
        Step::Snapshotting => reach(config.and(Look::SNAPSHOTS), goal::snapshotted),
        Step::DeletingSnapshot => reach(config.and(Look::SNAPSHOTS), goal::snapshot_deleted),
        Step::RollingBack => reach(power.and(Look::SNAPSHOTS), goal::rolled_back),
        Step::BackingUp => reach(config.and(Look::BACKUPS), goal::backed_up),
        Step::DeletingBackup => reach(config.and(Look::BACKUPS), goal::backup_deleted),
        Step::RestoreBackup => reach(config.and(Look::BACKUPS), goal::restorable),
        Step::StoppingToRestore => reach(power, goal::stopped_to_restore),
        Step::RestoringBackup => reach(power.and(Look::BACKUPS), goal::restored),
        Step::Adopting => adopt(power.and(Look::POOL), goal::adoptable),
        Step::Marking => adopt(settings.and(Look::POWER).and(Look::POOL), goal::marked),
    }
}

/// The goals whose settings one call of the hypervisor can carry together, in the order of their steps.
pub(crate) const CONFIGURED_TOGETHER: &[(Step, Goal)] = &[
    (Step::SetCpuRam, goal::cpu_ram),
    (Step::SetSystemDiskBandwidth, goal::system_disk_bandwidth),
    (Step::SetCreatedAdditionalDisk, goal::additional_disks_exist),
    (Step::SetAdditionalDiskBandwidth, goal::additional_disk_bandwidths),
    (Step::SetNetwork, goal::network),
    (Step::SetCloudinit, goal::cloud_init),
];
