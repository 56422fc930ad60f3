//! What to write down about a machine that comes to rest.

use super::Settling;
use crate::{
    Command, CommandOutcome, Commit, Due, ErrorClass, LogEvent, Notice, Operation, Progress, Resume, Step,
};

impl Settling<'_> {
    /// A snapshot or a backup that cannot be made or deleted must not keep the machine from everything else: whoever asked for it
    /// is told, and may ask again.
    pub(super) fn gives_up(&self, class: ErrorClass, failures: u32) -> bool {
        let for_good = match class {
            ErrorClass::Failed | ErrorClass::Exhausted | ErrorClass::Refused | ErrorClass::Unauthorized => {
                true
            }
            ErrorClass::Unreachable | ErrorClass::Busy | ErrorClass::Unknown => false,
        };
        let beside = match self.record.operation {
            Operation::CreateSnapshot
            | Operation::DeleteSnapshot
            | Operation::Backup
            | Operation::DeleteBackup => true,
            Operation::Create
            | Operation::Adopt
            | Operation::Terminate
            | Operation::Start
            | Operation::Stop
            | Operation::Restart
            | Operation::Reset
            | Operation::Suspend
            | Operation::Unsuspend
            | Operation::ChangePackage
            | Operation::Reinstall
            | Operation::ReinstallKeeping
            | Operation::Remove
            | Operation::RollBack
            | Operation::RestoreBackup
            | Operation::SetDnsRecords
            | Operation::SingleStep => false,
        };
        // What was refused for what it is would be refused again.
        let enough = if class == ErrorClass::Refused { 1 } else { self.policy.attention_after };
        beside && for_good && failures >= enough
    }

    /// Nothing was changed: the machine rests as it did before.
    pub(super) fn refused(&self, why: String) -> Commit {
        self.back_at_rest(LogEvent::Refused { why: why.clone() }, CommandOutcome::Refused(why))
    }

    /// It was tried and is not tried again: the machine rests as it did before.
    pub(super) fn given_up(&self, why: String) -> Commit {
        self.back_at_rest(LogEvent::GaveUp { why: why.clone() }, CommandOutcome::Failed(why))
    }

    fn back_at_rest(&self, event: LogEvent, outcome: CommandOutcome) -> Commit {
        let record = self.record;
        let mut commit = Commit {
            step: Some(record.life.asked.as_ref().map_or(Step::Ready, |asked| asked.rest)),
            progress: Some(Progress::Untried),
            failures: Some(0),
            attention: record.attention.is_some().then_some(None),
            log: Some(self.line(event)),
            ..Commit::default()
        };
        self.settle_asked(outcome, &mut commit);
        self.life_of(&mut commit).wanted = None;
        commit
    }

    pub(super) fn settle_asked(&self, outcome: CommandOutcome, commit: &mut Commit) {
        let life = self.life_of(commit);
        if let Some(asked) = life.asked.take() {
            life.settle(asked.queued.id, self.now, outcome);
        }
        let idle = life.queue.is_empty();
        commit.due = Some(if idle { Due::OnCommand } else { Due::At(self.now) });
    }

    /// The operation is over: where the machine rests, what is told, and what became of the command.
    pub(super) fn rests(&self, next: Step, commit: &mut Commit) {
        let record = self.record;
        let before = record.life.asked.as_ref().map(|asked| asked.rest);
        let asked = record.life.command().cloned();
        if record.life.asked.is_some() || !record.life.queue.is_empty() {
            self.settle_asked(CommandOutcome::Done, commit);
        } else {
            commit.due = Some(Due::OnCommand);
        }
        let suspend_waits = record.life.queue.iter().any(|queued| queued.command == Command::Suspend);
        if record.operation == Operation::Unsuspend && !suspend_waits {
            self.life_of(commit).suspended = None;
        }
        let stopped = match record.operation {
            Operation::Stop => true,
            Operation::Create
            | Operation::Reinstall
            | Operation::ReinstallKeeping
            | Operation::Start
            | Operation::Restart => false,
            Operation::Unsuspend => record.life.stopped && asked != Some(Command::Unsuspend(Resume::Started)),
            _ => record.life.stopped,
        };
        if stopped != record.life.stopped {
            self.life_of(commit).stopped = stopped;
        }
        // But for the suspension it would run now.
        let would_run = record.step == Step::Starting || record.step == Step::CpStart && record.life.ran;
        if would_run
            && record.life.suspended.is_some()
            && let Some(suspension) = &mut self.life_of(commit).suspended
        {
            suspension.ran = true;
        }
        let suspended = commit.life.as_ref().map_or(&record.life, |life| life).suspended.is_some();
        let rest = match (next, before) {
            // What made no machine leaves none, whether that was suspended or not.
            (Step::Ready, Some(Step::Removed))
                if record.step != Step::Clone
                    && matches!(asked, Some(Command::Step(_) | Command::SetDnsRecords)) =>
            {
                Step::Removed
            }
            (Step::Ready, _) if suspended => Step::Suspended,
            (next, _) => next,
        };
        commit.step = Some(rest);
        commit.notice = match (record.operation, rest) {
            (operation, Step::Ready) if operation.deploys() => Some(Notice::Ready),
            (Operation::Suspend, _) => Some(Notice::Suspended),
            (Operation::Unsuspend, _) => Some(Notice::Unsuspended),
            (Operation::RestoreBackup, _) => match asked {
                Some(Command::RestoreBackup(backup)) => Some(Notice::BackupRestored { backup }),
                _ => None,
            },
            // Nothing became of the machine: nobody is to hear that it is gone.
            (Operation::Terminate, _) if record.life.adopts.is_some() => None,
            (Operation::Terminate, _) => {
                let held = record.addresses.iter().chain(&record.life.retiring);
                Some(Notice::Terminated { addresses: held.map(|held| held.address).collect() })
            }
            _ => None,
        };
        // Left of a change of package that ended otherwise, such as by the machine's being deployed anew.
        let retires = !record.life.retiring.is_empty() && record.operation != Operation::ChangePackage;
        if retires && matches!(rest, Step::Ready | Step::Suspended) {
            commit.operation = Some(Operation::ChangePackage);
            commit.step = Some(Step::CpReleaseIp);
            commit.due = Some(Due::At(self.now));
        }
    }

    /// There is no machine any more; the next one is made as the first one was.
    pub(super) fn without_machine(&self, commit: &mut Commit) {
        let record = self.record;
        let known = commit.remembered.as_ref().unwrap_or(&record.remembered);
        commit.remembered =
            Some(known.iter().copied().filter(|known| known.outlives_the_machine()).collect());
        if record.life.restoring {
            self.life_of(commit).restoring = false;
        }
        commit.smbios = Some(None);
        commit.slots = Some(Vec::new());
        commit.node = Some(record.spec.template.node.clone());
    }
}
