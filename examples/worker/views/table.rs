//! Tables as a terminal of 80 columns bears them.

use comfy_table::{LineStyle, Table, TableStyle};
use jiff::{SignedDuration, Timestamp};
use std::io::Write as _;

/// Lines under the head and at the end only.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().header_separator(line).bottom_border(line)
};

/// Prints a table, or these words where it has no rows.
pub(super) fn print<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, none: &str) {
    if rows.is_empty() {
        return say(none);
    }
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(head);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    say(&lines.join("\n"));
}

/// Prints a line.
pub(super) fn say(text: &str) {
    // Nothing can be done about a standard output that is gone.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A time without fractions of seconds.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// A duration in its largest units.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds / 60),
        6000..=359_999 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long a run took.
pub(super) fn took(duration: SignedDuration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
