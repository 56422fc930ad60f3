//! `/sim`: looking at the simulator, and breaking it, from outside.

use serde_json::{Value, json};

use super::core::Core;
use crate::cluster::{Cluster, Switch};
use crate::faults::Faults;
use crate::reply::Reply;
use crate::request::Request;

/// Answers a request to the simulator itself.
///
/// `GET /sim/counters`, `/sim/requests`, `/sim/tasks`, `/sim/state`, `/sim/faults`, `/sim/mishaps`, `/sim/stale-locks`;
/// `PUT /sim/faults` with `{"rate": 0.1}`, `{"mishaps": {"interval": 30}}` or any of the other fields; `POST
/// /sim/switch` with `{"switch": "node", "node": "pve2", "online": false}` and so on; `POST /sim/end-mishaps`;
/// `POST /sim/shutdown`.
pub(super) fn answer(core: &Core, request: &Request) -> Reply {
    let reply = route(core, request);
    // What was changed may be due before whatever was waited for.
    core.wake();
    reply
}

fn route(core: &Core, request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/sim/counters") => {
            shown(core.with_cluster(|cluster| serde_json::to_value(cluster.counters())))
        }
        ("GET", "/sim/requests") => {
            shown(core.with_cluster(|cluster| serde_json::to_value(cluster.requests())))
        }
        ("GET", "/sim/tasks") => {
            shown(core.with_cluster(|cluster| serde_json::to_value(cluster.task_times().collect::<Vec<_>>())))
        }
        ("GET", "/sim/state") => Reply::ok(core.with_cluster(|cluster| cluster.state())),
        ("GET", "/sim/faults") => shown(core.with_cluster(|cluster| serde_json::to_value(cluster.faults()))),
        ("GET", "/sim/mishaps") => {
            shown(core.with_cluster(|cluster| serde_json::to_value(cluster.mishaps())))
        }
        ("GET", "/sim/stale-locks") => {
            shown(core.with_cluster(|cluster| serde_json::to_value(cluster.stale_locks())))
        }
        ("POST", "/sim/end-mishaps") => {
            core.with_cluster(Cluster::end_mishaps);
            Reply::ok(Value::Null)
        }
        ("PUT", "/sim/faults") => set_faults(core, &request.body),
        ("POST", "/sim/switch") => match serde_json::from_slice::<Switch>(&request.body) {
            Ok(switch) => match core.with_cluster(|cluster| cluster.switch(switch)) {
                Ok(()) => Reply::ok(Value::Null),
                Err(text) => bad(&text),
            },
            Err(error) => bad(&error.to_string()),
        },
        ("POST", "/sim/shutdown") => {
            core.end();
            Reply::ok(Value::Null)
        }
        _ => Reply { body: Some(json!({"error": "no such thing"})), ..Reply::bare(404, "Not Found") },
    }
}

fn shown(value: serde_json::Result<Value>) -> Reply {
    value.map_or_else(|error| bad(&error.to_string()), Reply::ok)
}

fn bad(text: &str) -> Reply {
    Reply { body: Some(json!({"error": text})), ..Reply::bare(400, "Bad Request") }
}

/// Puts the fields of an object into another one, those of objects within it too.
fn merge(all: &mut Value, sent: Value) {
    match (all, sent) {
        (Value::Object(all), Value::Object(sent)) => {
            for (key, value) in sent {
                merge(all.entry(key).or_insert(Value::Null), value);
            }
        }
        (all, sent) => *all = sent,
    }
}

/// What is not sent stays as it is.
fn set_faults(core: &Core, body: &[u8]) -> Reply {
    let changed = core.with_cluster(|cluster| {
        let mut all = serde_json::to_value(cluster.faults()).ok()?;
        let sent: Value = serde_json::from_slice(body).ok()?;
        merge(&mut all, sent);
        let faults: Faults = serde_json::from_value(all).ok()?;
        cluster.set_faults(faults.clone());
        serde_json::to_value(faults).ok()
    });
    changed.map_or_else(|| bad("not a set of faults"), Reply::ok)
}
