//! Many processes at one moment, on one pool.

use crate::{
    other::{Other, Role, listen, say},
    rig::{ALIVE, begun, connect, order},
};
use deploy_core::{AddressStore, Family, LeaseStore, TakeError};
use deploy_testkit::sample;
use std::{collections::BTreeSet, net::IpAddr};
use throwaway_postgres::shared;

const PROCESSES: u32 = 8;
/// Four addresses each: the whole pool.
const MACHINES: u32 = 250;
/// For these nothing is left.
const TOO_MANY: u32 = 5;

/// Runs as a worker that takes addresses for every machine it gets, until there is none.
pub(crate) async fn live(role: &Role) {
    let store = connect(&role.url).await;
    let me = sample::worker(role.number);
    store.heartbeat(&me, ALIVE).await.unwrap();
    say("ready");
    listen();
    loop {
        let machines = store.claim(me.id, 4).await.unwrap();
        if machines.is_empty() {
            return;
        }
        for machine in machines {
            match store.take(&machine.lease, &[sample::want(Family::V4, 4, &["public"])]).await {
                Ok(held) => held.iter().for_each(|held| say(&held.address.to_string())),
                Err(TakeError::Exhausted { .. }) => say("exhausted"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn eight_processes_use_every_address_of_a_pool_once() {
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    // 1,000 addresses, in three ranges.
    let ranges = [
        sample::range("10.0.0.1", "10.0.0.100"),
        sample::range("10.0.1.0", "10.0.1.255"),
        sample::range("10.0.2.0", "10.0.4.131"),
    ];
    store.put_pool(&sample::pool("public", 16, &ranges), &ranges).await.unwrap();
    for n in 1..=MACHINES + TOO_MANY {
        order(&store, n).await;
    }
    let start = |n| Other::start("takes addresses", &database.url(), 100 + n);
    let mut others: Vec<Other> = (0..PROCESSES).map(start).collect();
    for other in &others {
        assert_eq!(other.said(), "ready");
    }
    for other in &mut others {
        other.tell("go");
    }
    let said: Vec<Vec<String>> = others.into_iter().map(Other::ended).collect();
    assert!(said.iter().filter(|said| !said.is_empty()).count() > 1, "they did work at one moment");

    let (exhausted, taken): (Vec<String>, Vec<String>) =
        said.into_iter().flatten().partition(|said| said == "exhausted");
    assert_eq!(exhausted.len(), TOO_MANY as usize);
    let distinct: BTreeSet<IpAddr> = taken.iter().map(|address| address.parse().unwrap()).collect();
    assert_eq!((taken.len(), distinct.len()), (1000, 1000));
    let inside = |address: &IpAddr| ranges.iter().any(|range| (range.first..=range.last).contains(address));
    assert!(distinct.iter().all(inside));
    let usage = store.pools().await.unwrap().remove(0);
    assert_eq!((usage.free, usage.held, usage.resting), (0, 1000, 0));
    let rows = "SELECT count(*), count(DISTINCT address), count(DISTINCT vm) FROM pve_deploy.address WHERE until IS NULL";
    assert_eq!(database.psql(rows).unwrap(), "1000|1000|250");
}
