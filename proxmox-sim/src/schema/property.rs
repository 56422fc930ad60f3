//! Property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::check::{UNDEFINED, check_value};
use super::field::{Field, Kind};
use crate::version::Version;

/// A parsed property string, aliases resolved and booleans as `0` and `1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pairs: BTreeMap<String, String>,
}

impl Properties {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.pairs.insert(key.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<String> {
        self.pairs.remove(key)
    }

    /// The keys whose values differ.
    pub(crate) fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let mut keys: Vec<&str> = self.pairs.keys().chain(other.pairs.keys()).map(String::as_str).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| self.get(key) != other.get(key));
        keys
    }

    /// Prints as the server does: the leading value bare, then the keys in alphabetical order.
    pub(crate) fn print(&self, leading: &str) -> String {
        let mut text = String::new();
        if let (Some(model), "model") = (self.get("model"), leading) {
            text.push_str(model);
            if let Some(address) = self.get("macaddr") {
                let _ = write!(text, "={address}");
            }
        } else if let Some(value) = self.get(leading) {
            text.push_str(value);
        }
        for (key, value) in &self.pairs {
            if key != leading && !(leading == "model" && key == "macaddr") {
                let _ = write!(text, ",{key}={value}");
            }
        }
        text
    }
}

/// Parses without looking at the values. The error is what follows `invalid format - `.
pub(crate) fn parse(keys: &[Field], text: &str) -> Result<Properties, String> {
    let mut properties = Properties::default();
    let mut put = |key: &str, value: String| {
        if properties.pairs.insert(key.to_owned(), value).is_some() {
            return Err(format!("duplicate key in comma-separated list property: {key}\n"));
        }
        Ok(())
    };
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            let Some(field) = keys.iter().find(|field| field.default_key) else {
                let text = "value without key, but schema does not define a default key\n";
                return Err(text.to_owned());
            };
            put(&field.name, plain(field.kind, part))?;
            continue;
        };
        let field = keys.iter().find(|field| field.covers(key));
        if let Some(model) = field.and_then(|field| field.key_alias.as_ref()) {
            put(model, key.to_owned())?;
        }
        let name = field.and_then(|field| field.alias.as_deref()).unwrap_or(key);
        let kind = keys.iter().find(|field| field.name == name).map_or(Kind::Text, |field| field.kind);
        put(name, plain(kind, value))?;
    }
    Ok(properties)
}

/// Property strings are laxer about booleans than parameters are.
fn plain(kind: Kind, value: &str) -> String {
    match (kind, value.to_ascii_lowercase().as_str()) {
        (Kind::Boolean, "1" | "on" | "yes" | "true") => "1".to_owned(),
        (Kind::Boolean, "0" | "off" | "no" | "false") => "0".to_owned(),
        _ => value.to_owned(),
    }
}

/// Parses and checks every value.
pub(super) fn check(keys: &[Field], name: &str, text: &str, version: Version) -> Result<(), String> {
    let properties = parse(keys, text).map_err(|error| format!("invalid format - {error}"))?;
    let mut errors = BTreeMap::new();
    for (key, value) in &properties.pairs {
        let full = format!("{name}.{key}");
        let known = |field: &&Field| field.covers(key) && field.known_to(version);
        match keys.iter().find(known) {
            None => {
                errors.insert(full, UNDEFINED.to_owned());
            }
            Some(field) => {
                if let Err(error) = check_value(field, &full, value, version) {
                    errors.insert(full.clone(), error);
                }
                if let Some(needed) = &field.requires
                    && properties.get(needed).is_none()
                {
                    let text = format!("missing property required by '{full}'");
                    errors.insert(format!("{name}.{needed}"), text);
                }
            }
        }
    }
    for field in keys.iter().filter(|field| field.required) {
        if properties.get(&field.name).is_none() {
            let text = "property is missing and it is not optional";
            errors.insert(format!("{name}.{}", field.name), text.to_owned());
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let mut text = "invalid format - format error\n".to_owned();
    for (key, error) in errors {
        let _ = writeln!(text, "{key}: {error}");
    }
    Err(text)
}
