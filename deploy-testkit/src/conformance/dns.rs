//! DNS: who is due, who has it, and what is known of each record.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    AddressStore, Assignment, Clock, Commit, CommitError, DnsChange, DnsClaim, DnsClaimed, DnsData, DnsEntry,
    DnsRecord, DnsState, DnsStatus, DnsStore, DnsWriteError, Lease, LeaseStore, Numbered, Operation,
    PtrError, RecordStore, Step, VmKey,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// So long the suite's claims last.
const LASTING: SignedDuration = SignedDuration::from_secs(60);

fn assignment(address: &str) -> Assignment {
    Assignment {
        nic: sample::want(deploy_core::Family::V4, 1, &[]).nic,
        address: sample::parsed(address),
        prefix_len: 24,
        gateway: None,
        resolvers: Vec::new(),
        pool: sample::parsed("public"),
    }
}

fn addresses(addresses: &[&str]) -> Commit {
    let assigned = addresses.iter().map(|address| assignment(address)).collect();
    Commit { addresses: Some(assigned), ..Commit::default() }
}

fn record(name: &str, data: DnsData) -> DnsRecord {
    DnsRecord {
        provider: sample::parsed("ns1"),
        zone: sample::parsed("example.net"),
        name: sample::parsed(name),
        data,
    }
}

fn address(octet: u8) -> DnsData {
    DnsData::A([192, 0, 2, octet].into())
}

fn entry(name: &str, data: DnsData, state: DnsState) -> DnsEntry {
    DnsEntry { state, ..DnsEntry::planned(record(name, data), 300) }
}

impl<S: LeaseStore + RecordStore + AddressStore + DnsStore + Clone + 'static> Rig<S> {
    async fn claim_dns(&self) -> Vec<DnsClaimed> {
        self.store.claim_dns(1000, LASTING).await.expect("claim")
    }

    /// Claims the one machine that is due.
    async fn claim_one(&self) -> DnsClaimed {
        let mut claimed = self.claim_dns().await;
        assert_eq!(claimed.len(), 1, "one machine is due: {claimed:?}");
        claimed.remove(0)
    }

    /// Orders the n-th machine, gives it an address, and claims its records.
    async fn with_address(&self, n: u32) -> (Lease, DnsClaimed) {
        let lease = self.leased(n).await.lease;
        self.commit(&lease, addresses(&[&format!("192.0.2.{n}")])).await;
        (lease, self.claim_one().await)
    }

    async fn write(&self, claim: &DnsClaim, entries: &[DnsEntry]) -> Result<(), DnsWriteError> {
        let changes: Vec<DnsChange> = entries.iter().cloned().map(DnsChange::Put).collect();
        self.store.write_dns(claim, &changes).await
    }

    async fn finish(&self, claim: &DnsClaim, due: Option<Timestamp>) {
        self.store.finish_dns(claim, due).await.expect("finish");
    }

    async fn dns(&self, key: VmKey) -> DnsStatus {
        self.store.dns_status(key).await.expect("status").expect("the machine is there")
    }
}

/// Addresses, the name and the operation; nothing else.
pub async fn what_may_change_the_records_marks_the_machine<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    assert_eq!(rig.claim_dns().await, [], "an order alone has nothing to publish");
    let vmid = rig.store.renumber(&lease, sample::vmid(100)).await.expect("another number");
    let record = rig.record(lease.key).await;
    let numbered = Numbered::resolve(&record.spec, &record.external_ref, vmid).expect("names");
    let marking = [
        addresses(&["192.0.2.1"]),
        addresses(&["192.0.2.1", "192.0.2.2"]),
        Commit { numbered: Some(numbered.clone()), ..Commit::default() },
        Commit { operation: Some(Operation::Terminate), ..Commit::default() },
        addresses(&[]),
    ];
    for (n, commit) in (1..).zip(marking) {
        rig.commit(&lease, commit.clone()).await;
        let claimed = rig.claim_one().await;
        assert_eq!(claimed.claim.key, lease.key);
        assert_eq!(claimed.record, rig.record(lease.key).await, "as it is after {commit:?}");
        rig.finish(&claimed.claim, None).await;
        let status = rig.dns(lease.key).await;
        assert_eq!((status.mark, status.done, status.due), (n, n, None), "after {commit:?}");
    }
    let same = [
        addresses(&[]),
        Commit { operation: Some(Operation::Terminate), failures: Some(3), ..Commit::default() },
        Commit { step: Some(Step::Removing), node: Some(sample::parsed("node2")), ..Commit::default() },
        Commit { numbered: Some(numbered), ..Commit::default() },
    ];
    for commit in same {
        rig.commit(&lease, commit.clone()).await;
        assert_eq!(rig.claim_dns().await, [], "after {commit:?}");
    }
}

