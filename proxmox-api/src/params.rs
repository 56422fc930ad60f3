use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters. PVE splits a form on `&` *and* on `;` and cuts at `=`, and network
/// cards, drives and tags are full of them.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) fn encode(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, STRICT)
}

/// The parameters of a request, each name at most once: PVE makes an array of a name that occurs twice, and refuses it.
///
/// `Debug` shows the names alone, because values may be passwords.
///
/// ```
/// use proxmox_api::Params;
///
/// let params = Params::new().set("name", "web1").flag("onboot", true).list("delete", ["net1", "net2"]);
/// assert_eq!(params.encoded(), "name=web1&onboot=1&delete=net1%2Cnet2");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(Cow<'static, str>, String)>);

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one parameter; an earlier value of the same name is replaced.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are handed over alike")]
    pub fn set(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        let name = name.into();
        let value = value.to_string();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
        self
    }

    /// Sets one parameter if there is a value; absent means the server's default.
    pub fn opt(self, name: impl Into<Cow<'static, str>>, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sets a boolean, as `1` or `0`: PVE takes nothing else in a form.
    pub fn flag(self, name: impl Into<Cow<'static, str>>, value: bool) -> Self {
        self.set(name, u8::from(value))
    }

    /// Sets a boolean if there is a value.
    pub fn opt_flag(self, name: impl Into<Cow<'static, str>>, value: Option<bool>) -> Self {
        self.opt(name, value.map(u8::from))
    }

    /// Sets a list, joined with commas; an empty one is left out.
    pub fn list<T: AsRef<str>>(
        self,
        name: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut joined = String::new();
        for value in values {
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(value.as_ref());
        }
        if joined.is_empty() { self } else { self.set(name, joined) }
    }

    /// Adds all of another set; its values win.
    pub fn merge(self, other: Self) -> Self {
        other.0.into_iter().fold(self, |params, (name, value)| params.set(name, value))
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of one parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names and values, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// As a form body or query string.
    pub fn encoded(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.iter() {
            if !text.is_empty() {
                text.push('&');
            }
            text.extend(encode(name));
            text.push('=');
            text.extend(encode(value));
        }
        text
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everything_with_a_meaning_is_encoded() {
        let params = Params::new().set("net0", "virtio,trunks=1;2+3 %&").set("net0", "a;b=c&d+e%f é");
        assert_eq!(params.encoded(), "net0=a%3Bb%3Dc%26d%2Be%25f%20%C3%A9");
    }

    #[test]
    fn debug_shows_no_value() {
        let text = format!("{:?}", Params::new().set("cipassword", "hunter2"));
        assert!(text.contains("cipassword") && !text.contains("hunter2"), "{text}");
    }

    proptest! {
        #[test]
        fn a_form_decodes_to_what_was_encoded(name in "[a-z0-9-]{1,8}", value in ".{0,40}") {
            let text = Params::new().set(name.clone(), &value).encoded();
            // As PVE does it: pairs end at `&` and `;`, the value begins after the first `=`.
            prop_assert_eq!(text.split(['&', ';']).count(), 1);
            let (left, right) = text.split_once('=').unwrap();
            let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned();
            prop_assert_eq!(decode(left), name);
            prop_assert_eq!(decode(right), value);
        }
    }
}
