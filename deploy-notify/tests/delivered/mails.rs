//! Mail to a real server, and what arrives.

use crate::fixture::*;
use deploy_core::{Notice, NoticeKind, Notifier as _};
use deploy_notify::{Fanout, Login, Mail, MailTrust, Smtp, SmtpError, SmtpSettings, Templates};
use mail_parser::MimeHeaders as _;
use std::{collections::BTreeSet, time::Duration};
use throwaway_smtp::{Door, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_arrives_with_both_parts_and_every_character() {
    let server = Server::start().unwrap();
    mail(&server).notify(&ready(7)).await.unwrap();
    let mails = server.wait_for("ann@example.org", 1).unwrap();
    let raw = String::from_utf8(mails[0].clone()).expect("in ASCII on the wire");
    assert!(raw.is_ascii());
    let mail = parse(&mails[0]);
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Bäcker Hosting"), Some("panel@example.org")));
    assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("ann@example.org"));
    let name = record().numbered.fqdn;
    assert_eq!(mail.subject(), Some(format!("{name} is ready").as_str()));
    let expected = format!("7-{}.contact@example.org", record().key);
    assert_eq!(mail.message_id(), Some(expected.as_str()));
    assert_eq!(mail.date().unwrap().to_rfc3339(), "2026-03-01T12:34:56Z");
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(mail.content_type().unwrap().subtype(), Some("alternative"));
    let text = mail.body_text(0).unwrap();
    assert!(text.starts_with(&format!("Your machine {name} is ready.")), "{text}");
    assert!(text.contains("192.0.2.10") && text.contains("2001:db8::10"), "{text}");
    assert!(text.contains("ssh ann@192.0.2.10"), "{text}");
    let html = mail.body_html(0).unwrap();
    assert!(html.contains(&format!("<strong>{name}</strong>")), "{html}");
    assert!(html.contains("<li>2001:db8::10</li>"), "{html}");
    assert_eq!((mail.text_body_count(), mail.html_body_count()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_that_is_safe_is_taken_and_connections_are_kept() {
    let server = Server::start().unwrap();
    for (sent, door) in [Door::Plain, Door::StartTls, Door::Tls].into_iter().enumerate() {
        let mail = mail_with(settings(&server, door));
        for nth in 1..=2 {
            mail.notify(&ready(nth)).await.unwrap();
        }
        let mails = server.wait_for("ann@example.org", sent * 2 + 2).unwrap();
        let received = parse(&mails[sent * 2]).header_raw("Received").unwrap().to_owned();
        let by = match door {
            Door::Plain => "plain text!",
            Door::StartTls => "over submission,",
            Door::Tls => "over submission+TLS",
        };
        assert!(received.contains(by), "{received}");
    }
    // Each door's second mail went over the first one's connection.
    let log = server.log();
    let taken = log.lines().filter(|line| line.contains(": Queued from"));
    let connections = taken.filter_map(|line| line.split("SMTP.Conn ").nth(1)?.split(": ").next());
    assert_eq!(connections.collect::<BTreeSet<_>>().len(), 3, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_neither_begins_a_header_nor_a_tag() {
    let server = Server::start().unwrap();
    let mut odd = notice(8, None, attention());
    odd.external_ref = odd_reference();
    let smtp = Smtp::new(settings(&server, Door::Tls)).unwrap();
    let operator = "Operator <operator@example.org>".parse().unwrap();
    let subject = "Subject: {{ reference }}: {{ message }}\n\nDear {{ metadata.customer }}, {{ message }}\n";
    let html = "<p>{{ metadata.customer }}: {{ message }}, {{ reference }}</p>";
    let templates =
        Templates::new([("needs_attention.txt", subject), ("needs_attention.html", html)]).unwrap();
    let mail = Mail::to_operator(smtp, store(record()), sender(), operator).with_templates(templates);
    mail.notify(&odd).await.unwrap();
    let mails = server.wait_for("operator@example.org", 1).unwrap();
    let mail = parse(&mails[0]);
    assert_eq!(
        mail.subject(),
        Some(
            "Größe <script>alert(1)</script> & \"co\": storage <local> is full Bcc: everybody@example.org & so on"
        )
    );
    assert!(mail.bcc().is_none() && server.mails("everybody@example.org").is_empty());
    let text = mail.body_text(0).unwrap();
    assert!(text.starts_with("Dear Jürgen <b>Groß</b> & Söhne, storage <local> is full"), "{text}");
    let html = mail.body_html(0).unwrap();
    let escaped = "Jürgen &lt;b&gt;Groß&lt;&#x2f;b&gt; &amp; Söhne: storage &lt;local&gt; is full";
    assert!(html.contains(escaped) && !html.contains("<script>"), "{html}");
    assert_eq!(mail.message_id(), Some(format!("8-{}.operator@example.org", record().key).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contact_s_address_need_not_be_ascii() {
    let server = Server::start().unwrap();
    let notice = notice(1, Some("jürgen@example.org"), Notice::Suspended);
    mail(&server).notify(&notice).await.unwrap();
    let mails = server.wait_for("jürgen@example.org", 1).unwrap();
    assert_eq!(parse(&mails[0]).to().unwrap().first().unwrap().address(), Some("jürgen@example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_a_contact_is_told_to_nobody() {
    let server = Server::start().unwrap();
    mail(&server).notify(&notice(1, None, Notice::Ready)).await.unwrap();
    mail(&server).notify(&ready(2)).await.unwrap();
    server.wait_for("ann@example.org", 1).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_and_operators_are_told_of_what_concerns_them() {
    let server = Server::start().unwrap();
    let smtp = Smtp::new(settings(&server, Door::Tls)).unwrap();
    let contact = Mail::to_contact(smtp.clone(), store(record()), sender());
    let operator =
        Mail::to_operator(smtp, store(record()), sender(), "operator@example.org".parse().unwrap());
    let (operators, customers) =
        NoticeKind::ALL.into_iter().partition::<Vec<_>, _>(|it| it.is_for_operators());
    let both = Fanout::new().with("contact", customers, contact).with("operator", operators, operator);
    let vanished = Notice::Vanished { message: "gone".to_owned(), redeployed: true };
    let left = Notice::LeftBehind { message: "pvesm free ceph:vm-1-disk-0".to_owned() };
    let restored = Notice::BackupRestored { backup: "nfs:backup/one.vma".to_owned() };
    let terminated = Notice::Terminated { addresses: vec!["192.0.2.99".parse().unwrap()] };
    let all = [
        Notice::Ready,
        attention(),
        vanished,
        left,
        Notice::Suspended,
        Notice::Unsuspended,
        restored,
        terminated,
    ];
    for (id, told) in (1..).zip(all) {
        both.notify(&notice(id, Some("ann@example.org"), told)).await.unwrap();
    }
    let subjects = |address: &str, count| -> Vec<String> {
        let mails = server.wait_for(address, count).unwrap();
        let mut subjects: Vec<String> =
            mails.iter().map(|mail| parse(mail).subject().unwrap().to_owned()).collect();
        subjects.sort();
        subjects
    };
    let (name, reference) = (record().numbered.fqdn, record().external_ref);
    let to_contact =
        ["is no longer suspended", "is ready", "is suspended", "was deleted", "was restored from a backup"];
    assert_eq!(subjects("ann@example.org", 5), to_contact.map(|what| format!("{name} {what}")));
    assert_eq!(
        subjects("operator@example.org", 3),
        [
            format!("Attention: {reference} at clone"),
            format!("Vanished: {reference}"),
            format!("Volumes left behind: {reference}"),
        ]
    );
    let deleted = server.mails("ann@example.org");
    let deleted = deleted.iter().map(|mail| parse(mail).body_text(0).unwrap().into_owned());
    // Of a machine that is gone the addresses that it had, not those that its record has by now.
    let deleted = deleted.filter(|text| text.contains("was deleted")).collect::<String>();
    assert!(deleted.contains("192.0.2.99") && !deleted.contains("192.0.2.10"), "{deleted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_as_that_and_never_printed() {
    let server = Server::start().unwrap();
    let login = Login { user: "panel@example.org".to_owned(), password: "no horse at all".into() };
    let wrong = SmtpSettings { login: Some(login), ..settings(&server, Door::Tls) };
    assert!(!format!("{wrong:?}").contains("no horse"), "{wrong:?}");
    let smtp = Smtp::new(wrong).unwrap();
    let error = smtp.check().await.unwrap_err();
    assert!(matches!(&error, SmtpError::Login { reply, .. } if reply.starts_with("535 ")), "{error}");
    let mail = Mail::to_contact(smtp, store(record()), sender());
    let error = mail.notify(&ready(1)).await.unwrap_err();
    assert!(error.0.contains("the login was refused: 535"), "{error}");
    assert!(!format!("{error:?} {mail:?}").contains("no horse"), "{error:?} {mail:?}");
    Smtp::new(settings(&server, Door::StartTls)).unwrap().check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_itself_hears_nothing() {
    let server = Server::start().unwrap();
    for door in [Door::Tls, Door::StartTls] {
        let other = MailTrust::Ca(server.other_authority().into());
        let by_system = MailTrust::SystemRoots;
        let by_address = settings(&server, door);
        let attempts = [
            SmtpSettings { trust: other, ..settings(&server, door) },
            SmtpSettings { trust: by_system, ..settings(&server, door) },
            // The certificate is for localhost.
            SmtpSettings { host: "127.0.0.1".to_owned(), ..by_address },
        ];
        for attempt in attempts {
            let error = Smtp::new(attempt).unwrap().check().await.unwrap_err();
            assert!(matches!(error, SmtpError::Distrusted { .. }), "{error:?}");
        }
    }
    // A server without TLS, where TLS was asked for.
    let no_tls = SmtpSettings { port: Some(server.port(Door::Plain)), ..settings(&server, Door::Tls) };
    let error = Smtp::new(no_tls).unwrap().check().await.unwrap_err();
    assert!(matches!(error, SmtpError::Distrusted { .. } | SmtpError::Unreachable { .. }), "{error:?}");
    assert!(!server.log().contains("Authentication successful"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_found_again() {
    let mut server = Server::start().unwrap();
    let mail = mail(&server);
    mail.notify(&ready(1)).await.unwrap();
    server.stop().unwrap();
    let error = mail.notify(&ready(2)).await.unwrap_err();
    assert!(error.0.contains("no connection"), "{error}");
    server.start_again().unwrap();
    mail.notify(&ready(2)).await.unwrap();
    let mails = server.wait_for("ann@example.org", 2).unwrap();
    let ids = mails.iter().map(|mail| parse(mail).message_id().unwrap().to_owned());
    assert_eq!(ids.map(|id| id.split_once('-').unwrap().0.to_owned()).collect::<Vec<_>>(), ["1", "2"]);
    // The kept connection is a corpse; it is seen, and another one is made.
    server.stop().unwrap();
    server.start_again().unwrap();
    mail.notify(&ready(3)).await.unwrap();
    server.wait_for("ann@example.org", 3).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn greylisting_is_waited_for() {
    let mut server = Server::start().unwrap();
    let operator = "operator@example.org".parse().unwrap();
    let mail = mail(&server).with_undeliverable(operator);
    server.put_off(2).unwrap();
    for _ in 0..2 {
        let error = mail.notify(&ready(1)).await.unwrap_err();
        assert!(error.0.contains("mail for ann@example.org is put off: 451"), "{error}");
    }
    mail.notify(&ready(1)).await.unwrap();
    // The same when the server does not know for now whether there is such a person.
    server.lose_directory().unwrap();
    let error = mail.notify(&notice(2, Some("nobody@example.org"), Notice::Ready)).await.unwrap_err();
    assert!(error.0.contains("mail for nobody@example.org is put off: 451"), "{error}");
    server.wait_for("ann@example.org", 1).unwrap();
    assert_eq!(server.mails("operator@example.org").len(), 0, "nothing was undeliverable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_does_not_exist_is_turned_over_to_somebody_who_does() {
    let server = Server::start().unwrap();
    let nobody = notice(5, Some("nobody@example.org"), Notice::Ready);
    let error = mail(&server).notify(&nobody).await.unwrap_err();
    assert!(error.0.contains("mail for nobody@example.org is refused for good: 550"), "{error}");
    let turned_over = mail(&server).with_undeliverable("operator@example.org".parse().unwrap());
    turned_over.notify(&nobody).await.unwrap();
    // One that mail does not know at all, which orders take.
    turned_over.notify(&notice(6, Some("two..dots@example.org"), Notice::Ready)).await.unwrap();
    // Others are not concerned.
    turned_over.notify(&ready(7)).await.unwrap();
    server.wait_for("ann@example.org", 1).unwrap();
    let mails = server.wait_for("operator@example.org", 2).unwrap();
    let told = parse(&mails[0]);
    let name = record().numbered.fqdn;
    assert_eq!(told.subject(), Some(format!("Undeliverable: {name} is ready").as_str()));
    let text = told.body_text(0).unwrap();
    assert!(
        text.contains("could not be delivered to nobody@example.org") && text.contains("550 5.1.1"),
        "{text}"
    );
    assert!(text.contains("Your machine"), "{text}");
    let two_dots = parse(&mails[1]).body_text(0).unwrap().into_owned();
    assert!(two_dots.contains("two..dots@example.org is not an address"), "{two_dots}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_for_what_it_is_stays_to_be_tried() {
    let server = Server::start().unwrap();
    let mail = mail(&server).with_undeliverable("operator@example.org".parse().unwrap());
    server.refuse(true).unwrap();
    let error = mail.notify(&ready(1)).await.unwrap_err();
    assert!(error.0.contains("the mail was refused: 5"), "{error}");
    server.refuse(false).unwrap();
    mail.notify(&ready(1)).await.unwrap();
    server.wait_for("ann@example.org", 1).unwrap();
    assert_eq!(server.mails("operator@example.org").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = SmtpSettings {
        port: Some(listener.local_addr().unwrap().port()),
        security: deploy_notify::Security::Plain,
        connect_timeout: Duration::from_millis(50),
        ..SmtpSettings::new("127.0.0.1")
    };
    let error = Smtp::new(settings).unwrap().check().await.unwrap_err();
    assert!(matches!(error, SmtpError::TimedOut { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{}: no answer in 0.05 s", listener.local_addr().unwrap().port())
    );
}
