//! How machines are on their clusters: what lists tell, and when a closer look is taken.

#![allow(clippy::unwrap_used)] // also in what the tests share

use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::{
    ManualClock, MemoryStore, sample,
    world::{ModelMachine, World},
};
use deploy_worker::RemoteView;
use jiff::SignedDuration;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Clusters by name; one that is not here is down.
#[derive(Default)]
struct Clusters {
    worlds: BTreeMap<ClusterName, World>,
    asked: Mutex<(usize, usize)>,
}

#[async_trait]
impl Surveyor for Clusters {
    async fn survey(&self, cluster: &ClusterName) -> Result<Survey, LookError> {
        self.asked.lock().unwrap().0 += 1;
        match self.worlds.get(cluster) {
            Some(world) => world.survey(cluster).await,
            None => {
                Err(LookError { class: ErrorClass::Unreachable, message: format!("{cluster}: no route") })
            }
        }
    }

    async fn inspect(&self, id: &MachineId) -> Inspection {
        self.asked.lock().unwrap().1 += 1;
        self.worlds[&id.cluster].inspect(id).await
    }
}

struct Bench {
    clusters: Arc<Clusters>,
    clock: Arc<ManualClock>,
    store: MemoryStore,
    view: RemoteView,
}

impl Bench {
    /// With clusters `pve` and `other`; `down` is not reachable.
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let names: [ClusterName; 2] = [sample::cluster_name(), "other".parse().unwrap()];
        let worlds = names.map(|name| (name, World::new(clock.clone())));
        let clusters = Arc::new(Clusters { worlds: worlds.into(), ..Clusters::default() });
        let store = MemoryStore::new(clock.clone());
        for name in ["pve", "other", "down"] {
            let settings = ClusterSettings { name: name.parse().unwrap(), ..sample::cluster(100, 999) };
            store.put_cluster(&settings).await.unwrap();
        }
        let view = RemoteView::new(clusters.clone(), Arc::new(store.clone())).with_clock(clock.clone());
        Self { clusters, clock, store, view }
    }

    /// The record of a machine that is ready, and the machine on its cluster as ordered.
    async fn ready(&self, n: u32, cluster: &str) -> VmRecord {
        let spec = VmSpec { cluster: cluster.parse().unwrap(), ..sample::spec() };
        let order = sample::order_of(n, spec);
        let ordered = self.store.create(&order).await.unwrap().record().clone();
        let smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(n.into())));
        let record = VmRecord { step: Step::Ready, due: Due::OnCommand, smbios, ..ordered };
        if let Some(world) = self.clusters.worlds.get(&record.spec.cluster) {
            let since = self.clock.now() - SignedDuration::from_hours(2);
            world.with(|cluster| cluster.add(record.numbered.vmid, machine(&record, since)));
        }
        record
    }

    fn change(&self, record: &VmRecord, change: impl FnOnce(&mut ModelMachine)) {
        self.clusters.worlds[&record.spec.cluster]
            .with(|cluster| change(cluster.machines.get_mut(&record.numbered.vmid).unwrap()));
    }

    fn cluster<T>(&self, change: impl FnOnce(&mut deploy_testkit::world::Cluster) -> T) -> T {
        self.clusters.worlds[&sample::cluster_name()].with(change)
    }

    async fn listed(&self, record: &VmRecord) -> Remote {
        self.view.statuses(std::slice::from_ref(record)).await.remove(0).seen
    }

    async fn seen(&self, record: &VmRecord) -> Remote {
        self.view.status(record).await.seen
    }

    /// Lists and looks since it was last asked.
    fn asked(&self) -> (usize, usize) {
        std::mem::take(&mut *self.clusters.asked.lock().unwrap())
    }
}

fn machine(record: &VmRecord, running_since: jiff::Timestamp) -> ModelMachine {
    let mut machine = ModelMachine::template("node1".parse().unwrap());
    machine.template = false;
    machine.power = Power::Running;
    machine.running_since = Some(running_since);
    machine.config.name = Some(record.numbered.pve_name.clone());
    machine.config.smbios = record.smbios;
    machine.config.description = record.mark().to_string();
    machine.config.sockets = Some(record.spec.sockets);
    machine.config.cores = Some(record.spec.cores);
    machine.config.memory = Some(record.spec.memory);
    for disk in machine.config.disks.values_mut() {
        disk.size = Some(record.spec.system_disk.size.bytes());
    }
    machine
}

fn there(seen: Remote) -> RemoteMachine {
    match seen {
        Remote::There(machine) => *machine,
        other => panic!("{other:?}"),
    }
}

