//! Addresses: taken all or nothing, never by two, resting before they are given again.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    AddressRange, AddressStore, CommitError, Family, HeldAddress, Lease, LeaseStore, TakeError, Want,
};
use jiff::SignedDuration;
use std::{collections::BTreeSet, net::IpAddr};

async fn with_pools<F: StoreFactory>(factory: &F, pools: &[(&str, &[AddressRange])]) -> Rig<F::Store> {
    let rig = Rig::new(factory).await;
    for (name, ranges) in pools {
        let pool = sample::pool(name, 24, ranges);
        rig.store.put_pool(&pool, ranges).await.expect("put a pool");
    }
    rig
}

async fn take<S: AddressStore>(store: &S, lease: &Lease, wants: &[Want]) -> Vec<String> {
    texts(&store.take(lease, wants).await.expect("take"))
}

fn texts(held: &[HeldAddress]) -> Vec<String> {
    held.iter().map(|held| held.address.to_string()).collect()
}

fn v4(count: u8) -> Want {
    sample::want(Family::V4, count, &["public"])
}

/// Over the pool's ranges, in their order.
pub async fn the_lowest_free_address_is_taken<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.9", "192.0.2.10"), sample::range("192.0.2.200", "192.0.2.201")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let lease = rig.leased(1).await.lease;
    let held = rig.store.take(&lease, &[v4(3)]).await.expect("take");
    assert_eq!(texts(&held), ["192.0.2.9", "192.0.2.10", "192.0.2.200"]);
    let expected = |address: &str| HeldAddress {
        nic: 0.try_into().expect("a slot"),
        address: sample::parsed(address),
        pool: sample::parsed("public"),
    };
    assert_eq!(held[0], expected("192.0.2.9"));
    assert_eq!(rig.store.held(lease.key).await.expect("held"), held);
}

/// Also under another lease: a worker that died after taking finds what it took.
pub async fn taking_again_answers_the_same<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    let six = [sample::range("2001:db8::10", "2001:db8::1f")];
    let rig = with_pools(factory, &[("public", &ranges), ("six", &six)]).await;
    let lease = rig.leased(1).await.lease;
    let wants = [sample::want(Family::V6, 1, &["six"]), v4(2)];
    let first = take(&rig.store, &lease, &wants).await;
    assert_eq!(first, ["2001:db8::10", "192.0.2.10", "192.0.2.11"], "in the order of the wants");
    assert_eq!(take(&rig.store, &lease, &wants).await, first);
    rig.store.release(&lease).await.expect("release");
    let lease = rig.claim().await[0].lease;
    assert_eq!(take(&rig.store, &lease, &wants).await, first);
    let [six, four] = wants;
    assert_eq!(take(&rig.store, &lease, &[four, six]).await, [&first[1..], &first[..1]].concat());
}

/// Those that are to be given up do not count, and are not in the answer; they are held until they are given back.
pub async fn addresses_are_exchanged_one_by_one<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.12")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let lease = rig.leased(1).await.lease;
    take(&rig.store, &lease, &[v4(2)]).await;
    let old = sample::parsed("192.0.2.10");
    let instead = Want { besides: vec![old], ..v4(2) };
    for _ in 0..2 {
        assert_eq!(
            take(&rig.store, &lease, std::slice::from_ref(&instead)).await,
            ["192.0.2.11", "192.0.2.12"]
        );
    }
    assert_eq!(texts(&rig.store.held(lease.key).await.expect("held")).len(), 3);
    let one_more = Want { count: 3, ..instead };
    let refused = rig.store.take(&lease, &[one_more]).await;
    assert!(matches!(refused, Err(TakeError::Exhausted { missing: 1, .. })), "{refused:?}");

    let strange = sample::parsed("192.0.2.99");
    let given = rig.store.give_back_only(&lease, &[old, strange]).await.expect("given back");
    assert_eq!(texts(&given), ["192.0.2.10"]);
    assert_eq!(rig.store.give_back_only(&lease, &[old]).await.expect("given back"), [], "once");
    assert_eq!(texts(&rig.store.held(lease.key).await.expect("held")), ["192.0.2.11", "192.0.2.12"]);
    let usage = rig.store.pools().await.expect("pools").remove(0);
    assert_eq!((usage.free, usage.held, usage.resting), (0, 2, 1), "it rests");

    rig.store.release(&lease).await.expect("release");
    let new = rig.claim().await[0].lease;
    let held = [sample::parsed("192.0.2.11")];
    assert_eq!(rig.store.give_back_only(&lease, &held).await, Err(CommitError::Fenced));
    assert_eq!(texts(&rig.store.give_back_only(&new, &held).await.expect("given back")), ["192.0.2.11"]);
}

