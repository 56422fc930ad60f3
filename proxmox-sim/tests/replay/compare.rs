//! Holding one answer of the simulator against the recorded one.

use proxmox_sim::Reply;
use serde_json::Value;

use crate::body::Body;
use crate::meaning;
use crate::rows::Row;

/// What differs, one line for each thing; nothing when the two agree.
pub(crate) fn differences(row: &Row, reply: &Reply) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, recorded: String, simulated: String| {
        if recorded != simulated {
            found.push(format!("{what}: recorded {recorded} / simulated {simulated}"));
        }
    };
    let reason = meaning::text(row.reason.as_deref().unwrap_or_default());
    let status = format!("{} {reason}", row.status.unwrap_or_default());
    check("status", status, format!("{} {}", reply.status, meaning::text(&reply.reason)));
    let simulated = Body::of(reply);
    let (recorded, simulated) = match (row.body(), simulated) {
        (Body::Json(recorded), Body::Json(simulated)) => (recorded, simulated),
        // A body that only one of the two has is a difference, whatever else agrees.
        (recorded, simulated) => {
            check("body", recorded.to_string(), simulated.to_string());
            return found;
        }
    };
    check("errors", errors(&recorded), errors(&simulated));
    check("message", message(&recorded), message(&simulated));
    if row.status == Some(200) && reply.status == 200 {
        let path = row.path.split('?').next().unwrap_or_default();
        let recorded = meaning::data(path, &recorded["data"]);
        let simulated = meaning::data(path, &simulated["data"]);
        walk("data", &recorded, &simulated, &mut found);
    }
    found
}

fn errors(body: &Value) -> String {
    body.get("errors").map(ToString::to_string).unwrap_or_default()
}

fn message(body: &Value) -> String {
    body.get("message").and_then(Value::as_str).map(meaning::text).unwrap_or_default()
}

/// Where two values differ.
fn walk(at: &str, recorded: &Value, simulated: &Value, found: &mut Vec<String>) {
    match (recorded, simulated) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => walk(&format!("{at}.{key}"), value, other, found),
                    None => found.push(format!("{at}.{key}: missing, recorded {value}")),
                }
            }
            let extra = b.iter().filter(|(key, _)| !a.contains_key(*key));
            found.extend(extra.map(|(key, value)| format!("{at}.{key}: not recorded, simulated {value}")));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                walk(&format!("{at}[{n}]"), a, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let only = |a: &[Value], b: &[Value]| -> Vec<String> {
                a.iter().filter(|value| !b.contains(value)).map(ToString::to_string).collect()
            };
            found.push(format!("{at}: only recorded {:?}; only simulated {:?}", only(a, b), only(b, a)));
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{at}: recorded {a} / simulated {b}")),
    }
}
