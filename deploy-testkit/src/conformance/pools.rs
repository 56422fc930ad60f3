//! Pools: created, changed and deleted while machines hold addresses of them.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{AddressRange, AddressStore, Family, Pool, PoolError, PoolUsage, RecordStore};
use jiff::SignedDuration;

async fn put<S: AddressStore>(store: &S, pool: &Pool) {
    store.put_pool(pool, &pool.ranges).await.expect("put a pool");
}

async fn usage<S: AddressStore>(store: &S, name: &str) -> PoolUsage {
    let pools = store.pools().await.expect("pools");
    pools.into_iter().find(|usage| usage.pool.name.as_str() == name).expect("the pool is there")
}

/// With every field; the definitions are the pools without counts.
pub async fn a_pool_is_created_changed_and_deleted<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.19")]);
    pool.exclusions = vec![sample::range("192.0.2.15", "192.0.2.15")];
    put(&rig.store, &pool).await;
    let expected = PoolUsage { pool: pool.clone(), free: 10, held: 0, resting: 0 };
    assert_eq!(rig.store.pools().await.expect("pools"), [expected]);

    pool.gateway = None;
    pool.vlan = None;
    pool.ranges.push(sample::range("192.0.2.40", "192.0.2.49"));
    put(&rig.store, &pool).await;
    let six = sample::pool("a-six", 64, &[sample::range("2001:db8::1", "2001:db8::1")]);
    put(&rig.store, &six).await;
    let expected = [
        PoolUsage { pool: six.clone(), free: 1, held: 0, resting: 0 },
        PoolUsage { pool: pool.clone(), free: 20, held: 0, resting: 0 },
    ];
    assert_eq!(rig.store.pools().await.expect("pools"), expected);
    assert_eq!(rig.store.definitions().await.expect("definitions"), [six, pool.clone()]);

    rig.store.delete_pool(&pool.name).await.expect("delete");
    assert_eq!(rig.store.pools().await.expect("pools").len(), 1);
    let again = rig.store.delete_pool(&pool.name).await;
    assert_eq!(again, Err(PoolError::NotFound(pool.name)));
}

/// The lowest common address is named; another cluster's pools do not matter, nor does the pool's own old self.
pub async fn pools_of_one_cluster_do_not_overlap<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("192.0.2.10", "192.0.2.19"), sample::range("192.0.2.50", "192.0.2.59")];
    let public = sample::pool("public", 24, &ranges);
    put(&rig.store, &public).await;
    put(&rig.store, &public).await;
    let ranges = [sample::range("192.0.2.20", "192.0.2.50"), sample::range("192.0.2.55", "192.0.2.90")];
    let second = sample::pool("second", 24, &ranges);
    let refused = rig.store.put_pool(&second, &second.ranges).await;
    let overlap = PoolError::Overlap {
        pool: second.name.clone(),
        other: public.name,
        address: sample::parsed("192.0.2.50"),
    };
    assert_eq!(refused, Err(overlap));
    assert_eq!(rig.store.pools().await.expect("pools").len(), 1);
    put(&rig.store, &Pool { cluster: sample::parsed("other"), ..second.clone() }).await;
    put(&rig.store, &sample::pool("third", 24, &[sample::range("192.0.2.20", "192.0.2.49")])).await;
}

/// It is not given again, it cannot become another pool's, and given back it is gone.
pub async fn what_is_held_outside_of_a_smaller_pool_stays_its<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.19")]);
    put(&rig.store, &pool).await;
    let lease = rig.leased(1).await.lease;
    let second = rig.leased(2).await.lease;
    let held = rig.store.take(&lease, &[sample::want(Family::V4, 2, &["public"])]).await.expect("take");
    let smaller = Pool { ranges: vec![sample::range("192.0.2.11", "192.0.2.12")], ..pool.clone() };
    put(&rig.store, &smaller).await;
    assert_eq!(rig.store.held(lease.key).await.expect("held"), held);
    let PoolUsage { free, held: count, resting, .. } = usage(&rig.store, "public").await;
    assert_eq!((free, count, resting), (1, 2, 0), ".10 and .11 are held, .12 is free");

    let other = sample::pool("other", 24, &[sample::range("192.0.2.1", "192.0.2.10")]);
    let refused = rig.store.put_pool(&other, &other.ranges).await;
    let address = sample::parsed("192.0.2.10");
    let (name, owner) = (other.name.clone(), pool.name);
    assert_eq!(refused, Err(PoolError::Overlap { pool: name, other: owner, address }));

    rig.store.give_back(&lease).await.expect("give back");
    let refused = rig.store.put_pool(&other, &other.ranges).await;
    assert!(matches!(refused, Err(PoolError::Overlap { .. })), "it rests: {refused:?}");
    rig.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(usage(&rig.store, "public").await.free, 2);
    put(&rig.store, &other).await;
    let all = [sample::want(Family::V4, 10, &["other"])];
    let held = rig.store.take(&second, &all).await.expect("take all, also what had been the first one's");
    assert_eq!(held.last().map(|held| held.address), Some(address));
}

