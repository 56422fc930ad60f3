//! Counting what agrees.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Rows that agree and rows in all, by group.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: BTreeMap<String, (usize, usize)>,
    pub(crate) lines: Vec<String>,
}

impl Report {
    pub(crate) fn count(&mut self, group: &str, differences: &[String], row: &str) {
        let (agree, all) = self.groups.entry(group.to_owned()).or_default();
        *all += 1;
        if differences.is_empty() {
            *agree += 1;
        } else {
            self.lines.push(format!("{row}\n      {}", differences.join("\n      ")));
        }
    }

    pub(crate) fn totals(&self) -> (usize, usize) {
        self.groups.values().fold((0, 0), |(a, b), (agree, all)| (a + agree, b + all))
    }

    #[allow(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub(crate) fn share(&self) -> f64 {
        let (agree, all) = self.totals();
        100.0 * agree as f64 / all.max(1) as f64
    }

    /// The share of every group.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (group, (agree, all)) in &self.groups {
            let _ = writeln!(text, "  {group:<24} {agree:>4} of {all:>4}");
        }
        text
    }
}
