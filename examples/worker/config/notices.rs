//! Who is told of notices, beside the standard output.

use super::delays::Seconds;
use crate::post::{Letters, Post};
use deploy_core::NoticeKind;
use deploy_notify::{
    Login, MailTrust, Mailbox, Security, Smtp, SmtpSettings, Templates, Webhook, WebhookSecret,
};
use examples::{access, input::Problem};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpTable {
    host: Spanned<String>,
    port: Option<u16>,
    #[serde(default)]
    security: SecurityName,
    ca: Option<Spanned<PathBuf>>,
    user: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    sender: Spanned<String>,
    reply_to: Option<Spanned<String>>,
    templates: Option<Spanned<PathBuf>>,
    operator: Option<Spanned<String>>,
    contact_kinds: Option<Vec<NoticeKind>>,
    operator_kinds: Option<Vec<NoticeKind>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum SecurityName {
    #[default]
    Tls,
    StartTls,
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookTable {
    url: String,
    secret_file: Spanned<PathBuf>,
    ca: Option<Spanned<PathBuf>>,
    timeout_seconds: Option<Seconds>,
    kinds: Option<Vec<NoticeKind>>,
}

type Beside<'b> = &'b dyn Fn(&Path) -> PathBuf;

/// Everything is judged, and nothing is sent yet; what is wrong goes to `problems`.
pub(super) fn post(
    smtp: Option<&Spanned<SmtpTable>>,
    webhook: Option<&Spanned<WebhookTable>>,
    beside: Beside<'_>,
    problems: &mut Vec<Problem>,
) -> Post {
    let mut note = |problem: Problem, table: &str| problems.push(problem.under(table));
    let letters = smtp.map(|table| table.get_ref().letters(beside).map_err(|problem| note(problem, "smtp")));
    let letters = letters.and_then(Result::ok);
    let hook = webhook.map(|table| table.get_ref().webhook(table, beside));
    let hook = hook.and_then(|hook| hook.map_err(|problem| note(problem, "webhook")).ok());
    Post { letters, webhook: hook }
}

impl SmtpTable {
    fn letters(&self, beside: Beside<'_>) -> Result<Letters, Problem> {
        let smtp =
            Smtp::new(self.settings(beside)?).map_err(|error| Problem::new(self.host.span(), error))?;
        let templates = match &self.templates {
            None => Templates::default(),
            Some(folder) => Templates::read(&beside(folder.get_ref()))
                .map_err(|error| Problem::new(folder.span(), format!("templates: {error}")))?,
        };
        let all = NoticeKind::ALL.into_iter();
        let (operators, customers): (Vec<_>, Vec<_>) = all.partition(|kind| kind.is_for_operators());
        Ok(Letters {
            smtp,
            templates,
            sender: parsed("sender", &self.sender)?,
            reply_to: self.reply_to.as_ref().map(|text| parsed("reply_to", text)).transpose()?,
            operator: self.operator.as_ref().map(|text| parsed("operator", text)).transpose()?,
            contact_kinds: self.contact_kinds.clone().unwrap_or(customers),
            operator_kinds: self.operator_kinds.clone().unwrap_or(operators),
        })
    }

    fn settings(&self, beside: Beside<'_>) -> Result<SmtpSettings, Problem> {
        let trust = match &self.ca {
            None => MailTrust::SystemRoots,
            Some(file) => MailTrust::Ca(pem(file, beside)?),
        };
        let login = match (&self.user, &self.password_file) {
            (None, None) => None,
            (Some(user), Some(file)) => {
                let password = access::secret(&beside(file.get_ref()))
                    .map_err(|error| Problem::new(file.span(), format!("password_file: {error:#}")))?;
                Some(Login { user: user.clone(), password })
            }
            (user, _) => {
                let missing = if user.is_none() { "user" } else { "password_file" };
                let message = format!("{missing}: is missing; say both user and password_file, or none");
                return Err(Problem::new(self.host.span(), message));
            }
        };
        let security = match self.security {
            SecurityName::Tls => Security::Tls,
            SecurityName::StartTls => Security::StartTls,
            SecurityName::Plain => Security::Plain,
        };
        let host = self.host.get_ref().as_str();
        Ok(SmtpSettings { port: self.port, security, trust, login, ..SmtpSettings::new(host) })
    }
}

impl WebhookTable {
    /// URLs of receivers are secrets, as often as not: what is wrong with one is told without its line.
    fn webhook(
        &self,
        table: &Spanned<Self>,
        beside: Beside<'_>,
    ) -> Result<(Webhook, Vec<NoticeKind>), Problem> {
        let place = table.span().start..table.span().start;
        let wrong = |error: &dyn std::fmt::Display| Problem::new(place.clone(), error);
        let secret =
            access::secret(&beside(self.secret_file.get_ref())).map_err(|error| format!("{error:#}"));
        let secret = secret.and_then(|text| {
            let secret: Result<WebhookSecret, _> = text.expose_secret().parse();
            secret.map_err(|error| error.to_string())
        });
        let secret =
            secret.map_err(|error| Problem::new(self.secret_file.span(), format!("secret_file: {error}")))?;
        let mut webhook = Webhook::new(&self.url, secret).map_err(|error| wrong(&error))?;
        if let Some(file) = &self.ca {
            let trusted = webhook.with_ca(&pem(file, beside)?);
            webhook = trusted.map_err(|error| Problem::new(file.span(), format!("ca: {error}")))?;
        }
        if let Some(timeout) = self.timeout_seconds {
            webhook = webhook.with_timeout(timeout.duration());
        }
        Ok((webhook, self.kinds.clone().unwrap_or_else(|| NoticeKind::ALL.to_vec())))
    }
}

fn pem(file: &Spanned<PathBuf>, beside: Beside<'_>) -> Result<Vec<u8>, Problem> {
    let path = beside(file.get_ref());
    fs::read(&path)
        .map_err(|error| Problem::new(file.span(), format!("ca: {} cannot be read: {error}", path.display())))
}

fn parsed(key: &str, text: &Spanned<String>) -> Result<Mailbox, Problem> {
    Mailbox::from_str(text.get_ref()).map_err(|error| Problem::new(text.span(), format!("{key}: {error}")))
}