/// Until its time is over; then it is anybody's, under a higher token.
pub async fn a_claim_is_one_workers_for_its_time<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (lease, first) = rig.with_address(1).await;
    assert_eq!(rig.claim_dns().await, []);
    let until = rig.clock.now() + LASTING;
    assert_eq!(rig.store.next_dns_due().await.expect("next due"), Some(until));
    assert_eq!(rig.dns(lease.key).await.due, Some(until));
    rig.clock.advance(LASTING - SignedDuration::from_secs(1));
    assert_eq!(rig.claim_dns().await, []);
    rig.clock.advance(SignedDuration::from_secs(1));
    let second = rig.claim_one().await;
    assert!(second.claim.token > first.claim.token);
    assert_eq!(second.record, first.record);
    rig.finish(&second.claim, None).await;
    assert_eq!(rig.store.next_dns_due().await.expect("next due"), None);
}

/// The longest due first, at most so many; a due time of its own is waited for.
pub async fn machines_are_claimed_when_they_are_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let now = rig.clock.now();
    for (n, seconds) in [(1, 30), (2, 10), (3, 20)] {
        let (_, claimed) = rig.with_address(n).await;
        rig.finish(&claimed.claim, Some(now + SignedDuration::from_secs(seconds))).await;
    }
    let next = rig.store.next_dns_due().await.expect("next due");
    assert_eq!(next, Some(now + SignedDuration::from_secs(10)));
    rig.clock.advance(SignedDuration::from_secs(9));
    assert_eq!(rig.claim_dns().await, []);
    rig.clock.advance(SignedDuration::from_secs(21));
    let mut keys = Vec::new();
    for _ in 0..4 {
        let claimed = rig.store.claim_dns(1, LASTING).await.expect("claim");
        keys.extend(claimed.iter().map(|claimed| claimed.claim.key));
    }
    assert_eq!(keys, [2, 3, 1].map(sample::key));
}

/// What was seen may be out of date: it is due again at once, whatever the turn says.
pub async fn a_mark_during_a_claim_makes_it_due_again<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (lease, first) = rig.with_address(1).await;
    rig.commit(&lease, addresses(&["192.0.2.7"])).await;
    assert_eq!(rig.claim_dns().await, [], "it is claimed");
    rig.finish(&first.claim, Some(rig.clock.now() + LASTING)).await;
    let status = rig.dns(lease.key).await;
    assert_eq!((status.mark, status.done), (2, 1));
    assert!(!status.is_settled());
    let second = rig.claim_one().await;
    assert_eq!(second.record.addresses, [assignment("192.0.2.7")]);
    rig.finish(&second.claim, None).await;
    assert!(rig.dns(lease.key).await.is_settled());
}

/// After another one came, and after its end.
pub async fn a_claim_that_is_over_changes_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (lease, old) = rig.with_address(1).await;
    rig.clock.advance(LASTING);
    rig.write(&old.claim, &[entry("a.example.net", address(1), DnsState::Publishing)])
        .await
        .expect("nobody else came");
    let new = rig.claim_one().await;
    assert_eq!(new.entries.len(), 1);
    let late = [entry("b.example.net", address(1), DnsState::Publishing)];
    let forget = [DnsChange::Forget(new.entries[0].record.clone())];
    assert_eq!(rig.write(&old.claim, &late).await, Err(DnsWriteError::Fenced));
    assert_eq!(rig.store.write_dns(&old.claim, &forget).await, Err(DnsWriteError::Fenced));
    assert_eq!(rig.store.finish_dns(&old.claim, None).await, Err(CommitError::Fenced));
    rig.finish(&new.claim, None).await;
    assert_eq!(rig.write(&new.claim, &late).await, Err(DnsWriteError::Fenced));
    assert_eq!(rig.store.finish_dns(&new.claim, None).await, Err(CommitError::Fenced));
    assert_eq!(rig.dns(lease.key).await.entries, new.entries);
}

