//! Webhooks to a real web server, and what arrives.

use crate::{
    fixture::{attention, notice, ready, record, store},
    receiver::{Answer, Receiver, nobody},
};
use deploy_core::{Clock, Notifier as _};
use deploy_notify::{Webhook, WebhookConfigError, WebhookSecret, WebhookVerifier, WebhookVerifyError};
use deploy_testkit::{ManualClock, sample};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn secret(text: &str) -> WebhookSecret {
    sample::parsed(text)
}

fn webhook(url: &str) -> Webhook {
    Webhook::new(url, secret(OLD)).unwrap().with_records(store(record()))
}

#[tokio::test]
async fn a_notice_arrives_signed_and_whole() {
    let receiver = Receiver::start([]).await;
    let clock = Arc::new(ManualClock::default());
    let webhook = webhook(&receiver.url).with_clock(clock.clone());
    webhook.notify(&notice(9, Some("ann@example.org"), attention())).await.unwrap();
    let came = receiver.came().pop().unwrap();
    assert_eq!((came.method.as_str(), came.path.as_str()), ("POST", "/hooks?key=hidden"));
    assert_eq!(came.header("content-type"), Some("application/json"));
    let id = format!("9-{}", record().key);
    let header = |name: &str| came.header(name);
    let verifier = WebhookVerifier::new(secret(OLD));
    assert_eq!(verifier.verify(header, &came.body, clock.now()), Ok(id.as_str()));
    let body: Value = serde_json::from_slice(&came.body).unwrap();
    let numbered = record().numbered;
    assert_eq!(
        body,
        json!({
            "type": "needs_attention",
            "timestamp": "2026-03-01T12:34:56Z",
            "data": {
                "event": id,
                "kind": "needs_attention",
                "at": "2026-03-01T12:34:56Z",
                "time": "2026-03-01 12:34 UTC",
                "reference": "order-1",
                "key": record().key.to_string(),
                "contact": "ann@example.org",
                "name": numbered.fqdn.to_string(),
                "addresses": ["192.0.2.10", "2001:db8::10"],
                "user": "ann",
                "cluster": "pve",
                "node": "node1",
                "vmid": 1000,
                "message": "storage <local> is full\r\nBcc: everybody@example.org\r\n\r\n& so on",
                "step": "clone",
                "redeployed": null,
                "backup": null,
                "metadata": record().metadata,
            },
        })
    );
}

