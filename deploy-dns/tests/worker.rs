//! The worker's loop and the front door, in virtual time.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use async_trait::async_trait;
use deploy_core::{
    Assignment, Commit, DnsData, DnsName, DnsState, DnsStore, ErrorClass, Family, Lease, LeaseStore,
    PtrError, RecordStore,
};
use deploy_dns::{
    Dns, DnsError, DnsProvider, DnsWorker, Matching, Providers, SetDnsError, Standing, StandingData, Zone,
    Zones,
};
use deploy_testkit::{ManualClock, MemoryStore, sample};
use jiff::SignedDuration;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// Takes a second for each request, and counts how many there are at once.
#[derive(Default)]
struct Slow {
    records: Mutex<BTreeSet<(DnsName, DnsData)>>,
    at_once: AtomicUsize,
    most: AtomicUsize,
    is_down: AtomicBool,
}

impl Slow {
    async fn work(&self) -> Result<(), DnsError> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        sleep(Duration::from_secs(1)).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(DnsError::not_sent(ErrorClass::Unreachable, "nobody is there"));
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.records.lock().unwrap().len()
    }
}

#[async_trait]
impl DnsProvider for Slow {
    async fn list(&self, _zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
        self.work().await?;
        let records = self.records.lock().unwrap();
        let here = records.iter().filter(|(at, _)| at == name);
        Ok(here.map(|(_, data)| Standing { data: StandingData::Known(data.clone()), ttl: 300 }).collect())
    }

    async fn upsert(
        &self,
        _zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        _ttl: u32,
        _seen: &[Standing],
    ) -> Result<(), DnsError> {
        self.work().await?;
        self.records.lock().unwrap().insert((name.clone(), data.clone()));
        Ok(())
    }

    async fn delete(&self, _zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        self.work().await?;
        self.records.lock().unwrap().remove(&(name.clone(), data.clone()));
        Ok(())
    }

    async fn check(&self, _zone: &DnsName) -> Result<(), DnsError> {
        self.work().await
    }
}

struct Bench {
    provider: Arc<Slow>,
    store: MemoryStore,
    clock: Arc<ManualClock>,
    worker: DnsWorker,
}

impl Bench {
    async fn new(at_once: usize) -> Self {
        let provider = Arc::new(Slow::default());
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
        store.heartbeat(&sample::worker(1), SignedDuration::from_hours(10_000)).await.unwrap();
        let providers = Providers::new().with(sample::parsed("ns1"), provider.clone(), at_once);
        let zone = Zone { provider: sample::parsed("ns1"), name: sample::parsed("example.net"), ttl: 300 };
        let zones = Zones::new([zone], Matching::Longest);
        let worker = DnsWorker::new(Arc::new(store.clone()), providers, zones, clock.clone());
        Self { provider, store, clock, worker }
    }

    /// Machines with an address each, ordered and assigned.
    async fn machines(&self, numbers: std::ops::RangeInclusive<u8>) -> Vec<Lease> {
        for n in numbers {
            self.store.create(&sample::order(u32::from(n))).await.unwrap();
        }
        let leased = self.store.claim(sample::worker(1).id, 100).await.unwrap();
        for (n, leased) in (1..).zip(&leased) {
            let assignment = Assignment {
                nic: sample::want(Family::V4, 1, &[]).nic,
                address: [192, 0, 2, n].into(),
                prefix_len: 24,
                gateway: None,
                resolvers: Vec::new(),
                pool: sample::parsed("public"),
            };
            let commit = Commit { addresses: Some(vec![assignment]), ..Commit::default() };
            self.store.commit(&leased.lease, commit).await.unwrap();
        }
        leased.iter().map(|leased| leased.lease).collect()
    }

