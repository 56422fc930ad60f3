//! Counting what agrees.

use std::collections::BTreeMap;
use std::fmt;

use crate::rows::Row;

/// Rows that agree and rows in all, by group; and what does not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: BTreeMap<String, (usize, usize)>,
    meant: Vec<String>,
    others: Vec<String>,
}

impl Report {
    /// Counts a row. A difference that is meant is a difference.
    pub(crate) fn count(&mut self, row: &Row, differences: &[String], reason: Option<&str>) {
        let (agree, all) = self.groups.entry(row.group()).or_default();
        *all += 1;
        let title = format!("{} {}", row.seq, row.case);
        match (differences, reason) {
            ([], _) => *agree += 1,
            ([first, ..], Some(reason)) => self.meant.push(format!("{title}: {reason}\n      {first}")),
            (differences, None) => {
                self.others.push(format!("{title}\n      {}", differences.join("\n      ")));
            }
        }
    }

    fn totals(&self) -> (usize, usize) {
        self.groups.values().fold((0, 0), |(a, b), (agree, all)| (a + agree, b + all))
    }

    /// Share of the rows that agree, in per cent.
    pub(crate) fn share(&self) -> f64 {
        let (agree, all) = self.totals();
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        100.0 * count(agree) / count(all.max(1))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (agree, all) = self.totals();
        writeln!(f, "{agree} of {all} rows agree, {:.1} %", self.share())?;
        for (group, (agree, all)) in &self.groups {
            writeln!(f, "  {group:<24} {agree:>4} of {all:>4}")?;
        }
        for line in &self.meant {
            writeln!(f, "  meant: {line}")?;
        }
        for line in &self.others {
            writeln!(f, "  unexplained: {line}")?;
        }
        Ok(())
    }
}
