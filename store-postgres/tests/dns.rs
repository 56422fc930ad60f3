//! DNS, where several processes work on one database.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{
    Commit, DnsChange, DnsData, DnsEntry, DnsRecord, DnsState, DnsStore, DnsWriteError, LeaseStore,
    Operation, RecordStore,
};
use deploy_testkit::sample;
use jiff::SignedDuration;
use place::{Place, worker};
use std::{collections::BTreeMap, sync::Arc};

const MACHINES: u32 = 8;
const NAMES: u8 = 30;

fn wanted(name: u8, machine: u32) -> DnsChange {
    let record = DnsRecord {
        provider: sample::parsed("ns1"),
        zone: sample::parsed("example.net"),
        name: sample::parsed(&format!("www-{name}.example.net")),
        data: DnsData::A([192, 0, 2, u8::try_from(machine).unwrap()].into()),
    };
    DnsChange::Put(DnsEntry { state: DnsState::Publishing, ..DnsEntry::planned(record, 300) })
}

/// Each process has a connection of its own, so that the writes do meet; in opposite orders, so that they would wait for each
/// other if names were not locked in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_many_processes_want_is_one_machines() {
    let place = Place::new();
    let store = place.with_cluster().await;
    for n in 1..=MACHINES {
        store.create(&sample::order(n)).await.unwrap();
    }
    for leased in store.claim(worker(), 100).await.unwrap() {
        let commit = Commit { operation: Some(Operation::Terminate), ..Commit::default() };
        store.commit(&leased.lease, commit).await.unwrap();
    }
    let claimed = store.claim_dns(100, SignedDuration::from_mins(1)).await.unwrap();
    assert_eq!(claimed.len(), MACHINES as usize);
    let mut running = Vec::new();
    for (n, claimed) in (1..).zip(claimed) {
        let store = Arc::new(place.open().await);
        running.push(tokio::spawn(async move {
            let mut won = Vec::new();
            for name in 0..NAMES {
                let (one, other) = (wanted(name, n), wanted(NAMES - 1 - name, n));
                match store.write_dns(&claimed.claim, &[one, other]).await {
                    Ok(()) => won.extend([name, NAMES - 1 - name]),
                    Err(DnsWriteError::Held { by, .. }) => assert_ne!(by, claimed.claim.key),
                    Err(error) => panic!("{error}"),
                }
            }
            won.sort_unstable();
            won.dedup();
            won
        }));
    }
    let mut owners: BTreeMap<u8, usize> = BTreeMap::new();
    for won in running {
        for name in won.await.unwrap() {
            *owners.entry(name).or_default() += 1;
        }
    }
    assert_eq!(owners.len(), usize::from(NAMES));
    assert!(owners.values().all(|machines| *machines == 1), "{owners:?}");
}
