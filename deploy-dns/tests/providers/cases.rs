//! What every provider does, on its server.

use crate::place::{FORWARD, Place, REVERSE, REVERSE6};
use deploy_core::{DnsData, DnsName, ErrorClass, Sent, reverse_name};
use deploy_dns::{DnsError, PROBE, Standing, StandingData};
use std::net::IpAddr;
use throwaway_dns::{Bind, PowerDns};

/// Runs each case for each server.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod on_powerdns {
            $(#[tokio::test]
            async fn $case() {
                super::$case::<super::PowerDns>().await;
            })*
        }
        mod on_bind {
            $(#[tokio::test]
            async fn $case() {
                super::$case::<super::Bind>().await;
            })*
        }
    };
}

cases! {
    records_of_each_type_are_put_changed_and_taken_away,
    asking_twice_is_asking_once,
    records_of_others_in_the_same_set_stay,
    what_was_changed_since_it_was_seen_is_not_written_over,
    a_zone_that_can_be_written_is_checked_and_left_as_it_was,
    a_zone_that_is_not_there_is_named,
    a_server_that_is_not_there_was_sent_nothing,
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn a(octet: u8) -> DnsData {
    DnsData::A([192, 0, 2, octet].into())
}

fn known(data: &DnsData, ttl: u32) -> Standing {
    Standing { data: StandingData::Known(data.clone()), ttl }
}

async fn records_of_each_type_are_put_changed_and_taken_away<P: Place>() {
    let place = P::start();
    let provider = place.provider();
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    let records = [
        (FORWARD, name("vps.example.net"), a(7), "vps.example.net A 192.0.2.7"),
        (FORWARD, name("vps.example.net"), DnsData::address(six), "vps.example.net AAAA 2001:db8::1"),
        (
            REVERSE,
            reverse_name([192, 0, 2, 7].into()),
            DnsData::Ptr(name("vps.example.net")),
            "7.2.0.192.in-addr.arpa PTR vps.example.net",
        ),
        (
            REVERSE6,
            reverse_name(six),
            DnsData::Ptr(name("mail.example.org")),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mail.example.org",
        ),
    ];
    let names: Vec<DnsName> = records.iter().map(|record| record.1.clone()).collect();
    let mut names: Vec<&str> = names.iter().map(DnsName::as_str).collect();
    names.dedup();
    for ttl in [300, 60] {
        for (zone, at, data, _) in &records {
            let seen = provider.list(&name(zone), at).await.unwrap();
            provider.upsert(&name(zone), at, data, ttl, &seen).await.unwrap();
            let standing = provider.list(&name(zone), at).await.unwrap();
            assert!(standing.contains(&known(data, ttl)), "{at}: {standing:?}");
        }
        let mut expected: Vec<String> = records.iter().map(|(.., line)| format!("{line} {ttl}")).collect();
        expected.sort();
        assert_eq!(place.lines(&names).await, expected);
    }
    for (zone, at, data, _) in &records {
        provider.delete(&name(zone), at, data).await.unwrap();
    }
    assert_eq!(place.lines(&names).await, Vec::<String>::new());
    assert_eq!(provider.list(&name(FORWARD), &name("vps.example.net")).await.unwrap(), []);
}

async fn asking_twice_is_asking_once<P: Place>() {
    let place = P::start();
    let provider = place.provider();
    let (zone, at) = (name(FORWARD), name("vps.example.net"));
    provider.upsert(&zone, &at, &a(7), 300, &[]).await.unwrap();
    provider.upsert(&zone, &at, &a(7), 300, &[known(&a(7), 300)]).await.unwrap();
    assert_eq!(place.lines(&["vps.example.net"]).await, ["vps.example.net A 192.0.2.7 300"]);
    provider.delete(&zone, &at, &a(7)).await.unwrap();
    provider.delete(&zone, &at, &a(7)).await.unwrap();
    assert_eq!(place.lines(&["vps.example.net"]).await, Vec::<String>::new());
}

/// Beside ours when it is put and when it is taken away; their time to live stays theirs.
async fn records_of_others_in_the_same_set_stay<P: Place>() {
    let place = P::start();
    let provider = place.provider();
    let (zone, at) = (name(FORWARD), name("vps.example.net"));
    place.put(FORWARD, "vps.example.net", "A", "192.0.2.100").await;
    place.put(FORWARD, "vps.example.net", "AAAA", "2001:db8::100").await;
    let seen = provider.list(&zone, &at).await.unwrap();
    provider.upsert(&zone, &at, &a(7), 300, &seen).await.unwrap();
    place.put(FORWARD, "vps.example.net", "A", "192.0.2.101").await;
    let both = [
        "vps.example.net A 192.0.2.100 3600",
        "vps.example.net A 192.0.2.101 3600",
        "vps.example.net A 192.0.2.7 3600",
        "vps.example.net AAAA 2001:db8::100 3600",
    ];
    assert_eq!(place.lines(&["vps.example.net"]).await, both);
    provider.delete(&zone, &at, &a(8)).await.unwrap();
    assert_eq!(place.lines(&["vps.example.net"]).await, both);
    provider.delete(&zone, &at, &a(7)).await.unwrap();
    assert_eq!(place.lines(&["vps.example.net"]).await, [both[0], both[1], both[3]]);
}

/// Between the look and the request somebody else put a record of this type, or an alias.
async fn what_was_changed_since_it_was_seen_is_not_written_over<P: Place>() {
    let place = P::start();
    let provider = place.provider();
    let (zone, at) = (name(FORWARD), name("vps.example.net"));
    let seen = provider.list(&zone, &at).await.unwrap();
    place.put(FORWARD, "vps.example.net", "A", "192.0.2.100").await;
    let refused = provider.upsert(&zone, &at, &a(7), 300, &seen).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Busy, "{refused}");
    assert_ne!(refused.sent, Sent::Unknown, "nothing was done");
    assert_eq!(place.lines(&["vps.example.net"]).await, ["vps.example.net A 192.0.2.100 3600"]);
}

