//! What commands have made of a machine, beyond what its order says.

use crate::{
    Adopted, Assignment, Command, CommandId, DiskSlot, Fate, MacAddr, QueuedCommand, Receipt, Resource, Step,
    VmRecord, VmSpec,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// So many settled commands are remembered, so that whoever asked learns what became of them.
const REMEMBERED: usize = 32;

/// What commands have made of a machine, and which of them wait. Written by whoever has the machine's lease alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub struct Life {
    /// The command that is being carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Commands that were taken and wait for the machine to rest, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queue: Vec<QueuedCommand>,
    /// What became of the last commands, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<Settled>,
    /// Whether it is suspended, or shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
    /// Whether its customer has stopped it.
    #[serde(skip_serializing_if = "is_not")]
    pub stopped: bool,
    /// Whether an operator has taken it out of the workers' hands.
    #[serde(skip_serializing_if = "is_not")]
    pub held: bool,
    /// The order that it shall have, until that was judged on the machine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Box<Wanted>>,
    /// Whether it ran when the operation stopped it.
    #[serde(skip_serializing_if = "is_not")]
    pub ran: bool,
    /// Whether a restore was begun and not finished: where it fails PVE leaves a husk in the machine's place.
    #[serde(skip_serializing_if = "is_not")]
    pub restoring: bool,
    /// The exchange of its system disk, while that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacing: Option<Replacing>,
    /// When it was made anew, if it was: what is older is of another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
    /// Until then something that was not answered has its time to arrive: no command cuts that short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// How often its DNS records had been marked when they were last asked for: they are set once that was seen to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_mark: Option<i64>,
    /// The machine that it is to be, until that is adopted. Where it never was, it stays that way beyond its termination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopts: Option<Adopted>,
    /// Addresses that it has no more, and that are given back once nothing of it shows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Assignment>,
    /// What its termination deleted, what it kept, and what is not known, one line for each resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receipt: Vec<Receipt>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_not(flag: &bool) -> bool {
    !flag
}

/// A command that is being carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The command.
    pub queued: QueuedCommand,
    /// Where the machine rested before.
    pub rest: Step,
}

/// A system disk that is exchanged for a copy of a template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacing {
    /// The slot of the system disk, fixed when the order was judged: no other one is ever touched.
    pub slot: DiskSlot,
    /// The template's volume, in the hypervisor's own words.
    pub image: String,
    /// The volume that is replaced, once the machine is where that is done: one that is moved may get another name.
    pub old: Option<String>,
}

/// A machine that is kept from its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Whether it ran before.
    pub ran: bool,
}

/// An order that was judged as far as the record tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// The order.
    pub spec: VmSpec,
    /// The MAC of each NIC.
    pub macs: Vec<MacAddr>,
    /// Addresses that the machine has no more.
    pub retiring: Vec<Assignment>,
}

/// A command that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Its id.
    pub id: CommandId,
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: CommandOutcome,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CommandOutcome {
    /// It was carried out, or it was so already.
    Done,
    /// It turned out to be impossible; nothing was changed.
    Refused(String),
    /// It was tried, and did not come about; the machine is none the worse for it, and it can be asked again.
    Failed(String),
    /// It was taken back before its turn came.
    Withdrawn,
    /// This one came after it and took its place, or undid it.
    Superseded(CommandId),
}

/// Where a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandState {
    /// It waits.
    Waiting,
    /// It is being carried out.
    UnderWay,
    /// It is over.
    Settled(CommandOutcome),
    /// Nothing is known of it: it was never given, or so many came after it that it was forgotten.
    Unknown,
}

impl Life {
    /// Writes down what became of a command.
    pub(crate) fn settle(&mut self, id: CommandId, at: Timestamp, outcome: CommandOutcome) {
        self.settled.push(Settled { id, at, outcome });
        let surplus = self.settled.len().saturating_sub(REMEMBERED);
        self.settled.drain(..surplus);
    }

    /// Takes all commands out of the queue that `is_over` names, and writes down what became of them.
    pub(crate) fn strike(
        &mut self,
        at: Timestamp,
        outcome: &CommandOutcome,
        is_over: impl Fn(&QueuedCommand) -> bool,
    ) -> usize {
        let (struck, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.queue).into_iter().partition(is_over);
        self.queue = kept;
        for queued in &struck {
            self.settle(queued.id, at, outcome.clone());
        }
        struck.len()
    }

    /// What is written down of this resource.
    pub(crate) fn fate_of(&self, of: &Resource) -> Option<&Fate> {
        self.receipt.iter().find_map(|line| match line {
            Receipt::Resource { resource, fate } if resource == of => Some(fate),
            Receipt::Resource { .. } | Receipt::Words(_) => None,
        })
    }

    /// Writes down what became of a resource, in the place of what was known of it.
    pub(crate) fn put_down(&mut self, of: Resource, became: Fate) {
        for line in &mut self.receipt {
            if let Receipt::Resource { resource, fate } = line
                && *resource == of
            {
                *fate = became;
                return;
            }
        }
        self.receipt.push(Receipt::Resource { resource: of, fate: became });
    }

    /// The command that is being carried out.
    pub(crate) fn command(&self) -> Option<&Command> {
        self.asked.as_ref().map(|asked| &asked.queued.command)
    }
}

impl VmRecord {
    /// Where a command of this machine stands.
    pub fn command_state(&self, id: CommandId) -> CommandState {
        let is = |queued: &QueuedCommand| queued.id == id;
        let settled = self.life.settled.iter().rev().find(|settled| settled.id == id);
        match settled {
            Some(settled) => CommandState::Settled(settled.outcome.clone()),
            None if self.life.asked.as_ref().is_some_and(|asked| is(&asked.queued)) => CommandState::UnderWay,
            None if self.pending.iter().chain(&self.life.queue).any(is) => CommandState::Waiting,
            None => CommandState::Unknown,
        }
    }
}
