//! The machine runs, and is what the order calls ready.

use super::{commanded::paused, configured, firewall};
use crate::{
    Agent, Change, Configure, Machine, NoteDown, Power, Progress, ReadyWhen, Remembered, VmRecord,
    rules::{CONFIGURED_TOGETHER, Verdict},
};

const NO_AGENT: &str =
    "ready_when: the template has no guest agent switched on (PVE: Options, QEMU Guest Agent)";

/// The machine runs as ordered and shows it.
pub(crate) fn started(record: &VmRecord, machine: &Machine) -> Verdict {
    match &machine.power {
        // The suspension that waits sees to one that was started already; of any other all is done but the start itself.
        Some(Power::Running | Power::Suspended(_)) if record.life.suspended.is_some() => Verdict::Met,
        None | Some(Power::Stopped) if record.life.suspended.is_some() => match startable(record, machine) {
            Verdict::Unmet(Change::Start) => Verdict::Met,
            other => other,
        },
        None | Some(Power::Stopped) => startable(record, machine),
        Some(Power::Running) => running(record, machine),
        Some(Power::Suspended(word)) => paused(word),
    }
}

/// It is started only when its configuration is as ordered and nothing is pending: a failed call leaves a random part of
/// its settings written, and the next start would apply it.
pub(super) fn startable(record: &VmRecord, machine: &Machine) -> Verdict {
    let drift = CONFIGURED_TOGETHER
        .iter()
        .map(|(_, goal)| goal(record, machine))
        .chain([super::system_disk_size(record, machine), super::additional_disk_sizes(record, machine)])
        .find(|verdict| *verdict != Verdict::Met);
    if let Some(drift) = drift {
        return drift;
    }
    if let Some(verdict) = rules_in_doubt(record, machine) {
        return verdict;
    }
    match &machine.pending {
        Some(pending) if !pending.is_empty() => flush(record),
        _ => Verdict::Unmet(Change::Start),
    }
}

/// What is to be done about rules that were sent and not answered, if anything is.
pub(super) fn rules_in_doubt(record: &VmRecord, machine: &Machine) -> Option<Verdict> {
    if rules_doubted(record) {
        let verdict = firewall(record, machine);
        if verdict != Verdict::Met {
            return Some(verdict);
        }
    }
    // A rule that arrives late stands on top, before those that are to be matched first.
    record.remembered.contains(&Remembered::RulesInDoubt).then_some(Verdict::Note(NoteDown::AwaitRules))
}

/// What waits on a stopped machine is left of a call that was cut off, and is shown as if it were set. Any further call
/// applies all of it; if that does not help it counts as a change without effect.
pub(super) fn flush(record: &VmRecord) -> Verdict {
    let name = Some(record.numbered.pve_name.clone());
    configured(Configure { name, ..Configure::default() })
}

/// No settings wait that are left of a call that failed. On a machine that runs they wait for its next start, as others do.
pub(crate) fn nothing_waits(record: &VmRecord, machine: &Machine) -> Verdict {
    match (&machine.power, &machine.pending) {
        (Some(Power::Stopped), Some(pending)) if !pending.is_empty() => flush(record),
        (Some(_), Some(_)) => Verdict::Note(NoteDown::NothingWaits),
        (None, _) | (_, None) => Verdict::UnderWay("whether settings wait was not shown".to_owned()),
    }
}

/// Whether this step's last change shows that the machine was started: that change itself, or the autostart that is
/// written once it runs.
pub(crate) fn was_started(record: &VmRecord) -> bool {
    match record.progress {
        Progress::Applied { fingerprint } => {
            let autostart = Change::Configure(Box::new(autostart(record)));
            fingerprint == Change::Start.fingerprint() || fingerprint == autostart.fingerprint()
        }
        Progress::Untried | Progress::Intended { .. } | Progress::Submitted { .. } => false,
    }
}

fn autostart(record: &VmRecord) -> Configure {
    Configure { autostart: Some(record.spec.autostart), ..Configure::default() }
}

/// Whether a rule may have arrived that was sent and not answered.
pub(crate) fn rules_doubted(record: &VmRecord) -> bool {
    [Remembered::RulesInDoubt, Remembered::RulesAwaited].iter().any(|doubt| record.remembered.contains(doubt))
}

/// The autostart is written last: a guest that does not stay up until it is ready would otherwise be taken through "off,
/// start, on" again and again, each of which has its effect, and no failure would ever be counted.
fn running(record: &VmRecord, machine: &Machine) -> Verdict {
    match ready(record, machine) {
        Verdict::Met if machine.config.autostart != record.spec.autostart => configured(autostart(record)),
        verdict => verdict,
    }
}

fn ready(record: &VmRecord, machine: &Machine) -> Verdict {
    let answers = |machine: &Machine| matches!(machine.agent, Some(Agent::Answers(_)));
    match record.spec.ready_when {
        ReadyWhen::Running => Verdict::Met,
        ReadyWhen::Auto if !machine.config.agent || answers(machine) => Verdict::Met,
        ReadyWhen::AgentAnswers if answers(machine) => Verdict::Met,
        ReadyWhen::AgentAnswers if !machine.config.agent => Verdict::Impossible(NO_AGENT.to_owned()),
        ReadyWhen::Auto | ReadyWhen::AgentAnswers => {
            Verdict::UnderWay("the guest agent does not answer yet".to_owned())
        }
        ReadyWhen::AddressSeen => address_seen(record, machine),
    }
}

fn address_seen(record: &VmRecord, machine: &Machine) -> Verdict {
    if !machine.config.agent {
        return Verdict::Impossible(NO_AGENT.to_owned());
    }
    let Some(Agent::Answers(shown)) = &machine.agent else {
        return Verdict::UnderWay("the guest agent does not answer yet".to_owned());
    };
    let seen = record.addresses.iter().any(|held| {
        let mac = record.macs.get(usize::from(held.nic.get()));
        shown.iter().any(|(shown_mac, address)| Some(shown_mac) == mac && *address == held.address)
    });
    if seen {
        Verdict::Met
    } else {
        Verdict::UnderWay("the guest does not show one of its addresses yet".to_owned())
    }
}
