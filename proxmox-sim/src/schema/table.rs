//! The tables, read once per process.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::field::Field;
use crate::version::Version;

/// A call that is served.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "flags of a table")]
pub(crate) struct Endpoint {
    pub(crate) method: String,
    /// Path with its variables in braces, below `/api2/json`.
    pub(crate) path: String,
    /// Runs on the node named in the path.
    pub(crate) proxied: bool,
    /// Runs in the node's privileged daemon.
    pub(crate) daemon: bool,
    /// Open to requests without a ticket or token.
    pub(crate) anyone: bool,
    pub(crate) no_token: bool,
    /// The line that it came with; 0 where all know it.
    pub(crate) since: u8,
    /// Path and the privileges of which one is needed; all lines must hold.
    pub(crate) permissions: Vec<(String, Vec<String>)>,
    /// Takes every option of a machine.
    pub(crate) options: bool,
    pub(crate) fields: Vec<Field>,
}

/// An endpoint that matches a path, with the variables taken from it.
pub(crate) struct Found {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) variables: BTreeMap<String, String>,
}

/// All tables.
#[derive(Debug)]
pub(crate) struct Schema {
    endpoints: Vec<Endpoint>,
    pub(crate) options: Vec<Field>,
    properties: BTreeMap<String, Vec<Field>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema {
    endpoints: parse_endpoints(include_str!("../../spec/endpoints.txt")),
    options: lines(include_str!("../../spec/options.txt")).filter_map(Field::parse).collect(),
    properties: parse_properties(include_str!("../../spec/properties.txt")),
});

impl Schema {
    pub(crate) fn get() -> &'static Self {
        &SCHEMA
    }

    /// Every call that is served.
    #[cfg(test)]
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub(crate) fn find(&'static self, method: &str, path: &str, version: Version) -> Option<Found> {
        self.endpoints
            .iter()
            .filter(|endpoint| endpoint.since <= version.major())
            // Nothing is copied before it is clear which one it is.
            .find(|endpoint| endpoint.method == method && endpoint.walk(path, |_, _| {}))
            .map(|endpoint| Found { endpoint, variables: endpoint.variables(path) })
    }

    pub(crate) fn option(&self, name: &str) -> Option<&Field> {
        self.options.iter().find(|field| field.covers(name))
    }

    pub(crate) fn properties(&self, name: &str) -> Option<&[Field]> {
        self.properties.get(name).map(Vec::as_slice)
    }
}

impl Endpoint {
    fn variables(&self, path: &str) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        self.walk(path, |name, value| {
            variables.insert(name.to_owned(), value.to_owned());
        });
        variables
    }

    /// Whether a path is one of this endpoint's. Shows its variables on the way.
    fn walk(&self, path: &str, mut see: impl FnMut(&str, &str)) -> bool {
        let mut have = path.trim_matches('/');
        let mut want = self.path.trim_matches('/').split('/').peekable();
        while let Some(segment) = want.next() {
            let last = want.peek().is_none();
            // A volume or an address may contain slashes; it is always the end of the path.
            let greedy = last && matches!(segment, "{volume}" | "{cidr}");
            let (head, tail) = match have.split_once('/') {
                Some((head, tail)) if !greedy => (head, Some(tail)),
                _ => (have, None),
            };
            if head.is_empty() || last != tail.is_none() {
                return false;
            }
            match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                Some(name) => see(name, head),
                None if segment == head => {}
                None => return false,
            }
            have = tail.unwrap_or_default();
        }
        true
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn parse_endpoints(text: &'static str) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for line in lines(text) {
        let Some(body) = line.strip_prefix("  ") else {
            let mut words = line.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let flags: Vec<&str> = words.collect();
            endpoints.push(Endpoint {
                method: method.to_owned(),
                path: path.to_owned(),
                proxied: flags.contains(&"proxied"),
                daemon: flags.contains(&"daemon"),
                anyone: false,
                no_token: flags.contains(&"notoken"),
                since: flags
                    .iter()
                    .find_map(|flag| flag.strip_prefix("since=")?.parse().ok())
                    .unwrap_or_default(),
                permissions: Vec::new(),
                options: false,
                fields: Vec::new(),
            });
            continue;
        };
        let Some(endpoint) = endpoints.last_mut() else {
            continue;
        };
        if body == "+options" {
            endpoint.options = true;
        } else if body == "@ anyone" {
            endpoint.anyone = true;
        } else if let Some((path, privileges)) = body.strip_prefix("@ ").and_then(|rest| rest.split_once(' '))
        {
            let privileges = privileges.split('|').map(str::to_owned).collect();
            endpoint.permissions.push((path.to_owned(), privileges));
        } else {
            endpoint.fields.extend(Field::parse(body));
        }
    }
    endpoints
}

fn parse_properties(text: &'static str) -> BTreeMap<String, Vec<Field>> {
    let mut properties: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    let mut section = String::new();
    for line in lines(text) {
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(name) => name.clone_into(&mut section),
            None => properties.entry(section.clone()).or_default().extend(Field::parse(line)),
        }
    }
    properties
}
