//! One connection to a mail server, and one mail over it.
//!
//! The dialogue is led here, command by command, for its place says what a refusal means: of the sender, of one person, or of
//! the mail.

use super::{
    Outgoing, Security, SmtpConfigError, SmtpError, SmtpSettings,
    error::{reply, words},
    settings::MailTrust,
};
use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::ExposeSecret as _;
use std::{net::IpAddr, time::Duration};
use tokio::time::timeout;

/// A server, and how it is spoken to.
pub(crate) struct Server {
    settings: SmtpSettings,
    port: u16,
    /// `None` in the clear.
    tls: Option<TlsParameters>,
    hello: ClientId,
    credentials: Option<Credentials>,
}

pub(crate) struct Connection {
    smtp: AsyncSmtpConnection,
    /// Whether it is where a mail can begin.
    usable: bool,
}

/// What is refused where in the dialogue.
enum At {
    Sender,
    Recipient,
    Content,
}

/// How long a server may take to say that a connection is still there.
const GLANCE: Duration = Duration::from_secs(5);

impl Server {
    pub(crate) fn new(settings: SmtpSettings) -> Result<Self, SmtpConfigError> {
        let host = settings.host.as_str();
        if !is_host(host) {
            return Err(SmtpConfigError::Host(host.to_owned()));
        }
        let tls = match settings.security {
            Security::Plain if !is_this_machine(host) => {
                return Err(SmtpConfigError::PlainAcrossNetwork(host.to_owned()));
            }
            Security::Plain => None,
            Security::Tls | Security::StartTls => Some(tls(host, &settings.trust)?),
        };
        let usual = match settings.security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::Plain => 25,
        };
        let login = settings.login.as_ref();
        Ok(Self {
            port: settings.port.unwrap_or(usual),
            tls,
            hello: settings.hello.clone().map_or_else(ClientId::default, ClientId::Domain),
            credentials: login
                .map(|login| Credentials::new(login.user.clone(), login.password.expose_secret().to_owned())),
            settings,
        })
    }

    pub(crate) fn settings(&self) -> &SmtpSettings {
        &self.settings
    }

    /// Host and port.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.settings.host, self.port)
    }

    /// Connects and logs in.
    pub(crate) async fn connect(&self) -> Result<Connection, SmtpError> {
        let limit = self.settings.connect_timeout;
        match timeout(limit, self.connect_and_log_in()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SmtpError::TimedOut { server: self.name(), after: limit }),
        }
    }

    async fn connect_and_log_in(&self) -> Result<Connection, SmtpError> {
        let server = || self.name();
        let at_once = self.tls.clone().filter(|_| self.settings.security == Security::Tls);
        let address = (self.settings.host.as_str(), self.port);
        let connected = AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, at_once, None).await;
        let mut smtp = connected.map_err(|error| self.no_connection(&error))?;
        if let Some(tls) = self.tls.clone().filter(|_| self.settings.security == Security::StartTls) {
            if !smtp.can_starttls() {
                let why = "it does not offer STARTTLS".to_owned();
                return Err(SmtpError::Distrusted { server: server(), why });
            }
            smtp.starttls(tls, &self.hello).await.map_err(|error| self.no_connection(&error))?;
        }
        if let Some(credentials) = &self.credentials {
            let outcome = smtp.auth(DEFAULT_MECHANISMS, credentials).await;
            outcome.map_err(|error| match reply(&error) {
                Some(reply) => SmtpError::Login { server: server(), reply },
                // The server knows no way to log in that we do.
                None if error.is_client() => SmtpError::Login { server: server(), reply: words(&error) },
                None => SmtpError::Broken { server: server(), why: words(&error) },
            })?;
        }
        Ok(Connection { smtp, usable: true })
    }

    fn no_connection(&self, error: &Error) -> SmtpError {
        let (server, why) = (self.name(), words(error));
        if is_about_trust(error) {
            SmtpError::Distrusted { server, why }
        } else {
            SmtpError::Unreachable { server, why }
        }
    }

    fn refused(&self, at: &At, outgoing: &Outgoing<'_>, error: &Error) -> SmtpError {
        let server = self.name();
        let Some(reply) = reply(error) else {
            return SmtpError::Broken { server, why: words(error) };
        };
        // The login is asked for at whichever command comes first (RFC 4954).
        if ["530", "535", "538"].iter().any(|code| reply.starts_with(code)) {
            return SmtpError::Login { server, reply };
        }
        match at {
            At::Sender => SmtpError::Sender { server, sender: outgoing.from.to_string(), reply },
            // A server that looks at the mail before it puts somebody off does so after it.
            At::Recipient | At::Content if error.is_transient() => {
                SmtpError::PutOff { server, recipient: outgoing.to.to_string(), reply }
            }
            At::Recipient if !is_policy(&reply) => {
                SmtpError::Recipient { server, recipient: outgoing.to.to_string(), reply }
            }
            At::Recipient | At::Content => SmtpError::Refused { server, reply },
        }
    }
}

