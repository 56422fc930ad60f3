//! What is to be done about one record, judged by what stands at its name.

use crate::{Standing, StandingData};
use deploy_core::{DnsData, DnsEntry, DnsKind, DnsState};

/// What is to be done about a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ask for it.
    Publish,
    /// Nothing: it stands, and it is ours.
    Stands,
    /// Nothing: it stands, and somebody else put it there.
    Foreign,
    /// Nothing: somebody else has the name, in words.
    Conflict(String),
    /// Ask for its end.
    Withdraw,
    /// Nothing: it does not stand.
    Gone,
}

/// Judges an entry that is wanted or not. `own` is what the machine's other entries at this name may have brought there.
///
/// Only what we asked for is ours: a record that stood before we wrote down that we ask for it is somebody else's, whatever it
/// says.
pub(crate) fn judge(entry: &DnsEntry, wanted: bool, standing: &[Standing], own: &[DnsData]) -> Verdict {
    let mine = standing.iter().find(|standing| says(standing, &entry.record.data));
    match (wanted, mine) {
        (true, Some(mine)) if entry.may_stand() => {
            // The time to live may be what the request was about whose answer was lost.
            let asked_again = entry.state == DnsState::Publishing
                && mine.ttl != entry.ttl
                && in_set(standing, &entry.record.data) == 1;
            if asked_again { Verdict::Publish } else { Verdict::Stands }
        }
        (true, Some(_)) => Verdict::Foreign,
        (true, None) => match standing.iter().find(|other| is_in_the_way(other, entry, own)) {
            Some(other) => {
                Verdict::Conflict(format!("{} is somebody else's: it has {}", entry.record.name, other.data))
            }
            None => Verdict::Publish,
        },
        (false, Some(_)) if entry.may_stand() => Verdict::Withdraw,
        (false, _) => Verdict::Gone,
    }
}

fn says(standing: &Standing, data: &DnsData) -> bool {
    matches!(&standing.data, StandingData::Known(known) if known == data)
}

/// How many records of its type stand at the name: they share one time to live (RFC 2181, 5.2).
fn in_set(standing: &[Standing], data: &DnsData) -> usize {
    standing.iter().filter(|other| other.data.kind() == data.kind().as_str()).count()
}

/// Whether a record says that its name is somebody else's. A name of a machine is one machine's, whichever family the address;
/// an alias can have nothing beside it.
fn is_in_the_way(standing: &Standing, entry: &DnsEntry, own: &[DnsData]) -> bool {
    match &standing.data {
        StandingData::Known(data) if own.contains(data) => false,
        StandingData::Known(data) => {
            let is_name = data.kind() == DnsKind::Ptr;
            is_name == (entry.record.data.kind() == DnsKind::Ptr)
        }
        StandingData::Other { kind, .. } => matches!(kind.as_str(), "CNAME" | "ALIAS"),
    }
}
