//! Answers, and the reasons for refusing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// An answer: status line and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Status code, also those outside the standard (595, 596).
    pub status: u16,
    /// Reason phrase: the first line of the error text.
    pub reason: String,
    /// The JSON body; `None` is an empty one, unless there is a text.
    pub body: Option<Value>,
    /// A body that is not JSON: what goes wrong before the call is known is said in plain text.
    pub text: Option<String>,
}

impl Reply {
    pub(crate) fn data(data: Value) -> Self {
        Self::ok(Value::Object([("data".to_owned(), data)].into_iter().collect()))
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, reason: "OK".to_owned(), body: Some(body), text: None }
    }

    /// The form under `/api2/extjs`: 200, with the status in the body. What has no body stays.
    pub(crate) fn wrapped(mut self) -> Self {
        let Some(Value::Object(body)) = &mut self.body else {
            return self;
        };
        body.insert("success".to_owned(), json!(u8::from(self.status == 200)));
        if self.status != 200 {
            body.insert("status".to_owned(), json!(self.status.to_string()));
        }
        self.status = 200;
        "OK".clone_into(&mut self.reason);
        self
    }

    /// The form of the oldest line: the text of an error stands in the reason phrase alone.
    pub(crate) fn without_message(mut self) -> Self {
        if let Some(Value::Object(body)) = &mut self.body {
            body.remove("message");
        }
        self
    }

    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), body: None, text: None }
    }

    /// `data` of the body.
    pub fn payload(&self) -> &Value {
        self.body.as_ref().map_or(&Value::Null, |body| &body["data"])
    }

    /// Error text of one parameter.
    pub fn error(&self, parameter: &str) -> Option<&str> {
        self.body.as_ref()?.get("errors")?.get(parameter)?.as_str()
    }
}

/// What the cluster does with the connection once it has decided on an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer; `None` means that the connection is reset without one.
    pub reply: Option<Reply>,
    /// How long the answer is held back.
    pub delay: Duration,
    /// The answer to a write that another daemon carried out. Its `Connection: close` is passed on
    /// beside the `Connection: Keep-Alive` of the one that was asked.
    pub relayed: bool,
}

/// A call that is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// 400 with a text for each parameter.
    Parameters(BTreeMap<String, String>),
    /// 401, with an empty body.
    Unauthenticated(String),
    /// 401 of a failed login, which has a body.
    Login(String),
    /// 403.
    Forbidden(String),
    /// 500, the server's answer to everything else.
    Die(String),
    /// 501 for a path or a method of it that does not exist.
    NotImplemented(String),
    /// A request that could not be read: any status, with the message as a plain text.
    Plain(u16, String),
    /// Any other status, with an empty body.
    Bare(u16, String),
}

impl Refusal {
    pub(crate) fn parameter(name: &str, text: impl Into<String>) -> Self {
        Self::Parameters(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    /// What a task ends with when it meets the refusal.
    pub(crate) fn task_text(&self) -> String {
        match self {
            Self::Parameters(errors) => {
                let first = "400 Parameter verification failed.\n".to_owned();
                errors.iter().fold(first, |text, (key, error)| text + key + ": " + error + "\n")
            }
            Self::Forbidden(text) => format!("403 {text}"),
            Self::Unauthenticated(text)
            | Self::Login(text)
            | Self::Die(text)
            | Self::NotImplemented(text)
            | Self::Plain(_, text)
            | Self::Bare(_, text) => text.clone(),
        }
    }

    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Parameters(errors) => {
                let reason = "Parameter verification failed.";
                let body = json!({"data": null, "errors": errors, "message": format!("{reason}\n")});
                Reply { body: Some(body), ..Reply::bare(400, reason) }
            }
            Self::Unauthenticated(reason) => Reply::bare(401, &reason),
            Self::Login(text) => failed(401, &text),
            Self::Forbidden(text) => failed(403, &text),
            Self::Die(text) => failed(500, &text),
            // The only message without a newline at its end.
            Self::NotImplemented(text) => {
                Reply { body: Some(json!({"data": null, "message": text})), ..Reply::bare(501, &text) }
            }
            Self::Plain(status, text) => {
                let reason = text.lines().next().unwrap_or_default().to_owned();
                Reply { text: Some(text), ..Reply::bare(status, &reason) }
            }
            Self::Bare(status, reason) => Reply::bare(status, &reason),
        }
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self::Die(text)
    }
}

fn failed(status: u16, text: &str) -> Reply {
    let text = text.trim_end_matches('\n');
    let body = json!({"data": null, "message": format!("{text}\n")});
    Reply { body: Some(body), ..Reply::bare(status, text.lines().next().unwrap_or_default()) }
}
