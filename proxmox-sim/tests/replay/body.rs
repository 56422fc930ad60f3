//! The body of an answer: JSON, a text, or nothing.

use std::fmt;

use proxmox_sim::Reply;
use serde_json::Value;

use crate::meaning;
use crate::rows::Row;

/// What came after the headers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Json(Value),
    Text(String),
    Empty,
}

impl Body {
    /// Of a simulated answer.
    pub(crate) fn of(reply: &Reply) -> Self {
        match (&reply.body, &reply.text) {
            (Some(json), _) => Self::Json(json.clone()),
            (None, Some(text)) => Self::from_text(text),
            (None, None) => Self::Empty,
        }
    }

    fn from_text(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(json) => Self::Json(json),
            Err(_) if text.is_empty() => Self::Empty,
            Err(_) => Self::Text(text.to_owned()),
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(json) => write!(f, "{json}"),
            Self::Text(text) => write!(f, "the text {:?}", meaning::text(text)),
            Self::Empty => f.write_str("empty"),
        }
    }
}

impl Row {
    /// The recorded body. Of an answer that was kept as it came off the wire it is what follows the
    /// headers.
    pub(crate) fn body(&self) -> Body {
        let raw = self.raw_response.as_deref().and_then(|raw| raw.split_once("\r\n\r\n"));
        let text = self.response_text.as_deref().or(raw.map(|(_, text)| text));
        match &self.response {
            Some(json) => Body::Json(json.clone()),
            None => Body::from_text(text.unwrap_or_default()),
        }
    }

    /// The recorded JSON.
    pub(crate) fn answer(&self) -> Option<Value> {
        match self.body() {
            Body::Json(json) => Some(json),
            Body::Text(_) | Body::Empty => None,
        }
    }
}
