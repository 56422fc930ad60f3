//! What is PowerDNS's own.

use crate::place::{FORWARD, Place, REVERSE};
use deploy_core::{DnsData, ErrorClass, Sent};
use deploy_dns::{DnsProvider, PowerDns as Provider};
use throwaway_dns::{PowerDns, Row};

#[tokio::test]
async fn a_wrong_key_is_named_and_never_shown() {
    let place = <PowerDns as Place>::start();
    let provider = Provider::new(&place.url(), "another".into()).unwrap();
    let error = provider.check(&FORWARD.parse().unwrap()).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Unauthorized, Sent::Answered));
    assert!(error.message.contains("does not take the API key"), "{error}");
    assert!(!error.message.contains("another"), "{error}");
    let odd = Provider::new(&place.url(), "an\nother".into()).err().unwrap().to_string();
    assert!(odd.starts_with("key: \"(hidden)\" is not valid"), "{odd}");
}

#[tokio::test]
async fn a_zone_that_comes_from_another_server_cannot_be_written() {
    let place = <PowerDns as Place>::start();
    place.set_kind(FORWARD, "SLAVE").unwrap();
    let error = place.provider().check(&FORWARD.parse().unwrap()).await.unwrap_err();
    assert!(error.message.contains("zone example.net is a secondary"), "{error}");
    place.provider().check(&REVERSE.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn another_server_id_is_asked_for_by_its_name() {
    let place = <PowerDns as Place>::start();
    let provider = Provider::new(&place.url(), place.key().into()).unwrap().with_server("elsewhere");
    let error = provider.check(&FORWARD.parse().unwrap()).await.unwrap_err();
    assert_eq!(error.sent, Sent::Answered, "{error}");
    let here =
        Provider::new(&format!("{}/", place.url()), place.key().into()).unwrap().with_server("localhost");
    here.check(&FORWARD.parse().unwrap()).await.unwrap();
}

/// Somebody keeps it for later: it is not served, and not ours to change.
#[tokio::test]
async fn a_record_that_is_disabled_is_kept() {
    let place = <PowerDns as Place>::start();
    let kept = Row {
        name: "vps.example.net".to_owned(),
        kind: "A".to_owned(),
        content: "192.0.2.99".to_owned(),
        ttl: 3600,
        disabled: true,
    };
    place.insert(FORWARD, &kept).unwrap();
    let provider = place.provider();
    let (zone, at) = (FORWARD.parse().unwrap(), "vps.example.net".parse().unwrap());
    assert_eq!(provider.list(&zone, &at).await.unwrap(), []);
    let data = DnsData::A([192, 0, 2, 7].into());
    provider.upsert(&zone, &at, &data, 300, &[]).await.unwrap();
    assert_eq!(place.rows().unwrap().len(), 2);
    provider.delete(&zone, &at, &data).await.unwrap();
    assert_eq!(place.rows().unwrap(), [kept]);
}

#[test]
fn what_is_no_url_is_refused() {
    for url in ["", "ns1.example.net", "ftp://ns1.example.net", "unix:/run/pdns"] {
        let error = Provider::new(url, "key".into()).err().expect(url).to_string();
        assert!(error.starts_with("url: "), "{error}");
    }
}
