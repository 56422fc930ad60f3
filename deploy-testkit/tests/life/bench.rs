//! A machine of ours in a model cluster, and a clock.

use deploy_core::*;
use deploy_testkit::{
    ManualClock,
    sample::{key, parsed, vmid},
    world::{Archive, Cluster, Delivery, Effect, Fault, ModelMachine, World},
};
use jiff::SignedDuration;
use std::{pin::pin, sync::Arc};

pub(crate) const OURS: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(0xc1_0e));
pub(crate) const NUMBER: u32 = 100;

/// Futures of the model never wait for anything but a further poll.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) world: World,
}

impl Bench {
    /// A machine of ours with a disk, under a number.
    pub(crate) fn new(prepare: impl FnOnce(&mut Cluster)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let world = World::new(clock.clone());
        world.with(|cluster| {
            cluster.add(vmid(NUMBER), ours());
            prepare(cluster);
        });
        Self { clock, world }
    }

    pub(crate) fn submit(&self, change: &Change) -> Result<Submitted, SubmitError> {
        let revision = self.see(|machine| format!("r{}", machine.revision)).map(|text| parsed(&text));
        let target =
            Target { machine: id(), mark: OwnerMark(key(1)), smbios: Some(OURS), revision, not_after: None };
        now(self.world.submit(&target, change))
    }

    pub(crate) fn meet(&self, change: &Change, fault: Fault) -> Result<Submitted, SubmitError> {
        self.world.with(|cluster| cluster.faults.changes.push_back(fault));
        self.submit(change)
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
        self.world.with(|_| {});
    }

    pub(crate) fn see<T>(&self, look: impl FnOnce(&ModelMachine) -> T) -> Option<T> {
        self.world.with(|cluster| cluster.machines.get(&vmid(NUMBER)).map(look))
    }

    pub(crate) fn cluster<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        self.world.with(look)
    }

    /// All of it but what counts changes.
    pub(crate) fn picture(&self) -> Option<ModelMachine> {
        self.see(|machine| ModelMachine { revision: 0, ..machine.clone() })
    }

    pub(crate) fn look(&self, look: Look) -> Machine {
        match now(self.world.machine(&id(), look)) {
            Sighting::Seen(machine) => *machine,
            unseen => panic!("{unseen:?}"),
        }
    }

    pub(crate) fn ended(&self, submitted: &Submitted) -> Option<Ended> {
        let Submitted::Task(task) = submitted else { return None };
        match &now(self.world.tasks(&id().cluster, std::slice::from_ref(task)))[..] {
            [TaskState::Ended(ended)] => Some(ended.clone()),
            states => panic!("{states:?}"),
        }
    }
}

pub(crate) fn id() -> MachineId {
    MachineId { cluster: parsed("pve"), vmid: vmid(NUMBER), node: parsed("node1") }
}

pub(crate) fn ours() -> ModelMachine {
    let mut machine = ModelMachine { template: false, written: 7, ..ModelMachine::template(parsed("node1")) };
    machine.config.smbios = Some(OURS);
    machine.config.description = OwnerMark(key(1)).to_string();
    machine.config.name = Some(parsed("one.example.net"));
    for disk in machine.config.disks.values_mut() {
        disk.volume = format!("local:vm-{NUMBER}-disk-0");
    }
    machine
}

pub(crate) fn backup(volume: &str) -> Backup {
    Backup {
        node: parsed("node1"),
        storage: parsed("nas"),
        volume: volume.to_owned(),
        protected: false,
        size: None,
        made_at: None,
        notes: None,
    }
}

pub(crate) fn machine(cluster: &mut Cluster) -> &mut ModelMachine {
    cluster.machines.get_mut(&vmid(NUMBER)).unwrap()
}

pub(crate) fn runs(cluster: &mut Cluster) {
    machine(cluster).power = Power::Running;
}

/// A backup of the machine as it is; then the guest writes on, and somebody renames it.
pub(crate) fn backed_up(cluster: &mut Cluster) {
    let archive = Archive::of(machine(cluster));
    cluster.archives.insert("nas:one".to_owned(), archive);
    let machine = machine(cluster);
    machine.backups.push(backup("nas:one"));
    goes_on(machine);
}

pub(crate) fn goes_on(machine: &mut ModelMachine) {
    machine.written = 9;
    machine.config.name = Some(parsed("two.example.net"));
}

pub(crate) fn is_as_it_was(machine: &ModelMachine) -> bool {
    machine.written == 7 && machine.config.name == Some(parsed("one.example.net")) && machine.lock.is_none()
}

pub(crate) fn name() -> SnapshotName {
    parsed("before")
}

pub(crate) fn restore(identity: SmbiosUuid) -> Change {
    Change::RestoreBackup { backup: backup("nas:one"), storage: None, identity }
}

pub(crate) fn take() -> Change {
    Change::CreateSnapshot { name: name(), description: "pvd-expires:2030-01-01T00:00:00Z".to_owned() }
}

/// Takes a snapshot before anything else happens.
pub(crate) fn with_snapshot(bench: &Bench) {
    bench.submit(&take()).unwrap();
    bench.pass(2);
    bench.cluster(|cluster| goes_on(machine(cluster)));
}

pub(crate) fn fault(delivery: Delivery, effect: Effect) -> Fault {
    Fault { delivery, effect }
}
