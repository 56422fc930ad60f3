//! Choosing pools, and what machines are told of their addresses.
#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use deploy_core::{
    AddressRequest, AssignError, Assignment, ErrorClass, Family, IpPool, Lease, LeaseStore, PoolError,
    RecordStore,
};
use deploy_testkit::{ManualClock, MemoryStore, sample};
use ip_pool::{PoolDefinition, Pools};
use jiff::SignedDuration;
use std::sync::Arc;

/// Pools over a store with three machines, all leased by one worker.
struct Desk {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    pools: Pools<MemoryStore>,
    leases: Vec<Lease>,
}

fn request(family: Family, count: u8, pools: &[&str]) -> AddressRequest {
    AddressRequest {
        besides: Vec::new(),
        exactly: Vec::new(),
        nic: 0.try_into().unwrap(),
        cluster: "prod".parse().unwrap(),
        bridge: "vmbr0".parse().unwrap(),
        vlan: None,
        family,
        count,
        pools: pools.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

fn pool(name: &str, range: &str, gateway: &str) -> PoolDefinition {
    let name = name.parse().unwrap();
    let ranges = [range.parse().unwrap()];
    PoolDefinition {
        gateway: Some(gateway.parse().unwrap()),
        resolvers: vec!["192.0.2.53".parse().unwrap()],
        ..PoolDefinition::new(name, "prod".parse().unwrap(), "vmbr0".parse().unwrap(), ranges)
    }
}

/// Two small IPv4 pools and an IPv6 one on vmbr0, and one on VLAN 20 of vmbr1.
async fn desk() -> Desk {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    store.heartbeat(&sample::worker(1), SignedDuration::from_hours(24)).await.unwrap();
    for n in 1..=3 {
        store.create(&sample::order(n)).await.unwrap();
    }
    let leased = store.claim(sample::worker(1).id, 10).await.unwrap();
    let pools = Pools::new(Arc::clone(&store));
    let mut tagged = pool("tagged", "198.51.100.0/29", "198.51.100.1");
    tagged.bridge = "vmbr1".parse().unwrap();
    tagged.vlan = Some(20.try_into().unwrap());
    for definition in [
        pool("small", "203.0.113.0/30", "203.0.113.1"),
        pool("other", "203.0.113.8/29", "203.0.113.9"),
        pool("v6", "2001:db8::/64", "fe80::1"),
        tagged,
    ] {
        pools.put(&definition).await.unwrap();
    }
    Desk { store, clock, pools, leases: leased.into_iter().map(|leased| leased.lease).collect() }
}

fn addresses(assigned: &[Assignment]) -> Vec<String> {
    assigned.iter().map(|a| a.address.to_string()).collect()
}

fn words(result: Result<Vec<Assignment>, AssignError>) -> (ErrorClass, String) {
    match result.unwrap_err() {
        AssignError::Refused { class, message } => (class, message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_assignment_says_what_the_guest_must_know() {
    let Desk { pools, leases, .. } = desk().await;
    let got = pools
        .assign(&leases[0], &[request(Family::V4, 1, &["small"]), request(Family::V6, 1, &[])])
        .await
        .unwrap();
    assert_eq!(addresses(&got), ["203.0.113.2", "2001:db8::1"]);
    assert_eq!((got[0].prefix_len, got[0].gateway), (30, Some("203.0.113.1".parse().unwrap())));
    assert_eq!((got[1].prefix_len, got[1].gateway), (64, Some("fe80::1".parse().unwrap())));
    assert_eq!(got[0].resolvers, ["192.0.2.53".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn unnamed_pools_are_all_that_fit_and_named_ones_in_their_order() {
    let Desk { pools, leases, .. } = desk().await;
    let named = pools.assign(&leases[0], &[request(Family::V4, 2, &["small", "other"])]).await.unwrap();
    assert_eq!(addresses(&named), ["203.0.113.2", "203.0.113.10"]);
    // "small" is full now; neither the tagged nor the IPv6 pool is asked.
    let any = pools.assign(&leases[1], &[request(Family::V4, 4, &[])]).await.unwrap();
    assert_eq!(addresses(&any), ["203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14"]);
}

#[tokio::test]
async fn asked_again_it_answers_the_same_also_when_the_pool_no_longer_fits() {
    let Desk { pools, leases, .. } = desk().await;
    let requests = [request(Family::V4, 1, &["small"])];
    let first = pools.assign(&leases[0], &requests).await.unwrap();
    let mut moved = pool("small", "203.0.113.0/30", "203.0.113.1");
    moved.bridge = "vmbr9".parse().unwrap();
    pools.put(&moved).await.unwrap();
    assert_eq!(pools.assign(&leases[0], &requests).await.unwrap(), first);
    assert_eq!(words(pools.assign(&leases[1], &requests).await).0, ErrorClass::Refused);
}

#[tokio::test]
async fn a_pool_that_does_not_fit_is_refused_in_words() {
    let Desk { pools, leases, .. } = desk().await;
    for (wanted, expected) in [
        (
            request(Family::V4, 1, &["nowhere"]),
            "net0: there is no pool nowhere; make it, or order from another",
        ),
        (
            request(Family::V4, 1, &["v6"]),
            "net0: pool v6 does not fit: it has IPv6 addresses, ordered are IPv4. Change the order or the pool",
        ),
        (
            request(Family::V4, 1, &["tagged"]),
            "net0: pool tagged does not fit: its network is on bridge vmbr1, the NIC on vmbr0. Change the order or the pool",
        ),
        (
            AddressRequest { bridge: "vmbr1".parse().unwrap(), ..request(Family::V4, 1, &["tagged"]) },
            "net0: pool tagged does not fit: its network is on VLAN 20, the NIC untagged. Change the order or the pool",
        ),
        (
            AddressRequest { cluster: "lab".parse().unwrap(), ..request(Family::V4, 1, &["small"]) },
            "net0: pool small does not fit: it belongs to cluster prod, the machine to lab. Change the order or the pool",
        ),
        (
            AddressRequest { vlan: Some(30.try_into().unwrap()), ..request(Family::V6, 1, &[]) },
            "net0: cluster prod has no IPv6 pool on vmbr0, on VLAN 30; it has v6 (vmbr0 untagged). Make a pool for this \
             network, or order another NIC",
        ),
    ] {
        assert_eq!(
            words(pools.assign(&leases[0], &[wanted]).await),
            (ErrorClass::Refused, expected.to_owned())
        );
    }
}

#[tokio::test]
async fn a_full_pool_says_so_and_nothing_is_taken() {
    let Desk { clock, pools, leases, .. } = desk().await;
    pools.assign(&leases[0], &[request(Family::V4, 1, &["small"])]).await.unwrap();
    let wanted = [request(Family::V6, 1, &[]), request(Family::V4, 2, &["small"])];
    assert_eq!(
        words(pools.assign(&leases[1], &wanted).await),
        (
            ErrorClass::Exhausted,
            "net0 wants 2 IPv4 and 2 cannot be had: pool small (1 held, 0 resting) full. Add a range to it, or terminate \
             machines that are no longer needed; this machine goes on by itself then"
                .to_owned()
        )
    );
    let usage = pools.usage(&"v6".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(usage.held, 0);

    assert_eq!(
        pools.release(&leases[0]).await.unwrap(),
        ["203.0.113.2".parse::<std::net::IpAddr>().unwrap()]
    );
    let wanted = [request(Family::V4, 1, &["small"])];
    let (_, message) = words(pools.assign(&leases[1], &wanted).await);
    assert!(
        message.contains("0 held, 1 resting") && message.contains("until a resting address is free"),
        "{message}"
    );
    clock.advance(SignedDuration::from_hours(2));
    assert_eq!(addresses(&pools.assign(&leases[1], &wanted).await.unwrap()), ["203.0.113.2"]);
}

#[tokio::test]
async fn a_lost_lease_neither_takes_nor_gives_back() {
    let Desk { store, pools, leases, .. } = desk().await;
    pools.assign(&leases[0], &[request(Family::V4, 1, &[])]).await.unwrap();
    store.retire(sample::worker(1).id).await.unwrap();
    assert_eq!(pools.assign(&leases[0], &[request(Family::V4, 1, &[])]).await, Err(AssignError::Fenced));
    assert_eq!(pools.release(&leases[0]).await, Err(AssignError::Fenced));
}

#[tokio::test]
async fn a_pool_in_use_stays_in_its_cluster_and_family() {
    let Desk { pools, leases, .. } = desk().await;
    pools.assign(&leases[0], &[request(Family::V4, 1, &["small"])]).await.unwrap();
    let wrong = pools.put(&pool("small", "2001:db8:1::/64", "fe80::1")).await.unwrap_err().to_string();
    assert!(wrong.starts_with("pools.small.family: \"IPv6\" is not valid: IPv4"), "{wrong}");
    let invalid = pools.put(&pool("new", "203.0.113.64/29", "203.0.113.1")).await.unwrap_err();
    assert!(invalid.to_string().starts_with("pools.new.gateway: "), "{invalid}");
    pools.delete(&"other".parse().unwrap()).await.unwrap();
    assert!(matches!(pools.delete(&"other".parse().unwrap()).await, Err(PoolError::NotFound(_))));
}

#[tokio::test]
async fn a_v6_network_gives_its_lowest_addresses_and_a_machine_keeps_them() {
    let Desk { pools, leases, .. } = desk().await;
    let requests = [request(Family::V6, 3, &[])];
    let first = pools.assign(&leases[2], &requests).await.unwrap();
    assert_eq!(addresses(&first), ["2001:db8::1", "2001:db8::2", "2001:db8::3"]);
    assert_eq!(pools.assign(&leases[2], &requests).await.unwrap(), first);
    let usage = pools.usage(&"v6".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((usage.held, usage.free), (3, (1 << 64) - 4));
}

/// Those of a machine that is there already, with what its guest is told of them; and in words why not.
#[tokio::test]
async fn exactly_the_addresses_of_a_machine_are_taken_or_it_is_said_why_not() {
    let Desk { pools, leases, .. } = desk().await;
    let exactly = |addresses: &[&str]| AddressRequest {
        exactly: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        ..request(Family::V4, u8::try_from(addresses.len()).unwrap(), &["small", "other"])
    };
    let wanted = [exactly(&["203.0.113.12", "203.0.113.2"])];
    let assigned = pools.assign(&leases[0], &wanted).await.unwrap();
    assert_eq!(addresses(&assigned), ["203.0.113.12", "203.0.113.2"]);
    assert_eq!(assigned[0].gateway, Some("203.0.113.9".parse().unwrap()));
    assert_eq!(pools.assign(&leases[0], &wanted).await.unwrap(), assigned, "asked again");

    let held = words(pools.assign(&leases[1], &wanted).await);
    let holder = leases[0].key;
    let expected = format!(
        "203.0.113.12 is held by machine {holder}, for net0. One of the two must have another address, in the guest too; this \
         machine goes on by itself then"
    );
    assert_eq!(held, (ErrorClass::Refused, expected));
    // The gateway is never a machine's, nor is what belongs to another network.
    for address in ["203.0.113.9", "198.51.100.3"] {
        let foreign = words(pools.assign(&leases[1], &[exactly(&[address])]).await);
        let expected = format!(
            "net0: {address} is none that small, other give: add it to a range of one of them, or take it out of what is excluded \
             there; this machine goes on by itself then"
        );
        assert_eq!(foreign, (ErrorClass::Refused, expected));
    }
}
