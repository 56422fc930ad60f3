//! A cluster, a store and one order, and the workers that come and go.

use crate::{
    commanded::{Ask, Commanded},
    driver::{Driver, End},
    ledger::Ledger,
    planted::Planted,
    scenario::{Meanwhile, Scenario, Start, stranger},
    wire::Wire,
};
use deploy_core::*;
use deploy_testkit::{
    ManualClock, MemoryStore, sample,
    world::{Archive, ModelMachine, World},
};
use jiff::SignedDuration;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, atomic::AtomicBool},
    task::{Context, Poll, Waker},
};

/// So long a worker lives after its last heartbeat.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct Stage<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Ledger,
    /// What the workers were shown of the machine's settings.
    shown: Arc<Mutex<Option<MachineConfig>>>,
    /// The number that somebody else's machine has now.
    pub(crate) replaced: Cell<Option<Vmid>>,
    /// The disks that there were when the last command was given.
    pub(crate) disks: RefCell<BTreeMap<DiskSlot, Disk>>,
    workers: u32,
    /// How many commands were given.
    commands: Cell<u128>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let clock = Arc::new(ManualClock::default());
        let world = Arc::new(World::new(clock.clone()));
        world.with(|cluster| scenario.set_up(cluster));
        let store = MemoryStore::new(clock.clone());
        let mut cluster = sample::cluster(100, 199);
        if scenario.planted == Some(Planted::NoRest) {
            cluster.quarantine = SignedDuration::ZERO;
        }
        now(store.put_cluster(&cluster)).unwrap();
        for (name, prefix_len, range) in POOLS {
            let range = sample::range(range.0, range.1);
            let mut pool = sample::pool(name, prefix_len, &[range]);
            pool.vlan = None;
            now(store.put_pool(&pool, &[range])).unwrap();
        }
        let order = match scenario.start {
            Start::Adoption => crate::adoption::order(scenario),
            _ => sample::order_of(1, scenario.spec.clone()),
        };
        now(store.create(&order)).unwrap();
        let ledger = Ledger {
            store,
            world: world.clone(),
            planted: None,
            holder: Arc::default(),
            violations: Arc::default(),
            held_back: Arc::default(),
        };
        let shown = Arc::default();
        let mut stage = Self {
            scenario,
            clock,
            world,
            ledger,
            shown,
            replaced: Cell::default(),
            disks: RefCell::default(),
            workers: 0,
            commands: Cell::new(1),
        };
        stage.begin();
        stage.ledger.planted = scenario.planted;
        stage
    }

    /// Brings the order to where the scenario starts.
    fn begin(&mut self) {
        match self.scenario.start {
            Start::Order | Start::Adoption => {}
            Start::Ready => {
                assert_eq!(self.worker().finish().1, End::Rest);
                let vmid = self.record().numbered.vmid;
                self.world.with(|cluster| {
                    let machine = cluster.machines.get_mut(&vmid).unwrap();
                    machine.config.protected = true;
                    let backups = [("kept", true), ("gone", false), ("foreign", false)];
                    machine.backups = backups.map(|b| self.backup(b)).into();
                    // As new as ours, of a machine of another cluster that has the number.
                    let (ours, theirs) = (Archive::of(machine), Archive::of(&stranger()));
                    let held = [("kept", &ours), ("gone", &ours), ("foreign", &theirs)];
                    let held = held.map(|(volume, archive)| (volume.to_owned(), archive.clone()));
                    cluster.archives.extend(held);
                });
                self.terminate();
            }
            Start::Commanded => {
                assert_eq!(self.worker().finish().1, End::Rest);
                let Some(Commanded { before, command }) = self.scenario.commanded.clone() else { return };
                for ask in before {
                    self.ask(&ask);
                    assert_eq!(self.worker().finish().1, End::Rest);
                    let record = self.record();
                    let last = record.life.settled.last().map(|settled| &settled.outcome);
                    assert_eq!(last, Some(&CommandOutcome::Done), "{ask:?}");
                    assert!(record.step.is_rest(), "{ask:?}");
                }
                self.ask(&command);
            }
            Start::Cloning => {
                let mut worker = self.worker();
                let clones = |machine: &ModelMachine| machine.lock.is_some();
                while !self.world.with(|cluster| cluster.machines.values().any(clones)) {
                    assert_eq!(worker.poll(1), None);
                }
                drop(worker);
                self.lose_lease();
                self.terminate();
            }
        }
        self.world.with(|cluster| self.scenario.make_trouble(cluster));
    }

    fn backup(&self, (volume, protected): (&str, bool)) -> Backup {
        Backup {
            node: self.scenario.spec.node.clone(),
            storage: sample::parsed("backup"),
            volume: volume.to_owned(),
            protected,
            size: None,
            made_at: Some(self.clock.now()),
            notes: None,
        }
    }

    /// A fresh worker claims the machine, once it is due.
    pub(crate) fn worker(&mut self) -> Driver {
        let store = &self.ledger.store;
        let Some(due) = now(store.next_due()).unwrap() else { return Driver::idle() };
        self.clock.set(due.max(self.clock.now()));
        self.workers += 1;
        let worker = sample::worker(self.workers);
        now(store.heartbeat(&worker, LEASE)).unwrap();
        let Some(mut leased) = now(store.claim(worker.id, 1)).unwrap().pop() else { return Driver::idle() };
        *self.ledger.holder.lock().unwrap() = Some(leased.lease);
        if let Some(planted) = self.ledger.planted {
            self.world.with(|cluster| planted.misread(&mut leased.record, cluster));
        }
        let ledger = Arc::new(Ledger { held_back: Arc::default(), ..self.ledger.clone() });
        let wire = Wire {
            world: self.world.clone(),
            store: store.clone(),
            planted: self.ledger.planted,
            shown: self.shown.clone(),
            destroyed: AtomicBool::default(),
        };
        let seams = Seams {
            hypervisor: Arc::new(wire),
            pool: ledger.clone(),
            store: ledger,
            clock: self.clock.clone(),
            gate: Arc::new(OpenGate),
            policy: RetryPolicy::default(),
            dns: Some(DnsDesk { store: Arc::new(store.clone()), doorbell: Arc::new(NoDoorbell) }),
        };
        Driver::new(seams, self.clock.clone(), leased)
    }

    /// The worker is not heard of for as long as it may be, and whatever it held is released.
    pub(crate) fn lose_lease(&mut self) {
        self.clock.advance(LEASE);
        now(self.ledger.store.sweep()).unwrap();
        *self.ledger.holder.lock().unwrap() = None;
    }

    /// What happens as soon as the first worker is gone.
    pub(crate) fn meanwhile(&self) {
        let record = self.record();
        let vmid = record.numbered.vmid;
        match self.scenario.meanwhile {
            Meanwhile::Nothing => {}
            Meanwhile::TakenBack => self.terminate(),
            Meanwhile::HeldAndTakenBack => {
                self.command(Command::Hold);
                self.terminate();
                self.command(Command::Release);
            }
            Meanwhile::Suspended => self.command(Command::Suspend),
            Meanwhile::Meddled => self.world.with(|cluster| {
                let idle = cluster.is_idle();
                let ours = |machine: &ModelMachine| machine.config.smbios == record.smbios;
                let stopped = |machine: &ModelMachine| machine.power == Power::Stopped;
                let machine =
                    cluster.machines.get_mut(&vmid).filter(|machine| ours(machine) && stopped(machine));
                if let Some(machine) = machine.filter(|_| idle) {
                    machine.config.cores = Some(sample::count(1));
                    machine.pending.insert("cores".to_owned());
                    machine.revision += 1_000;
                }
            }),
            Meanwhile::CloneKilled => self.world.with(|cluster| {
                if cluster.machines.get(&vmid).is_some_and(|machine| machine.lock.is_some()) {
                    cluster.kill_tasks(vmid);
                    cluster.machines.remove(&vmid);
                    cluster.volumes.retain(|_, volume| volume.vmid != vmid);
                }
            }),
            Meanwhile::Vanished | Meanwhile::Replaced => {
                if record.smbios.is_some() {
                    self.take_away(vmid);
                }
            }
        }
    }

    fn take_away(&self, vmid: Vmid) {
        self.world.with(|cluster| {
            let backups = cluster.machines.remove(&vmid).map(|machine| machine.backups);
            cluster.kept_backups.entry(vmid).or_default().extend(backups.into_iter().flatten());
            cluster.volumes.retain(|_, volume| volume.vmid != vmid);
            if self.scenario.meanwhile == Meanwhile::Replaced {
                cluster.add(vmid, self.scenario.replacement());
                self.replaced.set(Some(vmid));
            }
        });
        now(self.ledger.store.check(sample::key(1))).unwrap();
    }

    /// The order is taken back; of a machine that is not adopted yet is let go.
    pub(crate) fn terminate(&self) {
        let adopts = self.record().life.adopts.is_some();
        self.command(if adopts { Command::LetGo } else { Command::Terminate });
    }

    fn ask(&self, ask: &Ask) {
        let record = self.record();
        *self.disks.borrow_mut() = self.world.with(|cluster| {
            let machine = cluster.machines.get(&record.numbered.vmid);
            machine.map(|machine| machine.config.disks.clone()).unwrap_or_default()
        });
        let backup = self.world.with(|cluster| {
            let machine = cluster.machines.get(&record.numbered.vmid)?;
            machine.backups.first().cloned()
        });
        self.command(ask.command(&record, backup.as_ref()));
    }

    fn command(&self, command: Command) {
        let given = self.commands.get();
        self.commands.set(given + 1);
        let id = CommandId(uuid::Uuid::from_u128(given));
        now(self.ledger.store.command(sample::key(1), id, command)).unwrap();
    }

    pub(crate) fn record(&self) -> VmRecord {
        now(self.ledger.store.get(sample::key(1))).unwrap().unwrap()
    }
}

/// Pools with the lengths of their prefixes and their ranges.
pub(crate) const POOLS: [(&str, u8, (&str, &str)); 2] =
    [("public-v4", 24, ("192.0.2.10", "192.0.2.19")), ("public-v6", 64, ("2001:db8::10", "2001:db8::19"))];

/// What a store in memory answers, which is at once.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a store in memory never waits"),
    }
}
