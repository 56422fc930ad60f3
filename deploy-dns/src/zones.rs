//! Which zones there are, and which of them a name is written into.

use deploy_core::{DnsName, ProviderName};

/// A zone that records may be written into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Who serves it.
    pub provider: ProviderName,
    /// Its name; for addresses one such as `113.0.203.in-addr.arpa`.
    pub name: DnsName,
    /// For how many seconds others may keep a record of it.
    pub ttl: u32,
}

/// Which of several matching zones a name is written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// The one with the longest name; with several providers that serve it, each one's.
    #[default]
    Longest,
    /// Every one.
    All,
}

/// All zones, and how they are used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    matching: Matching,
}

impl Zones {
    /// These zones; one that is named twice counts once, as it was named first.
    pub fn new(zones: impl IntoIterator<Item = Zone>, matching: Matching) -> Self {
        let mut all: Vec<Zone> = zones.into_iter().collect();
        all.sort_by(|one, other| (&one.provider, &one.name).cmp(&(&other.provider, &other.name)));
        all.dedup_by(|later, first| (&later.provider, &later.name) == (&first.provider, &first.name));
        Self { zones: all, matching }
    }

    /// All of them, by provider and name.
    pub fn all(&self) -> &[Zone] {
        &self.zones
    }

    /// The zones that a name is written into.
    pub fn of(&self, name: &DnsName) -> Vec<&Zone> {
        let mut matching: Vec<&Zone> = self.zones.iter().filter(|zone| name.is_within(&zone.name)).collect();
        if self.matching == Matching::Longest {
            let longest = matching.iter().map(|zone| zone.name.as_str().len()).max();
            matching.retain(|zone| Some(zone.name.as_str().len()) == longest);
        }
        matching
    }

    /// A number that is another one where anything of this is otherwise, and always the same for the same (FNV-1a).
    pub fn fingerprint(&self) -> u64 {
        let mut text = match self.matching {
            Matching::Longest => "longest".to_owned(),
            Matching::All => "all".to_owned(),
        };
        for Zone { provider, name, ttl } in &self.zones {
            text = format!("{text}\n{provider} {name} {ttl}");
        }
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}
