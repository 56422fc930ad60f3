//! A machine's life with a real server: created, changed, named, terminated; in the way of others, and the server down.

use crate::place::{FORWARD, Place, REVERSE, ZONES};
use deploy_core::{
    Assignment, Clock, Commit, DnsState, DnsStore, Family, Lease, LeaseStore, Operation, RecordStore, VmKey,
};
use deploy_dns::{Dns, DnsWorker, Matching, Providers, Zone, Zones};
use deploy_testkit::{ManualClock, MemoryStore, sample};
use jiff::SignedDuration;
use std::sync::Arc;
use throwaway_dns::{Bind, PowerDns};

const NAMES: [&str; 5] = [
    "vps-100.example.net",
    "7.2.0.192.in-addr.arpa",
    "8.2.0.192.in-addr.arpa",
    "9.2.0.192.in-addr.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
];

struct Life<P> {
    place: P,
    store: MemoryStore,
    clock: Arc<ManualClock>,
    worker: DnsWorker,
    dns: Dns,
    lease: Lease,
}

impl<P: Place> Life<P> {
    async fn begin() -> Self {
        let place = P::start();
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
        store.heartbeat(&sample::worker(1), SignedDuration::from_hours(10_000)).await.unwrap();
        store.create(&sample::order(1)).await.unwrap();
        let lease = store.claim(sample::worker(1).id, 1).await.unwrap()[0].lease;
        let providers = Providers::new().with(sample::parsed("ns1"), place.provider(), 2);
        let zone = |name| Zone { provider: sample::parsed("ns1"), name: sample::parsed(name), ttl: 300 };
        let zones = Zones::new(ZONES.map(zone), Matching::Longest);
        let worker = DnsWorker::new(Arc::new(store.clone()), providers, zones, clock.clone());
        let dns = Dns::new(Arc::new(store.clone()));
        Self { place, store, clock, worker, dns, lease }
    }

    fn key(&self) -> VmKey {
        self.lease.key
    }

    async fn commit(&self, commit: Commit) {
        self.store.commit(&self.lease, commit).await.unwrap();
    }

    async fn assign(&self, addresses: &[&str]) {
        let assigned = addresses.iter().map(|address| Assignment {
            nic: sample::want(Family::V4, 1, &[]).nic,
            address: sample::parsed(address),
            prefix_len: 24,
            gateway: None,
            resolvers: Vec::new(),
            pool: sample::parsed("public"),
        });
        self.commit(Commit { addresses: Some(assigned.collect()), ..Commit::default() }).await;
    }

    async fn terminate(&self) {
        self.commit(Commit { operation: Some(Operation::Terminate), ..Commit::default() }).await;
    }

    /// Sees to what is due, and then to what is due later.
    async fn settle(&self) {
        self.worker.pass().await.unwrap();
        let end = self.clock.now() + SignedDuration::from_mins(20);
        while let Some(at) = self.store.next_dns_due().await.unwrap().filter(|at| *at <= end) {
            self.clock.advance(at.duration_since(self.clock.now()).max(SignedDuration::ZERO));
            self.worker.pass().await.unwrap();
        }
    }

    async fn lines(&self) -> Vec<String> {
        self.place.lines(&NAMES).await
    }

    async fn states(&self) -> Vec<DnsState> {
        let status = self.dns.status(self.key()).await.unwrap().unwrap();
        status.entries.iter().map(|entry| entry.state).collect()
    }
}

