//! Tells people and programs about machines: mail, webhooks and a channel for the notices of [`deploy_core`].
//!
//! The engine writes a notice into its store with the commit that causes it, and its worker delivers it through one
//! [`Notifier`](deploy_core::Notifier), again and again until that succeeds. Here are notifiers:
//!
//! - [`Mail`] writes to the contact that an order names, or to an operator: text and HTML from [`Templates`] of yours or built in,
//!   by one [`Smtp`] server.
//! - [`Webhook`] posts JSON with a signature; [`WebhookVerifier`] checks it on the other side.
//! - [`channel`] hands notices to the program that embeds the engine, and waits until it has dealt with them.
//! - [`Fanout`] is several of these, each for the kinds of notices that concern it.
//!
//! ```no_run
//! use deploy_core::{NoticeKind, RecordStore};
//! use deploy_notify::{Fanout, Login, Mail, Smtp, SmtpSettings, Templates, Webhook};
//! use std::{path::Path, sync::Arc};
//!
//! # async fn example(store: Arc<dyn RecordStore>) -> Result<(), Box<dyn std::error::Error>> {
//! let smtp = Smtp::new(SmtpSettings {
//!     login: Some(Login { user: "panel".to_owned(), password: std::fs::read_to_string("password")?.trim().into() }),
//!     ..SmtpSettings::new("mail.example.net")
//! })?;
//! // A wrong password is better told at the start than with the first notice.
//! smtp.check().await?;
//!
//! let sender: deploy_notify::Mailbox = "Example Hosting <noreply@example.net>".parse()?;
//! let operator: deploy_notify::Mailbox = "ops@example.net".parse()?;
//! let to_customers = Mail::to_contact(smtp.clone(), store.clone(), sender.clone())
//!     .with_templates(Templates::read(Path::new("templates"))?)
//!     .with_undeliverable(operator.clone());
//! let to_operators = Mail::to_operator(smtp, store.clone(), sender, operator);
//! let secret = std::fs::read_to_string("webhook-secret")?.parse()?;
//! let to_panel = Webhook::new("https://panel.example.net/hooks/machines", secret)?.with_records(store);
//!
//! let (for_operators, for_customers): (Vec<_>, Vec<_>) =
//!     NoticeKind::ALL.into_iter().partition(|kind| kind.is_for_operators());
//! let notifier = Fanout::new()
//!     .with("mail to customers", for_customers, to_customers)
//!     .with("mail to operators", for_operators, to_operators)
//!     .with("webhook", NoticeKind::ALL, to_panel);
//! // And to the worker: Worker::new(...).with_notifier(Arc::new(notifier))
//! # let _ = notifier;
//! # Ok(())
//! # }
//! ```
//!
//! # How often is anybody told?
//!
//! Once, as far as that can be had. A notice is repeated only where nobody can know whether it was delivered: the connection or
//! the worker died between the last byte and the receipt. It then carries the same id (a mail's Message-ID, a webhook's
//! `webhook-id`, [`QueuedNotice::id`](deploy_core::QueuedNotice::id)), by which a receiver knows it.
//!
//! # What is tried again?
//!
//! Everything that failed, without an end, with the worker's delays; notices of one machine stay in their order. A target that
//! fails holds back no other: see [`Fanout`]. The one thing that is not tried again is a mail address that does not exist: see
//! [`Mail`].
//!
//! # What is told?
//!
//! [`Facts`]: the notice, and what the machine's record says when it is delivered. Secrets, such as the passwords of mail servers
//! and those that webhooks are signed with, are never printed.

mod channel;
mod facts;
mod fanout;
mod mail;
mod smtp;
mod webhook;

pub use channel::{Channel, Told, channel};
pub use facts::Facts;
pub use fanout::Fanout;
pub use mail::{Mail, Mailbox, MailboxError, TemplateError, Templates};
pub use smtp::{Login, MailTrust, Security, Smtp, SmtpConfigError, SmtpError, SmtpSettings};
pub use webhook::{
    WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, Webhook, WebhookConfigError, WebhookSecret,
    WebhookSecretError, WebhookVerifier, WebhookVerifyError,
};
