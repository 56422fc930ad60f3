//! Whether a machine's DNS records are set.

use super::{Decision, DnsSighting};
use crate::{DnsEntry, DnsState, DnsStatus, ErrorClass, Obscured, VmRecord};

/// They are set by whoever works on the queue of DNS records; here they are asked for and waited for. What is wrong with one does
/// not hold the machine back: it is told, and the queue goes on trying.
pub(super) fn dns(record: &VmRecord, sighting: Option<&DnsSighting>) -> Decision {
    match (sighting, record.life.dns_mark) {
        // Another worker asked for them.
        (Some(DnsSighting::NoDns) | None, Some(_)) => {
            Decision::Wait("its DNS records are being set".to_owned())
        }
        (Some(DnsSighting::NoDns) | None, None) => {
            Decision::Refuse("set_dns_records: the machine's worker has no DNS to set them by".to_owned())
        }
        (Some(DnsSighting::Unknown(error)), _) => {
            Decision::Blind(Obscured { class: ErrorClass::Unreachable, message: error.to_string() })
        }
        (Some(DnsSighting::Seen(_)), None) => Decision::RefreshDns,
        (Some(DnsSighting::Seen(status)), Some(mark)) if status.done < mark => {
            Decision::Wait("its DNS records are being set".to_owned())
        }
        (Some(DnsSighting::Seen(status)), Some(_)) => became(status),
    }
}

fn became(status: &DnsStatus) -> Decision {
    let troubles: Vec<String> = status.entries.iter().filter_map(trouble).collect();
    if troubles.is_empty() {
        let records: Vec<String> = status.entries.iter().map(|entry| entry.record.to_string()).collect();
        return Decision::Done(if records.is_empty() {
            "no zone is configured for its names".to_owned()
        } else {
            records.join(", ")
        });
    }
    let (failed, all) = (troubles.len(), status.entries.len());
    Decision::GiveUp(format!(
        "{failed} of {all} DNS records are not set; they are tried on: {}",
        troubles.join("; ")
    ))
}

/// What is wrong with a record.
fn trouble(entry: &DnsEntry) -> Option<String> {
    let why = entry.last_error.as_deref();
    match entry.state {
        // Taken away as soon as nothing of it can arrive any more.
        DnsState::Published | DnsState::Foreign | DnsState::Withdrawing if entry.failures == 0 => None,
        DnsState::Published
        | DnsState::Foreign
        | DnsState::Planned
        | DnsState::Publishing
        | DnsState::Withdrawing
        | DnsState::Conflict => Some(format!("{}: {}", entry.record, why.unwrap_or(entry.state.as_str()))),
    }
}
