//! One parameter, option or key of a property string.

use regex_lite::Regex;

use crate::version::Version;

/// The JSON type a value must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
}

/// A line of one of the tables.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Name without the index: `scsi` for `scsi[n]`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// A bare value in a property string belongs to this key.
    pub(crate) default_key: bool,
    /// Another name of the key given here.
    pub(crate) alias: Option<String>,
    /// With an alias: the key whose value is this key's own name (`virtio=MAC`).
    pub(crate) key_alias: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) values: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) min_len: Option<usize>,
    pub(crate) max_len: Option<usize>,
    pub(crate) requires: Option<String>,
    /// Highest index, where the name stands for a family.
    pub(crate) index: Option<u32>,
    /// Name of the property string that the value must be.
    pub(crate) props: Option<String>,
    pub(crate) pattern: Option<Regex>,
    /// The line that it came with; 0 where all know it.
    pub(crate) since: u8,
}

impl Field {
    /// Reads one line, `None` when it is not a field.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (rest, pattern) = match line.split_once(" pattern=") {
            Some((rest, pattern)) => (rest, Regex::new(&format!("^(?:{pattern})$")).ok()),
            None => (line, None),
        };
        let mut words = rest.split_whitespace();
        let name = words.next()?;
        let mut field = Self {
            name: name.strip_suffix("[n]").unwrap_or(name).to_owned(),
            kind: Kind::Text,
            required: false,
            default_key: false,
            alias: None,
            key_alias: None,
            format: None,
            values: Vec::new(),
            min: None,
            max: None,
            min_len: None,
            max_len: None,
            requires: None,
            index: None,
            props: None,
            pattern,
            since: 0,
        };
        for word in words {
            field.read_word(word);
        }
        Some(field)
    }

    fn read_word(&mut self, word: &str) {
        match word {
            "boolean" => self.kind = Kind::Boolean,
            "integer" => self.kind = Kind::Integer,
            "number" => self.kind = Kind::Number,
            "required" => self.required = true,
            "defaultkey" => self.default_key = true,
            _ => {}
        }
        let Some((key, value)) = word.split_once('=') else {
            return;
        };
        match key {
            "alias" => self.alias = Some(value.to_owned()),
            "keyalias" => self.key_alias = Some(value.to_owned()),
            "format" => self.format = Some(value.to_owned()),
            "enum" => self.values = value.split('|').map(str::to_owned).collect(),
            "min" => self.min = value.parse().ok(),
            "max" => self.max = value.parse().ok(),
            "minlen" => self.min_len = value.parse().ok(),
            "maxlen" => self.max_len = value.parse().ok(),
            "requires" => self.requires = Some(value.to_owned()),
            "index" => self.index = value.rsplit_once("..").and_then(|(_, n)| n.parse().ok()),
            "props" => self.props = Some(value.to_owned()),
            "since" => self.since = value.parse().unwrap_or_default(),
            _ => {}
        }
    }

    /// Whether a version knows it.
    pub(crate) fn known_to(&self, version: Version) -> bool {
        self.since <= version.major()
    }

    /// Whether this line describes the parameter of that name.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let Some(max) = self.index else {
            return self.name == name;
        };
        name.strip_prefix(self.name.as_str())
            .filter(|digits| !digits.is_empty() && (*digits == "0" || !digits.starts_with('0')))
            .and_then(|digits| digits.parse::<u32>().ok())
            .is_some_and(|n| n <= max)
    }
}
