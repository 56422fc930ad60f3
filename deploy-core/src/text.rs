//! Types that are kept and sent as the text they are parsed from.

/// What serde needs to keep a type as text (`#[serde(try_from = "String", into = "String")]`), by its `FromStr` and its
/// `Display`.
macro_rules! kept_as_text {
    ($($name:ty),+) => {
        $(
            impl TryFrom<String> for $name {
                type Error = $crate::Invalid;

                fn try_from(text: String) -> Result<Self, $crate::Invalid> {
                    text.parse()
                }
            }

            impl From<$name> for String {
                fn from(value: $name) -> String {
                    value.to_string()
                }
            }
        )+
    };
}

pub(crate) use kept_as_text;
