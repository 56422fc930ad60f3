use crate::desk::{Desk, FORWARD, REVERSE};
use deploy_core::{DnsData, DnsName, reverse_name};
use deploy_dns::{DnsProvider, Rfc2136, StandingData, TsigAlgorithm, TsigKey};
use throwaway_dns::Row;

/// The name that BIND has for an address, if any.
async fn pointer(desk: &Desk, octet: u8) -> Option<String> {
    let key = desk.bind.other_key();
    let key = TsigKey {
        name: key.name.parse().unwrap(),
        algorithm: TsigAlgorithm::HmacSha256,
        secret: key.secret.clone().into(),
    };
    let provider = Rfc2136::new(desk.bind.address(), &key).unwrap();
    let zone: DnsName = REVERSE.parse().unwrap();
    let standing = provider.list(&zone, &reverse_name([203, 0, 113, octet].into())).await.unwrap();
    standing.into_iter().find_map(|standing| match standing.data {
        StandingData::Known(DnsData::Ptr(name)) => Some(name.to_string()),
        _ => None,
    })
}

/// From the order to the end, with the worker killed in between; what others have stays.
#[tokio::test(flavor = "multi_thread")]
async fn machines_have_names_as_long_as_they_are() {
    let desk = Desk::new().await;
    let other = Row {
        name: format!("other.{FORWARD}"),
        kind: "A".to_owned(),
        content: "198.51.100.1".to_owned(),
        ttl: 60,
        disabled: false,
    };
    desk.powerdns.insert(FORWARD, &other).unwrap();
    let other = "other.example.net A 198.51.100.1 60";
    let worker = desk.work();
    let [one, two] = ["web-1.example.net A 203.0.113.2 3600", "web-2.example.net A 203.0.113.3 3600"];
    desk.until_names_are(&[other, one, two]).await;
    drop(worker);
    desk.configure("[\"web-1\"]", "deploy");
    let _worker = desk.work();
    desk.until_names_are(&[other, two]).await;
    let pointers = async || [pointer(&desk, 2).await, pointer(&desk, 3).await];
    let expected = [None, Some("web-2.example.net".to_owned())];
    for _ in 0..3000 {
        if pointers().await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}", pointers().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_from_cron_sees_to_names_too() {
    let desk = Desk::new().await;
    let passed = desk.tick();
    let said = String::from_utf8_lossy(&passed.stderr).into_owned();
    assert!(passed.status.success(), "{said}");
    let [one, two] = ["web-1.example.net A 203.0.113.2 3600", "web-2.example.net A 203.0.113.3 3600"];
    assert_eq!(desk.names(), [one, two], "{said}");
    assert_eq!(pointer(&desk, 2).await.as_deref(), Some("web-1.example.net"));
}
