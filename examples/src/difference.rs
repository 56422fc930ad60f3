//! What the order file says otherwise than the orders that were taken from it.
//!
//! Ordering again under a reference answers with the machine that exists; a file that was changed meanwhile would be ignored
//! in silence.

use crate::{engine, orders::Order};
use deploy_core::{ExternalRef, RecordStore, VmSpec};
use serde_json::{Map, Value};

/// A machine that the file now orders otherwise.
pub struct Different {
    /// Its reference.
    pub reference: ExternalRef,
    /// The keys that differ, with both values where they are short.
    pub keys: Vec<String>,
}

impl std::fmt::Display for Different {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reference, self.keys.join(", "))
    }
}

/// The machines that exist and that the file orders otherwise.
///
/// # Errors
/// The store's.
pub async fn of(store: &dyn RecordStore, orders: &[Order]) -> anyhow::Result<Vec<Different>> {
    let mut found = Vec::new();
    for order in orders {
        let Some(record) = store.by_reference(&order.reference).await? else { continue };
        let keys = if engine::is_gone(&record) { Vec::new() } else { between(&record.spec, &order.spec)? };
        if !keys.is_empty() {
            found.push(Different { reference: order.reference.clone(), keys });
        }
    }
    Ok(found)
}

/// The keys of the file that differ, with both values where they are short.
fn between(ordered: &VmSpec, file: &VmSpec) -> serde_json::Result<Vec<String>> {
    let (ordered, file) = (comparable(ordered)?, comparable(file)?);
    let differing = file.iter().filter(|(key, value)| ordered.get(*key) != Some(*value));
    Ok(differing.map(|(key, value)| difference(key, ordered.get(key), value)).collect())
}

/// An order without what differs each time it is read: the salt of its password.
fn comparable(spec: &VmSpec) -> serde_json::Result<Map<String, Value>> {
    let mut value = serde_json::to_value(spec)?;
    if let Some(password) = value.pointer_mut("/cloud_init/password").filter(|password| !password.is_null()) {
        *password = Value::Bool(true);
    }
    serde_json::from_value(value)
}

fn difference(key: &str, ordered: Option<&Value>, file: &Value) -> String {
    // The one key that is another in the file, which tells the unit.
    let key = if key == "memory" { "memory_mib" } else { key };
    let was = ordered.unwrap_or(&Value::Null);
    let is_long = |value: &Value| value.is_array() || value.is_object();
    if is_long(was) || is_long(file) {
        return format!("{key} differs");
    }
    format!("{key} (ordered {}, in the file {})", shown(was), shown(file))
}

fn shown(value: &Value) -> String {
    if value.is_null() { "none".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::between;
    use crate::orders;

    fn differences(from: &str, to: &str, machine: usize) -> Vec<String> {
        let (was, now) =
            (orders::parse("was", orders::DEMO), orders::parse("now", &orders::DEMO.replace(from, to)));
        between(&was.unwrap().machines[machine].spec, &now.unwrap().machines[machine].spec).unwrap()
    }

    #[test]
    fn every_key_that_differs_is_named() {
        assert_eq!(
            differences("memory_mib = 1024", "memory_mib = 3072", 0),
            ["memory_mib (ordered 1024, in the file 3072)"]
        );
        assert_eq!(
            differences("contact = \"ann@example.net\"", "", 0),
            ["contact (ordered \"ann@example.net\", in the file none)"]
        );
        assert_eq!(differences("size_gib = 50", "size_gib = 51", 1), ["additional_disks differs"]);
        assert_eq!(differences("user = \"postmaster\"", "user = \"root\"", 2), ["cloud_init differs"]);
    }

    #[test]
    fn a_password_differs_only_where_there_is_none() {
        assert_eq!(differences("", "", 0), [""; 0]);
        assert_eq!(differences("password = \"change me at once\"", "", 0), ["cloud_init differs"]);
    }
}
