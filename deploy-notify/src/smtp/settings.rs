use secrecy::SecretString;
use std::time::Duration;

/// How mail leaves: a server that takes it, and how it is spoken to.
///
/// ```
/// use deploy_notify::{Login, Security, SmtpSettings};
///
/// let settings = SmtpSettings {
///     security: Security::StartTls,
///     login: Some(Login { user: "panel".to_owned(), password: "secret".into() }),
///     ..SmtpSettings::new("mail.example.net")
/// };
/// # let _ = settings;
/// ```
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name, which its certificate must have, or its address.
    pub host: String,
    /// Its port; `None` is what is usual: 465 for [`Security::Tls`], 587 for [`Security::StartTls`], 25 for [`Security::Plain`].
    pub port: Option<u16>,
    /// How the connection is protected.
    pub security: Security,
    /// Whose certificates are believed.
    pub trust: MailTrust,
    /// Who sends; `None` is a server that asks nobody.
    pub login: Option<Login>,
    /// How this machine calls itself (`EHLO`); `None` is its host name.
    pub hello: Option<String>,
    /// How long a connection may take to come about, with TLS and the login.
    pub connect_timeout: Duration,
    /// How long the server may take for one mail after that.
    pub timeout: Duration,
    /// Connections that are kept for the next mail.
    pub kept: usize,
    /// How long one is kept.
    pub kept_for: Duration,
}

impl SmtpSettings {
    /// A server spoken to by TLS, without a login, with time-outs for a server on another continent.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            security: Security::Tls,
            trust: MailTrust::SystemRoots,
            login: None,
            hello: None,
            connect_timeout: Duration::from_secs(15),
            timeout: Duration::from_secs(30),
            kept: 4,
            kept_for: Duration::from_secs(30),
        }
    }
}

/// How a connection to a mail server is protected. There is no way to take what the server happens to offer: whoever sits in
/// between would offer nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Security {
    /// TLS from the first byte on (RFC 8314).
    #[default]
    Tls,
    /// Begun in the clear and turned into TLS before anything else is said; without that nothing is sent.
    StartTls,
    /// Nothing: only to a server on this machine.
    Plain,
}

/// Whose certificates are believed. There is no way to check nothing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum MailTrust {
    /// The CAs that this system trusts.
    #[default]
    SystemRoots,
    /// The CAs in this PEM text, and no other.
    Ca(Vec<u8>),
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, which is never printed.
    pub password: SecretString,
}
