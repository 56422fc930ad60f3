//! A bar for each machine.

use super::{Display, position, width};
use crate::watch::words;
use deploy_core::{LogEntry, Step, VmKey, VmRecord};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{collections::HashMap, time::Duration};

const UNDER_WAY: &str =
    "  {prefix} {spinner:.cyan} {bar:15.cyan/dim} {pos:>2}/{len:2} {wide_msg} {elapsed:>4.dim}";
const TROUBLED: &str =
    "  {prefix} {spinner:.yellow} {bar:15.yellow/dim} {pos:>2}/{len:2} {wide_msg:.yellow} {elapsed:>4.dim}";
const THERE: &str =
    "  {prefix} {spinner:.green} {bar:15.green/dim} {pos:>2}/{len:2} {wide_msg:.green} {elapsed:>4.dim}";
const STUCK: &str =
    "  {prefix} {spinner:.red} {bar:15.red/dim} {pos:>2}/{len:2} {wide_msg:.red} {elapsed:>4.dim}";

/// How a machine does, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    UnderWay,
    Troubled,
    Stuck,
    There,
}

/// Bars on a terminal.
#[derive(Default)]
pub(super) struct Bars {
    area: MultiProgress,
    bars: HashMap<VmKey, (ProgressBar, Mood)>,
}

fn style(mood: Mood) -> ProgressStyle {
    let template = match mood {
        Mood::UnderWay => UNDER_WAY,
        Mood::Troubled => TROUBLED,
        Mood::Stuck => STUCK,
        Mood::There => THERE,
    };
    // How the line of a machine ends that is not watched any longer.
    let mark = match mood {
        Mood::UnderWay | Mood::Troubled => "·",
        Mood::Stuck => "✗",
        Mood::There => "✓",
    };
    let ticks = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", mark];
    // The templates are constants; one that were wrong would show as the plain default.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─").tick_strings(&ticks)
}

fn mood(record: &VmRecord, goal: Step) -> Mood {
    if record.step == goal {
        Mood::There
    } else if record.attention.is_some() {
        Mood::Stuck
    } else if record.failures > 0 {
        Mood::Troubled
    } else {
        Mood::UnderWay
    }
}

impl Display for Bars {
    fn begin(&mut self, records: &[VmRecord], last: &HashMap<VmKey, LogEntry>, goal: Step) {
        self.area = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15));
        self.bars.clear();
        let width = width(records);
        for record in records {
            let bar = self.area.add(ProgressBar::new(1));
            bar.set_prefix(format!("{:width$}", record.external_ref.as_str()));
            bar.set_style(style(Mood::UnderWay));
            bar.enable_steady_tick(Duration::from_millis(100));
            self.bars.insert(record.key, (bar, Mood::UnderWay));
        }
        self.show(records, last, goal);
    }

    fn event(&mut self, _record: &VmRecord, _entry: &LogEntry) {}

    fn show(&mut self, records: &[VmRecord], last: &HashMap<VmKey, LogEntry>, goal: Step) {
        for record in records {
            let Some((bar, shown)) = self.bars.get_mut(&record.key) else { continue };
            if bar.is_finished() {
                continue;
            }
            let now = mood(record, goal);
            if now != *shown {
                bar.set_style(style(now));
                *shown = now;
            }
            let (at, of) = position(record, goal);
            bar.set_length(of as u64);
            bar.set_position(at as u64);
            if now == Mood::There {
                bar.finish_with_message(goal.to_string());
            } else {
                bar.set_message(format!("{}  {}", record.step, words(record, last.get(&record.key))));
            }
        }
    }

    fn end(&mut self) {
        for (bar, _) in self.bars.values() {
            if !bar.is_finished() {
                bar.abandon();
            }
        }
        // The cursor stands behind the last bar.
        self.say("");
    }

    fn say(&mut self, text: &str) {
        // Nothing can be done about a terminal that is gone.
        let _ = console::Term::stderr().write_line(text);
    }
}
