//! What a recorded answer should become, read from its JSON in another way than the client's.

use proxmox_api::{Already, Busy, Failure};
use serde_json::Value;

/// A field of a value, in the form in which it is held against the recording.
pub(crate) enum Is<'a> {
    /// A text, or nothing.
    Text(Option<&'a str>),
    /// What is absent is false.
    Flag(bool),
    /// What is absent is nothing.
    Maybe(Option<bool>),
    Number(Option<f64>),
}

/// Text as it is, numbers in digits, booleans as PVE writes them.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        other => Some(other.to_string()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes of disks have fewer digits")]
pub(crate) fn whole(number: Option<u64>) -> Is<'static> {
    Is::Number(number.map(|number| number as f64))
}

fn flag(value: &Value) -> Option<bool> {
    text(value).map(|text| text == "1")
}

fn number(value: &Value) -> Option<f64> {
    text(value)?.parse().ok()
}

/// Every field has what the recording has.
pub(crate) fn same(data: &Value, fields: &[(&str, Is<'_>)]) {
    for (key, ours) in fields {
        let recorded = &data[*key];
        match ours {
            Is::Text(ours) => assert_eq!(*ours, text(recorded).as_deref(), "{key} of {data}"),
            Is::Flag(ours) => assert_eq!(*ours, flag(recorded).unwrap_or(false), "{key} of {data}"),
            Is::Maybe(ours) => assert_eq!(*ours, flag(recorded), "{key} of {data}"),
            Is::Number(ours) => assert_eq!(*ours, number(recorded), "{key} of {data}"),
        }
    }
}

/// The rows of a list, one for each value.
pub(crate) fn rows<'a, T>(data: &'a Value, values: &'a [T]) -> impl Iterator<Item = (&'a Value, &'a T)> {
    let rows = data.as_array().unwrap();
    assert_eq!(rows.len(), values.len(), "{data}");
    rows.iter().zip(values)
}

/// Tags as a set.
pub(crate) fn tags(value: &Value) -> Vec<String> {
    let all = text(value).unwrap_or_default();
    let mut tags: Vec<String> =
        all.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    tags.sort_unstable();
    tags
}

const EXISTS: Failure = Failure::Already(Already::Exists);
const ABSENT: Failure = Failure::Already(Already::Absent);

/// Sentences of the recordings, and what whoever sent the request should make of them. The first that is found
/// decides; `None` is what no rule is known for.
const CLASSES: &[(&str, Failure)] = &[
    ("no quorum", Failure::Busy(Busy::NoQuorum)),
    // Without quorum, the way in which a configuration cannot be written.
    ("conf.tmp.", Failure::Busy(Busy::NoQuorum)),
    ("got lock request timeout", Failure::Busy(Busy::Cluster)),
    ("can't lock file '/var/lock/qemu-server/", Failure::Busy(Busy::File)),
    ("VM is locked (", Failure::Busy(Busy::Locked)),
    ("still busy in guest?", Failure::Busy(Busy::Hotplug)),
    ("hotplug problem", Failure::Busy(Busy::Hotplug)),
    ("Permission check failed (pool 'nopool' does not exist)", Failure::Refused),
    ("Permission check failed", Failure::Forbidden),
    ("only root", Failure::Forbidden),
    ("Only root", Failure::Forbidden),
    ("checksum mismatch (file change by other user?)", Failure::Changed),
    ("detected modified configuration", Failure::Changed),
    ("no such task", Failure::UnknownOutcome),
    ("Configuration file 'nodes/", Failure::Gone),
    ("unable to find configuration file for VM", Failure::Gone),
    ("config file already exists", Failure::Taken),
    ("already exists on node", Failure::Taken),
    ("conf' failed: File exists", Failure::Taken),
    ("target is local node.", Failure::Already(Already::OnTarget)),
    ("shrinking disks is not supported", Failure::Already(Already::Larger)),
    ("already running", Failure::Already(Already::Running)),
    ("can't convert a template to a template", EXISTS),
    ("already used", EXISTS),
    ("is already a pool member", EXISTS),
    ("already defined", EXISTS),
    ("IPSet 'myset' already exists", EXISTS),
    ("IPSet 'ipfilter-net0' already exists", EXISTS),
    ("pool 'p1' already exists", EXISTS),
    ("address '", EXISTS),
    ("alias 'al1' already exists", EXISTS),
    ("alias 'AL1' already exists", EXISTS),
    ("not HA managed", ABSENT),
    ("no such IPSet", ABSENT),
    ("no rule at position", ABSENT),
    ("snapshot 'nosnap' does not exist", ABSENT),
    ("snapshot 'nosuch' does not exist", ABSENT),
    ("snapshot 'before' does not exist", ABSENT),
    ("is not empty (contains VM", Failure::Other),
    ("is not empty", Failure::WrongState),
    ("is running - destroy failed", Failure::WrongState),
    ("without --online", Failure::WrongState),
    ("QEMU guest agent is not running", Failure::Guest),
    ("quit/powerdown failed", Failure::Guest),
    ("not running", Failure::WrongState),
    ("VM 9000 already exists", Failure::Taken),
    // They say what went wrong, and that is all there is to know.
    ("qemu-img", Failure::Other),
    ("could not get size", Failure::Other),
    ("malformed JSON", Failure::Other),
    ("unable to parse value", Failure::Other),
    ("migration aborted", Failure::Other),
    ("received interrupt", Failure::UnknownOutcome),
    ("unexpected status", Failure::UnknownOutcome),
    ("migration problems", Failure::UnknownOutcome),
];

/// What a sentence should be taken for; a refusal when nothing else is said of it.
pub(crate) fn class(message: &str) -> Failure {
    CLASSES.iter().find(|(part, _)| message.contains(part)).map_or(Failure::Refused, |(_, class)| *class)
}
