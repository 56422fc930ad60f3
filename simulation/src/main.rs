//! Runs seed after seed and says which do not end as they must.

mod cli;
mod progress;
mod summary;

use clap::Parser as _;
use cli::Cli;
use progress::Progress;
use simulation::{Plan, run, run_and_tell, shrink};
use std::{
    io::Write as _,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};
use summary::Summary;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.tell {
        return tell(&cli);
    }
    let plans = Mutex::new(cli.plans());
    let progress = Progress::of(cli.seeds);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..cli.threads.get() {
            scope.spawn(|| {
                while let Some(plan) = next(&plans) {
                    let outcome = run(&plan);
                    let failed = !outcome.violations.is_empty();
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.add(plan, outcome);
                    drop(summary);
                    progress.step(failed);
                }
            });
        }
    });
    progress.end();
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !cli.no_shrink {
        summary.shrink_first(shrink);
    }
    // Without an output nobody can be told; the exit code says it all the same.
    let _ = summary.print(&mut std::io::stdout());
    if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run, with everything that happened in it.
fn tell(cli: &Cli) -> ExitCode {
    let Some(plan) = cli.plans().next() else { return ExitCode::SUCCESS };
    let (outcome, story) = run_and_tell(&plan);
    let mut summary = Summary::default();
    summary.add(plan, outcome);
    let mut to = std::io::stdout().lock();
    let told = story.iter().try_for_each(|line| writeln!(to, "{line}")).and_then(|()| summary.print(&mut to));
    // Whoever reads only the beginning has closed the pipe.
    drop(told);
    if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn next(plans: &Mutex<impl Iterator<Item = Plan>>) -> Option<Plan> {
    plans.lock().unwrap_or_else(PoisonError::into_inner).next()
}
