//! What would be right, where the parser only says what is wrong.

use deploy_core::{CpuCount, GiB, Invalid, Iops, MiB, VlanId, Vmid};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The units that keys end in.
const UNITS: [(&str, &str); 6] = [
    ("_gib", "GiB (2^30 bytes)"),
    ("_mib", "MiB (2^20 bytes)"),
    ("_mibps", "MiB/s"),
    ("_iops", "operations a second"),
    ("_minutes", "minutes"),
    ("_seconds", "seconds"),
];

/// The parser's message, with the key it is about, and with what would be right.
pub(super) fn explain(file: &str, place: &Range<usize>, message: &str) -> String {
    if let Some(unknown) = quoted(message, "unknown field `") {
        return unknown_key(unknown, &expected(message));
    }
    // A file that is no TOML has no keys yet; what stands before the place may still tell the unit.
    let key = key_of(file, place);
    let number_wanted = message.starts_with("invalid type: string")
        || message.starts_with("invalid type: floating")
        || message.starts_with("expected");
    if number_wanted
        && let Some((key, unit)) =
            key.as_deref().or_else(|| key_before(file, place.start)).and_then(|key| Some((key, unit(key)?)))
    {
        return format!(
            "{key}: {message}; write a plain number, the unit is in the key: {key} counts {unit}"
        );
    }
    key.map_or_else(|| message.to_owned(), |key| about(&key, message))
}

/// The message about this key's value.
fn about(key: &str, message: &str) -> String {
    if key == "password" {
        // The parser repeats values.
        return "password: \"(hidden)\" is not valid: text between quotes".to_owned();
    }
    if let Some(number) = quoted(message, "invalid value: integer `") {
        let right = range(key).unwrap_or_else(|| bounds(message).to_owned());
        return format!("{key}: \"{number}\" is not valid: {right}");
    }
    if let Some(word) = quoted(message, "unknown variant `") {
        let known: Vec<_> = expected(message).into_iter().map(|known| format!("\"{known}\"")).collect();
        return format!("{key}: \"{word}\" is not valid: write {}", known.join(" or "));
    }
    match message.split_once(": ") {
        // The types know themselves by a name of their own.
        Some((name, rest)) if rest.contains(" is not valid: ") && is_key(name) => format!("{key}: {rest}"),
        _ => format!("{key}: {message}"),
    }
}

fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What a whole number must be under this key, in the words of its type.
fn range(key: &str) -> Option<String> {
    let of = |invalid: Option<Invalid>| invalid.map(|invalid| invalid.expected);
    match key {
        "memory_mib" => of(MiB::try_from(0).err()),
        "size_gib" => of(GiB::try_from(0).err()),
        "cores" | "sockets" => of(CpuCount::try_from(0).err()),
        "vlan" => of(VlanId::try_from(0).err()),
        "vmid" | "first" | "last" => of(Vmid::try_from(0).err()),
        "read_iops" | "write_iops" => of(Iops::try_from(0).err()),
        "count" => Some("a count from 1 to 64".to_owned()),
        "prefix_len" => Some("a prefix length from 1 to 32 for IPv4, or to 128 for IPv6".to_owned()),
        _ => None,
    }
}

/// What the parser calls by the name of a machine type.
fn bounds(message: &str) -> &str {
    match message.rsplit_once("expected ").map_or("", |(_, expected)| expected) {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number of 0 or more",
        "a nonzero u32" | "a nonzero usize" => "a whole number of 1 or more",
        other => other,
    }
}

/// The key whose value, or one of whose listed values, stands at exactly this place.
fn key_of(file: &str, place: &Range<usize>) -> Option<String> {
    let table = DeTable::parse(file).ok()?;
    in_table(table.get_ref(), place).map(str::to_owned)
}

fn in_table<'a>(table: &'a DeTable<'_>, place: &Range<usize>) -> Option<&'a str> {
    table.iter().find_map(|(key, value)| in_value(key.get_ref(), value, place))
}

fn in_value<'a>(key: &'a str, value: &'a Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<&'a str> {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, place),
        // What is wrong with one of its values may be shown at the whole list.
        DeValue::Array(array) if value.span() != *place => {
            array.iter().find_map(|value| in_value(key, value, place))
        }
        _ => (value.span() == *place).then_some(key),
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