#[tokio::test]
async fn without_records_the_notice_alone_is_told() {
    let receiver = Receiver::start([]).await;
    Webhook::new(&receiver.url, secret(OLD)).unwrap().notify(&ready(3)).await.unwrap();
    let body: Value = serde_json::from_slice(&receiver.came()[0].body).unwrap();
    let data = &body["data"];
    assert_eq!((&data["reference"], &data["contact"]), (&json!("order-1"), &json!("ann@example.org")));
    assert_eq!(
        (&data["name"], &data["addresses"], &data["metadata"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
}

#[tokio::test]
async fn what_is_not_from_us_whole_and_fresh_is_not_believed() {
    let receiver = Receiver::start([]).await;
    let clock = Arc::new(ManualClock::default());
    webhook(&receiver.url).with_clock(clock.clone()).notify(&ready(1)).await.unwrap();
    let came = receiver.came().pop().unwrap();
    let header = |name: &str| came.header(name);
    let verifier = WebhookVerifier::new(secret(OLD));
    let (now, minute) = (clock.now(), SignedDuration::from_mins(1));
    assert!(verifier.verify(header, &came.body, now).is_ok());
    let stale = |seconds| Err(WebhookVerifyError::Stale(seconds));
    assert!(verifier.verify(header, &came.body, now + minute * 5).is_ok());
    assert_eq!(verifier.verify(header, &came.body, now + minute * 6), stale(360));
    assert_eq!(verifier.verify(header, &came.body, now - minute * 6), stale(-360));
    let strict = verifier.clone().with_tolerance(minute);
    assert_eq!(strict.verify(header, &came.body, now + minute * 2), stale(120));
    let wrong = Err(WebhookVerifyError::Signature);
    let mut other = came.body.clone();
    other[0] ^= 1;
    assert_eq!(verifier.verify(header, &other, now), wrong);
    assert_eq!(WebhookVerifier::new(secret(NEW)).verify(header, &came.body, now), wrong);
    for changed in ["webhook-id", "webhook-timestamp"] {
        let header = |name: &str| match name {
            name if name == changed => Some("1767268801"),
            name => came.header(name),
        };
        assert_eq!(verifier.verify(header, &came.body, now), wrong, "{changed}");
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let header = |name: &str| came.header(name).filter(|_| name != missing);
        assert_eq!(
            verifier.verify(header, &came.body, now).unwrap_err().to_string(),
            format!("the header {missing} is missing")
        );
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_gap() {
    let receiver = Receiver::start([]).await;
    let both = webhook(&receiver.url).with_secret(secret(NEW));
    both.notify(&ready(1)).await.unwrap();
    webhook(&receiver.url).notify(&ready(2)).await.unwrap();
    let came = receiver.came();
    let now = jiff::Timestamp::now();
    for (signed, verifier) in [
        (&came[0], WebhookVerifier::new(secret(OLD))),
        (&came[0], WebhookVerifier::new(secret(NEW))),
        (&came[1], WebhookVerifier::new(secret(NEW)).with_secret(secret(OLD))),
    ] {
        verifier.verify(|name| signed.header(name), &signed.body, now).unwrap();
    }
}

#[tokio::test]
async fn what_is_not_a_receipt_is_an_error_that_says_what_came_and_is_tried_again() {
    let answers = [Answer::Says(500, "database\nis away"), Answer::Status(404), Answer::Status(410)];
    let receiver = Receiver::start(answers).await;
    let webhook = webhook(&receiver.url);
    let mut failures = Vec::new();
    for _ in 0..3 {
        failures.push(webhook.notify(&ready(1)).await.unwrap_err().0);
    }
    webhook.notify(&ready(1)).await.unwrap();
    let origin = receiver.url.split("/hooks").next().unwrap();
    assert_eq!(
        failures,
        [
            format!("{origin}: answered 500 Internal Server Error: database is away"),
            format!("{origin}: answered 404 Not Found"),
            format!("{origin}: answered 410 Gone"),
        ]
    );
    // The same event each time.
    let ids: Vec<String> =
        receiver.came().iter().map(|came| came.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids, vec![format!("1-{}", record().key); 4]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start([]).await;
    let receiver = Receiver::start([Answer::Redirect(elsewhere.url.clone())]).await;
    let error = webhook(&receiver.url).notify(&ready(1)).await.unwrap_err();
    assert!(error.0.contains("answered 307 Temporary Redirect; redirects are not followed"), "{error}");
    assert_eq!((receiver.came().len(), elsewhere.came().len()), (1, 0));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_not_waited_for_long() {
    let receiver = Receiver::start([Answer::Silence]).await;
    let webhook = webhook(&receiver.url).with_timeout(Duration::from_millis(200));
    let error = webhook.notify(&ready(1)).await.unwrap_err();
    assert!(error.0.ends_with("no answer in 0.2 s"), "{error}");
    webhook.notify(&ready(1)).await.unwrap();
    assert_eq!(receiver.came().len(), 2);
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let webhook = webhook(&nobody().await);
    let error = webhook.notify(&ready(1)).await.unwrap_err();
    assert!(error.0.contains("refused"), "{error}");
    let told = format!("{error} {webhook:?} {:?} {:?}", secret(OLD), WebhookVerifier::new(secret(OLD)));
    assert!(!told.contains("hidden") && !told.contains("MfKQ"), "{told}");
    let refused = "whsec_c2hvcnQ=".parse::<WebhookSecret>().unwrap_err().to_string();
    assert!(!refused.contains("c2hvcnQ"), "{refused}");
}

#[tokio::test]
async fn a_receiver_elsewhere_must_prove_itself() {
    let receiver = Receiver::start_with_tls().await;
    let error = webhook(&receiver.url).notify(&ready(1)).await.unwrap_err();
    assert!(error.0.contains("certificate"), "{error}");
    let trusted = webhook(&receiver.url).with_ca(receiver.certificate.as_bytes()).unwrap();
    trusted.notify(&ready(1)).await.unwrap();
    assert_eq!(receiver.came().len(), 1);

    let refused = |url: &str| Webhook::new(url, secret(OLD)).unwrap_err();
    assert_eq!(refused("http://panel.example.net/hooks"), WebhookConfigError::PlainAcrossNetwork);
    for url in ["panel.example.net", "ftp://panel.example.net", "https://ann:pw@panel.example.net/"] {
        let error = refused(url);
        assert!(matches!(error, WebhookConfigError::Url(_)) && !error.to_string().contains("pw"), "{error}");
    }
    let no_ca = webhook("https://panel.example.net").with_ca(b"not PEM").unwrap_err();
    assert!(matches!(no_ca, WebhookConfigError::Trust(_)), "{no_ca}");
}
