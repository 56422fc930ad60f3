//! What to write down about a machine that vanished, and about one that is still there.

use super::Settling;
use crate::{
    Attention, CommandOutcome, Commit, Due, ErrorClass, Kind, LogEvent, Notice, Operation, Progress,
    Remembered, Step, WhenVanished, retry::later,
};

impl Settling<'_> {
    pub(super) fn vanished(&self, message: String) -> Commit {
        match self.record.spec.when_vanished {
            WhenVanished::Leave => self.missed(&message),
            WhenVanished::Redeploy => self.redeployed(message),
        }
    }

    /// It is told once and looked for: somebody may restore it.
    fn missed(&self, message: &str) -> Commit {
        let record = self.record;
        let message = format!("{message}; restore it, or terminate it and order it anew");
        let failures = record.failures.saturating_add(1);
        let delay = self.policy.delay(record.key, failures, ErrorClass::Refused);
        let since = record.attention.as_ref().map_or(self.now, |attention| attention.since);
        let attention = Attention { since, step: record.step, message: message.clone() };
        let notice = Notice::Vanished { message: message.clone(), redeployed: false };
        Commit {
            failures: Some(failures),
            due: Some(Due::At(later(self.now, delay))),
            notice: (!record.was_told_of(&message)).then_some(notice),
            attention: (record.attention.as_ref() != Some(&attention)).then_some(Some(attention)),
            log: Some(self.line(LogEvent::Attention { message })),
            ..Commit::default()
        }
    }

    /// It goes back to its clone, with its number (which is exchanged there if it is a stranger's), addresses and MACs. Not
    /// at once: whatever was sent to the machine that is gone has its time to arrive, and whoever takes our machines away
    /// again and again gets no quick succession of clones.
    fn redeployed(&self, message: String) -> Commit {
        let record = self.record;
        // A clone that may still arrive shows our mark, whichever of the two machines it was for.
        let known = record.remembered.iter().copied().filter(|known| known.outlives_the_machine());
        // Whoever took the machine away may have left its volumes. And until it is cloned anew, a machine with our mark is one
        // that was restored, or whose identity somebody changed: not ours to configure.
        let remembered = known.chain([Remembered::VolumesInDoubt, Remembered::Vanished]).collect();
        let mut commit = Commit {
            // What was commanded cannot be carried out on what is made now.
            operation: (!record.operation.clones()).then_some(Operation::Create),
            step: Some(Step::Clone),
            progress: Some(Progress::Untried),
            failures: Some(0),
            due: Some(Due::At(later(self.now, self.policy.late_arrival))),
            attention: record.attention.is_some().then_some(None),
            node: Some(record.spec.template.node.clone()),
            smbios: Some(None),
            slots: Some(Vec::new()),
            remembered: Some(remembered),
            log: Some(self.line(LogEvent::Noted { what: format!("{message}: it is deployed anew") })),
            notice: Some(Notice::Vanished { message: message.clone(), redeployed: true }),
            ..Commit::default()
        };
        let life = self.life_of(&mut commit);
        life.not_before = Some(later(self.now, self.policy.late_arrival));
        life.made_at = Some(self.now);
        life.replacing = None;
        if record.life.asked.is_some() && !record.operation.clones() {
            let life = self.life_of(&mut commit);
            life.wanted = None;
            match life.asked.take() {
                // Whose machine it is to use is another question than which machine it is.
                Some(asked) if asked.queued.command.kind() == Kind::Suspension => {
                    life.queue.insert(0, asked.queued);
                }
                Some(asked) => life.settle(asked.queued.id, self.now, CommandOutcome::Refused(message)),
                None => {}
            }
        }
        commit
    }

    /// A resting machine is there, or at least not proven to be gone.
    pub(super) fn checked(&self) -> Commit {
        let told = self.record.attention.is_some();
        Commit {
            failures: (self.record.failures > 0).then_some(0),
            due: Some(Due::OnCommand),
            attention: told.then_some(None),
            log: told.then(|| self.line(LogEvent::Noted { what: "the machine is there again".to_owned() })),
            ..Commit::default()
        }
    }
}
