//! How values are kept in columns.

use crate::failure::Unreadable;
use deploy_core::Span;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, net::IpAddr, str::FromStr};

/// A time as microseconds since 1970; finer parts are cut off.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time so much after `at`, as it is kept.
pub(crate) fn micros_after(at: Timestamp, duration: SignedDuration) -> i64 {
    micros(at).saturating_add(duration_micros(duration))
}

/// A duration in microseconds; what does not fit is as long as can be said.
pub(crate) fn duration_micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(if duration.is_negative() { i64::MIN } else { i64::MAX })
}

/// A time read back. Beyond the calendar it is the calendar's end.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end)
}

/// JSON as it is kept. The types that are kept this way all have JSON forms.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Unreadable> {
    serde_json::to_string(value).map_err(|error| Unreadable(format!("cannot be written as JSON: {error}")))
}

/// A limit for SQL.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// An address as 16 bytes in the order of addresses, IPv4 in its mapped form.
pub(crate) fn address_key(address: IpAddr) -> [u8; 16] {
    Span::number(address).to_be_bytes()
}

/// The address that 16 bytes stand for.
pub(crate) fn address_of(key: [u8; 16]) -> IpAddr {
    Span::address(u128::from_be_bytes(key))
}

/// Reads columns of one row by name, and says which one cannot be understood.
pub(crate) struct Columns<'a, 'b> {
    row: &'a Row<'b>,
    /// Whose row it is, for errors: "machine 3b1f...".
    what: &'a str,
}

impl<'a, 'b> Columns<'a, 'b> {
    pub(crate) fn new(row: &'a Row<'b>, what: &'a str) -> Self {
        Self { row, what }
    }

    /// The value as SQLite has it.
    pub(crate) fn raw<T: FromSql>(&self, column: &str) -> Result<T, Unreadable> {
        self.row.get(column).map_err(|error| self.unreadable(column, &error))
    }

    /// A text that is parsed.
    pub(crate) fn parsed<T>(&self, column: &str) -> Result<T, Unreadable>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text: String = self.raw(column)?;
        text.parse().map_err(|error| self.unreadable(column, &error))
    }

    /// A text that is parsed, or none.
    pub(crate) fn parsed_if_any<T>(&self, column: &str) -> Result<Option<T>, Unreadable>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text: Option<String> = self.raw(column)?;
        text.map(|text| text.parse().map_err(|error| self.unreadable(column, &error))).transpose()
    }

    /// JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Unreadable> {
        let text: String = self.raw(column)?;
        serde_json::from_str(&text).map_err(|error| self.unreadable(column, &error))
    }

    /// JSON, or none.
    pub(crate) fn json_if_any<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Unreadable> {
        let text: Option<String> = self.raw(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| self.unreadable(column, &error)))
            .transpose()
    }

    /// A whole number of a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, Unreadable>
    where
        T::Error: Display,
    {
        let number: i64 = self.raw(column)?;
        T::try_from(number).map_err(|error| self.unreadable(column, &error))
    }

    /// A time.
    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, Unreadable> {
        self.raw(column).map(timestamp)
    }

    fn unreadable(&self, column: &str, error: &dyn Display) -> Unreadable {
        Unreadable(format!("{}: column {column}: {error}", self.what))
    }
}