/// Every field in every state, also after the store was opened again.
pub async fn everything_of_an_entry_comes_back<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (lease, claimed) = rig.with_address(1).await;
    let datas = [
        address(9),
        address(10),
        DnsData::Aaaa(sample::parsed("2001:db8::1")),
        DnsData::Ptr(sample::parsed("mail.example.org")),
    ];
    let mut entries: Vec<DnsEntry> = (0_u32..)
        .zip(DnsState::ALL)
        .flat_map(|(n, state)| datas.clone().map(|data| (n, *state, data)))
        .map(|(n, state, data)| DnsEntry {
            ttl: 60 + n,
            failures: n,
            last_error: (n % 2 == 0).then(|| format!("failed {n} times \"so\"")),
            next_try: (n % 3 == 0).then(|| rig.clock.now() + SignedDuration::from_secs(i64::from(n))),
            in_doubt: (n % 2 == 1).then(|| rig.clock.now()),
            ..entry(&format!("vps-{n}.example.net"), data, state)
        })
        .collect();
    entries.sort_unstable_by(|one, other| one.record.cmp(&other.record));
    rig.write(&claimed.claim, &entries).await.expect("write");
    assert_eq!(rig.dns(lease.key).await.entries, entries);
    for entry in &mut entries {
        (entry.state, entry.ttl, entry.last_error) = (DnsState::Published, 1, None);
        (entry.failures, entry.next_try, entry.in_doubt) = (7, Some(rig.clock.now()), None);
    }
    rig.write(&claimed.claim, &entries).await.expect("write again");
    let rig = rig.reopened(factory).await;
    assert_eq!(rig.dns(lease.key).await.entries, entries);
    rig.clock.advance(LASTING);
    let claimed = rig.claim_one().await;
    assert_eq!(claimed.entries, entries);
    let gone = entries.remove(3);
    rig.store.write_dns(&claimed.claim, &[DnsChange::Forget(gone.record)]).await.expect("forget");
    assert_eq!(rig.dns(lease.key).await.entries, entries);
}

/// As long as a record of the other may stand there. Another zone, or another provider, is another name.
pub async fn a_name_is_one_machines<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let (one, first) = rig.with_address(1).await;
    let (two, second) = rig.with_address(2).await;
    let name = "www.example.net";
    let wanted = entry(name, address(2), DnsState::Publishing);
    let doubtful =
        DnsEntry { in_doubt: Some(rig.clock.now()), ..entry(name, address(1), DnsState::Conflict) };
    let (planned, published) = (
        entry(name, address(1), DnsState::Planned),
        [
            entry(name, address(1), DnsState::Publishing),
            entry(name, address(1), DnsState::Published),
            entry(name, address(1), DnsState::Withdrawing),
            doubtful,
        ],
    );
    for held in published {
        rig.write(&first.claim, std::slice::from_ref(&held)).await.expect("the first one's");
        let refused = rig
            .write(&second.claim, &[entry("x.example.net", address(2), DnsState::Publishing), wanted.clone()])
            .await;
        let Err(DnsWriteError::Held { name: held_name, by, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((held_name.as_str(), by), (name, one.key), "while {held:?}");
        assert_eq!(rig.dns(two.key).await.entries, [], "all or nothing");
        let holder = rig.store.dns_holder(two.key, &wanted.record).await.expect("holder");
        assert_eq!(holder, Some(one.key));
        assert_eq!(rig.store.dns_holder(one.key, &held.record).await.expect("holder"), None);
        rig.write(&second.claim, &[entry(name, address(2), DnsState::Conflict)]).await.expect("it waits");
        let forget = [DnsChange::Forget(wanted.record.clone())];
        rig.store.write_dns(&second.claim, &forget).await.expect("forget");
    }
    let elsewhere = DnsRecord { provider: sample::parsed("ns2"), ..wanted.record.clone() };
    let elsewhere = DnsEntry { record: elsewhere, ..wanted.clone() };
    rig.write(&second.claim, &[elsewhere]).await.expect("another provider's");
    rig.write(&first.claim, &[planned]).await.expect("the first one gives up");
    rig.write(&second.claim, std::slice::from_ref(&wanted)).await.expect("now it is free");
    let refused = rig.write(&first.claim, &[entry(name, address(1), DnsState::Publishing)]).await;
    assert!(matches!(refused, Err(DnsWriteError::Held { by, .. }) if by == two.key), "{refused:?}");
}

/// Of many machines that want one name at one moment, one gets it.
pub async fn a_name_that_many_want_at_once_is_one_machines<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut claims = Vec::new();
    for n in 1..=12 {
        claims.push((n, rig.with_address(u32::from(n)).await.1.claim));
    }
    let written = rig
        .at_once(claims, |store, (n, claim)| async move {
            let wanted = entry("www.example.net", address(n), DnsState::Publishing);
            store.write_dns(&claim, &[DnsChange::Put(wanted)]).await
        })
        .await;
    assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 1, "{written:?}");
    let held = |written: &&Result<(), DnsWriteError>| matches!(written, Err(DnsWriteError::Held { .. }));
    assert_eq!(written.iter().filter(held).count(), 11, "{written:?}");
}