async fn a_zone_that_can_be_written_is_checked_and_left_as_it_was<P: Place>() {
    let place = P::start();
    let probes = [FORWARD, REVERSE, REVERSE6].map(|zone| format!("{PROBE}.{zone}"));
    for zone in [FORWARD, REVERSE, REVERSE6] {
        place.provider().check(&name(zone)).await.unwrap();
    }
    let probes: Vec<&str> = probes.iter().map(String::as_str).collect();
    assert_eq!(place.lines(&probes).await, Vec::<String>::new());
}

async fn a_zone_that_is_not_there_is_named<P: Place>() {
    let place = P::start();
    let (zone, at) = (name("example.org"), name("vps.example.org"));
    let provider = place.provider();
    let errors: [DnsError; 4] = [
        provider.check(&zone).await.unwrap_err(),
        provider.list(&zone, &at).await.unwrap_err(),
        provider.upsert(&zone, &at, &a(7), 300, &[]).await.unwrap_err(),
        provider.delete(&zone, &at, &a(7)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error.class, ErrorClass::Refused | ErrorClass::Unauthorized), "{error:?}");
        assert_eq!(error.sent, Sent::Answered);
        assert!(error.message.contains("example.org"), "{error}");
    }
}

async fn a_server_that_is_not_there_was_sent_nothing<P: Place>() {
    let mut place = P::start();
    place.stop();
    let provider = place.provider();
    let (zone, at) = (name(FORWARD), name("vps.example.net"));
    let down = provider.upsert(&zone, &at, &a(7), 300, &[]).await.unwrap_err();
    assert_eq!((down.class, down.sent), (ErrorClass::Unreachable, Sent::No), "{down}");
    place.start_again();
    provider.upsert(&zone, &at, &a(7), 300, &[]).await.unwrap();
    assert_eq!(place.lines(&["vps.example.net"]).await, ["vps.example.net A 192.0.2.7 300"]);
}
