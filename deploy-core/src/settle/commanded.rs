//! What to write down about commands.

use super::Settling;
use crate::{
    Assignment, Command, CommandId, CommandOutcome, Commit, DiskSlot, Due, ErrorClass, Family, Kind, Legal,
    Life, LogEvent, LogLine, Notice, Numbered, Operation, Order, Phase, Progress, QueuedCommand, Remembered,
    Resume, Step, Suspension, judge,
    life::{Asked, Settled, Wanted},
};

impl Settling<'_> {
    /// The record's, as this commit leaves it.
    pub(super) fn life_of<'a>(&self, commit: &'a mut Commit) -> &'a mut Life {
        commit.life.get_or_insert_with(|| Box::new(self.record.life.clone()))
    }

    /// A command that had come: it is carried out at once, or waits in the queue for the machine to rest.
    pub(super) fn taken(&self, queued: QueuedCommand) -> Commit {
        if self.record.operation == Operation::Terminate && queued.command != Command::Retry {
            return self.too_late(&queued);
        }
        let mut commit = match &queued.command {
            Command::Terminate => return self.terminated(queued),
            Command::Retry => self.retried(),
            Command::Hold => Commit { due: Some(Due::OnCommand), ..self.told("held by an operator") },
            Command::Release => {
                Commit { due: Some(self.due_again()), ..self.told("released by the operator") }
            }
            Command::Withdraw(_) => Commit { due: Some(self.due_again()), ..Commit::default() },
            _ => Commit {
                due: Some(self.due_again()),
                ..self.told(&format!("{} waits its turn", queued.command))
            },
        };
        commit.consume = Some(queued.id);
        let rests = self.record.step.is_rest();
        let life = self.life_of(&mut commit);
        match queued.command.kind() {
            Kind::AtOnce => {
                let outcome = match queued.command {
                    Command::Withdraw(id) => self.withdraw(life, id, rests),
                    Command::Hold | Command::Release => {
                        life.held = queued.command == Command::Hold;
                        CommandOutcome::Done
                    }
                    _ => CommandOutcome::Done,
                };
                life.settle(queued.id, self.now, outcome);
            }
            Kind::Power => {
                let superseded = CommandOutcome::Superseded(queued.id);
                life.strike(self.now, &superseded, |waiting| waiting.command.kind() == Kind::Power);
                life.queue.push(queued);
            }
            Kind::Suspension => self.suspension(life, queued, rests),
            Kind::Work => life.queue.push(queued),
        }
        if life.held {
            // Whatever was taken: nobody does anything until it is released.
            commit.due = Some(Due::OnCommand);
        } else if rests {
            let idle = life.queue.is_empty();
            commit.due = Some(if idle { Due::OnCommand } else { Due::At(self.now) });
        }
        commit
    }

    /// The termination came after it, and was begun before it.
    fn too_late(&self, queued: &QueuedCommand) -> Commit {
        let mut commit = Commit { consume: Some(queued.id), ..Commit::default() };
        let rests = self.record.step.is_rest();
        commit.due = Some(if rests { Due::OnCommand } else { self.due_again() });
        let life = self.life_of(&mut commit);
        let is_end = |settled: &&Settled| settled.outcome == CommandOutcome::Done;
        let end = life.asked.as_ref().map(|asked| asked.queued.id);
        let end = end.or_else(|| life.settled.iter().rev().find(is_end).map(|settled| settled.id));
        let outcome =
            end.filter(|end| *end != queued.id).map_or(CommandOutcome::Done, CommandOutcome::Superseded);
        life.settle(queued.id, self.now, outcome);
        commit
    }

    fn told(&self, what: &str) -> Commit {
        Commit { log: Some(self.line(LogEvent::Noted { what: what.to_owned() })), ..Commit::default() }
    }

    /// With the command the record became due. What was never answered keeps its time to arrive.
    fn due_again(&self) -> Due {
        Due::At(self.record.life.not_before.map_or(self.now, |at| at.max(self.now)))
    }

    /// A suspension is in force from now on, so that whatever is under way does not start the machine; it is carried out next.
    /// While the machine does not rest, nothing has come of a suspension that waits, and an unsuspend undoes it.
    fn suspension(&self, life: &mut Life, queued: QueuedCommand, rests: bool) {
        let suspends = queued.command == Command::Suspend;
        let is_opposite = |waiting: &QueuedCommand| {
            waiting.command.kind() == Kind::Suspension && (waiting.command == Command::Suspend) != suspends
        };
        let superseded = CommandOutcome::Superseded(queued.id);
        let struck = if rests { 0 } else { life.strike(self.now, &superseded, is_opposite) };
        // A machine that was suspended before must be given back, also where it was to be suspended once more.
        if struck > 0 && (suspends || !self.was_suspended()) {
            if !suspends {
                self.lift(life);
            }
            life.settle(queued.id, self.now, CommandOutcome::Done);
        } else if suspends {
            life.suspended.get_or_insert(Suspension { since: self.now, ran: false });
            life.queue.insert(0, queued);
        } else {
            life.queue.push(queued);
        }
    }

    /// Whether the machine was suspended when what is under way began.
    fn was_suspended(&self) -> bool {
        self.record.life.asked.as_ref().is_some_and(|asked| asked.rest == Step::Suspended)
    }

    /// What the suspension that is taken back kept from being done may be done now. An unsuspend that is under way lifts it itself,
    /// and must know until then what was before it.
    fn lift(&self, life: &mut Life) {
        if !self.was_suspended() {
            life.suspended = None;
        }
    }

    fn withdraw(&self, life: &mut Life, id: CommandId, rests: bool) -> CommandOutcome {
        let suspends =
            life.queue.iter().any(|waiting| waiting.id == id && waiting.command == Command::Suspend);
        if suspends && rests {
            return CommandOutcome::Refused(
                "the suspension is in force already; unsuspend the machine".to_owned(),
            );
        }
        if life.strike(self.now, &CommandOutcome::Withdrawn, |waiting| waiting.id == id) == 0 {
            return CommandOutcome::Refused("it does not wait any more".to_owned());
        }
        if suspends {
            self.lift(life);
        }
        CommandOutcome::Done
    }

    fn retried(&self) -> Commit {
        Commit {
            failures: Some(0),
            // Only the delay after a failure is cut short. What was never answered keeps its time to arrive, or a
            // number and addresses would be given away under a clone.
            due: Some(self.due_again()),
            ..self.told("retry now, on command")
        }
    }

    /// Whatever waits or is under way is over with this.
    fn terminated(&self, queued: QueuedCommand) -> Commit {
        let mut life = self.record.life.clone();
        let superseded = CommandOutcome::Superseded(queued.id);
        if let Some(asked) = life.asked.take() {
            life.settle(asked.queued.id, self.now, superseded.clone());
        }
        life.strike(self.now, &superseded, |_| true);
        (life.wanted, life.receipt, life.held) = (None, Vec::new(), false);
        Commit { consume: Some(queued.id), ..self.beginning(life, queued) }
    }

    /// The first command of the queue begins. The machine rests, and may be another one than when the command was given.
    pub(super) fn begun(&self) -> Commit {
        let mut life = self.record.life.clone();
        if life.queue.is_empty() {
            return Commit::default();
        }
        let queued = life.queue.remove(0);
        let legal = judge(&queued.command, Phase::of(self.record)).map_err(|denied| denied.to_string());
        // In force since it was taken, so that the machine rests as suspended; but nobody has stopped it yet.
        let legal = legal.map(|legal| if queued.command == Command::Suspend { Legal::Queued } else { legal });
        let order = queued.command.order(self.record).transpose().map_err(|invalid| invalid.to_string());
        match (legal, order) {
            (Err(why), _) | (Ok(_), Err(why)) => self.not_begun(life, &queued, why),
            (Ok(Legal::AlreadySo), Ok(_)) => {
                if matches!(queued.command, Command::Unsuspend(_)) {
                    life.suspended = None;
                }
                let what = format!("{}: it is so already", queued.command);
                Commit {
                    log: Some(self.line(LogEvent::Noted { what })),
                    ..self.over(life, &queued, CommandOutcome::Done)
                }
            }
            (Ok(Legal::Queued), Ok(wanted)) => {
                life.wanted = wanted.map(Box::new);
                self.beginning(life, queued)
            }
        }
    }

    fn not_begun(&self, mut life: Life, queued: &QueuedCommand, why: String) -> Commit {
        if queued.command == Command::Suspend && self.record.step != Step::Suspended {
            life.suspended = None;
        }
        Commit {
            log: Some(self.line(LogEvent::Refused { why: why.clone() })),
            ..self.over(life, queued, CommandOutcome::Refused(why))
        }
    }

    fn over(&self, mut life: Life, queued: &QueuedCommand, outcome: CommandOutcome) -> Commit {
        life.settle(queued.id, self.now, outcome);
        let due = if life.queue.is_empty() { Due::OnCommand } else { Due::At(self.now) };
        Commit { life: Some(Box::new(life)), due: Some(due), ..Commit::default() }
    }

    fn beginning(&self, mut life: Life, queued: QueuedCommand) -> Commit {
        let Some((operation, step)) = queued.command.begins() else { return Commit::default() };
        let rest = if self.record.step.is_rest() { self.record.step } else { Step::Ready };
        life.ran = false;
        life.asked = Some(Asked { queued, rest });
        Commit {
            operation: Some(operation),
            step: Some(step),
            progress: Some(Progress::Untried),
            failures: Some(0),
            due: Some(Due::At(self.now)),
            attention: self.record.attention.is_some().then_some(None),
            remembered: self.without(&[Remembered::CarriedOut]),
            life: Some(Box::new(life)),
            log: Some(LogLine { at: self.now, operation, step, event: LogEvent::Began }),
            ..Commit::default()
        }
    }

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
            | Operation::Terminate
            | Operation::Start
            | Operation::Stop
            | Operation::Restart
            | Operation::Reset
            | Operation::Suspend
            | Operation::Unsuspend
            | Operation::ChangePackage
            | Operation::Reinstall
            | Operation::Remove
            | Operation::RollBack
            | Operation::RestoreBackup
            | Operation::SingleStep => false,
        };
        // What was refused for what it is would be refused again.
        let enough = if class == ErrorClass::Refused { 1 } else { self.policy.attention_after };
        beside && for_good && failures >= enough
    }

    /// Nothing was changed: the machine rests as it did before.
    pub(super) fn refused(&self, why: String) -> Commit {
        let record = self.record;
        let mut commit = Commit {
            step: Some(record.life.asked.as_ref().map_or(Step::Ready, |asked| asked.rest)),
            progress: Some(Progress::Untried),
            failures: Some(0),
            attention: record.attention.is_some().then_some(None),
            log: Some(self.line(LogEvent::Refused { why: why.clone() })),
            ..Commit::default()
        };
        self.settle_asked(CommandOutcome::Refused(why), &mut commit);
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
            Operation::Create | Operation::Reinstall | Operation::Start | Operation::Restart => false,
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
            // A step that made no machine leaves none, whether that was suspended or not.
            (Step::Ready, Some(Step::Removed))
                if record.step != Step::Clone && matches!(asked, Some(Command::Step(_))) =>
            {
                Step::Removed
            }
            (Step::Ready, _) if suspended => Step::Suspended,
            (next, _) => next,
        };
        commit.step = Some(rest);
        commit.notice = match (record.operation, rest) {
            (Operation::Create | Operation::Reinstall, Step::Ready) => Some(Notice::Ready),
            (Operation::Suspend, _) => Some(Notice::Suspended),
            (Operation::Unsuspend, _) => Some(Notice::Unsuspended),
            (Operation::RestoreBackup, _) => match asked {
                Some(Command::RestoreBackup(backup)) => Some(Notice::BackupRestored { backup }),
                _ => None,
            },
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

    pub(super) fn ran(&self) -> Commit {
        let mut commit = Commit::default();
        let life = self.life_of(&mut commit);
        match &mut life.suspended {
            Some(suspension) if self.record.operation == Operation::Suspend => suspension.ran = true,
            _ => life.ran = true,
        }
        commit
    }

    /// From here on the new order is what every goal compares with.
    pub(super) fn package(&self, slots: Vec<DiskSlot>) -> Commit {
        let record = self.record;
        let mut commit = Commit::default();
        let Some(wanted) = self.life_of(&mut commit).wanted.take() else { return Commit::default() };
        let Wanted { spec, macs, retiring } = *wanted;
        let life = self.life_of(&mut commit);
        life.retiring.extend(retiring.into_iter().filter(|held| !record.life.retiring.contains(held)));
        let password = |spec: &crate::VmSpec| spec.cloud_init.as_ref().and_then(|told| told.password.clone());
        if password(&spec) != password(&record.spec) {
            commit.remembered = self.without(&[Remembered::PasswordWritten]);
        }
        // It was resolved when the command began, with the same number.
        let numbered = Numbered::resolve(&spec, &record.external_ref, record.numbered.vmid);
        commit.numbered = numbered.ok().filter(|numbered| *numbered != record.numbered);
        commit.slots = Some(slots);
        commit.order = Some(Box::new(Order { spec, macs }));
        commit.log = Some(self.line(LogEvent::Noted { what: "the new order is in force".to_owned() }));
        commit
    }

    /// Addresses in the order in which the guest has them: those that stay keep their place, and one that comes for another takes
    /// its place, so that the main address of a NIC stays the first.
    pub(super) fn in_place(&self, assigned: &[Assignment]) -> Vec<Assignment> {
        let mut fresh = assigned.to_vec();
        fresh.retain(|new| !self.record.addresses.iter().any(|old| old.address == new.address));
        let mut placed = Vec::with_capacity(assigned.len());
        for old in &self.record.addresses {
            let is_alike =
                |new: &Assignment| new.nic == old.nic && Family::of(new.address) == Family::of(old.address);
            if let Some(kept) = assigned.iter().find(|held| held.address == old.address) {
                placed.push(kept.clone());
            } else if let Some(at) = fresh.iter().position(is_alike) {
                placed.push(fresh.remove(at));
            }
        }
        placed.extend(fresh);
        placed
    }

    /// What a termination did, or found that it could not do; once, however often it was tried.
    pub(super) fn receipt(&self, line: &str, commit: &mut Commit) {
        if self.record.operation == Operation::Terminate {
            let receipt = &mut self.life_of(commit).receipt;
            if !receipt.iter().any(|known| known == line) {
                receipt.push(line.to_owned());
            }
        }
    }
}