    fn dns(&self) -> Dns {
        Dns::new(Arc::new(self.store.clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_gets_no_more_machines_at_once_than_it_can_bear() {
    let bench = Bench::new(3).await;
    bench.machines(1..=12).await;
    let running = bench.worker.start();
    while bench.provider.count() < 12 {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.provider.most.load(Ordering::SeqCst), 3);
    running.drain().await;
}

/// The bell is heard long before the worker would look by itself.
#[tokio::test(start_paused = true)]
async fn records_are_set_at_once_and_their_fate_is_told() {
    let bench = Bench::new(3).await;
    let worker = bench.worker.clone().with_poll(Duration::from_secs(3600));
    let running = worker.start();
    sleep(Duration::from_secs(10)).await;
    let lease = bench.machines(1..=1).await[0];
    let dns = bench.dns().with_doorbell(running.doorbell());
    let begun = Instant::now();
    let entries = dns.set_dns_records(lease.key).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(entries.iter().map(|entry| entry.state).collect::<Vec<_>>(), [DnsState::Published]);
    bench.provider.is_down.store(true, Ordering::SeqCst);
    let entries = dns.set_dns_records(lease.key).await.unwrap();
    assert_eq!(entries[0].last_error.as_deref(), Some("nobody is there"));
    bench.provider.is_down.store(false, Ordering::SeqCst);
    let entries = dns.set_dns_records(lease.key).await.unwrap();
    assert_eq!((entries[0].state, entries[0].last_error.clone()), (DnsState::Published, None));
    running.drain().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_worker_it_is_waited_for_and_done_later() {
    let bench = Bench::new(3).await;
    let lease = bench.machines(1..=1).await[0];
    let dns = bench.dns();
    let waited = timeout(Duration::from_secs(600), dns.set_dns_records(lease.key)).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(bench.provider.count(), 0);
    assert_eq!(bench.worker.pass().await.unwrap(), 1);
    assert_eq!(bench.provider.count(), 1);
    let unknown = sample::key(99);
    assert_eq!(dns.set_dns_records(unknown).await, Err(SetDnsError::NotFound(unknown)));
    assert_eq!(dns.status(unknown).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_drained_finishes_what_it_began() {
    let bench = Bench::new(16).await;
    let leases = bench.machines(1..=4).await;
    let running = bench.worker.start();
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(bench.provider.count(), 0, "the requests are under way");
    running.drain().await;
    assert_eq!(bench.provider.count(), 4);
    for lease in leases {
        assert!(bench.dns().status(lease.key).await.unwrap().unwrap().is_settled());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_worker_had_in_hand_is_taken_up_when_its_time_is_over() {
    let bench = Bench::new(16).await;
    bench.machines(1..=4).await;
    let running = bench.worker.start();
    sleep(Duration::from_millis(1500)).await;
    drop(running);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.provider.count(), 0);
    assert_eq!(bench.worker.pass().await.unwrap(), 0, "nothing can be claimed yet");
    bench.clock.advance(SignedDuration::from_secs(120));
    assert_eq!(bench.worker.pass().await.unwrap(), 4);
    assert_eq!(bench.provider.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_could_look_up_is_refused() {
    let bench = Bench::new(1).await;
    let lease = bench.machines(1..=1).await[0];
    let refused = bench.dns().set_ptr(lease.key, [192, 0, 2, 1].into(), sample::parsed("mail")).await;
    assert!(matches!(refused, Err(PtrError::Invalid(_))), "{refused:?}");
    let not_held =
        bench.dns().set_ptr(lease.key, [192, 0, 2, 9].into(), sample::parsed("mail.example.org")).await;
    assert!(matches!(not_held, Err(PtrError::NotHeld { .. })), "{not_held:?}");
    bench.dns().set_ptr(lease.key, [192, 0, 2, 1].into(), sample::parsed("mail.example.org")).await.unwrap();
    assert_eq!(bench.dns().status(lease.key).await.unwrap().unwrap().names.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_zone_is_checked() {
    let bench = Bench::new(1).await;
    let providers = Providers::new().with(sample::parsed("ns1"), bench.provider.clone(), 1);
    let zone =
        |provider, name| Zone { provider: sample::parsed(provider), name: sample::parsed(name), ttl: 1 };
    let zones = Zones::new([zone("ns2", "example.org"), zone("ns1", "example.net")], Matching::All);
    let checks = providers.check(&zones).await;
    assert_eq!(checks.len(), 2);
    assert_eq!((checks[0].zone.as_str(), checks[0].outcome.clone()), ("example.net", Ok(())));
    let said = checks[1].outcome.clone().unwrap_err().to_string();
    assert!(said.starts_with("the DNS provider ns2 is not configured"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn machines_are_found_by_looking_where_nobody_rings() {
    let bench = Bench::new(4).await;
    let running = bench.worker.start();
    sleep(Duration::from_secs(30)).await;
    bench.machines(1..=1).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.provider.count(), 1);
    assert_eq!(bench.store.next_dns_due().await.unwrap(), None);
    running.drain().await;
}