/// Each NIC and each family for itself; what is there stays.
pub async fn only_what_is_missing_is_taken<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let lease = rig.leased(1).await.lease;
    take(&rig.store, &lease, &[v4(1)]).await;
    assert_eq!(take(&rig.store, &lease, &[v4(3)]).await, ["192.0.2.10", "192.0.2.11", "192.0.2.12"]);
    assert_eq!(take(&rig.store, &lease, &[v4(2)]).await.len(), 3, "a smaller want gives nothing back");
    let second_nic = Want { nic: 1.try_into().expect("a slot"), ..v4(1) };
    assert_eq!(take(&rig.store, &lease, &[second_nic]).await, ["192.0.2.13"]);
}

/// The second want cannot be met, so the first is not taken either.
pub async fn taking_is_all_or_nothing<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    let six = [sample::range("2001:db8::10", "2001:db8::10")];
    let rig = with_pools(factory, &[("public", &ranges), ("six", &six)]).await;
    let lease = rig.leased(1).await.lease;
    let before = rig.store.pools().await.expect("pools");
    let refused = rig.store.take(&lease, &[v4(2), sample::want(Family::V6, 2, &["six"])]).await;
    assert!(matches!(refused, Err(TakeError::Exhausted { .. })), "{refused:?}");
    assert_eq!(rig.store.pools().await.expect("pools"), before);
    assert_eq!(rig.store.held(lease.key).await.expect("held"), []);
    assert_eq!(take(&rig.store, &lease, &[v4(1)]).await, ["192.0.2.10"]);
}

/// Which want, which pools, how many are missing.
pub async fn exhaustion_names_the_pools<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.11")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let lease = rig.leased(1).await.lease;
    let want = sample::want(Family::V4, 5, &["public", "unknown"]);
    let refused = rig.store.take(&lease, std::slice::from_ref(&want)).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want, missing: 3 }));
    let nowhere = sample::want(Family::V4, 1, &[]);
    let refused = rig.store.take(&lease, std::slice::from_ref(&nowhere)).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want: nowhere, missing: 1 }));
}

/// The first of the want, not the lowest address; the next when it is empty.
pub async fn pools_are_tried_in_their_order<F: StoreFactory>(factory: &F) {
    let low = [sample::range("192.0.2.10", "192.0.2.19")];
    let high = [sample::range("198.51.100.10", "198.51.100.11")];
    let rig = with_pools(factory, &[("low", &low), ("high", &high)]).await;
    let lease = rig.leased(1).await.lease;
    let held = rig.store.take(&lease, &[sample::want(Family::V4, 3, &["high", "low"])]).await.expect("take");
    assert_eq!(texts(&held), ["198.51.100.10", "198.51.100.11", "192.0.2.10"]);
    assert_eq!(held.iter().map(|held| held.pool.as_str()).collect::<Vec<_>>(), ["high", "high", "low"]);
}

/// An IPv6 address is no answer to a want of IPv4.
pub async fn a_pool_of_the_other_family_is_passed_over<F: StoreFactory>(factory: &F) {
    let six = [sample::range("2001:db8::10", "2001:db8::1f")];
    let rig = with_pools(factory, &[("six", &six)]).await;
    let lease = rig.leased(1).await.lease;
    let want = sample::want(Family::V4, 1, &["six"]);
    let refused = rig.store.take(&lease, std::slice::from_ref(&want)).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want, missing: 1 }));
}

/// The pool's ranges are for people; what may be given is what `usable` says.
pub async fn what_is_not_usable_is_never_given<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut pool = sample::pool("public", 24, &[sample::range("192.0.2.1", "192.0.2.6")]);
    pool.exclusions = vec![sample::range("192.0.2.3", "192.0.2.4")];
    let usable = [sample::range("192.0.2.2", "192.0.2.2"), sample::range("192.0.2.5", "192.0.2.6")];
    rig.store.put_pool(&pool, &usable).await.expect("put a pool");
    let lease = rig.leased(1).await.lease;
    assert_eq!(take(&rig.store, &lease, &[v4(3)]).await, ["192.0.2.2", "192.0.2.5", "192.0.2.6"]);
    let refused = rig.store.take(&lease, &[v4(4)]).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want: v4(4), missing: 1 }));
}

