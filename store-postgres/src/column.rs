//! How values are kept in columns.

use crate::failure::Unreadable;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, Json, ToSql, Type, private::BytesMut, to_sql_checked},
};

/// Ten thousand days: longer rests are as good as for ever, and a sum with them stays within the calendar.
const LONGEST: SignedDuration = SignedDuration::from_hours(240_000);

/// A time as it is kept: to the microsecond, and not before PostgreSQL's calendar begins.
pub(crate) fn kept(at: Timestamp) -> Timestamp {
    let earliest = Timestamp::UNIX_EPOCH - SignedDuration::from_hours(24 * 365 * 1900);
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at).max(earliest)
}

/// A time as PostgreSQL is sent it: microseconds since 2000. For what is sent by the thousand: the library's own way goes by
/// the calendar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(i64);

impl Micros {
    pub(crate) fn of(at: Timestamp) -> Self {
        // From 1970 to 2000.
        Self(kept(at).as_microsecond() - 946_684_800_000_000)
    }
}

impl ToSql for Micros {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// The time so much after `at`, as it is kept.
pub(crate) fn after(at: Timestamp, duration: SignedDuration) -> Timestamp {
    kept(at.saturating_add(duration.min(LONGEST)).unwrap_or(at))
}

/// A duration in microseconds; what does not fit is as long as can be said.
pub(crate) fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(if duration.is_negative() { i64::MIN } else { i64::MAX })
}

/// A limit for SQL.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// JSON on its way into a `jsonb` column or parameter.
#[derive(Debug, Clone)]
pub(crate) struct JsonText(String);

impl JsonText {
    /// The JSON of a value. PostgreSQL cannot keep the character NUL; in messages of machines it becomes U+FFFD.
    ///
    /// # Errors
    /// The types that are kept this way all have JSON forms.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Unreadable> {
        let failed = |error: serde_json::Error| Unreadable(format!("cannot be written as JSON: {error}"));
        let text = serde_json::to_string(value).map_err(failed)?;
        if !text.contains("\\u0000") {
            return Ok(Self(text));
        }
        let mut parsed = serde_json::from_str(&text).map_err(failed)?;
        replace_nul(&mut parsed);
        Ok(Self(parsed.to_string()))
    }
}

fn replace_nul(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(replace_nul),
        Value::Object(fields) => {
            let replaced = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                replace_nul(&mut value);
                (name.replace('\0', "\u{fffd}"), value)
            });
            *fields = replaced.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where in a value there is the character NUL, which PostgreSQL cannot keep.
pub(crate) fn find_nul(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(n, value)| Some(format!("[{n}]{}", find_nul(value)?)))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                Some(format!(".{name:?}"))
            } else {
                Some(format!(".{name}{}", find_nul(value)?))
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

impl ToSql for JsonText {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        if *ty == Type::JSONB {
            out.extend_from_slice(&[1]); // the version of the format
        }
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB || *ty == Type::JSON || *ty == Type::TEXT
    }

    to_sql_checked!();
}

/// Reads columns of one row by name, and says which one cannot be understood.
pub(crate) struct Columns<'a> {
    row: &'a Row,
    /// Whose row it is, for errors: "machine 3b1f...".
    what: &'a str,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(row: &'a Row, what: &'a str) -> Self {
        Self { row, what }
    }

    /// The value as PostgreSQL has it.
    pub(crate) fn raw<T: FromSql<'a>>(&self, column: &str) -> Result<T, Unreadable> {
        self.row.try_get(column).map_err(|error| self.unreadable(column, &causes(&error)))
    }

    /// A text that is parsed.
    pub(crate) fn parsed<T>(&self, column: &str) -> Result<T, Unreadable>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text: &str = self.raw(column)?;
        text.parse().map_err(|error| self.unreadable(column, &error))
    }

    /// A text that is parsed, or none.
    pub(crate) fn parsed_if_any<T>(&self, column: &str) -> Result<Option<T>, Unreadable>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text: Option<&str> = self.raw(column)?;
        text.map(|text| text.parse().map_err(|error| self.unreadable(column, &error))).transpose()
    }

    /// JSON.
    pub(crate) fn json<T: DeserializeOwned + std::fmt::Debug>(&self, column: &str) -> Result<T, Unreadable> {
        self.raw::<Json<T>>(column).map(|Json(value)| value)
    }

    /// JSON, or none.
    pub(crate) fn json_if_any<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Unreadable> {
        Ok(self.raw::<Option<Json<T>>>(column)?.map(|Json(value)| value))
    }

    /// A whole number of another type.
    pub(crate) fn number<N: FromSql<'a>, T: TryFrom<N>>(&self, column: &str) -> Result<T, Unreadable>
    where
        T::Error: Display,
    {
        let number: N = self.raw(column)?;
        T::try_from(number).map_err(|error| self.unreadable(column, &error))
    }

    fn unreadable(&self, column: &str, error: &dyn Display) -> Unreadable {
        Unreadable(format!("{}: column {column}: {error}", self.what))
    }
}

/// An error with what caused it: the library keeps the column's own error as a source.
fn causes(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sent_as_the_library_sends_them() {
        for text in ["2026-01-01T12:00:00.123456789Z", "1999-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"]
        {
            let at: Timestamp = text.parse().unwrap();
            let (mut ours, mut theirs) = (BytesMut::new(), BytesMut::new());
            Micros::of(at).to_sql(&Type::TIMESTAMPTZ, &mut ours).unwrap();
            kept(at).to_sql(&Type::TIMESTAMPTZ, &mut theirs).unwrap();
            assert_eq!(ours, theirs, "{text}");
        }
    }
}
