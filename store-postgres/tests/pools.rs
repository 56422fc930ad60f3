//! Pools of a size that only a server has.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{AddressStore, Family, Pool};
use deploy_testkit::sample;
use place::{Place, leased};

/// Machines by the thousand were removed on one day, and the rest of their addresses is over at the same moment.
#[tokio::test]
async fn addresses_that_come_back_by_the_thousand_are_given_again() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let ranges = [sample::range("10.0.0.1", "10.0.199.255"), sample::range("10.0.201.0", "10.0.255.254")];
    let pool = Pool { prefix_len: 16, ..sample::pool("public", 16, &ranges) };
    store.put_pool(&pool, &ranges).await.unwrap();
    // One in two up to 10.0.199.255, and a block that the pool may not give any more.
    place
        .database
        .psql(
            "INSERT INTO pve_deploy.address (cluster, address, pool, vm, nic, until)
                 SELECT cluster, address, name, gen_random_uuid(), 0, '2000-01-01'
                 FROM pve_deploy.pool, (
                     SELECT '10.0.0.0'::inet + n AS address FROM generate_series(1::bigint, 51199, 2) AS n
                     UNION ALL SELECT '10.0.200.0'::inet + n FROM generate_series(0::bigint, 255) AS n
                 ) AS given;
             DELETE FROM pve_deploy.free_range WHERE first = '10.0.0.1';
             INSERT INTO pve_deploy.free_range (pool, first, last)
                 SELECT 'public', '10.0.0.0'::inet + n, '10.0.0.0'::inet + n FROM generate_series(2::bigint, 51198, 2) AS n;",
        )
        .unwrap();
    let size = 51_199 + 14_079;
    assert_eq!(store.pools().await.unwrap()[0].free, size);
    let lease = leased(&store, 1..=1).await.remove(0);
    let held = store.take(&lease, &[sample::want(Family::V4, 1, &["public"])]).await.unwrap();
    assert_eq!(held[0].address.to_string(), "10.0.0.1");
    let usage = store.pools().await.unwrap().remove(0);
    assert_eq!((usage.free, usage.held, usage.resting), (size - 1, 1, 0));
    assert_eq!(place.database.psql("SELECT count(*) FROM pve_deploy.free_range").unwrap(), "2", "joined");
}