/// Caches along the way still lead to the old machine.
pub async fn an_address_rests_before_it_is_given_again<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.11")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    take(&rig.store, &one, &[v4(1)]).await;
    let given = rig.store.give_back(&one).await.expect("give back");
    assert_eq!(texts(&given), ["192.0.2.10"]);
    assert_eq!(rig.store.give_back(&one).await.expect("give back again"), []);
    assert_eq!(rig.store.held(one.key).await.expect("held"), []);
    let counts = async || {
        let usage = rig.store.pools().await.expect("pools").remove(0);
        (usage.free, usage.held, usage.resting)
    };
    assert_eq!(counts().await, (1, 0, 1));
    let refused = rig.store.take(&two, &[v4(2)]).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want: v4(2), missing: 1 }));

    rig.clock.advance(SignedDuration::from_mins(10) - SignedDuration::from_micros(1));
    assert_eq!(counts().await, (1, 0, 1));
    rig.clock.advance(SignedDuration::from_micros(1));
    assert_eq!(counts().await, (2, 0, 0));
    assert_eq!(take(&rig.store, &two, &[v4(1)]).await, ["192.0.2.10"], "the lowest free again");
    assert_eq!(counts().await, (1, 1, 0));
}

/// The pool was made smaller while the address rested.
pub async fn what_rested_outside_of_the_pool_is_forgotten<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.11")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let lease = rig.leased(1).await.lease;
    take(&rig.store, &lease, &[v4(2)]).await;
    rig.store.give_back(&lease).await.expect("give back");
    let smaller = [sample::range("192.0.2.11", "192.0.2.11")];
    rig.store.put_pool(&sample::pool("public", 24, &smaller), &smaller).await.expect("make it smaller");
    rig.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(rig.store.pools().await.expect("pools")[0].free, 1);
    assert_eq!(take(&rig.store, &lease, &[v4(1)]).await, ["192.0.2.11"]);
    let refused = rig.store.take(&lease, &[v4(2)]).await;
    assert_eq!(refused, Err(TakeError::Exhausted { want: v4(2), missing: 1 }));
}

/// Addresses come back one by one, in an order that leaves holes of every shape, and all are given again, lowest first.
pub async fn the_same_address_comes_back_in_any_order<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let mut leases = Vec::new();
    for n in 1..=10 {
        let lease = rig.leased(n).await.lease;
        take(&rig.store, &lease, &[v4(1)]).await;
        leases.push(lease);
    }
    for back in [4, 6, 5, 0, 9, 8, 1, 3, 2, 7] {
        rig.store.give_back(&leases[back]).await.expect("give back");
        rig.clock.advance(SignedDuration::from_secs(1));
    }
    // One by one the rests end, and one by one the addresses are taken in by a machine that takes and gives back.
    let probe = leases[0];
    for _ in 0..10 {
        rig.clock.advance(SignedDuration::from_secs(59));
    }
    for _ in 0..10 {
        rig.clock.advance(SignedDuration::from_secs(1));
        assert!(rig.store.pools().await.expect("pools")[0].free > 0);
        let refused = rig.store.take(&probe, &[v4(11)]).await;
        assert!(matches!(refused, Err(TakeError::Exhausted { .. })), "{refused:?}");
    }
    let expected: Vec<String> = (10..20).map(|octet| format!("192.0.2.{octet}")).collect();
    assert_eq!(take(&rig.store, &probe, &[v4(10)]).await, expected);
}

/// More machines than addresses: every address is given once, and exactly the machines that came too late get none.
pub async fn many_at_once_never_share_and_use_every_address<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.1", "192.0.2.32"), sample::range("192.0.2.101", "192.0.2.132")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    for n in 1..=80 {
        rig.ordered(n).await;
    }
    let leases: Vec<Lease> = rig.claim().await.iter().map(|leased| leased.lease).collect();
    assert_eq!(leases.len(), 80);
    let answers = rig.at_once(leases, |store, lease| async move { store.take(&lease, &[v4(1)]).await }).await;
    let taken: Vec<IpAddr> = answers.iter().flatten().flatten().map(|held| held.address).collect();
    let different: BTreeSet<IpAddr> = taken.iter().copied().collect();
    assert_eq!((taken.len(), different.len()), (64, 64));
    let late = answers.iter().filter(|answer| matches!(answer, Err(TakeError::Exhausted { .. }))).count();
    assert_eq!(late, 16);
}

