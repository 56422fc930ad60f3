use std::collections::BTreeMap;
use std::fmt;

use crate::lenient::boolean;

/// A value such as `local:vm-100-disk-0,size=32G,ssd=1`: options in any order, of which one may stand without its name.
///
/// PVE prints the options back in an order of its own, so two are equal when their options are. Unknown options are
/// kept. Printing puts the default option first and the others in alphabetical order.
///
/// ```
/// use proxmox_api::PropertyString;
///
/// let mut drive = PropertyString::parse("ssd=1,local:vm-100-disk-0", "file")?;
/// assert_eq!(drive.get("file"), Some("local:vm-100-disk-0"));
/// drive.set("iops_rd", "500")?;
/// assert_eq!(drive.to_string(), "local:vm-100-disk-0,iops_rd=500,ssd=1");
/// # Ok::<(), proxmox_api::PropertyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyString {
    default_key: &'static str,
    options: BTreeMap<String, String>,
}

/// Why a value of a configuration cannot be read or made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// An option occurs twice.
    #[error("the option `{0}` occurs twice")]
    Duplicate(String),
    /// An option that must be there is not.
    #[error("the option `{0}` is missing")]
    Missing(&'static str),
    /// A value without a name, where none is expected.
    #[error("`{0}` has no name")]
    Nameless(String),
    /// An option whose name or value cannot be written in a property string.
    #[error("the option `{0}` is empty or holds a comma, or its name holds a `=`")]
    Unprintable(String),
    /// An option with a value that it cannot have.
    #[error("`{value}` is no value for `{key}`")]
    Value {
        /// The option.
        key: String,
        /// Its value.
        value: String,
    },
}

impl PropertyError {
    pub(super) fn value(key: &str, value: &str) -> Self {
        Self::Value { key: key.to_owned(), value: value.to_owned() }
    }
}

impl PropertyString {
    /// No options. The default key may be empty: then every option has its name.
    pub fn new(default_key: &'static str) -> Self {
        Self { default_key, options: BTreeMap::new() }
    }

    /// Reads a property string as PVE does: empty parts are skipped, a name ends at the first `=`.
    ///
    /// # Errors
    /// A name that occurs twice, an empty value, or a value without a name where there is no default key.
    pub fn parse(text: &str, default_key: &'static str) -> Result<Self, PropertyError> {
        let mut parsed = Self::new(default_key);
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (key, value),
                None if default_key.is_empty() => return Err(PropertyError::Nameless(part.to_owned())),
                None => (default_key, part),
            };
            if parsed.options.contains_key(key) {
                return Err(PropertyError::Duplicate(key.to_owned()));
            }
            parsed.set(key, value)?;
        }
        Ok(parsed)
    }

    /// The value of an option.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// The value of a boolean option, in any of the spellings that PVE accepts.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(boolean)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// [`PropertyError::Unprintable`] for what a property string cannot hold: it has no way to quote.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are handed over alike")]
    pub fn set(&mut self, key: &str, value: impl ToString) -> Result<(), PropertyError> {
        let value = value.to_string();
        let bad_key = key.trim().is_empty() || key.contains([',', '=']);
        if bad_key || value.is_empty() || value.contains(',') {
            return Err(PropertyError::Unprintable(key.to_owned()));
        }
        // A blank value at the default key would read as an empty part when printed without its name.
        if key == self.default_key && value.trim().is_empty() {
            return Err(PropertyError::Unprintable(key.to_owned()));
        }
        self.options.insert(key.to_owned(), value);
        Ok(())
    }

    /// Takes an option out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.options.remove(key)
    }

    /// The options, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Takes an option out and reads it.
    pub(super) fn take<T: std::str::FromStr>(&mut self, key: &str) -> Result<Option<T>, PropertyError> {
        let Some(text) = self.options.remove(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| PropertyError::value(key, &text))
    }

    /// Sets an option that is known to be printable.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are handed over alike")]
    pub(super) fn put(&mut self, key: &str, value: impl ToString) {
        self.options.insert(key.to_owned(), value.to_string());
    }
}

impl fmt::Display for PropertyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(value) = self.get(self.default_key) {
            // With its name where the value alone would be taken for another option.
            let name = if value.contains('=') { format!("{}=", self.default_key) } else { String::new() };
            write!(f, "{name}{value}")?;
            comma = ",";
        }
        for (key, value) in self.iter().filter(|(key, _)| *key != self.default_key) {
            write!(f, "{comma}{key}={value}")?;
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_does_not_matter() {
        let a = PropertyString::parse("x:1,b=2,a=1,", "file").unwrap();
        let b = PropertyString::parse("a=1,file=x:1,b=2", "file").unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "x:1,a=1,b=2");
        assert_eq!(PropertyString::parse("serial=a=b", "file").unwrap().get("serial"), Some("a=b"));
    }

    #[test]
    fn wrong_texts_are_refused() {
        assert_eq!(PropertyString::parse("a=1,a=2", ""), Err(PropertyError::Duplicate("a".to_owned())));
        assert_eq!(
            PropertyString::parse("x,file=y", "file"),
            Err(PropertyError::Duplicate("file".to_owned()))
        );
        assert_eq!(PropertyString::parse("x", ""), Err(PropertyError::Nameless("x".to_owned())));
        assert_eq!(PropertyString::parse("a=", ""), Err(PropertyError::Unprintable("a".to_owned())));
        assert!(PropertyString::new("").set("a", "1,2").is_err());
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(options in proptest::collection::btree_map("[a-z]{1,3}|file", "[^,]{1,8}", 0..5)) {
            let mut made = PropertyString::new("file");
            for (key, value) in &options {
                let _ = made.set(key, value);
            }
            prop_assert_eq!(PropertyString::parse(&made.to_string(), "file"), Ok(made));
        }

        #[test]
        fn any_text_is_survived(text in "[a-c=,: ]{0,12}|.{0,30}") {
            if let Ok(parsed) = PropertyString::parse(&text, "file") {
                prop_assert_eq!(PropertyString::parse(&parsed.to_string(), "file"), Ok(parsed));
            }
        }
    }
}