async fn a_machine_is_published_changed_named_and_taken_away<P: Place>() {
    let life = Life::<P>::begin().await;
    life.assign(&["192.0.2.7", "192.0.2.8", "2001:db8::1"]).await;
    life.settle().await;
    let expected = [
        format!("{} PTR vps-100.example.net 300", NAMES[4]),
        "7.2.0.192.in-addr.arpa PTR vps-100.example.net 300".to_owned(),
        "8.2.0.192.in-addr.arpa PTR vps-100.example.net 300".to_owned(),
        "vps-100.example.net A 192.0.2.7 300".to_owned(),
        "vps-100.example.net A 192.0.2.8 300".to_owned(),
        "vps-100.example.net AAAA 2001:db8::1 300".to_owned(),
    ];
    assert_eq!(life.lines().await, expected);
    life.dns
        .set_ptr(life.key(), sample::parsed("192.0.2.7"), sample::parsed("mail.example.org"))
        .await
        .unwrap();
    life.assign(&["192.0.2.7", "192.0.2.9"]).await;
    life.settle().await;
    let expected = [
        "7.2.0.192.in-addr.arpa PTR mail.example.org 300",
        "9.2.0.192.in-addr.arpa PTR vps-100.example.net 300",
        "vps-100.example.net A 192.0.2.7 300",
        "vps-100.example.net A 192.0.2.9 300",
    ];
    assert_eq!(life.lines().await, expected);
    assert!(life.states().await.iter().all(|state| *state == DnsState::Published));
    life.dns.reset_ptr(life.key(), sample::parsed("192.0.2.7")).await.unwrap();
    life.settle().await;
    assert_eq!(life.lines().await[0], "7.2.0.192.in-addr.arpa PTR vps-100.example.net 300");
    life.terminate().await;
    life.settle().await;
    assert_eq!(life.lines().await, Vec::<String>::new());
    assert_eq!(life.states().await, []);
}

async fn others_are_left_alone_and_in_the_way_until_they_go<P: Place>() {
    let life = Life::<P>::begin().await;
    life.place.put(FORWARD, "vps-100.example.net", "A", "198.51.100.1").await;
    life.place.put(REVERSE, "7.2.0.192.in-addr.arpa", "PTR", "other.example.org.").await;
    life.assign(&["192.0.2.7"]).await;
    life.worker.pass().await.unwrap();
    let others =
        ["7.2.0.192.in-addr.arpa PTR other.example.org 3600", "vps-100.example.net A 198.51.100.1 3600"];
    assert_eq!(life.lines().await, others);
    assert_eq!(life.states().await, [DnsState::Conflict; 2]);
    let provider = life.place.provider();
    let (zone, name) = (sample::parsed(FORWARD), sample::parsed("vps-100.example.net"));
    provider.delete(&zone, &name, &deploy_core::DnsData::A([198, 51, 100, 1].into())).await.unwrap();
    life.settle().await;
    assert_eq!(life.lines().await, [others[0], "vps-100.example.net A 192.0.2.7 300"]);
    life.place.put(FORWARD, "vps-100.example.net", "A", "198.51.100.2").await;
    life.terminate().await;
    life.settle().await;
    let left = life.lines().await;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[1].starts_with("vps-100.example.net A 198.51.100.2 "), "{left:?}");
}

async fn a_server_that_was_down_is_caught_up_with<P: Place>() {
    let mut life = Life::<P>::begin().await;
    life.place.stop();
    life.assign(&["192.0.2.7", "2001:db8::1"]).await;
    life.worker.pass().await.unwrap();
    let status = life.dns.status(life.key()).await.unwrap().unwrap();
    assert_eq!(status.entries.len(), 4);
    for entry in &status.entries {
        assert_eq!(entry.state, DnsState::Planned);
        let said = entry.last_error.as_deref().unwrap_or_default();
        assert!(said.contains("127.0.0.1") || said.contains("does not answer"), "{said}");
    }
    life.place.start_again();
    life.settle().await;
    assert_eq!(life.lines().await.len(), 4);
    assert_eq!(life.states().await, [DnsState::Published; 4]);
    life.place.stop();
    life.terminate().await;
    life.worker.pass().await.unwrap();
    assert_eq!(life.states().await, [DnsState::Withdrawing; 4]);
    life.place.start_again();
    life.settle().await;
    assert_eq!(life.lines().await, Vec::<String>::new());
    assert_eq!(life.states().await, []);
}

macro_rules! lives {
    ($($case:ident),* $(,)?) => {
        mod with_powerdns {
            $(#[tokio::test]
            async fn $case() {
                super::$case::<super::PowerDns>().await;
            })*
        }
        mod with_bind {
            $(#[tokio::test]
            async fn $case() {
                super::$case::<super::Bind>().await;
            })*
        }
    };
}

lives! {
    a_machine_is_published_changed_named_and_taken_away,
    others_are_left_alone_and_in_the_way_until_they_go,
    a_server_that_was_down_is_caught_up_with,
}