fn unknown(seen: Remote) -> String {
    match seen {
        Remote::Unknown(why) => why.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_thousand_machines_take_one_list_of_each_cluster() {
    let bench = Bench::new().await;
    let mut records = Vec::new();
    for n in 0..500 {
        records.push(bench.ready(2 * n, "pve").await);
        records.push(bench.ready(2 * n + 1, "other").await);
    }
    bench.change(&records[7], |machine| machine.power = Power::Stopped);
    bench.change(&records[7], |machine| machine.running_since = None);
    bench.change(&records[8], |machine| machine.config.memory = Some(512.try_into().unwrap()));
    let statuses = bench.view.statuses(&records).await;
    assert_eq!(bench.asked(), (2, 0));
    assert_eq!(statuses.len(), 1000);
    for (n, (record, status)) in records.iter().zip(&statuses).enumerate() {
        let machine = status.machine().unwrap();
        assert_eq!((status.key, status.at), (record.key, bench.clock.now()));
        let (state, uptime) = if n == 7 { (MachineState::Stopped, 0) } else { (MachineState::Running, 7200) };
        assert_eq!((machine.state.clone(), machine.uptime), (Some(state), Some(uptime)));
        assert_eq!((machine.node.as_str(), machine.close.is_none()), ("node1", true));
        assert_eq!(machine.drift.len(), usize::from(n == 7 || n == 8), "{n}: {:?}", machine.drift);
    }
    assert_eq!(statuses[8].machine().unwrap().drift[0].to_string(), "memory: 512 MiB instead of 2048 MiB");
}

#[tokio::test]
async fn one_machine_shows_everything_by_one_look() {
    let bench = Bench::new().await;
    let record = bench.ready(1, "pve").await;
    bench.change(&record, |machine| {
        machine.config.agent = true;
        machine.power = Power::Running;
        machine.config.disks.values_mut().for_each(|disk| disk.size = Some(Bytes(90 << 30)));
        machine.pending.insert("memory".to_owned());
    });
    let machine = there(bench.seen(&record).await);
    assert_eq!(bench.asked(), (0, 1));
    assert_eq!((machine.state, machine.uptime), (Some(MachineState::Running), Some(7200)));
    assert_eq!(machine.drift.len(), 1);
    assert_eq!(machine.drift[0].field, "system_disk.size");
    let close = machine.close.unwrap();
    assert_eq!(close.agent, Some(Agent::Answers(vec![])));
    assert_eq!(close.pending.into_iter().collect::<Vec<_>>(), ["memory"]);
    bench.change(&record, |machine| machine.power = Power::Suspended("io-error".to_owned()));
    assert_eq!(there(bench.seen(&record).await).state, Some(MachineState::Paused("io-error".to_owned())));
}

#[tokio::test]
async fn a_cluster_that_is_down_makes_its_own_machines_unknown_and_no_others() {
    let bench = Bench::new().await;
    let records = [bench.ready(1, "pve").await, bench.ready(2, "down").await, bench.ready(3, "other").await];
    let mut statuses = bench.view.statuses(&records).await;
    assert_eq!(bench.asked(), (3, 0));
    assert!(statuses[0].machine().is_some() && statuses[2].machine().is_some());
    assert_eq!(unknown(statuses.remove(1).seen), "down: no route");
}

#[tokio::test]
async fn a_node_that_is_down_makes_its_own_machines_unknown_and_no_others() {
    let bench = Bench::new().await;
    let (here, there) = (bench.ready(1, "pve").await, bench.ready(2, "pve").await);
    bench.change(&there, |machine| machine.node = "node2".parse().unwrap());
    bench.cluster(|cluster| cluster.nodes_down.insert("node2".parse().unwrap()));
    let statuses = bench.view.statuses(&[here.clone(), there.clone()]).await;
    // For five minutes the list goes on to call it running.
    assert!(statuses[0].machine().is_some());
    assert_eq!(unknown(statuses[1].seen.clone()), "node node2 is down");
    assert_eq!(bench.asked(), (1, 0), "nor is it looked at");
    assert_eq!(unknown(bench.seen(&there).await), "no route to host");
}

#[tokio::test]
async fn what_a_list_lacks_is_looked_at_before_it_is_called_absent() {
    let bench = Bench::new().await;
    let (hidden, gone) = (bench.ready(1, "pve").await, bench.ready(2, "pve").await);
    bench.cluster(|cluster| {
        cluster.unlisted.insert(hidden.numbered.vmid);
        cluster.machines.remove(&gone.numbered.vmid);
    });
    let statuses = bench.view.statuses(&[hidden, gone]).await;
    assert_eq!(bench.asked(), (1, 2));
    assert!(statuses[0].machine().unwrap().close.is_some(), "a look tells more than a list");
    assert_eq!(statuses[1].seen, Remote::Absent);
}

#[tokio::test]
async fn nothing_is_asked_about_what_cannot_be_there() {
    let bench = Bench::new().await;
    let ready = bench.ready(1, "pve").await;
    let ordered = VmRecord { step: Step::SetIp, smbios: None, ..ready.clone() };
    let over = VmRecord { step: Step::Terminated, operation: Operation::Terminate, ..ready.clone() };
    bench.cluster(|cluster| cluster.machines.clear());
    let removed = VmRecord { step: Step::Removed, ..ready.clone() };
    for record in [&ordered, &over, &removed] {
        assert_eq!(bench.listed(record).await, Remote::Absent);
        assert_eq!(bench.asked(), (1, 0));
    }
    let cloning = VmRecord { step: Step::Clone, smbios: None, ..ready };
    assert_eq!(bench.listed(&cloning).await, Remote::Absent);
    assert_eq!(bench.asked(), (1, 1));
}

#[tokio::test]
async fn a_stranger_under_our_number_is_shown_as_one() {
    let bench = Bench::new().await;
    let record = bench.ready(1, "pve").await;
    bench.change(&record, |machine| {
        machine.config.name = Some("theirs".parse().unwrap());
        machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(99)));
        machine.lock = Some("backup".to_owned());
    });
    let stranger = Remote::Stranger { node: "node1".parse().unwrap(), name: Some("theirs".to_owned()) };
    assert_eq!(bench.listed(&record).await, stranger);
    assert_eq!(bench.seen(&record).await, stranger);
    // One that goes by our name as well is known by a look alone.
    bench.change(&record, |machine| machine.config.name = Some(record.numbered.pve_name.clone()));
    assert!(matches!(bench.seen(&record).await, Remote::Stranger { .. }));
    // Somebody edited name and notes, and it is ours all the same.
    bench.change(&record, |machine| {
        machine.config.name = Some("renamed".parse().unwrap());
        machine.config.description.clear();
        machine.config.smbios = record.smbios;
    });
    let machine = there(bench.listed(&record).await);
    assert_eq!(
        machine.drift.iter().map(|drift| drift.field.as_str()).collect::<Vec<_>>(),
        ["pve_name", "mark"]
    );
}

