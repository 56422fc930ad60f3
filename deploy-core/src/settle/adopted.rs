//! What to write down about a machine that is adopted, and about one that is let go of.

use super::Settling;
use crate::{Commit, DiskSlot, LogEvent, MacAddr, Order, Remembered, Step};

impl Settling<'_> {
    /// It stays as it is: the record takes over what the order does not say.
    pub(super) fn adopting(&self, macs: Vec<MacAddr>, slots: Vec<DiskSlot>, stopped: bool) -> Commit {
        fn list<T: ToString>(of: &[T]) -> String {
            let words: Vec<String> = of.iter().map(ToString::to_string).collect();
            if words.is_empty() { "none".to_owned() } else { words.join(", ") }
        }
        let what = format!(
            "it is {}; MACs: {}; additional disks: {}",
            if stopped { "stopped" } else { "running" },
            list(&macs),
            list(&slots)
        );
        let mut commit = Commit {
            order: Some(Box::new(Order { spec: self.record.spec.clone(), macs })),
            slots: Some(slots),
            log: Some(self.line(LogEvent::Noted { what })),
            ..Commit::default()
        };
        // One that does not run is not to be taken for one that failed.
        self.life_of(&mut commit).stopped = stopped;
        commit
    }

    /// It is ours from now on. Nothing of what was sent to it waits, which was seen to with the mark.
    pub(super) fn adopted(&self, commit: &mut Commit) {
        self.life_of(commit).adopts = None;
        let mut remembered = commit.remembered.take().unwrap_or_else(|| self.record.remembered.clone());
        remembered.remove(&Remembered::SettingsInDoubt);
        commit.remembered = Some(remembered).filter(|remembered| *remembered != self.record.remembered);
    }

    /// What the receipt of a termination says of a machine that was not adopted.
    ///
    /// Nothing is sent to it any more, also not to take back what was sent. A mark whose answer was lost may still arrive, and
    /// needs no waiting for: it is guarded by the revision of the configuration that was seen, so that it is refused as soon as anything
    /// of the machine was changed, such as by the mark of another record that adopts it in the meantime; and where it does arrive
    /// it says nothing but the key of a record that is over. Whoever is to adopt the machine then is told which line to take out.
    pub(super) fn let_go(&self) -> Option<String> {
        let record = self.record;
        record.life.adopts.as_ref()?;
        let vmid = record.numbered.vmid;
        let was = match record.step {
            Step::Marking => format!(
                "it is left as it is; its notes may have the line {}, and it may be in the PVE pool of the order",
                record.mark()
            ),
            _ => "nothing was done to it".to_owned(),
        };
        Some(format!("machine {vmid} was not adopted: {was}"))
    }
}
