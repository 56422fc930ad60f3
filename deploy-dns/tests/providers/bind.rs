//! What is RFC 2136's own, with BIND.

use crate::place::{FORWARD, Place, key};
use deploy_core::{DnsData, ErrorClass, Sent};
use deploy_dns::{DnsError, DnsProvider, Rfc2136, Standing, StandingData, TsigAlgorithm, TsigKey};
use throwaway_dns::Bind;

async fn check(place: &Bind, key: &TsigKey) -> DnsError {
    let provider = Rfc2136::new(place.address(), key).unwrap();
    let error = provider.check(&FORWARD.parse().unwrap()).await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Unauthorized, Sent::Answered), "{error}");
    error
}

#[tokio::test]
async fn a_wrong_key_is_told_from_a_wrong_secret_and_from_missing_rights() {
    let place = <Bind as Place>::start();
    let right = key(place.key());
    let unknown = TsigKey { name: "nobody".parse().unwrap(), ..right.clone() };
    let error = check(&place, &unknown).await;
    assert!(error.message.contains("no key of this name"), "{error}");
    let other = TsigKey { secret: "c2VjcmV0".into(), ..right.clone() };
    let error = check(&place, &other).await;
    assert!(error.message.contains("another secret"), "{error}");
    let error = check(&place, &key(place.reader_key())).await;
    assert!(error.message.contains("allow-update"), "{error}");
    Rfc2136::new(place.address(), &right).unwrap().check(&FORWARD.parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn another_algorithm_is_another_key() {
    let place = <Bind as Place>::start();
    for algorithm in [TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512] {
        let error = check(&place, &TsigKey { algorithm, ..key(place.key()) }).await;
        assert!(error.message.contains("no key of this name and algorithm"), "{error}");
    }
}

#[tokio::test]
async fn an_alias_is_seen_and_nothing_is_put_beside_it() {
    let place = <Bind as Place>::start();
    let provider = place.provider();
    let (zone, at) = (FORWARD.parse().unwrap(), "alias.example.net".parse().unwrap());
    let seen = provider.list(&zone, &at).await.unwrap();
    let alias = StandingData::Other { kind: "CNAME".to_owned(), text: "www.throwaway.test.".to_owned() };
    assert_eq!(seen, [Standing { data: alias, ttl: 3600 }]);
    let data = DnsData::A([192, 0, 2, 7].into());
    let refused = provider.upsert(&zone, &at, &data, 300, &[]).await.unwrap_err();
    assert_eq!((refused.class, refused.sent), (ErrorClass::Busy, Sent::Answered), "{refused}");
    assert_eq!(place.lines(&["alias.example.net"]).await.len(), 1);
}

/// A record that was seen is gone by now: whoever judged by it looks again.
#[tokio::test]
async fn what_was_seen_and_is_gone_is_looked_at_again() {
    let place = <Bind as Place>::start();
    let provider = place.provider();
    let (zone, at) = (FORWARD.parse().unwrap(), "vps.example.net".parse().unwrap());
    let data = DnsData::A([192, 0, 2, 7].into());
    let seen = [Standing { data: StandingData::Known(data.clone()), ttl: 300 }];
    let refused = provider.upsert(&zone, &at, &data, 60, &seen).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Busy, "{refused}");
    assert_eq!(place.lines(&["vps.example.net"]).await, Vec::<String>::new());
}

#[test]
fn a_secret_that_is_none_is_refused_and_not_shown() {
    let key = TsigKey {
        name: "deploy".parse().unwrap(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: "s3cr%t".into(),
    };
    let error = Rfc2136::new("127.0.0.1:53".parse().unwrap(), &key).err().unwrap().to_string();
    assert!(error.contains("base 64") && !error.contains("s3cr%t"), "{error}");
    assert!(!format!("{key:?}").contains("s3cr%t"));
}
