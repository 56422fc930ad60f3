use std::collections::BTreeSet;
use std::fmt;

/// The tags of a machine: a set, because PVE sorts them, drops doubles and folds their case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeSet<String>);

impl Tags {
    /// Reads a list; PVE separates by `;` itself and accepts commas and spaces. Never fails.
    pub fn parse(text: &str) -> Self {
        text.split([';', ',', ' ', '\0']).collect()
    }

    /// True if the tag is among them.
    pub fn contains(&self, tag: &str) -> bool {
        self.0.contains(&tag.to_lowercase())
    }

    /// Adds one.
    pub fn insert(&mut self, tag: &str) {
        self.extend([tag]);
    }

    /// Removes one.
    pub fn remove(&mut self, tag: &str) {
        self.0.remove(&tag.to_lowercase());
    }

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'a> Extend<&'a str> for Tags {
    fn extend<T: IntoIterator<Item = &'a str>>(&mut self, tags: T) {
        let tags = tags.into_iter().map(|tag| tag.trim().to_lowercase()).filter(|tag| !tag.is_empty());
        self.0.extend(tags);
    }
}

impl<'a> FromIterator<&'a str> for Tags {
    fn from_iter<T: IntoIterator<Item = &'a str>>(tags: T) -> Self {
        let mut set = Self::default();
        set.extend(tags);
        set
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for tag in &self.0 {
            write!(f, "{separator}{tag}")?;
            separator = ";";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_a_set() {
        let mut tags = Tags::parse("b;A, c;b;");
        assert_eq!(tags.to_string(), "a;b;c");
        assert!(tags.contains("C"));
        tags.remove("B");
        tags.insert("d");
        assert_eq!(tags.iter().collect::<Vec<_>>(), ["a", "c", "d"]);
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(text in "[A-Za-z0-9_;, -]{0,30}|[^;, \\s]{0,5}") {
            let tags = Tags::parse(&text);
            prop_assert_eq!(Tags::parse(&tags.to_string()), tags);
        }
    }
}
