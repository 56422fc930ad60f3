//! PVE's types are uneven: the same value is a number in one answer and a string in another, booleans are 0 and 1.
//! These read all of them, for `#[serde(deserialize_with = ...)]`.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A number, or a string that holds one.
pub(crate) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let value = Value::deserialize(deserializer)?;
    parse(&value)
}

/// As [`number`], or nothing: absent (with `#[serde(default)]`), null, or an empty string.
pub(crate) fn opt_number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => parse(&value).map(Some),
    }
}

/// A boolean as 0 or 1, as a string of these, or as itself. Null is false.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    opt_flag(deserializer).map(Option::unwrap_or_default)
}

/// As [`flag`], with absence kept apart (with `#[serde(default)]`).
pub(crate) fn opt_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value)),
        Value::Number(number) => Ok(Some(number.as_f64() != Some(0.0))),
        Value::String(text) => {
            boolean(&text).map(Some).ok_or_else(|| Error::custom(format!("`{text}` is not a boolean")))
        }
        value => Err(Error::custom(format!("{value} is not a boolean"))),
    }
}

/// A scalar as text.
pub(crate) fn opt_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text(Value::deserialize(deserializer)?))
}

/// A value as the text that PVE would take for it; nothing for null.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(u8::from(value).to_string()),
        value => Some(value.to_string()),
    }
}

/// The booleans of configurations and property strings.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" | "" => Some(false),
        _ => None,
    }
}

fn parse<T: FromStr<Err: Display>, E: Error>(value: &Value) -> Result<T, E> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => match number.as_f64() {
            // Perl turns whole numbers into floating point ones at times: 4.0, 1e3.
            Some(float) if !number.is_u64() && !number.is_i64() && float.fract() == 0.0 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        },
        value => return Err(Error::custom(format!("{value} is not a number"))),
    };
    text.parse().map_err(|error| Error::custom(format!("`{text}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Uneven {
        #[serde(deserialize_with = "number")]
        vmid: u32,
        #[serde(default, deserialize_with = "opt_number")]
        uptime: Option<u64>,
        #[serde(default, deserialize_with = "flag")]
        template: bool,
        #[serde(default, deserialize_with = "opt_flag")]
        enable: Option<bool>,
    }

    #[test]
    fn numbers_strings_and_booleans_are_read() {
        let read = |text: &str| serde_json::from_str::<Uneven>(text);
        let expected = Uneven { vmid: 5001, uptime: Some(4), template: true, enable: Some(false) };
        assert_eq!(read(r#"{"vmid":"5001","uptime":4.0,"template":1,"enable":"0"}"#).unwrap(), expected);
        assert_eq!(read(r#"{"vmid":5001,"uptime":"4","template":true,"enable":0}"#).unwrap(), expected);
        let bare = Uneven { vmid: 1, uptime: None, template: false, enable: None };
        assert_eq!(read(r#"{"vmid":1,"uptime":"","template":null,"enable":null}"#).unwrap(), bare);
        for wrong in
            [r#"{"vmid":"x"}"#, r#"{"vmid":[]}"#, r#"{"vmid":1,"template":"maybe"}"#, r#"{"vmid":-1}"#]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
