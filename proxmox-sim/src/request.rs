//! A request as it came off the wire, and its decoding into parameters.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::multipart;
use crate::reply::Refusal;

/// A request to the cluster. Everything is text as received; the cluster decodes it, because the
/// decoding has quirks of its own.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path, still percent-encoded, with `/api2/json` in front.
    pub path: String,
    /// Query string without the question mark.
    pub query: String,
    /// Value of the `Content-Type` header.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the body came in chunks, which the server refuses.
    pub chunked: bool,
    /// Value of the `Authorization` header.
    pub authorization: Option<String>,
    /// Value of the `Cookie` header.
    pub cookie: Option<String>,
    /// Value of the `CSRFPreventionToken` header.
    pub csrf: Option<String>,
}

/// A parameter as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    Many(Vec<String>),
}

impl Parameter {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Many(_) => None,
        }
    }
}

impl Request {
    /// A request with a path below `/api2/json`, which may have a query.
    pub fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: method.to_owned(),
            path: format!("/api2/json{path}"),
            query: query.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a parameter, to the form of a POST or PUT, to the query of anything else.
    pub fn param(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let pair = format!("{}={}", encode(name), encode(&value.to_string()));
        if matches!(self.method.as_str(), "POST" | "PUT") {
            self.content_type = Some("application/x-www-form-urlencoded".to_owned());
            if !self.body.is_empty() {
                self.body.push(b'&');
            }
            self.body.extend_from_slice(pair.as_bytes());
        } else {
            if !self.query.is_empty() {
                self.query.push('&');
            }
            self.query.push_str(&pair);
        }
        self
    }

    /// Sends an API token, given as `user@realm!name=secret`.
    pub fn token(mut self, token: &str) -> Self {
        self.authorization = Some(format!("PVEAPIToken={token}"));
        self
    }

    /// Sends a ticket and the token against forged requests that came with it, as `POST /access/ticket` gave them.
    pub fn ticket(mut self, ticket: &str, csrf: &str) -> Self {
        self.cookie = Some(format!("PVEAuthCookie={}", encode(ticket)));
        self.csrf = Some(csrf.to_owned());
        self
    }

    /// The path below `/api2/json`, decoded; `None` for any other path.
    pub(crate) fn api_path(&self) -> Option<String> {
        let path = percent_decode_str(&self.path).decode_utf8_lossy().into_owned();
        let rest = path.strip_prefix("/api2/json").or_else(|| path.strip_prefix("/api2/extjs"))?;
        Some(rest.to_owned())
    }

    /// Whether the answer is to be 200 always, with the real status in its body.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.path.starts_with("/api2/extjs/")
    }

    /// Whether it may bring a file.
    fn is_upload(&self) -> bool {
        let path = self.api_path().unwrap_or_default();
        let path: Vec<&str> = path.split('/').collect();
        self.method == "POST" && matches!(path.as_slice(), ["", "nodes", _, "storage", _, "upload"])
    }

    /// The size of the file it brings.
    pub(crate) fn uploaded(&self) -> Option<u64> {
        let boundary = multipart::boundary(self.content_type.as_deref()?).filter(|_| self.is_upload())?;
        u64::try_from(multipart::file_size(&self.body, boundary)?).ok()
    }

    pub(crate) fn parameters(&self) -> Result<BTreeMap<String, Parameter>, Refusal> {
        let mut parameters = match self.method.as_str() {
            "POST" | "PUT" => self.body_parameters()?,
            method if !self.body.is_empty() => {
                let text = format!("Unexpected content for method '{method}'");
                return Err(Refusal::Plain(501, text));
            }
            _ => BTreeMap::new(),
        };
        // The query wins over the body.
        parameters.extend(decode_form(&self.query));
        parameters.remove("_dc");
        Ok(parameters)
    }

    fn body_parameters(&self) -> Result<BTreeMap<String, Parameter>, Refusal> {
        if self.body.is_empty() {
            return Ok(BTreeMap::new());
        }
        let kind = self.content_type.as_deref().unwrap_or_default();
        if self.is_upload() {
            return match multipart::boundary(kind) {
                Some(boundary) => Ok(multipart::parameters(&self.body, boundary)),
                None => Err(Refusal::Plain(506, format!("upload 'Content-Type '{kind}' not implemented"))),
            };
        }
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match kind {
            // A body without a type is a form.
            "" | "application/x-www-form-urlencoded" => Ok(decode_form(&String::from_utf8_lossy(&self.body))),
            "application/json" => decode_json(&self.body),
            other => Err(Refusal::Plain(506, format!("upload 'Content-Type '{other}' not implemented"))),
        }
    }
}

/// Percent-encodes everything but the unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEEP).to_string()
}

/// Splits on `&` and on `;`, so that an unescaped `;` cuts a value: the server does that too.
fn decode_form(text: &str) -> BTreeMap<String, Parameter> {
    let mut parameters = BTreeMap::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Only the part up to the next `=` counts.
        let value = value.split('=').next().unwrap_or_default();
        let name = decode_text(name);
        let value = decode_text(value);
        let entry = match parameters.remove(&name) {
            None => Parameter::Text(value),
            Some(Parameter::Text(first)) => Parameter::Many(vec![first, value]),
            Some(Parameter::Many(mut all)) => {
                all.push(value);
                Parameter::Many(all)
            }
        };
        parameters.insert(name, entry);
    }
    parameters
}

fn decode_text(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn decode_json(body: &[u8]) -> Result<BTreeMap<String, Parameter>, Refusal> {
    let malformed = |error: serde_json::Error| {
        let at = error.column();
        let rest = String::from_utf8_lossy(body).chars().skip(at).collect::<String>();
        let rest = if rest.is_empty() { "(end of string)".to_owned() } else { rest };
        Refusal::Plain(
            500,
            format!(
                "malformed JSON string, neither tag, array, object, number, string or atom, at character offset {at} \
             (before \"{rest}\") at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 917.\n"
            ),
        )
    };
    let value: Value = serde_json::from_slice(body).map_err(malformed)?;
    let Value::Object(map) = value else {
        return Ok(BTreeMap::new());
    };
    let mut parameters = BTreeMap::new();
    for (name, value) in map {
        let parameter = match &value {
            Value::Null => {
                let text = format!("unable to parse value of '{name}' - got undefined value");
                return Err(Refusal::Die(text));
            }
            Value::Array(all) => Parameter::Many(all.iter().map(scalar).collect()),
            other => Parameter::Text(scalar(other)),
        };
        parameters.insert(name, parameter);
    }
    Ok(parameters)
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        other => other.to_string(),
    }
}
