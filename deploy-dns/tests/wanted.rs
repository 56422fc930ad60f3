//! Which records a machine shall have, and in which zones.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::{Assignment, DnsName, Family, Operation, VmRecord, reverse_name};
use deploy_dns::{Matching, Zone, Zones, wanted};
use deploy_testkit::sample;
use std::net::IpAddr;

fn machine(addresses: &[&str]) -> VmRecord {
    let mut record = sample::order(1).numbered(sample::vmid(100)).unwrap();
    record.addresses = addresses
        .iter()
        .map(|address| Assignment {
            nic: sample::want(Family::V4, 1, &[]).nic,
            address: sample::parsed(address),
            prefix_len: 24,
            gateway: None,
            resolvers: Vec::new(),
            pool: sample::parsed("public"),
        })
        .collect();
    record
}

fn zones(matching: Matching, zones: &[(&str, &str)]) -> Zones {
    let zone = |(provider, name): &(&str, &str)| Zone {
        provider: sample::parsed(provider),
        name: sample::parsed(name),
        ttl: 300,
    };
    Zones::new(zones.iter().map(zone), matching)
}

/// "PROVIDER ZONE NAME TYPE DATA" each.
fn lines(record: &VmRecord, names: &[(IpAddr, DnsName)], zones: &Zones) -> Vec<String> {
    let shown = |entry: &deploy_core::DnsEntry| {
        format!("{} {} {}", entry.record.provider, entry.record.zone, entry.record)
    };
    wanted(record, names, zones).iter().map(shown).collect()
}

#[test]
fn names_are_written_into_the_longest_zone_or_into_all() {
    let all = [
        ("ns1", "net"),
        ("ns1", "example.net"),
        ("cf", "example.net"),
        ("ns1", "le.net"),
        ("ns1", "0.192.in-addr.arpa"),
        ("ns1", "2.0.192.in-addr.arpa"),
    ];
    let record = machine(&["192.0.2.7"]);
    let longest = [
        "cf example.net vps-100.example.net A 192.0.2.7",
        "ns1 2.0.192.in-addr.arpa 7.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "ns1 example.net vps-100.example.net A 192.0.2.7",
    ];
    assert_eq!(lines(&record, &[], &zones(Matching::Longest, &all)), longest);
    let every = [
        "cf example.net vps-100.example.net A 192.0.2.7",
        "ns1 0.192.in-addr.arpa 7.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "ns1 2.0.192.in-addr.arpa 7.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "ns1 example.net vps-100.example.net A 192.0.2.7",
        "ns1 net vps-100.example.net A 192.0.2.7",
    ];
    assert_eq!(lines(&record, &[], &zones(Matching::All, &all)), every);
    assert_eq!(lines(&record, &[], &zones(Matching::All, &[])), Vec::<String>::new());
}

#[test]
fn nothing_is_wanted_of_a_machine_that_is_terminated_or_has_no_addresses() {
    let all = zones(Matching::Longest, &[("ns1", "example.net")]);
    let record = VmRecord { operation: Operation::Terminate, ..machine(&["192.0.2.7"]) };
    assert_eq!(lines(&record, &[], &all), Vec::<String>::new());
    assert_eq!(lines(&machine(&[]), &[], &all), Vec::<String>::new());
}

#[test]
fn an_address_is_named_otherwise_where_that_was_asked_for() {
    let all = zones(Matching::Longest, &[("ns1", "2.0.192.in-addr.arpa")]);
    let names = [("192.0.2.8".parse().unwrap(), sample::parsed("mail.example.org"))];
    let expected = [
        "ns1 2.0.192.in-addr.arpa 7.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "ns1 2.0.192.in-addr.arpa 8.2.0.192.in-addr.arpa PTR mail.example.org",
    ];
    assert_eq!(lines(&machine(&["192.0.2.8", "192.0.2.7"]), &names, &all), expected);
    let of_another = [("192.0.2.99".parse().unwrap(), sample::parsed("mail.example.org"))];
    assert_eq!(lines(&machine(&["192.0.2.7"]), &of_another, &all), [expected[0]]);
}

/// A resolver would give it to half of those who ask.
#[test]
fn private_addresses_are_left_out_beside_public_ones() {
    let all = zones(Matching::Longest, &[("ns1", "example.net"), ("ns1", "10.in-addr.arpa")]);
    let shown = lines(&machine(&["10.1.2.3", "192.0.2.7", "fd00::1", "2001:db8::1"]), &[], &all);
    let expected = [
        "ns1 10.in-addr.arpa 3.2.1.10.in-addr.arpa PTR vps-100.example.net",
        "ns1 example.net vps-100.example.net A 192.0.2.7",
        "ns1 example.net vps-100.example.net AAAA 2001:db8::1",
    ];
    assert_eq!(shown, expected);
    let alone = lines(&machine(&["10.1.2.3", "2001:db8::1"]), &[], &all);
    assert!(alone.contains(&"ns1 example.net vps-100.example.net A 10.1.2.3".to_owned()), "{alone:?}");
}

#[test]
fn addresses_have_the_names_that_the_standards_give_them() {
    let six = reverse_name("2001:db8::567:89ab".parse().unwrap());
    let expected = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(six.as_str(), expected);
    assert_eq!(reverse_name("10.2.0.52".parse().unwrap()).as_str(), "52.0.2.10.in-addr.arpa");
    assert_eq!(six.as_str().parse::<DnsName>().unwrap(), six);
}

#[test]
fn other_zones_have_another_fingerprint() {
    let all = [("ns1", "example.net"), ("ns1", "example.org")];
    let one = zones(Matching::Longest, &all);
    let others = [
        zones(Matching::All, &all),
        zones(Matching::Longest, &all[..1]),
        zones(Matching::Longest, &[("ns2", "example.net"), ("ns1", "example.org")]),
        Zones::new(one.all().iter().map(|zone| Zone { ttl: 301, ..zone.clone() }), Matching::Longest),
    ];
    for other in others {
        assert_ne!(other.fingerprint(), one.fingerprint(), "{other:?}");
    }
    let turned = zones(Matching::Longest, &[all[1], all[0], all[1]]);
    assert_eq!(turned.fingerprint(), one.fingerprint());
    assert_eq!(
        one.fingerprint(),
        0x7108_9fa0_11a0_52d0,
        "the same from one version of the program to the next"
    );
}