/// Each is claimed once, whoever asks at the same moment.
pub async fn many_claims_at_once_share_the_machines<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in 1..=20 {
        let lease = rig.leased(n).await.lease;
        rig.commit(&lease, addresses(&[&format!("192.0.2.{n}")])).await;
    }
    let claimed =
        rig.at_once(0..10, |store, _| async move { store.claim_dns(3, LASTING).await.expect("claim") }).await;
    let mut keys: Vec<VmKey> = claimed.iter().flatten().map(|claimed| claimed.claim.key).collect();
    while let Some(more) = rig.store.claim_dns(1, LASTING).await.expect("claim").pop() {
        keys.push(more.claim.key);
    }
    assert_eq!(keys.len(), 20);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 20);
}

/// Set, changed and reset; of addresses that the machine holds.
pub async fn a_name_is_kept_for_an_address<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let key = sample::key(1);
    let (held, other) = (sample::parsed("192.0.2.1"), sample::parsed("2001:db8::1"));
    let name = |name: &str| Some(sample::parsed(name));
    let missing = rig.store.set_ptr(key, held, name("mail.example.org")).await;
    assert_eq!(missing, Err(PtrError::NotFound(key)));
    let (_, claimed) = rig.with_address(1).await;
    rig.finish(&claimed.claim, None).await;
    let refused = rig.store.set_ptr(key, other, name("mail.example.org")).await;
    assert_eq!(refused, Err(PtrError::NotHeld { key, address: other }));
    assert_eq!(rig.claim_dns().await, []);
    for (mark, set) in [(2, "mail.example.org"), (3, "mx.example.org")] {
        assert_eq!(rig.store.set_ptr(key, held, name(set)).await, Ok(mark));
        let claimed = rig.claim_one().await;
        assert_eq!(claimed.names, [(held, sample::parsed(set))]);
        assert_eq!(rig.dns(key).await.names, claimed.names);
        assert!(!claimed.thorough, "only what changed is done");
        rig.finish(&claimed.claim, None).await;
    }
    let rig = rig.reopened(factory).await;
    assert_eq!(rig.dns(key).await.names, [(held, sample::parsed("mx.example.org"))]);
    assert_eq!(rig.store.set_ptr(key, held, None).await, Ok(4));
    assert_eq!(rig.claim_one().await.names, []);
}

/// Once for each change, and not for the same zones said again.
pub async fn other_zones_make_every_machine_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.dns_plan(7).await.expect("the zones");
    for n in 1..=3 {
        let (_, claimed) = rig.with_address(n).await;
        rig.finish(&claimed.claim, None).await;
    }
    rig.store.dns_plan(7).await.expect("the same zones");
    assert_eq!(rig.claim_dns().await, []);
    assert_eq!(rig.store.next_dns_due().await.expect("next due"), None);
    let rig = rig.reopened(factory).await;
    rig.store.dns_plan(u64::MAX).await.expect("other zones");
    assert!(rig.store.next_dns_due().await.expect("next due").is_some_and(|at| at <= rig.clock.now()));
    let claimed = rig.claim_dns().await;
    let keys: Vec<VmKey> = claimed.iter().map(|claimed| claimed.claim.key).collect();
    assert_eq!(keys, [1, 2, 3].map(sample::key));
    rig.store.dns_plan(7).await.expect("other zones while they are claimed");
    for claimed in &claimed {
        rig.finish(&claimed.claim, None).await;
    }
    assert_eq!(rig.claim_dns().await.len(), 3, "judged by what is no longer so");
}

/// Asked for once, it is thorough until a turn that began after that is finished.
pub async fn a_thorough_turn_is_owed_until_it_is_finished<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    assert_eq!(rig.store.refresh_dns(sample::key(1)).await.expect("refresh"), None);
    assert_eq!(rig.store.dns_status(sample::key(1)).await.expect("status"), None);
    let (lease, first) = rig.with_address(1).await;
    assert!(!first.thorough);
    let mark = rig.store.refresh_dns(lease.key).await.expect("refresh").expect("it is there");
    rig.finish(&first.claim, Some(rig.clock.now() + LASTING)).await;
    let second = rig.claim_one().await;
    assert!(second.thorough);
    rig.clock.advance(LASTING);
    let third = rig.claim_one().await;
    assert!(third.thorough, "the second one died");
    rig.finish(&third.claim, None).await;
    let status = rig.dns(lease.key).await;
    assert!(status.is_settled() && status.done >= mark);
    rig.commit(&lease, addresses(&["192.0.2.9"])).await;
    assert!(!rig.claim_one().await.thorough);
}
