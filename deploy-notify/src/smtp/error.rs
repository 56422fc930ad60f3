use lettre::transport::smtp::Error;
use std::time::Duration;

/// Mail cannot be sent as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpConfigError {
    /// There is no such host.
    #[error("host: {0:?} is neither a name nor an address")]
    Host(String),
    /// Passwords and customers' addresses would be there for anybody to read.
    #[error(
        "security: a connection to {0} must be protected; in the clear only this machine is spoken to (127.0.0.1, ::1, localhost)"
    )]
    PlainAcrossNetwork(String),
    /// There is no usable CA.
    #[error("trust: {0}")]
    Trust(String),
}

/// A mail was not sent, or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// There was no connection.
    #[error("{server}: no connection: {why}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// Why not.
        why: String,
    },
    /// The server's certificate is not one to believe, or there is no TLS. Nothing was said to it.
    #[error("{server}: not to be trusted: {why}")]
    Distrusted {
        /// Host and port.
        server: String,
        /// Why not.
        why: String,
    },
    /// The server does not let this user send, or nobody without a login.
    #[error("{server}: the login was refused: {reply}")]
    Login {
        /// Host and port.
        server: String,
        /// The server's words.
        reply: String,
    },
    /// The server does not take mail from this sender.
    #[error("{server}: the sender {sender} was refused: {reply}")]
    Sender {
        /// Host and port.
        server: String,
        /// Whose mail it is.
        sender: String,
        /// The server's words.
        reply: String,
    },
    /// The server takes no mail for this person now and may do so later: greylisting, a full mailbox, a server behind it that is
    /// down (4xx).
    #[error("{server}: mail for {recipient} is put off: {reply}")]
    PutOff {
        /// Host and port.
        server: String,
        /// Whose mail it is.
        recipient: String,
        /// The server's words.
        reply: String,
    },
    /// The server will never take mail for this person: there is nobody of this name, or the mailbox is closed (5xx to RCPT, but
    /// for refusals of its policy). Others are not concerned.
    #[error("{server}: mail for {recipient} is refused for good: {reply}")]
    Recipient {
        /// Host and port.
        server: String,
        /// Whose mail it is.
        recipient: String,
        /// The server's words.
        reply: String,
    },
    /// The server did not take the mail, for what it is or whence it comes: its policy (5.7.x) would refuse others as well.
    #[error("{server}: the mail was refused: {reply}")]
    Refused {
        /// Host and port.
        server: String,
        /// The server's words.
        reply: String,
    },
    /// The connection broke, or something was answered that nobody understands. The mail may have been taken.
    #[error("{server}: the connection broke: {why}")]
    Broken {
        /// Host and port.
        server: String,
        /// What was seen.
        why: String,
    },
    /// The server took too long. The mail may have been taken.
    #[error("{server}: no answer in {} s", after.as_secs_f32())]
    TimedOut {
        /// Host and port.
        server: String,
        /// How long that is.
        after: Duration,
    },
}

/// The words of a server, if it was a server's answer; with its code and in one line.
pub(crate) fn reply(error: &Error) -> Option<String> {
    let code = error.status()?;
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let line = words.split(|c: char| c.is_control()).map(str::trim).collect::<Vec<_>>().join(" ");
    Some(format!("{code} {line}").trim_end().to_owned())
}

/// All that an error says, in one line.
pub(crate) fn words(error: &Error) -> String {
    error.to_string().replace(['\r', '\n'], " ")
}
