//! For people.

use super::Machine;
use crate::{proof::Left, simulator::Counters};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use console::{Term, style};
use deploy_core::{LogEntry, LogEvent};
use jiff::Timestamp;

fn print(text: &str) {
    // Nothing can be done about a standard output that is gone.
    let _ = Term::stdout().write_line(text);
}

/// Lines under the head and at the end only: the demonstration then fits a terminal of 80 columns.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().header_separator(line).bottom_border(line)
};

/// One line for each machine.
pub(crate) fn print_table(machines: &[Machine]) {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["Name", "Node", "VMID", "Addresses", "MAC", "Seconds"]);
    for machine in machines {
        let arrived = machine.seconds.map(|seconds| format!("{seconds:.1}"));
        table.add_row([
            machine.name.clone(),
            machine.node.clone(),
            machine.vmid.to_string(),
            addresses(machine),
            machine.macs.join("\n"),
            arrived.unwrap_or_else(|| format!("at {}", machine.status)),
        ]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    for column in [2, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    print(&table.to_string());
    for machine in machines.iter().filter(|machine| machine.attention.is_some()) {
        let message = machine.attention.as_deref().unwrap_or_default();
        print(&format!(
            "\n{} {}",
            style(format!("{} needs attention:", machine.reference)).red().bold(),
            message
        ));
    }
}

fn addresses(machine: &Machine) -> String {
    match machine.addresses.join("\n") {
        none if none.is_empty() => if machine.dhcp { "DHCP" } else { "-" }.to_owned(),
        some => some,
    }
}

/// The deploy log of the machine that has the most to tell.
pub(crate) fn print_log(machines: &[Machine]) {
    let Some(machine) = machines.iter().max_by_key(|machine| (machine.attempts, machine.log.len())) else {
        return;
    };
    let Some(first) = machine.log.first() else { return };
    print(&format!("\n{}", style(format!("The deploy log of {}", machine.reference)).bold()));
    for entry in &machine.log {
        print(&line(entry, first.line.at));
    }
}

fn line(entry: &LogEntry, since: Timestamp) -> String {
    let seconds = entry.line.at.duration_since(since).as_secs_f64();
    let times = if entry.times > 1 { format!(" (×{})", entry.times) } else { String::new() };
    let text = format!("{}{times}", entry.line.event);
    let text = match &entry.line.event {
        LogEvent::Done { .. } => style(text).green(),
        LogEvent::Failed { .. } => style(text).yellow(),
        LogEvent::Attention { .. } => style(text).red(),
        _ => style(text),
    };
    format!("  {:>7} {:<29} {text}", style(format!("{seconds:.2}s")).dim(), entry.line.step.as_str())
}

/// What it cost, and what went wrong on the way.
pub(crate) fn print_requests(counters: &Counters, machines: usize) {
    let requests: u64 = counters.requests.values().sum();
    let clones: u64 = counters.clones.values().sum();
    let faults: u64 = counters.faults.values().sum();
    let faults = if faults > 0 { format!("; {faults} faults met, and got over") } else { String::new() };
    print(&format!("\n{requests} requests for {machines} machines, {clones} clones made{faults}"));
}

/// What is left after everything was taken away.
pub(crate) fn print_left(left: &Left) {
    if left.is_nothing() {
        print(&format!(
            "\n{} no machine, no volume, no firewall, no held address",
            style("Nothing is left:").green().bold()
        ));
        return;
    }
    print(&format!("\n{}", style("Not everything is gone:").red().bold()));
    let list = |what: &str, items: Vec<String>| {
        if !items.is_empty() {
            print(&format!("  {what}: {}", items.join(", ")));
        }
    };
    list("machines", left.machines.iter().map(ToString::to_string).collect());
    list("volumes", left.volumes.iter().cloned().collect());
    list("firewalls of", left.firewalls.iter().map(ToString::to_string).collect());
    list("addresses held", left.held_addresses.iter().cloned().collect());
}
