//! The one error for input that does not parse.

/// A value that cannot be what it claims to be.
///
/// Every newtype of this crate is parsed at the edge and gives this error; whoever reads the value from a
/// file or a form adds where it stood with [`Invalid::at`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} is not valid: {expected}")]
pub struct Invalid {
    /// The field, as a path (`nics[0].vlan`).
    pub field: String,
    /// The value as it was given.
    pub value: String,
    /// What would be right, in words.
    pub expected: String,
}

impl Invalid {
    /// An error for `value` in `field`; `expected` says what would be right.
    #[allow(clippy::needless_pass_by_value)] // a reference would have to be written at every call
    pub fn new(field: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.to_string(), expected: expected.into() }
    }

    /// The same error, with the path of the enclosing part put in front.
    #[must_use]
    pub fn at(mut self, parent: &str) -> Self {
        self.field =
            if self.field.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.field) };
        self
    }
}
