//! The configuration of a machine: current values, pending ones, and the digest of it all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::access::hex;
use crate::schema::{Kind, Schema};

/// Description of the configuration that a clone writes first.
pub(crate) const PLACEHOLDER: &str = " qmclone temporary file";

/// Current options and those that wait for a power cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MachineConfig {
    pub(crate) current: BTreeMap<String, String>,
    pub(crate) pending: BTreeMap<String, String>,
    /// Options that will be deleted; true where the volume is freed too.
    pub(crate) deleted: BTreeMap<String, bool>,
}

impl MachineConfig {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.current.get(key).map(String::as_str)
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.current.insert(key.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.current.remove(key);
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key) == Some("1")
    }

    pub(crate) fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// Refuses when a `lock` is set.
    pub(crate) fn need_unlocked(&self) -> Result<(), String> {
        match self.lock() {
            Some(lock) => Err(format!("VM is locked ({lock})")),
            None => Ok(()),
        }
    }

    /// Refuses when a digest is given that is not this one's.
    pub(crate) fn need_digest(&self, wanted: Option<&str>) -> Result<(), String> {
        match wanted {
            Some(wanted) if wanted != self.digest() => {
                Err("checksum mismatch (file change by other user?)".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Writes a change down as pending, also one that is none.
    pub(crate) fn set_pending(&mut self, key: &str, value: &str) {
        self.deleted.remove(key);
        self.pending.insert(key.to_owned(), value.to_owned());
    }

    /// Forgets pending values that are current already.
    pub(crate) fn tidy(&mut self) {
        let current = &self.current;
        self.pending.retain(|key, value| current.get(key) != Some(value));
    }

    pub(crate) fn delete_pending(&mut self, key: &str, force: bool) {
        self.pending.remove(key);
        if self.current.contains_key(key) {
            self.deleted.insert(key.to_owned(), force);
        }
    }

    /// Values with what is pending applied: the default view of `config`.
    pub(crate) fn view(&self) -> BTreeMap<String, String> {
        let mut view = self.current.clone();
        view.retain(|key, _| !self.deleted.contains_key(key));
        view.extend(self.pending.clone());
        view
    }

    /// The file's text; the digest is of this and of nothing else.
    fn text(&self) -> String {
        let mut text = section(&self.current);
        if !self.pending.is_empty() || !self.deleted.is_empty() {
            text.push_str("\n[PENDING]\n");
            let deleted: Vec<&str> = self.deleted.keys().map(String::as_str).collect();
            if !deleted.is_empty() {
                let _ = writeln!(text, "delete: {}", deleted.join(","));
            }
            text.push_str(&section(&self.pending));
        }
        text
    }

    pub(crate) fn digest(&self) -> String {
        hex(&Sha1::digest(self.text()))
    }

    /// A free `unusedN`.
    pub(crate) fn free_unused(&self) -> String {
        (0..256)
            .map(|n| format!("unused{n}"))
            .find(|key| !self.current.contains_key(key))
            .unwrap_or_else(|| "unused255".to_owned())
    }
}

/// Options as a section of the file has them. In the description everything but plain characters is encoded, and
/// so are colons.
pub(super) fn section(options: &BTreeMap<String, String>) -> String {
    const SAFE: &AsciiSet = &CONTROLS.add(b':');
    let mut text = String::new();
    if let Some(description) = options.get("description") {
        for line in description.lines() {
            let _ = writeln!(text, "#{}", utf8_percent_encode(line, SAFE));
        }
    }
    for (key, value) in options.iter().filter(|(key, _)| *key != "description") {
        let _ = writeln!(text, "{key}: {value}");
    }
    text
}

/// An option as JSON. Types are uneven: integers and booleans are numbers, everything else text,
/// also the memory and fractions. Passwords are masked.
pub(crate) fn option_value(key: &str, value: &str) -> Value {
    if key == "cipassword" {
        return json!("**********");
    }
    let kind = Schema::get().option(key).map_or(Kind::Text, |field| field.kind);
    match kind {
        Kind::Integer | Kind::Boolean => value.parse::<i64>().map_or_else(|_| json!(value), |n| json!(n)),
        Kind::Number | Kind::Text => json!(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_of_a_clone_has_the_digest_that_real_servers_show() {
        let mut config = MachineConfig::default();
        config.set("lock", "clone");
        config.set("description", PLACEHOLDER);
        assert_eq!(config.digest(), "eb54fb9d9f120ba0c3bdf694f73b10002c375c38");
    }

    #[test]
    fn a_pending_value_equal_to_the_current_one_is_no_change() {
        let mut config = MachineConfig::default();
        config.set("cores", "2");
        let before = config.digest();
        config.set_pending("cores", "4");
        let four = config.digest();
        config.set_pending("cores", "8");
        assert!(![&before, &four].contains(&&config.digest()), "what is pending counts");
        config.set_pending("cores", "2");
        config.tidy();
        assert_eq!(config.digest(), before);
    }
}
