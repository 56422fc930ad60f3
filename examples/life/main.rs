//! The whole life of a machine: every command, given to one machine on a simulated cluster, and what each of them changed.
//!
//! The commands themselves are in [`examples::life`], for a test gives the same.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use console::{Term, style};
use deploy_core::CommandOutcome;
use examples::life::{self, Life, Outcome, Told};
use std::{io::Write as _, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return fail(
            &anyhow::anyhow!("life takes no arguments: it shows every command on a simulated cluster"),
            2,
        );
    }
    // One of two providers may be compiled in by somebody else's features; the first to be installed is taken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), 1),
    };
    match runtime.block_on(show()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

async fn show() -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut life = Life::begin().await?;
    let played = life::play(&mut life).await;
    print_table(life.told());
    played?;
    let terminated = life.told().iter().find(|told| told.command == "terminate");
    print("\nWhat became of the resources of web-1");
    for line in terminated.into_iter().flat_map(|told| &told.after.record.life.receipt) {
        print(&format!("    {line}"));
    }
    let commands = life.told().iter().filter(|told| !told.command.starts_with('(')).count();
    print(&format!("\n{commands} commands in {:.0} seconds", begun.elapsed().as_secs_f64()));
    life.end().await
}

/// Lines under the head and at the end only.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().header_separator(line).bottom_border(line)
};

fn print_table(told: &[Told]) {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["Command", "Outcome", "Seconds", "What changed"]);
    for told in told {
        let changed = told.after.changed_since(&told.before);
        table.add_row([
            told.command.clone(),
            wrapped(&in_words(&told.outcome)),
            format!("{:.1}", told.took.as_secs_f64()),
            if changed.is_empty() { "-".to_owned() } else { changed.join("\n") },
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    print(&table.to_string());
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Denied(why) | Outcome::Settled(CommandOutcome::Refused(why)) => format!("refused: {why}"),
        Outcome::Settled(CommandOutcome::Done) => "done".to_owned(),
        Outcome::Settled(CommandOutcome::Withdrawn) => "withdrawn".to_owned(),
        Outcome::Settled(CommandOutcome::Superseded(_)) => "superseded".to_owned(),
        Outcome::Settled(other) => format!("{other:?}"),
    }
}

/// In lines that leave space for the rest of the table.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 36 => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn print(text: &str) {
    // Nothing can be done about a standard output that is gone.
    let _ = Term::stdout().write_line(text);
}

/// Says what went wrong, causes included.
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    // Nothing can be done about a standard error output that is gone.
    let _ = writeln!(std::io::stderr(), "{} {error:#}", style("error:").for_stderr().red().bold());
    ExitCode::from(status)
}
