//! Settle: what to write down about what happened.

mod adopted;
mod commanded;
mod dns;
mod leftovers;
mod package;
mod receipt;
mod resting;
mod sending;
mod vanished;
mod waiting;

use crate::{
    Assignment, Attention, Change, Commit, DiskSlot, Due, Ended, ErrorClass, Fate, Leftover, LogEvent,
    LogLine, MacAddr, NodeName, Notice, Numbered, Obscured, Operation, Progress, QueuedCommand, Remembered,
    Replacing, Resource, RetryPolicy, SmbiosUuid, Step, SubmitError, Submitted, TaskId, VmRecord,
    decide::MAY_ARRIVE, retry::later,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

/// What a turn did, and where it saw the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<'a> {
    /// What happened.
    pub outcome: Outcome<'a>,
    /// The node the machine was seen on.
    pub seen_on: Option<NodeName>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    /// A command that had come is taken.
    Taken(Box<QueuedCommand>),
    /// The first of the commands that wait begins.
    Begun,
    /// What was commanded turned out to be impossible.
    Refused(String),
    /// It was tried and did not come about.
    GivenUp(String),
    /// The machine's DNS records were marked so often, this time to be set now.
    DnsMarked(Option<i64>),
    /// The step is done.
    Done(String),
    /// Something is to be noted.
    Noted(NoteDown),
    /// A change is about to go out.
    Intending(&'a Change),
    /// A change was accepted.
    Sent(&'a Change, Submitted),
    /// A change was not accepted, or nobody knows.
    NotSent(&'a Change, SubmitError),
    /// The task of a change whose answer was lost was found.
    Followed(&'a Change, TaskId),
    /// A change was carried out without effect.
    Ineffective(String),
    /// The task ended.
    TaskEnded(Ended),
    /// Addresses were taken.
    Assigned(Vec<Assignment>),
    /// Addresses were given back.
    Released(Vec<IpAddr>),
    /// Another number was reserved.
    Renumbered(Numbered),
    /// It waits.
    Waiting(String),
    /// It waits for what the HA manager was asked for, at most so long.
    AwaitingHa(String, SignedDuration),
    /// It waits for a lock that nobody holds.
    WaitingInVain(String),
    /// It failed.
    Failed(Obscured),
    /// It cannot go on.
    Impossible(String),
    /// The machine is gone.
    Vanished(String),
    /// A resting machine was looked at.
    Checked,
}

/// Something that is written down before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteDown {
    /// The identity of the clone, and the slots that its additional disks will have.
    Identity {
        /// Its UUID.
        smbios: SmbiosUuid,
        /// The slots.
        slots: Vec<DiskSlot>,
    },
    /// A clone that was never answered gets its time to arrive; afterwards its absence is believed.
    AwaitClone,
    /// Rules that were not answered get their time to arrive; afterwards the machine is started.
    AwaitRules,
    /// A firewall that was not answered gets its time to arrive; afterwards the machine is destroyed, and it with it.
    AwaitFirewall,
    /// None of the settings that were in doubt waits.
    NothingWaits,
    /// A start, a stop, a migration, a destroy or a backup that was not answered gets its time to arrive.
    AwaitLate,
    /// It ran when it was to be stopped.
    Ran,
    /// This volume is the one that is replaced.
    Replaces(String),
    /// The order that is wanted fits, and is the order from now on.
    Package {
        /// The slots that the additional disks will have.
        slots: Vec<DiskSlot>,
        /// The exchange of its system disk, if there is one.
        replacing: Option<Replacing>,
    },
    /// What the machine that is to be adopted has, and keeps.
    Adopted {
        /// The MAC of each of its NICs.
        macs: Vec<MacAddr>,
        /// The slots of its additional disks.
        slots: Vec<DiskSlot>,
        /// Whether it does not run.
        stopped: bool,
    },
    /// These volumes are left behind, or why nobody knows.
    Leftovers(Result<Vec<Leftover>, String>),
    /// This is known of resources of a machine that is taken away, and would not be any more afterwards.
    Receipt(Vec<(Resource, Fate)>),
}

/// What to write down. Pure: time is an argument, and the spread of delays is derived from the record.
pub fn settle(record: &VmRecord, report: Report<'_>, now: Timestamp, policy: &RetryPolicy) -> Commit {
    let settling = Settling { record, now, policy };
    let is_answer = matches!(
        report.outcome,
        Outcome::Sent(..)
            | Outcome::NotSent(..)
            | Outcome::Followed(..)
            | Outcome::Renumbered(_)
            | Outcome::Noted(NoteDown::Leftovers(_))
    );
    let mut commit = settling.outcome(report.outcome);
    if !is_answer {
        settling.doubt_what_was_made(&mut commit);
    }
    if commit.step.is_some_and(|step| step != record.step) {
        let known = commit.remembered.as_ref().unwrap_or(&record.remembered);
        if known.contains(&Remembered::Sent) {
            let mut remembered = known.clone();
            remembered.remove(&Remembered::Sent);
            commit.remembered = Some(remembered);
        }
    }
    if let Some(node) = report.seen_on.filter(|node| *node != record.node) {
        commit.node = Some(node);
    }
    // What is waited for ends with whatever moves the machine; a look that failed in between does not end it.
    if commit.waiting.is_none()
        && record.waiting.is_some()
        && (commit.step.is_some() || commit.progress.is_some())
    {
        commit.waiting = Some(None);
    }
    commit
}

struct Settling<'a> {
    record: &'a VmRecord,
    now: Timestamp,
    policy: &'a RetryPolicy,
}

impl Settling<'_> {
    fn outcome(&self, outcome: Outcome<'_>) -> Commit {
        match outcome {
            Outcome::Taken(queued) => self.taken(*queued),
            Outcome::Begun => self.begun(),
            Outcome::Refused(why) => self.refused(why),
            Outcome::GivenUp(why) => self.given_up(why),
            Outcome::DnsMarked(mark) => self.dns_marked(mark),
            Outcome::Done(how) => self.done(&how),
            Outcome::Noted(note) => self.noted(note),
            Outcome::Intending(change) => self.intending(change),
            Outcome::Sent(change, submitted) => self.sent(change, submitted),
            Outcome::NotSent(change, error) => self.not_sent(change, &error),
            Outcome::Followed(change, task) => self.followed(change, task),
            Outcome::Ineffective(change) => Commit {
                progress: Some(Progress::Untried),
                ..self.failed(
                    ErrorClass::Failed,
                    format!("{change}: was carried out, but the machine does not show it"),
                )
            },
            Outcome::TaskEnded(ended) => self.task_ended(ended),
            Outcome::Assigned(addresses) => {
                let addresses = self.in_place(&addresses);
                let list: Vec<String> = addresses.iter().map(|held| held.address.to_string()).collect();
                Commit { addresses: Some(addresses), ..self.done(&list.join(", ")) }
            }
            Outcome::Released(addresses) => {
                let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let how = if list.is_empty() {
                    "no addresses held".to_owned()
                } else {
                    format!("gave back {}", list.join(", "))
                };
                let mut commit = self.done(&how);
                if self.record.operation == Operation::Terminate {
                    commit.addresses = Some(Vec::new());
                }
                self.receipt_of_addresses(&addresses, &mut commit);
                if !self.record.life.retiring.is_empty() {
                    self.life_of(&mut commit).retiring.clear();
                }
                commit
            }
            Outcome::Renumbered(numbered) => Commit {
                log: Some(self.line(LogEvent::Noted {
                    what: format!(
                        "number {} is a stranger's; took {}",
                        self.record.numbered.vmid, numbered.vmid
                    ),
                })),
                numbered: Some(numbered),
                progress: Some(Progress::Untried),
                remembered: self.awaited(Remembered::CloneInDoubt, Remembered::Renumbered),
                ..Commit::default()
            },
            Outcome::Waiting(why) if self.dns_took_too_long() => self.given_up(format!(
                "{why}, and nobody has seen to it for {} s: is a DNS worker running?",
                self.policy.dns_patience.as_secs()
            )),
            Outcome::Waiting(why) => self.waiting(&why, false),
            Outcome::AwaitingHa(why, patience) => self.awaiting_ha(&why, patience),
            Outcome::WaitingInVain(why) => self.waiting(&why, true),
            Outcome::Failed(Obscured { class, message }) => self.failed(class, message),
            Outcome::Impossible(message) => self.impossible(message),
            Outcome::Vanished(message) => self.vanished(message),
            Outcome::Checked => self.checked(),
        }
    }

    fn line(&self, event: LogEvent) -> LogLine {
        LogLine { at: self.now, operation: self.record.operation, step: self.record.step, event }
    }

    /// What is remembered without these, if any of them is.
    fn without(&self, doubts: &[Remembered]) -> Option<std::collections::BTreeSet<Remembered>> {
        let mut remembered = self.record.remembered.clone();
        remembered.retain(|known| !doubts.contains(known));
        Some(remembered).filter(|remembered| *remembered != self.record.remembered)
    }

    /// The step is done: on to the next, with its one log line and, at a rest, its one notice.
    fn done(&self, how: &str) -> Commit {
        let record = self.record;
        // The table has no dead ends: every step but the rests has a successor, and rests are never done.
        let next = record.operation.after(record.step).unwrap_or(record.step);
        // Waited for, and seen as ordered before the start.
        let remembered = if next == Step::Ready { self.without(&[Remembered::RulesAwaited]) } else { None };
        let mut commit = Commit {
            step: Some(next),
            progress: Some(Progress::Untried),
            failures: Some(0),
            due: Some(Due::At(self.now)),
            attention: record.attention.is_some().then_some(None),
            remembered,
            log: Some(self.line(LogEvent::Done { how: how.to_owned() })),
            ..Commit::default()
        };
        self.receipt_of_step(&mut commit);
        let restoring = match record.step {
            Step::StoppingToRestore => true,
            Step::RestoringBackup => false,
            _ => record.life.restoring,
        };
        if restoring != record.life.restoring {
            self.life_of(&mut commit).restoring = restoring;
        }
        if record.step == Step::Migrated {
            // One more to where it is does nothing.
            commit.remembered = self.without(&[Remembered::MoveInDoubt]);
        }
        if record.step == Step::FreeingOldDisk {
            self.life_of(&mut commit).replacing = None;
        }
        if matches!(record.step, Step::RollingBack | Step::RestoringBackup) {
            // The guest's password may be an older one again.
            commit.remembered = self.without(&[Remembered::PasswordWritten]);
        }
        if record.operation == Operation::Reinstall && record.step == Step::Removing
            || record.operation == Operation::Remove
        {
            self.without_machine(&mut commit);
        }
        if record.operation == Operation::Adopt && next.is_rest() {
            self.adopted(&mut commit);
        }
        if next.is_rest() {
            self.rests(next, &mut commit);
        }
        commit
    }

    fn noted(&self, note: NoteDown) -> Commit {
        match note {
            NoteDown::Identity { smbios, slots } => {
                let mut commit = Commit {
                    log: Some(
                        self.line(LogEvent::Noted { what: format!("the clone's identity is {smbios}") }),
                    ),
                    smbios: Some(Some(smbios)),
                    slots: Some(slots),
                    // What has arrived is the one clone that was sent. Where it was not the first, another may still come.
                    remembered: self.own_doubt().and_then(|doubt| self.without(&[doubt])),
                    ..Commit::default()
                };
                let record = self.record;
                let anew = record.operation != Operation::Create
                    || record.life.asked.is_some()
                    || record.life.made_at.is_some();
                if anew {
                    self.life_of(&mut commit).made_at = Some(self.now);
                }
                commit
            }
            NoteDown::AwaitClone => Commit {
                remembered: self.awaited(Remembered::CloneInDoubt, Remembered::CloneAwaited),
                ..self.await_arrival("a clone was sent and never answered: its time to arrive is waited for")
            },
            NoteDown::AwaitRules => Commit {
                remembered: self.awaited(Remembered::RulesInDoubt, Remembered::RulesAwaited),
                ..self
                    .await_arrival("rules were sent and not all answered: their time to arrive is waited for")
            },
            NoteDown::AwaitFirewall => Commit {
                remembered: self.without(&[Remembered::FirewallInDoubt, Remembered::RulesInDoubt]),
                ..self.await_arrival("a firewall was sent and not answered: its time to arrive is waited for")
            },
            NoteDown::AwaitLate => Commit {
                remembered: self.without(&MAY_ARRIVE),
                ..self.await_arrival("what was not answered may still arrive: its time is waited for")
            },
            NoteDown::Ran => self.ran(),
            NoteDown::Replaces(old) => self.replaces(old),
            NoteDown::Package { slots, replacing } => self.package(slots, replacing),
            NoteDown::Adopted { macs, slots, stopped } => self.adopting(macs, slots, stopped),
            NoteDown::Leftovers(found) => self.leftovers(found),
            NoteDown::Receipt(lines) => self.receipt(lines),
            NoteDown::NothingWaits => {
                Commit { remembered: self.without(&[Remembered::SettingsInDoubt]), ..Commit::default() }
            }
        }
    }

    fn await_arrival(&self, why: &str) -> Commit {
        let arrived = later(self.now, self.policy.late_arrival);
        let mut commit = Commit {
            failures: Some(0),
            due: Some(Due::At(arrived)),
            log: Some(self.line(LogEvent::Waiting { why: why.to_owned() })),
            ..Commit::default()
        };
        // A command that comes makes the record due, and must not cut this short.
        self.life_of(&mut commit).not_before = Some(arrived);
        commit
    }

    /// `doubt` replaced by `awaited`, where there is such a doubt.
    fn awaited(
        &self,
        doubt: Remembered,
        awaited: Remembered,
    ) -> Option<std::collections::BTreeSet<Remembered>> {
        let mut remembered = self.without(&[doubt])?;
        remembered.insert(awaited);
        Some(remembered)
    }

    /// A failure stays at its step and is tried again. Busy is waiting: it is logged so, but counted, so that a lock
    /// that never opens is told to a human in the end.
    fn failed(&self, class: ErrorClass, message: String) -> Commit {
        let failures = self.record.failures.saturating_add(1);
        if self.gives_up(class, failures) {
            return self.given_up(message);
        }
        let event = match class {
            ErrorClass::Busy => LogEvent::Waiting { why: message.clone() },
            ErrorClass::Unreachable
            | ErrorClass::Unknown
            | ErrorClass::Failed
            | ErrorClass::Exhausted
            | ErrorClass::Refused
            | ErrorClass::Unauthorized => LogEvent::Failed { class, message: message.clone() },
        };
        let mut commit = Commit {
            failures: Some(failures),
            due: Some(Due::At(later(self.now, self.policy.delay(self.record.key, failures, class)))),
            log: Some(self.line(event)),
            ..Commit::default()
        };
        // What passes by itself does not take the place of what a human was told to do.
        let is_passing = matches!(class, ErrorClass::Unreachable | ErrorClass::Busy | ErrorClass::Unknown);
        let is_long = failures >= self.policy.attention_after;
        if class.needs_attention() || (is_long && !(is_passing && self.record.attention.is_some())) {
            self.raise(message, &mut commit);
        }
        commit
    }

    fn impossible(&self, message: String) -> Commit {
        let failures = self.record.failures.saturating_add(1);
        let delay = self.policy.delay(self.record.key, failures, ErrorClass::Refused);
        let mut commit = Commit {
            failures: Some(failures),
            due: Some(Due::At(later(self.now, delay))),
            log: Some(self.line(LogEvent::Attention { message: message.clone() })),
            ..Commit::default()
        };
        self.raise(message, &mut commit);
        commit
    }

    /// Raises attention, with one notice for as long as it lasts; a later message replaces the text, not the notice.
    fn raise(&self, message: String, commit: &mut Commit) {
        let since = self.record.attention.as_ref().map_or(self.now, |attention| attention.since);
        let attention = Attention { since, step: self.record.step, message };
        match &self.record.attention {
            Some(old) if *old == attention => {}
            Some(_) => commit.attention = Some(Some(attention)),
            None => {
                commit.attention = Some(Some(attention.clone()));
                commit.notice = Some(Notice::NeedsAttention(attention));
            }
        }
    }
}
