//! Tells what runs came to: for people, and as JSON.

use crate::{
    cli::Cli,
    summary::{Run, Summary},
};
use anyhow::Context as _;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde_json::json;
use std::{collections::BTreeSet, fs, io::Write as _, path::Path};

/// Lines under the head and at the end only.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().header_separator(line).bottom_border(line)
};
/// So many kinds of failures are told.
const FAILURES: usize = 5;

/// Says something beside the result.
pub(crate) fn say(words: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "{words}").context("the standard error output is gone")
}

/// A line about a run, and what went wrong in it.
pub(crate) fn progress(machines: u32, run: u32, of: u32, Run { taken, seen }: &Run) -> String {
    let over = seen.as_ref().map(|seen| format!(", {:.2} s over the ideal", taken.wall - seen.ideal));
    let mut lines = vec![format!(
        "{machines} machines, run {run} of {of}: {:.2} s, {:.2} s of CPU, {:.1} MiB{}",
        taken.wall,
        taken.cpu,
        taken.peak_rss,
        over.unwrap_or_default()
    )];
    let lacking = taken.machines - taken.ready;
    if lacking > 0 {
        lines.push(format!("{lacking} machines did not become ready:"));
    }
    lines.extend(taken.stuck.iter().cloned());
    lines.extend(taken.failures.iter().take(FAILURES).map(|(words, times)| format!("{times} times {words}")));
    lines.join("\n  ")
}

/// Prints the tables.
pub(crate) fn print(summaries: &[Summary]) -> anyhow::Result<()> {
    let (costs, requests) = (costs(summaries), requests(summaries));
    writeln!(std::io::stdout(), "{costs}\n\n{requests}").context("the standard output is gone")
}

fn costs(summaries: &[Summary]) -> Table {
    let mut table = table("machines", summaries);
    let mut row = |name: &str, value: &dyn Fn(&Summary) -> Option<String>| {
        let values: Vec<_> = summaries.iter().map(|summary| value(summary).unwrap_or_default()).collect();
        if values.iter().any(|value| !value.is_empty()) {
            table.add_row([name.to_owned()].into_iter().chain(values));
        }
    };
    row("ready", &|s| Some(s.ready.to_string()));
    row("wall, s", &|s| Some(format!("{:.2}", s.wall)));
    row("of these, placing orders, s", &|s| Some(format!("{:.2}", s.placing)));
    row("ideal path, s", &|s| Some(format!("{:.2}", s.outside.as_ref()?.ideal)));
    row("over the ideal, s", &|s| Some(format!("{:.2}", s.outside.as_ref()?.over_ideal)));
    if summaries.iter().any(is_limited) {
        row("our limits allow, s", &|s| Some(format!("{:.2}", s.outside.as_ref()?.limits_allow)));
        row("times what they allow", &|s| Some(format!("{:.3}", s.outside.as_ref()?.times_limits_allow)));
    }
    row("requests per machine", &|s| Some(format!("{:.2}", s.requests_per_machine)));
    row("CPU per machine, ms", &|s| Some(format!("{:.2}", s.cpu_per_machine * 1e3)));
    row("peak RSS, MiB", &|s| Some(format!("{:.1}", s.peak_rss)));
    row("failed tries", &|s| Some(s.failures.to_string()));
    row("lock time-outs", &|s| Some(s.outside.as_ref()?.lock_timeouts.to_string()));
    row("CPUs the simulator kept busy", &|s| Some(format!("{:.2}", s.outside.as_ref()?.simulator_load)));
    table
}

/// Whether our limits keep machines waiting for one another.
fn is_limited(summary: &Summary) -> bool {
    summary.outside.as_ref().is_some_and(|outside| outside.limits_allow > outside.ideal * 1.01)
}

fn requests(summaries: &[Summary]) -> Table {
    let endpoints: BTreeSet<&String> =
        summaries.iter().flat_map(|summary| summary.requests_per_machine_by_endpoint.keys()).collect();
    let mut table = table("requests per machine", summaries);
    for endpoint in endpoints {
        let count = |summary: &Summary| {
            let count = summary.requests_per_machine_by_endpoint.get(endpoint)?;
            Some(format!("{count:.2}"))
        };
        let counts = summaries.iter().map(|summary| count(summary).unwrap_or_default());
        table.add_row([endpoint.clone()].into_iter().chain(counts));
    }
    table
}

fn table(name: &str, summaries: &[Summary]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    let heads = summaries.iter().map(|summary| format!("N = {}", summary.machines));
    table.set_header([name.to_owned()].into_iter().chain(heads));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Writes everything.
pub(crate) fn write_json(file: &Path, cli: &Cli, summaries: &[Summary], runs: &[&Run]) -> anyhow::Result<()> {
    let simulated = cli.real.url.is_empty().then_some(&cli.simulated);
    let document = json!({
        "limits": cli.limits(), "store": cli.store, "simulated": simulated, "medians": summaries, "runs": runs,
    });
    let text = serde_json::to_string_pretty(&document)?;
    fs::write(file, text + "\n").with_context(|| format!("{} cannot be written", file.display()))
}
