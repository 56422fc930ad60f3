//! Runs seed after seed and says which do not end as they must.

mod cli;
mod progress;

use clap::Parser as _;
use cli::Cli;
use progress::Progress;
use simulation::{Summary, run_and_tell};
use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut to = io::stdout().lock();
    let (summary, told) = if cli.tell { tell(&cli, &mut to) } else { run_all(&cli, &mut to) };
    // Without an output nobody can be told, and whoever reads only the beginning has closed the pipe; the exit code says it
    // all the same.
    drop(told);
    if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(cli: &Cli, to: &mut impl io::Write) -> (Summary, io::Result<()>) {
    let progress = Progress::of(cli.seeds);
    let summary = Summary::of(cli.plans(), cli.threads, |outcome| progress.step(!outcome.is_sound()));
    progress.end();
    let simplest = if cli.no_shrink { None } else { summary.simplest() };
    let told = writeln!(to, "{summary}")
        .and_then(|()| simplest.map_or(Ok(()), |simplest| writeln!(to, "{simplest}")));
    (summary, told)
}

/// The first run alone, with everything that happened in it.
fn tell(cli: &Cli, to: &mut impl io::Write) -> (Summary, io::Result<()>) {
    let mut summary = Summary::default();
    let Some(plan) = cli.plans().next() else { return (summary, Ok(())) };
    let (outcome, story) = run_and_tell(&plan);
    summary.add(plan, outcome);
    let told =
        story.iter().try_for_each(|line| writeln!(to, "{line}")).and_then(|()| writeln!(to, "{summary}"));
    (summary, told)
}
