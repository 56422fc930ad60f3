use simulation::{Outcome, Plan};
use std::{
    io::{self, Write},
    time::Duration,
};

/// What came of all runs.
#[derive(Default)]
pub(crate) struct Summary {
    runs: u64,
    machines: usize,
    requests: u64,
    faults: u64,
    passed: Duration,
    failed: Vec<(Plan, Outcome)>,
    shrunk: Option<(Plan, Outcome)>,
}

impl Summary {
    pub(crate) fn add(&mut self, plan: Plan, outcome: Outcome) {
        self.runs += 1;
        self.machines += plan.machines;
        self.requests += outcome.requests;
        self.faults += outcome.faults;
        self.passed += outcome.passed;
        if !outcome.violations.is_empty() {
            self.failed.push((plan, outcome));
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.failed.is_empty()
    }

    /// Makes the failed run with the lowest seed as simple as it still fails.
    pub(crate) fn shrink_first(&mut self, shrink: impl Fn(&Plan, Outcome) -> (Plan, Outcome)) {
        self.failed.sort_by_key(|(plan, _)| plan.seed);
        self.shrunk = self.failed.first().map(|(plan, outcome)| shrink(plan, outcome.clone()));
    }

    pub(crate) fn print(&self, to: &mut impl Write) -> io::Result<()> {
        let Self { runs, machines, requests, faults, .. } = self;
        let hours = self.passed.as_secs() / 3600;
        writeln!(
            to,
            "{runs} seeds, {machines} machines, {hours} virtual hours, {requests} requests, {faults} faults met"
        )?;
        for (plan, outcome) in &self.failed {
            writeln!(to, "FAILED {plan}")?;
            for violation in &outcome.violations {
                writeln!(to, "  {violation}")?;
            }
        }
        if let Some((plan, outcome)) = &self.shrunk {
            writeln!(to, "The simplest run found that fails like seed {}:", plan.seed)?;
            writeln!(to, "  {}", plan.command())?;
            for violation in &outcome.violations {
                writeln!(to, "  {violation}")?;
            }
        }
        writeln!(to, "{} failed", self.failed.len())
    }
}
