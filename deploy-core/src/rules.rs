//! The rules: one line a step.

use crate::{Look, Machine, NoteDown, Remembered, Step, VmRecord, goal};

/// What a step is about.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Nothing is asked of anybody.
    Advance,
    /// Addresses are taken.
    TakeAddresses,
    /// Addresses are given back.
    ReleaseAddresses,
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
    /// Something must be written down before anything is done.
    Note(NoteDown),
    /// It is on its way.
    UnderWay(String),
    /// A lock is waited for.
    Locked(String),
    /// It cannot be made so; a human must change something.
    Impossible(String),
}

/// The table.
pub(crate) fn work(step: Step) -> Work {
    use {WhenAbsent as A, WhenStranger as S};
    let reach =
        |look, goal: Goal| Work::Reach(Rule { look, absent: A::Vanished, stranger: S::Replaced, goal });
    let take_away = |look, goal: Goal| Work::Reach(Rule { look, absent: A::Done, stranger: S::Done, goal });
    let config = Look::CONFIG;
    // One request shows both: what is set, and what of it waits.
    let settings = config.and(Look::PENDING);
    match step {
        Step::Creation => Work::Advance,
        Step::SetIp => Work::TakeAddresses,
        Step::Clone => Work::Reach(Rule {
            look: settings.and(Look::POOL),
            absent: A::Clone,
            stranger: S::Renumber,
            goal: goal::cloned,
        }),
        Step::Migrated => reach(settings, goal::migrated),
        Step::SetCpuRam => reach(settings, goal::cpu_ram),
        Step::SetSystemDiskSize => reach(settings, goal::system_disk_size),
        Step::SetSystemDiskBandwidth => reach(settings, goal::system_disk_bandwidth),
        Step::SetCreatedAdditionalDisk => reach(settings, goal::additional_disks_exist),
        Step::SetAdditionalDiskSize => reach(settings, goal::additional_disk_sizes),
        Step::SetAdditionalDiskBandwidth => reach(settings, goal::additional_disk_bandwidths),
        Step::SetNetwork => reach(settings, goal::network),
        Step::SetFirewall => reach(settings.and(Look::FIREWALL), goal::firewall),
        Step::SetCloudinit => reach(settings, goal::cloud_init),
        Step::Starting => reach(settings.and(Look::POWER).and(Look::AGENT), goal::started),
        Step::Ready | Step::Terminated => Work::Rest,
        Step::Stopping => take_away(config.and(Look::POWER), goal::stopped),
        Step::DeletingBackups => take_away(config.and(Look::BACKUPS), goal::backups_deleted),
        Step::Removing => take_away(config.and(Look::POWER), goal::removed),
        Step::ReleasingIp => Work::ReleaseAddresses,
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