impl Connection {
    pub(crate) fn is_usable(&self) -> bool {
        self.usable && !self.smtp.has_broken()
    }

    /// Whether the server is still there.
    pub(crate) async fn is_alive(&mut self, server: &Server) -> bool {
        let limit = GLANCE.min(server.settings.connect_timeout);
        timeout(limit, self.smtp.test_connected()).await.unwrap_or(false)
    }

    /// Hands over one mail. Where the server refused it, the connection is ready for another one.
    pub(crate) async fn send(&mut self, server: &Server, outgoing: &Outgoing<'_>) -> Result<(), SmtpError> {
        let takes_utf8 = self.smtp.server_info().supports_feature(Extension::SmtpUtfEight);
        if !is_ascii(outgoing.to) && !takes_utf8 {
            let reply = "it takes no addresses that are not ASCII (SMTPUTF8)".to_owned();
            return Err(SmtpError::Recipient {
                server: server.name(),
                recipient: outgoing.to.to_string(),
                reply,
            });
        }
        // Until it is through: one that was dropped in the middle must not be kept.
        self.usable = false;
        let limit = server.settings.timeout;
        let Ok(sent) = timeout(limit, self.dialogue(outgoing)).await else {
            return Err(SmtpError::TimedOut { server: server.name(), after: limit });
        };
        match sent {
            Ok(()) => {
                self.usable = true;
                Ok(())
            }
            Err((at, error)) => {
                // 421 says good-bye, and what was no answer is no place to go on from.
                let goes_on = reply(&error).is_some_and(|reply| !reply.starts_with("421"));
                self.usable =
                    goes_on && timeout(GLANCE, self.smtp.command(Rset)).await.is_ok_and(|it| it.is_ok());
                Err(server.refused(&at, outgoing, &error))
            }
        }
    }

    async fn dialogue(&mut self, outgoing: &Outgoing<'_>) -> Result<(), (At, Error)> {
        let Outgoing { from, to, mail } = outgoing;
        let mut options = Vec::new();
        if !is_ascii(from) || !is_ascii(to) {
            options.push(MailParameter::SmtpUtfEight);
        }
        if !mail.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let sender = Mail::new(Some((*from).clone()), options);
        self.smtp.command(sender).await.map_err(|error| (At::Sender, error))?;
        self.smtp
            .command(Rcpt::new((*to).clone(), Vec::new()))
            .await
            .map_err(|error| (At::Recipient, error))?;
        self.smtp.command(Data).await.map_err(|error| (At::Content, error))?;
        self.smtp.message(mail).await.map_err(|error| (At::Content, error))?;
        Ok(())
    }
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

/// Whether a refusal is of the server's policy (RFC 3463: X.7.X): that it does not relay for us says nothing about a person.
fn is_policy(reply: &str) -> bool {
    reply.split_once(' ').is_some_and(|(_, words)| words.starts_with("5.7."))
}

/// Whether it is a name or an address, and nothing that could end a line.
fn is_host(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || host.parse::<deploy_core::DnsName>().is_ok()
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(host: &str, trust: &MailTrust) -> Result<TlsParameters, SmtpConfigError> {
    let refused = |why: &dyn std::fmt::Display| SmtpConfigError::Trust(why.to_string());
    let mut builder = TlsParameters::builder(host.to_owned());
    if let MailTrust::Ca(pem) = trust {
        builder = builder.certificate_store(CertificateStore::None);
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refused(&error))?;
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| refused(&error))?;
            builder = builder.add_root_certificate(certificate);
            found += 1;
        }
        if found == 0 {
            return Err(SmtpConfigError::Trust("the PEM text holds no certificate".to_owned()));
        }
    }
    builder.build().map_err(|error| refused(&error))
}

/// Whether TLS is the reason: the library tells one that was refused as a broken connection.
fn is_about_trust(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<rustls::Error>().is_some() {
            return true;
        }
        // The source of an I/O error is the source of the error inside it: the inner one itself has to be asked for.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
            return true;
        }
        next = error.source();
    }
    false
}