/// The error says how many; what rests is no obstacle.
pub async fn a_pool_that_machines_hold_is_not_deleted<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.19")]);
    put(&rig.store, &pool).await;
    let lease = rig.leased(1).await.lease;
    rig.store.take(&lease, &[sample::want(Family::V4, 3, &["public"])]).await.expect("take");
    let refused = rig.store.delete_pool(&pool.name).await;
    assert_eq!(refused, Err(PoolError::InUse { pool: pool.name.clone(), held: 3 }));
    assert_eq!(usage(&rig.store, "public").await.held, 3);
    rig.store.give_back(&lease).await.expect("give back");
    rig.store.delete_pool(&pool.name).await.expect("delete");
    assert_eq!(rig.store.pools().await.expect("pools"), []);
}

/// A caller's mistake is refused by name and does not end in addresses given twice.
pub async fn ranges_must_be_as_the_contract_says<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.19")]);
    let wrong: [&[AddressRange]; 4] = [
        &[sample::range("192.0.2.19", "192.0.2.10")],
        &[sample::range("2001:db8::1", "2001:db8::2")],
        &[sample::range("192.0.2.20", "192.0.2.30"), sample::range("192.0.2.10", "192.0.2.15")],
        &[sample::range("192.0.2.10", "192.0.2.20"), sample::range("192.0.2.20", "192.0.2.30")],
    ];
    for usable in wrong {
        match rig.store.put_pool(&pool, usable).await {
            Err(PoolError::Invalid(invalid)) => assert_eq!(invalid.field, "usable"),
            other => panic!("{usable:?} was taken: {other:?}"),
        }
    }
    assert_eq!(rig.store.pools().await.expect("pools"), []);
    rig.store.put_pool(&pool, &[]).await.expect("a pool that gives nothing");
    assert_eq!(usage(&rig.store, "public").await.free, 0);
}

/// The machines' addresses would change cluster with it.
pub async fn a_pool_in_use_stays_in_its_cluster<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.19")]);
    put(&rig.store, &pool).await;
    let lease = rig.leased(1).await.lease;
    rig.store.take(&lease, &[sample::want(Family::V4, 1, &["public"])]).await.expect("take");
    let moved = Pool { cluster: sample::parsed("other"), ..pool.clone() };
    let refused = rig.store.put_pool(&moved, &moved.ranges).await;
    assert!(matches!(&refused, Err(PoolError::Invalid(e)) if e.field == "cluster"), "{refused:?}");
    let six = Pool { ranges: vec![sample::range("2001:db8::1", "2001:db8::2")], family: Family::V6, ..pool };
    let refused = rig.store.put_pool(&six, &six.ranges).await;
    assert!(matches!(&refused, Err(PoolError::Invalid(e)) if e.field == "family"), "{refused:?}");
    rig.store.give_back(&lease).await.expect("give back");
    rig.clock.advance(SignedDuration::from_mins(10));
    put(&rig.store, &moved).await;
}

/// Sixteen million addresses, and more than a store could ever list.
pub async fn a_huge_pool_costs_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let eight = sample::pool("eight", 8, &[sample::range("10.0.0.1", "10.255.255.254")]);
    let six = sample::pool("six", 64, &[sample::range("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff")]);
    put(&rig.store, &eight).await;
    put(&rig.store, &six).await;
    assert_eq!(usage(&rig.store, "eight").await.free, (1 << 24) - 2);
    assert_eq!(usage(&rig.store, "six").await.free, 1 << 64);
    let lease = rig.leased(1).await.lease;
    let wants = [sample::want(Family::V4, 1, &["eight"]), sample::want(Family::V6, 2, &["six"])];
    let held = rig.store.take(&lease, &wants).await.expect("take");
    let addresses: Vec<String> = held.iter().map(|held| held.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "2001:db8::", "2001:db8::1"]);
    assert_eq!(usage(&rig.store, "six").await.free, (1 << 64) - 2);
}

/// Growing or shrinking a pool neither frees what is in use nor loses what is not.
pub async fn changing_a_pool_keeps_what_is_held_and_what_rests<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let pool = sample::pool("public", 24, &[sample::range("192.0.2.10", "192.0.2.13")]);
    put(&rig.store, &pool).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    let want = [sample::want(Family::V4, 1, &["public"])];
    rig.store.take(&one, &want).await.expect("take .10");
    rig.store.take(&two, &want).await.expect("take .11");
    rig.store.give_back(&one).await.expect("give .10 back");
    let grown = Pool { ranges: vec![sample::range("192.0.2.9", "192.0.2.15")], ..pool };
    put(&rig.store, &grown).await;
    let PoolUsage { free, held, resting, .. } = usage(&rig.store, "public").await;
    assert_eq!((free, held, resting), (5, 1, 1));
    rig.ordered(3).await;
    let three = rig.claim().await[0].lease;
    let all = [sample::want(Family::V4, 5, &["public"])];
    let taken = rig.store.take(&three, &all).await.expect("take all that is left");
    let last: Vec<u8> = taken
        .iter()
        .filter_map(|held| held.address.to_string().rsplit('.').next().and_then(|octet| octet.parse().ok()))
        .collect();
    assert_eq!(last, [9, 12, 13, 14, 15]);
    assert!(rig.store.get(three.key).await.expect("get").is_some());
}
