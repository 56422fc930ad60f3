//! Counts requests where the cluster does not: by the spans of the client, which has one for each.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context};

/// The client's spans.
pub(crate) const SPAN: &str = "pve";

/// What follows these words in a path differs from request to request.
const BEFORE_NAMES: [(&str, &str); 6] = [
    ("nodes", "{node}"),
    ("qemu", "{vmid}"),
    ("tasks", "{upid}"),
    ("storage", "{storage}"),
    ("ipset", "{name}"),
    ("rules", "{pos}"),
];

/// Requests by method and path.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<BTreeMap<String, u64>>>);

impl Requests {
    /// Those so far.
    pub(crate) fn counted(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for Requests {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut request = Request::default();
        attributes.record(&mut request);
        let key = format!("{} {}", request.method, pattern(&request.path));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}

#[derive(Default)]
struct Request {
    method: String,
    path: String,
}

impl Visit for Request {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "method" => self.method = format!("{value:?}"),
            "path" => self.path = format!("{value:?}"),
            _ => {}
        }
    }
}

/// A path with its variables in braces.
fn pattern(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut before = "";
    for part in path.split('/') {
        let name = BEFORE_NAMES.iter().find(|(word, _)| *word == before);
        parts.push(name.map_or(part, |(_, name)| name));
        // A name that reads like one of the words is a name all the same.
        before = if name.is_some() { "" } else { part };
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn requests_of_all_machines_count_as_one_kind() {
        let requests = Requests::default();
        let subscriber = tracing_subscriber::registry().with(requests.clone());
        tracing::subscriber::with_default(subscriber, || {
            for path in
                ["/nodes/qemu/qemu/100/firewall/ipset/ipfilter-net0", "/nodes/b/qemu/101/firewall/ipset/c"]
            {
                let _ = tracing::debug_span!("pve", method = %"POST", path = %path, params = ?()).entered();
            }
        });
        let expected = ("POST /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}".to_owned(), 2);
        assert_eq!(requests.counted(), BTreeMap::from([expected]));
        assert_eq!(pattern("/cluster/nextid"), "/cluster/nextid");
    }
}
