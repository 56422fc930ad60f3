//! A line for each step of each machine, for files and pipes.

use super::{Display, width};
use deploy_core::{LogEntry, LogEvent, Step, VmKey, VmRecord};
use std::{
    collections::HashMap,
    io::{Write as _, stderr},
    time::Instant,
};

/// Plain lines.
pub(super) struct Lines {
    started: Instant,
    width: usize,
    goal: Step,
}

impl Default for Lines {
    fn default() -> Self {
        Self { started: Instant::now(), width: 0, goal: Step::Ready }
    }
}

impl Lines {
    fn line(&self, reference: &str, (at, of): (usize, usize), step: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let width = self.width;
        self.print(&format!("{seconds:7.2}s  {reference:width$}  {at:>2}/{of:<2} {step:<29} {text}"));
    }

    fn print(&self, text: &str) {
        let _ = writeln!(stderr(), "{}", text.trim_end());
    }
}

impl Display for Lines {
    fn begin(&mut self, records: &[VmRecord], _last: &HashMap<VmKey, LogEntry>, goal: Step) {
        self.width = width(records);
        self.goal = goal;
    }

    fn event(&mut self, record: &VmRecord, entry: &LogEntry) {
        let steps = entry.line.operation.steps();
        let at = steps.iter().position(|step| *step == entry.line.step).map_or(0, |at| at + 1);
        let reference = record.external_ref.as_str();
        let step = entry.line.step.as_str();
        match &entry.line.event {
            LogEvent::Done { how } => {
                self.line(reference, (at, steps.len()), step, how);
                if entry.line.operation.after(entry.line.step) == Some(self.goal) {
                    self.line(reference, (steps.len(), steps.len()), self.goal.as_str(), "");
                }
            }
            LogEvent::Failed { .. } | LogEvent::Attention { .. } => {
                self.line(reference, (at, steps.len()), step, &entry.line.event.to_string());
            }
            LogEvent::Ordered
            | LogEvent::Began
            | LogEvent::Sent { .. }
            | LogEvent::Noted { .. }
            | LogEvent::Waiting { .. } => {}
        }
    }

    fn show(&mut self, _records: &[VmRecord], _last: &HashMap<VmKey, LogEntry>, _goal: Step) {}

    fn end(&mut self) {}

    fn say(&mut self, text: &str) {
        self.print(text);
    }
}
