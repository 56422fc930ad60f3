use crate::{
    plan::Plan,
    run::{Outcome, run},
    shrink::shrink,
};
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Summary {
    runs: u64,
    machines: usize,
    requests: u64,
    faults: u64,
    passed: Duration,
    failed: Vec<(Plan, Outcome)>,
}

impl Summary {
    /// Runs all of these plans, so many at once, and tells `each` outcome as it comes.
    pub fn of(
        plans: impl Iterator<Item = Plan> + Send,
        threads: NonZeroUsize,
        each: impl Fn(&Outcome) + Sync,
    ) -> Self {
        let (plans, summary) = (Mutex::new(plans), Mutex::new(Self::default()));
        thread::scope(|scope| {
            for _ in 0..threads.get() {
                scope.spawn(|| {
                    // The lock is not held while a plan is run.
                    let next = || plans.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some(plan) = next() {
                        let outcome = run(&plan);
                        each(&outcome);
                        summary.lock().unwrap_or_else(PoisonError::into_inner).add(plan, outcome);
                    }
                });
            }
        });
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.failed.sort_by_key(|(plan, _)| (plan.machines, plan.seed));
        summary
    }

    /// Adds a run.
    pub fn add(&mut self, plan: Plan, outcome: Outcome) {
        self.runs += 1;
        self.machines += plan.machines;
        self.requests += outcome.requests;
        self.faults += outcome.faults;
        self.passed += outcome.passed;
        if outcome.is_sound() {
            return;
        }
        self.failed.push((plan, outcome));
    }

    /// Whether none failed.
    pub fn is_sound(&self) -> bool {
        self.failed.is_empty()
    }

    /// The smallest run that failed, made as simple as it still fails: the command that repeats it, and its violations.
    pub fn simplest(&self) -> Option<String> {
        let (plan, outcome) = self.failed.first()?;
        let (simplest, outcome) = shrink(plan, outcome.clone());
        Some(format!(
            "The simplest run found that fails like seed {}:\n  {}\n{outcome}",
            plan.seed,
            simplest.command()
        ))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, machines, requests, faults, passed, failed } = self;
        let hours = passed.as_secs() / 3600;
        for (plan, outcome) in failed {
            writeln!(f, "FAILED {plan}\n{outcome}")?;
        }
        write!(
            f,
            "{runs} seeds, {machines} machines, {hours} virtual hours, {requests} requests, {faults} faults met, {} failed",
            failed.len()
        )
    }
}
