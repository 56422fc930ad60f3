//! Shows what happens: bars on a terminal, lines everywhere else. Always on the standard error output, so that the
//! standard output holds results only.

mod bars;
mod lines;
mod waits;

use deploy_core::{LogEntry, Step, VmKey, VmRecord};
use std::collections::HashMap;

/// Shows machines on their way.
pub(crate) trait Display {
    /// Begins a phase with these machines.
    fn begin(&mut self, records: &[VmRecord], last: &HashMap<VmKey, LogEntry>, goal: Step);

    /// Something happened to a machine.
    fn event(&mut self, record: &VmRecord, entry: &LogEntry);

    /// The machines as they are now.
    fn show(&mut self, records: &[VmRecord], last: &HashMap<VmKey, LogEntry>, goal: Step);

    /// The phase is over.
    fn end(&mut self);

    /// Says something between phases.
    fn say(&mut self, text: &str);
}

/// What suits the standard error output.
pub(crate) fn display() -> Box<dyn Display> {
    if console::Term::stderr().is_term() {
        Box::new(bars::Bars::default())
    } else {
        Box::new(lines::Lines::default())
    }
}

/// How far a machine is: the number of its step, from 1, and the number of all.
fn position(record: &VmRecord, goal: Step) -> (usize, usize) {
    let steps = record.operation.steps();
    let at = steps.iter().position(|step| *step == record.step).map_or(0, |at| at + 1);
    // Before it took the command that leads to the goal, a machine is still at the end of another operation.
    if steps.contains(&goal) { (at, steps.len()) } else { (0, steps.len()) }
}

/// The width of the longest reference, at least a few columns.
fn width(records: &[VmRecord]) -> usize {
    records.iter().map(|record| record.external_ref.as_str().chars().count()).max().unwrap_or(0).clamp(5, 40)
}
