//! What to write down about DNS records that were asked for.

use super::Settling;
use crate::{Commit, Due, LogEvent, Step};

impl Settling<'_> {
    /// They are set once this mark was seen to. A machine that was never marked has no record that could be set.
    pub(super) fn dns_marked(&self, mark: Option<i64>) -> Commit {
        let Some(mark) = mark else { return self.done("no DNS records are kept for it") };
        let mut commit = Commit {
            due: Some(Due::At(self.now)),
            log: Some(self.line(LogEvent::Noted { what: "its DNS records are asked for".to_owned() })),
            ..Commit::default()
        };
        self.life_of(&mut commit).dns_mark = Some(mark);
        commit
    }

    /// Whether nobody works on the queue of DNS records: what is wrong with DNS never holds a machine back.
    pub(super) fn dns_took_too_long(&self) -> bool {
        let since = self.record.waiting.as_ref().map(|waiting| waiting.since);
        self.record.step == Step::SetDnsRecords
            && since.is_some_and(|since| self.now.duration_since(since) >= self.policy.dns_patience)
    }
}