/// Those of a machine that is there already: in the order in which they are named, from whichever of the pools gives them.
pub async fn exactly_these_are_taken<F: StoreFactory>(factory: &F) {
    let low = [sample::range("192.0.2.10", "192.0.2.19")];
    let high = [sample::range("198.51.100.10", "198.51.100.12")];
    let rig = with_pools(factory, &[("low", &low), ("high", &high)]).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    let want = sample::exactly(&["192.0.2.15", "198.51.100.11", "192.0.2.10"], &["low", "high"]);
    let expected = ["192.0.2.15", "198.51.100.11", "192.0.2.10"];
    for _ in 0..2 {
        let held = rig.store.take(&one, std::slice::from_ref(&want)).await.expect("take");
        assert_eq!(texts(&held), expected);
        assert_eq!(held.iter().map(|held| held.pool.as_str()).collect::<Vec<_>>(), ["low", "high", "low"]);
    }
    // Everybody else gets the others.
    let all = take(&rig.store, &two, &[sample::want(Family::V4, 10, &["low", "high"])]).await;
    let mut others: Vec<String> = (11..20).filter(|n| *n != 15).map(|n| format!("192.0.2.{n}")).collect();
    others.extend(["198.51.100.10".to_owned(), "198.51.100.12".to_owned()]);
    assert_eq!(all, others);
    // What it has besides does not count.
    let fewer = Want { exactly: want.exactly[..1].to_vec(), count: 1, ..want };
    assert_eq!(take(&rig.store, &one, &[fewer]).await, ["192.0.2.15"]);
}

/// The machine has them: whether they rest makes no difference to anybody but to whoever would get them next.
pub async fn exactly_these_are_taken_out_of_their_rest<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.12")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    take(&rig.store, &one, &[v4(2)]).await;
    rig.store.give_back(&one).await.expect("give back");
    let want = sample::exactly(&["192.0.2.11"], &["public"]);
    assert_eq!(take(&rig.store, &two, &[want]).await, ["192.0.2.11"]);
    let usage = rig.store.pools().await.expect("pools").remove(0);
    assert_eq!((usage.free, usage.held, usage.resting), (1, 1, 1));
    // When the rest of the other one is over, that one comes back and this one does not.
    rig.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(take(&rig.store, &one, &[v4(2)]).await, ["192.0.2.10", "192.0.2.12"]);
    assert_eq!(texts(&rig.store.held(two.key).await.expect("held")), ["192.0.2.11"]);
    // Given back, it rests like any other.
    rig.store.give_back(&two).await.expect("give back");
    let refused = rig.store.take(&one, &[v4(3)]).await;
    assert!(matches!(refused, Err(TakeError::Exhausted { missing: 1, .. })), "{refused:?}");
}

/// Who has it, and for which NIC: also where it is the same machine.
pub async fn what_another_machine_holds_is_refused_by_name<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.12")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    let second_nic = Want { nic: 1.try_into().expect("a slot"), ..v4(1) };
    take(&rig.store, &one, &[second_nic]).await;
    let want = sample::exactly(&["192.0.2.10"], &["public"]);
    let held = Err(TakeError::Held {
        address: want.exactly[0],
        holder: one.key,
        nic: 1.try_into().expect("a slot"),
    });
    for lease in [two, one] {
        assert_eq!(rig.store.take(&lease, std::slice::from_ref(&want)).await, held);
    }
}

/// Not even where another pool would.
pub async fn what_no_pool_gives_is_refused_by_name<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.12")];
    let other = [sample::range("198.51.100.10", "198.51.100.12")];
    let rig = with_pools(factory, &[("public", &ranges), ("other", &other)]).await;
    let lease = rig.leased(1).await.lease;
    for address in ["192.0.2.13", "198.51.100.10"] {
        let want = sample::exactly(&[address], &["public", "unknown"]);
        let refused = rig.store.take(&lease, std::slice::from_ref(&want)).await;
        assert_eq!(refused, Err(TakeError::Foreign { address: want.exactly[0], want }));
    }
}

/// The last of them cannot be had: the others are free, or rest, as before.
pub async fn exactly_these_or_nothing<F: StoreFactory>(factory: &F) {
    let ranges = [sample::range("192.0.2.10", "192.0.2.19")];
    let rig = with_pools(factory, &[("public", &ranges)]).await;
    let (one, two) = (rig.leased(1).await.lease, rig.leased(2).await.lease);
    take(&rig.store, &one, &[v4(2)]).await;
    rig.store.give_back_only(&one, &[sample::parsed("192.0.2.11")]).await.expect("give back");
    let before = rig.store.pools().await.expect("pools");
    let want = sample::exactly(&["192.0.2.15", "192.0.2.11", "192.0.2.10"], &["public"]);
    let refused = rig.store.take(&two, &[want]).await;
    assert!(matches!(refused, Err(TakeError::Held { .. })), "{refused:?}");
    assert_eq!(rig.store.pools().await.expect("pools"), before);
    assert_eq!(rig.store.held(two.key).await.expect("held"), []);
    rig.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(rig.store.pools().await.expect("pools")[0].free, 9, "what rested came back");
    let refused = rig.store.take(&two, &[v4(10)]).await;
    assert!(matches!(refused, Err(TakeError::Exhausted { missing: 1, .. })), "{refused:?}");
}