#[tokio::test]
async fn a_lock_is_named_and_dated_from_the_first_look_at_it() {
    let bench = Bench::new().await;
    let record = bench.ready(1, "pve").await;
    bench.change(&record, |machine| machine.lock = Some("backup".to_owned()));
    let first = bench.clock.now();
    let backup = Some(LockSince { lock: Lock::Backup, since: Some(first) });
    assert_eq!(there(bench.listed(&record).await).lock, backup);
    bench.clock.advance(SignedDuration::from_mins(20));
    assert_eq!(there(bench.listed(&record).await).lock, backup);
    assert_eq!(there(bench.seen(&record).await).lock, backup);
    // Nobody can see it, which says nothing about its lock.
    bench.cluster(|cluster| cluster.nodes_down.insert("node1".parse().unwrap()));
    unknown(bench.seen(&record).await);
    bench.cluster(|cluster| cluster.nodes_down.clear());
    assert_eq!(there(bench.seen(&record).await).lock, backup);
    bench.change(&record, |machine| machine.lock = None);
    assert_eq!(there(bench.listed(&record).await).lock, None);
    let again = bench.clock.advance(SignedDuration::from_mins(1));
    bench.change(&record, |machine| machine.lock = Some("migrate-9".to_owned()));
    let other = Lock::Other("migrate-9".to_owned());
    assert_eq!(there(bench.seen(&record).await).lock, Some(LockSince { lock: other, since: Some(again) }));
}

#[tokio::test]
async fn a_machine_whose_memory_is_on_disk_is_not_merely_stopped() {
    let bench = Bench::new().await;
    let record = bench.ready(1, "pve").await;
    bench.change(&record, |machine| {
        machine.lock = Some("suspended".to_owned());
        machine.power = Power::Stopped;
    });
    assert_eq!(there(bench.listed(&record).await).state, Some(MachineState::SuspendedToDisk));
    assert_eq!(there(bench.seen(&record).await).state, Some(MachineState::SuspendedToDisk));
    bench.change(&record, |machine| {
        machine.lock = Some("suspending".to_owned());
        machine.power = Power::Running;
    });
    assert_eq!(there(bench.listed(&record).await).state, Some(MachineState::Suspending));
}

#[tokio::test]
async fn a_list_that_lacks_them_all_does_not_cost_a_look_at_each() {
    let bench = Bench::new().await;
    let mut records = Vec::new();
    for n in 0..130 {
        records.push(bench.ready(n, "pve").await);
    }
    bench.cluster(|cluster| cluster.unlisted.extend(records.iter().map(|record| record.numbered.vmid)));
    let statuses = bench.view.statuses(&records).await;
    assert_eq!(bench.asked(), (1, 100));
    assert_eq!(statuses.iter().filter(|status| status.machine().is_some()).count(), 100);
    let why = unknown(statuses.into_iter().find(|status| status.machine().is_none()).unwrap().seen);
    assert!(why.contains("ask for it alone"), "{why}");
}
