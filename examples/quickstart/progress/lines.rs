//! A line for each step of each machine, and for what it waits for, for files and pipes.

use super::{Display, position, waits::Waits, width};
use crate::watch::words;
use deploy_core::{LogEntry, LogEvent, Progress, Step, VmKey, VmRecord};
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
    waits: Waits,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            width: 0,
            goal: Step::Ready,
            sent: HashMap::new(),
            waits: Waits::default(),
        }
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
                self.waits.said(record.key, String::new(), Instant::now());
                if entry.line.operation.after(entry.line.step) == Some(self.goal) {
                    self.line(reference, (steps.len(), steps.len()), self.goal.as_str(), "");
                }
            }
            LogEvent::Failed { .. } | LogEvent::Attention { .. } => {
                self.line(reference, (at, steps.len()), step, &entry.line.event.to_string());
                self.waits.said(record.key, waits_for(record, Some(entry)), Instant::now());
            }
            LogEvent::Sent { change, .. } => {
                let sent = self.sent.entry(record.key).or_default();
                // Tried again, it is still one thing.
                if sent.last() != Some(change) {
                    sent.push(change.clone());
                }
            }
            _ => {}
        }
    }

    fn show(&mut self, records: &[VmRecord], last: &HashMap<VmKey, LogEntry>, goal: Step) {
        for record in records.iter().filter(|record| record.step != goal) {
            let text = waits_for(record, last.get(&record.key));
            if self.waits.say(record.key, &text, Instant::now()) {
                let reference = record.external_ref.as_str();
                self.line(reference, position(record, goal), record.step.as_str(), &text);
            }
        }
    }

    fn end(&mut self) {}

    fn say(&mut self, text: &str) {
        print(text);
    }
}

/// What a machine waits for, in a few words.
fn waits_for(record: &VmRecord, last: Option<&LogEntry>) -> String {
    let words = words(record, last);
    if words.is_empty() {
        // It is looked at, or waits for a slot: neither is written down.
        return "waiting: for its turn, or for an answer of the cluster".to_owned();
    }
    match &record.progress {
        Progress::Submitted { .. } if record.failures == 0 => format!("waiting: for the task: {words}"),
        _ => words,
    }
}

fn print(text: &str) {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(stderr(), "{}", text.trim_end());
}
