//! A machine, its notices, and whom they are sent by.

use deploy_core::{
    Assignment, Attention, ExternalRef, NicSlot, Notice, NoticeId, QueuedNotice, RecordStore, Step, VmRecord,
};
use deploy_notify::{Login, Mail, MailTrust, Mailbox, Security, Smtp, SmtpSettings};
use deploy_testkit::{mocks::MockRecordStore, sample};
use mail_parser::{Message, MessageParser};
use std::{sync::Arc, time::Duration};
use throwaway_smtp::{Door, PASSWORD, Server};

/// A machine with addresses of both kinds, a user, and data of the embedder's.
pub(crate) fn record() -> VmRecord {
    let order = sample::order_of(1, sample::full_spec());
    let mut record = order.numbered(sample::vmid(1000)).unwrap();
    record.metadata = serde_json::json!({ "customer": "Jürgen <b>Groß</b> & Söhne" });
    record.addresses = ["192.0.2.10", "2001:db8::10"].map(assignment).to_vec();
    record
}

fn assignment(address: &str) -> Assignment {
    Assignment {
        nic: NicSlot::try_from(0).unwrap(),
        address: sample::parsed(address),
        prefix_len: 24,
        gateway: None,
        resolvers: Vec::new(),
        pool: sample::parsed("public"),
    }
}

/// A store that knows this machine and nothing else.
pub(crate) fn store(record: VmRecord) -> Arc<dyn RecordStore> {
    let mut store = MockRecordStore::new();
    store.expect_get().returning(move |key| Ok((record.key == key).then(|| record.clone())));
    Arc::new(store)
}

/// A notice about the machine, the contact's address being this one.
pub(crate) fn notice(id: i64, contact: Option<&str>, notice: Notice) -> QueuedNotice {
    QueuedNotice {
        id: NoticeId(id),
        key: record().key,
        external_ref: record().external_ref,
        contact: contact.map(sample::parsed),
        at: sample::parsed("2026-03-01T12:34:56Z"),
        notice,
    }
}

pub(crate) fn ready(id: i64) -> QueuedNotice {
    notice(id, Some("ann@example.org"), Notice::Ready)
}

/// What is the matter, with everything that could end a header or open a tag.
pub(crate) fn attention() -> Notice {
    Notice::NeedsAttention(Attention {
        since: sample::epoch(),
        step: Step::Clone,
        message: "storage <local> is full\r\nBcc: everybody@example.org\r\n\r\n& so on".to_owned(),
    })
}

/// A reference with everything that could end a header or open a tag, as far as references go.
pub(crate) fn odd_reference() -> ExternalRef {
    sample::parsed("Größe <script>alert(1)</script> & \"co\"")
}

/// Settings for the server's door with a certificate and a login that are right.
pub(crate) fn settings(server: &Server, door: Door) -> SmtpSettings {
    let security = match door {
        Door::Plain => Security::Plain,
        Door::StartTls => Security::StartTls,
        Door::Tls => Security::Tls,
    };
    let login = Login { user: "panel@example.org".to_owned(), password: PASSWORD.into() };
    SmtpSettings {
        port: Some(server.port(door)),
        security,
        trust: MailTrust::Ca(server.authority().into()),
        login: (door != Door::Plain).then_some(login),
        connect_timeout: Duration::from_secs(30),
        ..SmtpSettings::new("localhost")
    }
}

pub(crate) fn sender() -> Mailbox {
    "Bäcker Hosting <panel@example.org>".parse().unwrap()
}

/// Mail to contacts by the server's TLS door.
pub(crate) fn mail(server: &Server) -> Mail {
    mail_with(settings(server, Door::Tls))
}

pub(crate) fn mail_with(settings: SmtpSettings) -> Mail {
    Mail::to_contact(Smtp::new(settings).unwrap(), store(record()), sender())
}

/// A mail as a mailbox shows it.
pub(crate) fn parse(mail: &[u8]) -> Message<'_> {
    MessageParser::default().parse(mail).expect("a mail")
}
