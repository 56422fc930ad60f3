//! What was told, held against what is expected.

use crate::expected::Expected;
use deploy_core::CommandOutcome;
use examples::life::{Outcome, Told};
use std::slice;

/// What was told, command by command, held against what is expected of the machine.
pub(super) struct Tale<'a> {
    told: slice::Iter<'a, Told>,
    expected: Expected,
}

impl<'a> Tale<'a> {
    pub(super) fn of(told: &'a [Told], expected: Expected) -> Self {
        Self { told: told.iter(), expected }
    }

    pub(super) fn next(&mut self, command: &str) -> &'a Told {
        let told = self.told.next().unwrap_or_else(|| panic!("nothing is told of {command}"));
        assert!(told.command.starts_with(command), "{} instead of {command}", told.command);
        told
    }

    /// It was carried out, and made this of the machine.
    pub(super) fn done(&mut self, command: &str, change: impl FnOnce(&mut Expected)) -> &'a Told {
        let told = self.ended(command, &CommandOutcome::Done);
        change(&mut self.expected);
        self.expected.assert(told);
        told
    }

    /// It ended so; the machine may be at something else by now.
    pub(super) fn ended(&mut self, command: &str, outcome: &CommandOutcome) -> &'a Told {
        let told = self.next(command);
        assert_eq!(told.outcome, Outcome::Settled(outcome.clone()), "{command}");
        told
    }

    /// It was refused when it was given, with this reason, and changed nothing.
    pub(super) fn denied(&mut self, command: &str, why: &str) {
        let told = self.next(command);
        let Outcome::Denied(said) = &told.outcome else { panic!("{command}: {:?}", told.outcome) };
        assert!(said.contains(why), "{command}: {said}");
        self.expected.assert(told);
    }

    /// The machine itself showed that it is impossible; nothing was changed.
    pub(super) fn refused(&mut self, command: &str, why: &str) {
        let told = self.next(command);
        let Outcome::Settled(CommandOutcome::Refused(said)) = &told.outcome else {
            panic!("{command}: {:?}", told.outcome)
        };
        assert!(said.contains(why), "{command}: {said}");
        self.expected.assert(told);
    }

    pub(super) fn ends(&mut self) {
        assert!(self.told.next().is_none(), "more is told than was given");
    }
}

pub(super) fn nothing(_: &mut Expected) {}
