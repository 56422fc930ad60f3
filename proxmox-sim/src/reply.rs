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
    /// The JSON body; `None` is an empty one.
    pub body: Option<Value>,
}

impl Reply {
    pub(crate) fn data(data: &Value) -> Self {
        Self::ok(json!({ "data": data }))
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, reason: "OK".to_owned(), body: Some(body) }
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

    pub(crate) fn bare(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), body: None }
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
            Self::Unauthenticated(text) | Self::Login(text) | Self::Die(text) | Self::Bare(_, text) => {
                text.clone()
            }
        }
    }

    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Parameters(errors) => {
                let reason = "Parameter verification failed.";
                Reply {
                    status: 400,
                    reason: reason.to_owned(),
                    body: Some(json!({"data": null, "errors": errors, "message": format!("{reason}\n")})),
                }
            }
            Self::Unauthenticated(reason) => Reply::bare(401, &reason),
            Self::Login(text) => failed(401, &text),
            Self::Forbidden(text) => failed(403, &text),
            Self::Die(text) => failed(500, &text),
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
    Reply {
        status,
        reason: text.lines().next().unwrap_or_default().to_owned(),
        body: Some(json!({"data": null, "message": format!("{text}\n")})),
    }
}
