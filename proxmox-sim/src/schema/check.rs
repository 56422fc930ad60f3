//! Checking the parameters of a call.

use std::collections::BTreeMap;

use super::field::{Field, Kind};
use super::table::{Endpoint, Found, Schema};
use super::{format, property};
use crate::request::Parameter;
use crate::version::Version;

/// Said of a name that the version does not know.
pub(super) const UNDEFINED: &str =
    "property is not defined in schema and the schema does not allow additional properties";

/// Checked arguments of a call, the variables of the path among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    values: BTreeMap<String, String>,
}

impl Arguments {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value, empty when absent: for parameters that the table requires.
    pub(crate) fn require(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|value| value.parse().ok())
    }

    pub(crate) fn vmid(&self, name: &str) -> u32 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// A list, split as the server splits it.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(format::split_list).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// Checks what was sent against the endpoint's table.
pub(crate) fn check(
    found: &Found,
    sent: &BTreeMap<String, Parameter>,
    version: Version,
) -> Result<Arguments, BTreeMap<String, String>> {
    let schema = Schema::get();
    let mut errors = BTreeMap::new();
    let mut values = BTreeMap::new();
    for (name, value) in &found.variables {
        check_variable(name, value, &mut errors);
        values.insert(name.clone(), value.clone());
    }
    for (name, parameter) in sent {
        if let Some(in_path) = found.variables.get(name) {
            if parameter.as_text() != Some(in_path.as_str()) {
                errors.insert(
                    name.clone(),
                    "duplicate parameter (already defined in URI) with conflicting values!".into(),
                );
            }
            continue;
        }
        let Some(field) = field_of(found.endpoint, schema, name).filter(|field| field.known_to(version))
        else {
            errors.insert(name.clone(), UNDEFINED.to_owned());
            continue;
        };
        let list = field.format.as_deref().is_some_and(|f| f.ends_with("-list"));
        let text = match parameter {
            Parameter::Text(text) => text.clone(),
            Parameter::Many(all) if list => all.join(","),
            Parameter::Many(_) => {
                let kind = kind_name(field.kind);
                errors.insert(name.clone(), format!("type check ('{kind}') failed - got ARRAY"));
                continue;
            }
        };
        if let Err(error) = check_value(field, name, &text, version) {
            errors.insert(name.clone(), error);
        }
        values.insert(name.clone(), text);
    }
    for field in &found.endpoint.fields {
        if field.required && !values.contains_key(&field.name) {
            let text = "property is missing and it is not optional";
            errors.insert(field.name.clone(), text.to_owned());
        }
        if let Some(needed) = field.requires.as_ref().filter(|n| !values.contains_key(*n))
            && values.contains_key(&field.name)
        {
            let text = format!("missing property required by '{}'", field.name);
            errors.insert(needed.clone(), text);
        }
    }
    if errors.is_empty() {
        return Ok(Arguments { values });
    }
    if version < Version::V9_2 {
        for text in errors.values_mut() {
            *text = older(text);
        }
    }
    Err(errors)
}

/// The older line words one text differently.
fn older(text: &str) -> String {
    let Some((before, rest)) = text.split_once("missing property required by '") else {
        return text.to_owned();
    };
    let (name, after) = rest.split_once('\'').unwrap_or((rest, ""));
    format!("{before}missing property - '{name}' requires this property{after}")
}

fn field_of<'a>(endpoint: &'a Endpoint, schema: &'a Schema, name: &str) -> Option<&'a Field> {
    endpoint
        .fields
        .iter()
        .find(|field| field.covers(name))
        .or_else(|| schema.option(name).filter(|_| endpoint.options))
}

fn check_variable(name: &str, value: &str, errors: &mut BTreeMap<String, String>) {
    let result = match name {
        "vmid" => integer(value).and_then(|()| format::check("pve-vmid", value)),
        "pos" => integer(value),
        "node" => format::check("pve-node", value),
        "storage" => format::check("pve-storage-id", value),
        _ => Ok(()),
    };
    if let Err(error) = result {
        errors.insert(name.to_owned(), error);
    }
}

fn integer(value: &str) -> Result<(), String> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("type check ('integer') failed - got '{value}'"));
    }
    Ok(())
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Text => "string",
    }
}

/// Checks one value, in the order in which the server does: the first thing that is wrong is named.
/// `name` is its full name, for the texts of nested keys.
pub(super) fn check_value(field: &Field, name: &str, value: &str, version: Version) -> Result<(), String> {
    let wrong_type = || Err(format!("type check ('{}') failed - got '{value}'", kind_name(field.kind)));
    match field.kind {
        Kind::Boolean if !matches!(value, "0" | "1") => return wrong_type(),
        Kind::Integer => integer(value)?,
        Kind::Number if value.parse::<f64>().map_or(true, |n| !n.is_finite()) => {
            return wrong_type();
        }
        _ => {}
    }
    if let Some(format) = &field.format {
        match Schema::get().properties(format) {
            Some(keys) => property::check(keys, name, value, version)?,
            None => format::check(format, value)?,
        }
    }
    if let Some(keys) = field.props.as_ref().and_then(|p| Schema::get().properties(p)) {
        property::check(keys, name, value, version)?;
    }
    if field.pattern.as_ref().is_some_and(|p| !p.is_match(value)) {
        return Err("value does not match the regex pattern".to_owned());
    }
    if let Some(max) = field.max_len.filter(|max| value.chars().count() > *max) {
        return Err(format!("value may only be {max} characters long"));
    }
    if let Some(min) = field.min_len.filter(|min| value.chars().count() < *min) {
        return Err(format!("value must be at least {min} characters long"));
    }
    if matches!(field.kind, Kind::Integer | Kind::Number) {
        check_range(field, value.parse().unwrap_or_default())?;
    }
    if !field.values.is_empty() && !field.values.iter().any(|v| v == value) {
        let all = field.values.join(", ");
        return Err(format!("value '{value}' does not have a value in the enumeration '{all}'"));
    }
    Ok(())
}

fn check_range(field: &Field, number: f64) -> Result<(), String> {
    if let Some(max) = field.max.filter(|max| number > *max) {
        return Err(format!("value must have a maximum value of {max}"));
    }
    if let Some(min) = field.min.filter(|min| number < *min) {
        return Err(format!("value must have a minimum value of {min}"));
    }
    Ok(())
}
