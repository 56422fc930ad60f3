//! What would be right, where the parser only says what is wrong.

use std::ops::Range;

/// The units that keys end in.
const UNITS: [(&str, &str); 5] = [
    ("_gib", "GiB (2^30 bytes)"),
    ("_mib", "MiB (2^20 bytes)"),
    ("_mibps", "MiB/s"),
    ("_iops", "operations a second"),
    ("_minutes", "minutes"),
];

/// The parser's message, with a hint where it is about a key's name or a unit.
pub(super) fn explain(file: &str, place: &Range<usize>, message: &str) -> String {
    if let Some(unknown) = quoted(message, "unknown field `") {
        return unknown_key(unknown, &expected(message));
    }
    let number_wanted = message.starts_with("invalid type: string") || message.starts_with("expected");
    match key_before(file, place.start).and_then(|key| unit(key).map(|unit| (key, unit))) {
        Some((key, unit)) if number_wanted || message.starts_with("invalid type: floating") => {
            format!("{key}: {message}; write a plain number, the unit is in the key: {key} counts {unit}")
        }
        _ => message.to_owned(),
    }
}

fn unknown_key(unknown: &str, known: &[&str]) -> String {
    let meant = known.iter().max_by_key(|key| common_prefix(key, unknown));
    let meant = meant.filter(|key| common_prefix(key, unknown) >= 3).map(|key| match unit(key) {
        Some(unit) => format!(" Write {key}, in {unit}?"),
        None => format!(" Did you mean {key}?"),
    });
    format!("unknown key `{unknown}`.{} Known here: {}", meant.unwrap_or_default(), known.join(", "))
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

fn unit(key: &str) -> Option<&'static str> {
    UNITS.iter().find(|(suffix, _)| key.ends_with(suffix)).map(|(_, unit)| *unit)
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').next()
}

/// The names that serde lists after "expected", each between backquotes.
fn expected(message: &str) -> Vec<&str> {
    let (_, list) = message.split_once(", expected").unwrap_or((message, ""));
    list.split('`').skip(1).step_by(2).collect()
}

/// The key whose value begins at `start`.
fn key_before(file: &str, start: usize) -> Option<&str> {
    let before = file.get(..start)?.trim_end().strip_suffix('=')?.trim_end();
    before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c))).next()
}
