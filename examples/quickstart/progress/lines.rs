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
    /// What was sent for the step that a machine is on: more telling than how its end was seen.
    sent: HashMap<VmKey, Vec<String>>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { started: Instant::now(), width: 0, goal: Step::Ready, sent: HashMap::new() }
    }
}

impl Lines {
    fn line(&self, reference: &str, (at, of): (usize, usize), step: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let width = self.width;
        print(&format!("{seconds:7.2}s  {reference:width$}  {at:>2}/{of:<2} {step:<29} {text}"));
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
                let sent = self.sent.remove(&record.key).unwrap_or_default();
                let text = if sent.is_empty() { how.clone() } else { sent.join("; ") };
                self.line(reference, (at, steps.len()), step, &text);
                if entry.line.operation.after(entry.line.step) == Some(self.goal) {
                    self.line(reference, (steps.len(), steps.len()), self.goal.as_str(), "");
                }
            }
            LogEvent::Failed { .. } | LogEvent::Attention { .. } => {
                self.line(reference, (at, steps.len()), step, &entry.line.event.to_string());
            }
            LogEvent::Sent { change, .. } => {
                let sent = self.sent.entry(record.key).or_default();
                // Tried again, it is still one thing.
                if sent.last() != Some(change) {
                    sent.push(change.clone());
                }
            }
            LogEvent::Ordered | LogEvent::Began | LogEvent::Noted { .. } | LogEvent::Waiting { .. } => {}
        }
    }

    fn show(&mut self, _records: &[VmRecord], _last: &HashMap<VmKey, LogEntry>, _goal: Step) {}

    fn end(&mut self) {}

    fn say(&mut self, text: &str) {
        print(text);
    }
}

fn print(text: &str) {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(stderr(), "{}", text.trim_end());
}
