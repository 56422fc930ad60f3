//! What to write down about commands.

use super::Settling;
use crate::{
    Command, CommandId, CommandOutcome, Commit, Due, Kind, Legal, Life, LogEvent, LogLine, Notice, Operation,
    Phase, Progress, QueuedCommand, Receipt, Remembered, Step, Suspension, judge,
    life::{Asked, Settled},
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
            Command::LetGo if self.record.life.adopts.is_none() => {
                return self.not_taken(
                    &queued,
                    "the machine is adopted; nothing was done to it, and terminate takes it away",
                );
            }
            Command::Terminate if self.record.life.adopts.is_some() => {
                return self.not_taken(&queued, "the machine is not adopted yet; let go of it (let_go)");
            }
            Command::Terminate if self.record.life.held => return self.terminated_at_release(queued),
            Command::Terminate | Command::LetGo => return self.terminated(queued),
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

    /// Between the moment in which it was given and this one the machine was adopted, or not yet: what was meant to spare it must not
    /// take it away.
    fn not_taken(&self, queued: &QueuedCommand, why: &str) -> Commit {
        let rests = self.record.step.is_rest() || self.record.life.held;
        let mut commit = Commit {
            consume: Some(queued.id),
            due: Some(if rests { Due::OnCommand } else { self.due_again() }),
            log: Some(self.line(LogEvent::Refused { why: format!("{}: {why}", queued.command) })),
            ..Commit::default()
        };
        let life = self.life_of(&mut commit);
        life.settle(queued.id, self.now, CommandOutcome::Refused(why.to_owned()));
        if self.record.step.is_rest() && !life.held && !life.queue.is_empty() {
            commit.due = Some(Due::At(self.now));
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

    /// Whoever holds it may be at work on it, and nothing is done before he releases it. Nothing else is, after that.
    fn terminated_at_release(&self, queued: QueuedCommand) -> Commit {
        let message = "the machine is to be terminated, and is held by an operator: it is carried out when it is released";
        let mut commit = self.told(message);
        (commit.consume, commit.due) = (Some(queued.id), Some(Due::OnCommand));
        self.raise(message.to_owned(), &mut commit);
        let superseded = CommandOutcome::Superseded(queued.id);
        let life = self.life_of(&mut commit);
        life.strike(self.now, &superseded, |_| true);
        life.queue.push(queued);
        commit
    }

    fn terminated(&self, queued: QueuedCommand) -> Commit {
        Commit { consume: Some(queued.id), ..self.terminating(self.record.life.clone(), queued) }
    }

    /// Whatever waits or is under way is over with this.
    fn terminating(&self, mut life: Life, queued: QueuedCommand) -> Commit {
        let superseded = CommandOutcome::Superseded(queued.id);
        if let Some(asked) = life.asked.take() {
            life.settle(asked.queued.id, self.now, superseded.clone());
        }
        life.strike(self.now, &superseded, |_| true);
        (life.wanted, life.replacing, life.receipt, life.held) = (None, None, Vec::new(), false);
        life.receipt.extend(self.let_go().map(Receipt::Words));
        // What is waited for meanwhile would arrive at a machine that is gone, or at the next one of its number.
        Commit { due: Some(self.due_again()), ..self.beginning(life, queued) }
    }

    /// The first command of the queue begins. The machine rests, or is terminated at its release, and may be another one than when
    /// the command was given.
    pub(super) fn begun(&self) -> Commit {
        let mut life = self.record.life.clone();
        if life.queue.is_empty() {
            return Commit::default();
        }
        let queued = life.queue.remove(0);
        if queued.command == Command::Terminate {
            return self.terminating(life, queued);
        }
        if self.record.step == Step::Removed && queued.command.kind() == Kind::Suspension {
            return self.suspended_or_not(life, &queued);
        }
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

    /// There is no machine that could be stopped or started: it is for the one that is made next.
    fn suspended_or_not(&self, mut life: Life, queued: &QueuedCommand) -> Commit {
        let suspends = queued.command == Command::Suspend;
        let before = life.suspended.is_some();
        if !suspends {
            life.suspended = None;
        }
        let what =
            if suspends { "the next machine will not be started" } else { "the next machine may be started" };
        let notice = if suspends { Notice::Suspended } else { Notice::Unsuspended };
        Commit {
            log: Some(self.line(LogEvent::Noted { what: format!("{}: {what}", queued.command) })),
            notice: before.then_some(notice),
            ..self.over(life, queued, CommandOutcome::Done)
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
        life.dns_mark = None;
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
}
