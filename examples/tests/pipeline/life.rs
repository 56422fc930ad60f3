//! What the life of a machine asks of the hypervisor beyond its making, through the real client: each change does what it says,
//! once more does what its documentation says, and one whose answer is lost is carried out all the same.

use super::{
    bench::{Bench, client, small, spec},
    rights,
};
use deploy_core::{
    Backup, BackupMode, Backups, Change, Configure, DestroyMode, DiskGoal, DiskLimits, DiskSlot, Ended,
    ErrorClass, ExpiryMark, HaState, Look, Machine, MachineId, Ownership, Power, Sent, Sighting, Step,
    StopMode, SubmitError, Submitted, Target, TaskState, VmRecord,
};
use proxmox_api::Params;
use proxmox_sim::{BackupConfig, ClusterConfig, Faults, Switch};
use std::time::Duration;

/// A machine that is ready, and whoever changes it beside the engine's operations.
struct Life {
    bench: Bench,
    record: VmRecord,
}

impl Life {
    async fn begin() -> Self {
        Self::with(Bench::with(ClusterConfig::quick()).await).await
    }

    async fn with(bench: Bench) -> Self {
        let key = bench.order("a_1", spec(small())).await;
        let record = bench.run(key).await;
        assert_eq!(record.step, Step::Ready, "{}", bench.log_text(key).await);
        Self { bench, record }
    }

    fn id(&self) -> MachineId {
        let cluster = self.record.spec.cluster.clone();
        MachineId { cluster, vmid: self.record.numbered.vmid, node: self.record.spec.node.clone() }
    }

    async fn sight(&self, look: Look) -> Sighting {
        self.bench.seams.hypervisor.machine(&self.id(), look).await
    }

    async fn look(&self, look: Look) -> Machine {
        match self.sight(Look::CONFIG.and(look)).await {
            Sighting::Seen(machine) => *machine,
            unseen => panic!("{unseen:?}"),
        }
    }

    async fn power(&self) -> Power {
        self.look(Look::POWER).await.power.expect("whether it runs")
    }

    async fn backups(&self) -> Backups {
        self.look(Look::BACKUPS).await.backups.expect("backups")
    }

    fn whose(&self, machine: &Machine) -> Ownership {
        Ownership::judge(self.record.mark(), self.record.smbios, machine.shown())
    }

    async fn submit(&self, change: &Change) -> Result<Submitted, SubmitError> {
        let revision = match change {
            Change::Configure(_) => self.look(Look::CONFIG).await.config.revision,
            _ => None,
        };
        let (mark, smbios) = (self.record.mark(), self.record.smbios);
        let target = Target { machine: self.id(), mark, smbios, revision, not_after: None };
        self.bench.seams.hypervisor.submit(&target, change).await
    }

    /// How it ends.
    async fn change(&self, change: &Change) -> Ended {
        let submitted = self.submit(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
        let Submitted::Task(task) = submitted else { return Ended::Ok };
        let ends = async {
            loop {
                let states =
                    self.bench.seams.hypervisor.tasks(&self.id().cluster, std::slice::from_ref(&task)).await;
                if let [TaskState::Ended(ended)] = &states[..] {
                    return ended.clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ends).await.expect("an end")
    }

    async fn well(&self, change: &Change) {
        assert_eq!(self.change(change).await, Ended::Ok, "{change}");
    }

    /// The connection is reset, and the request is carried out a moment later.
    async fn loses_its_answer(&self, change: &Change) {
        self.bench.sim.set_faults(Faults { late: 1, delay: 0.1, ..Faults::unweighted(1.0) });
        let error = self.submit(change).await.expect_err("a lost answer");
        self.bench.sim.set_faults(Faults::none());
        assert_eq!((error.class, error.sent), (ErrorClass::Unknown, Sent::Unknown), "{change}");
    }

    /// Waits until the machine shows something.
    async fn until(&self, look: Look, what: &str, shows: impl Fn(&Machine) -> bool) -> Machine {
        let waits = async {
            loop {
                let machine = self.look(look).await;
                if shows(&machine) {
                    return machine;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap_or_else(|_| panic!("never {what}"))
    }

    async fn back_up(&self, notes: &str) -> Backup {
        self.well(&back_up(notes)).await;
        let found = self.backups().await.found;
        found
            .into_iter()
            .find(|backup| backup.notes.as_deref() == Some(notes))
            .expect("a backup with these notes")
    }

    fn restore(&self, backup: Backup) -> Change {
        Change::RestoreBackup { backup, storage: None, identity: self.record.smbios.expect("an identity") }
    }
}

fn back_up(notes: &str) -> Change {
    Change::Backup {
        storage: "shared".parse().expect("a storage"),
        mode: BackupMode::Snapshot,
        notes: notes.to_owned(),
    }
}

fn snapshot(name: &str, description: &str) -> Change {
    Change::CreateSnapshot { name: name.parse().expect("a name"), description: description.to_owned() }
}

fn configure(configure: Configure) -> Change {
    Change::Configure(Box::new(configure))
}

fn renamed(name: &str) -> Change {
    configure(Configure { name: Some(name.parse().expect("a name")), ..Configure::default() })
}

fn refused(ended: &Ended) -> &str {
    match ended {
        Ended::Failed { message, .. } => message,
        ended => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn a_reset_leaves_a_machine_running_and_is_nothing_for_one_that_does_not() {
    let life = Life::begin().await;
    life.well(&Change::Reset).await;
    life.loses_its_answer(&Change::Reset).await;
    assert_eq!(life.power().await, Power::Running);
    life.well(&Change::Stop(StopMode::Hard)).await;
    let error = life.submit(&Change::Reset).await.expect_err("a machine that does not run");
    assert_eq!((error.class, error.sent), (ErrorClass::Unknown, Sent::Answered), "{error}");
    assert_eq!(life.power().await, Power::Stopped);
}

/// Before it is taken out, a stop is only a wish.
#[tokio::test]
async fn a_machine_leaves_ha_before_it_is_stopped() {
    let life = Life::begin().await;
    let sid = format!("vm:{}", life.record.numbered.vmid);
    let client = client(&life.bench.sim, &[life.bench.sim.url()], life.bench.sim.token());
    let managed = async || {
        let params = Params::new().set("sid", &sid).set("state", "started");
        let added: serde_json::Value = client.post("/cluster/ha/resources", &params).await.expect("HA");
        assert!(added.is_null());
    };
    managed().await;
    let ha = async || life.look(Look::HA).await.ha.expect("what HA makes of it");
    assert_eq!(ha().await, HaState::Managed(Some("started".to_owned())));
    life.well(&Change::Stop(StopMode::Hard)).await;
    assert_eq!(ha().await, HaState::Managed(Some("stopped".to_owned())));
    assert_eq!(life.power().await, Power::Running, "nobody has done anything yet");
    for _ in 0..2 {
        life.well(&Change::LeaveHa).await;
        assert_eq!(ha().await, HaState::Unmanaged);
    }
    life.well(&Change::Stop(StopMode::Hard)).await;
    assert_eq!(life.power().await, Power::Stopped);
    managed().await;
    let kept = life.submit(&Change::Destroy(DestroyMode::KeepBackups)).await.expect_err("HA");
    assert_eq!(kept.class, ErrorClass::Refused, "{kept}");
    life.loses_its_answer(&Change::LeaveHa).await;
    life.until(Look::HA, "out of HA", |machine| machine.ha == Some(HaState::Unmanaged)).await;
}

#[tokio::test]
async fn snapshots_are_taken_gone_back_to_and_deleted() {
    let life = Life::begin().await;
    let expiry = ExpiryMark("2030-01-31T12:00:00Z".parse().expect("a time"));
    let description = expiry.put_into("before the update");
    let before = life.look(Look::CONFIG).await;
    life.well(&snapshot("before", &description)).await;
    // Once more changes nothing, whatever its description.
    life.well(&snapshot("before", "another")).await;
    let seen = life.look(Look::SNAPSHOTS).await;
    let [taken] = &seen.snapshots.clone().expect("snapshots")[..] else { panic!("{seen:?}") };
    assert_eq!((taken.description.as_str(), taken.expires_at()), (description.as_str(), Some(expiry.0)));
    assert_eq!((taken.incomplete.as_deref(), taken.memory), (None, false));
    assert!(taken.taken_at.is_some());

    life.well(&renamed("other.example.net")).await;
    life.well(&Change::RollBack("before".parse().expect("a name"))).await;
    let seen = life.look(Look::POWER).await;
    assert_eq!((&seen.config.name, &seen.power), (&before.config.name, &Some(Power::Stopped)));
    assert_eq!(seen.config.parent.as_ref().map(deploy_core::SnapshotName::as_str), Some("before"));
    assert_eq!(life.whose(&seen), Ownership::Ours, "the notes stay");

    let delete = Change::DeleteSnapshot("before".parse().expect("a name"));
    life.well(&delete).await;
    life.well(&delete).await;
    assert_eq!(life.look(Look::SNAPSHOTS).await.snapshots, Some(vec![]));
    let gone = life.change(&Change::RollBack("before".parse().expect("a name"))).await;
    assert!(!matches!(gone, Ended::Failed { .. }), "it is as gone as a deleted one: {gone:?}");
}

#[tokio::test]
async fn snapshots_whose_answers_are_lost_are_there_all_the_same() {
    let life = Life::begin().await;
    let count = |wanted: usize| {
        move |machine: &Machine| {
            let snapshots = machine.snapshots.as_ref().expect("snapshots");
            snapshots.len() == wanted && snapshots.iter().all(|snapshot| snapshot.incomplete.is_none())
        }
    };
    life.loses_its_answer(&snapshot("one", "")).await;
    life.until(Look::SNAPSHOTS, "taken", count(1)).await;
    life.well(&renamed("other.example.net")).await;
    life.loses_its_answer(&Change::RollBack("one".parse().expect("a name"))).await;
    let before = life.record.numbered.pve_name.clone();
    life.until(Look::POWER, "gone back", |machine| machine.config.name.as_ref() == Some(&before)).await;
    life.loses_its_answer(&Change::DeleteSnapshot("one".parse().expect("a name"))).await;
    life.until(Look::SNAPSHOTS, "deleted", count(0)).await;
}

#[tokio::test]
async fn a_backup_is_made_recognised_and_restored() {
    let life = Life::begin().await;
    let backup = life.back_up("pve-deploy command 7").await;
    let archived =
        life.bench.seams.hypervisor.archived(&life.id(), &backup).await.expect("its configuration");
    assert_eq!((archived.mark, archived.smbios), (Some(life.record.mark()), life.record.smbios));
    life.well(&renamed("other.example.net")).await;
    let disk = DiskSlot::for_additional_disks().next().expect("a slot");
    let storage = "shared".parse().expect("a storage");
    let size = serde_json::from_value(1.into()).expect("a size");
    let new = DiskGoal::Create { storage, size, limits: DiskLimits::default() };
    life.well(&configure(Configure { disks: [(disk, new)].into(), ..Configure::default() })).await;

    // Over a machine that runs PVE restores nothing.
    let running = life.change(&life.restore(backup.clone())).await;
    assert!(refused(&running).contains("vm is running"), "{running:?}");
    life.well(&Change::Stop(StopMode::Hard)).await;
    life.well(&life.restore(backup.clone())).await;
    let seen = life.look(Look::POWER).await;
    assert_eq!(life.whose(&seen), Ownership::Ours);
    assert_eq!(
        (seen.config.name.as_ref(), &seen.power),
        (Some(&life.record.numbered.pve_name), &Some(Power::Stopped))
    );
    assert_eq!(seen.config.nics.values().next().map(|nic| nic.mac), life.record.macs.first().copied());
    assert_eq!(
        (seen.config.disks.len(), seen.config.unused.len()),
        (1, 1),
        "the disk that it does not have is kept"
    );
    life.well(&Change::Start).await;

    // Once more makes another one.
    life.well(&back_up("pve-deploy command 7")).await;
    assert_eq!(life.backups().await.found.len(), 2);
    life.well(&Change::DeleteBackup(backup.clone())).await;
    assert_eq!(life.backups().await.found.len(), 1);
    let error = life.submit(&life.restore(backup)).await.expect_err("a backup that is gone");
    assert_eq!(error.sent, Sent::No);
}

#[tokio::test]
async fn a_strangers_backup_of_this_number_is_never_restored() {
    let life = Life::begin().await;
    life.well(&Change::Stop(StopMode::Hard)).await;
    let strangers = [("smbios1", "uuid=00000000-0000-0000-0000-000000000001"), ("name", "other")];
    for config in [strangers.as_slice(), &[]] {
        let backup = BackupConfig {
            vmid: life.record.numbered.vmid.get(),
            storage: "shared".to_owned(),
            node: String::new(),
            size: 1,
            protected: false,
            config: config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        life.bench.sim.switch(Switch::AddBackup { backup }).expect("a storage");
    }
    let before = life.look(Look::CONFIG).await;
    let found = life.backups().await.found;
    assert_eq!(found.len(), 2);
    for backup in found {
        let error = life.submit(&life.restore(backup)).await.expect_err("somebody else's");
        assert_eq!(error.sent, Sent::No, "{error}");
    }
    assert_eq!(life.look(Look::CONFIG).await, before);
}

/// Nothing shows whose machine it is where a restore failed; it is waited for, restored over, or destroyed.
#[tokio::test]
async fn what_a_restore_left_that_failed_is_restored_over_or_destroyed() {
    let life = Life::begin().await;
    let backup = life.back_up("one").await;
    life.well(&Change::Stop(StopMode::Hard)).await;
    let full = |full| {
        life.bench.sim.switch(Switch::StorageFull { storage: "shared".to_owned(), full }).expect("a storage");
    };
    full(true);
    let ended = life.change(&life.restore(backup.clone())).await;
    assert!(matches!(ended, Ended::Failed { class: ErrorClass::Exhausted, .. }), "{ended:?}");
    let left = life.look(Look::POWER).await;
    assert!(left.shown().husk);
    assert_eq!((life.whose(&left), left.lock), (Ownership::TooEarly, None));
    let back = life.submit(&Change::RollBack("none".parse().expect("a name"))).await.expect_err("a husk");
    assert_eq!(back.sent, Sent::No);
    full(false);
    life.well(&life.restore(backup.clone())).await;
    assert_eq!(life.whose(&life.look(Look::CONFIG).await), Ownership::Ours);
    life.well(&Change::Start).await;

    life.well(&Change::Stop(StopMode::Hard)).await;
    full(true);
    assert!(matches!(life.change(&life.restore(backup)).await, Ended::Failed { .. }));
    life.well(&Change::Destroy(DestroyMode::Purge)).await;
    assert_eq!(life.sight(Look::CONFIG).await, Sighting::ProvenAbsent);
}

#[tokio::test]
async fn backups_whose_answers_are_lost_are_there_all_the_same() {
    let life = Life::begin().await;
    life.loses_its_answer(&back_up("one")).await;
    let made = life.until(Look::BACKUPS, "backed up", |machine| {
        machine.backups.as_ref().is_some_and(|backups| backups.found.len() == 1) && machine.lock.is_none()
    });
    let backup = made.await.backups.expect("backups").found.remove(0);
    life.well(&renamed("other.example.net")).await;
    life.well(&Change::Stop(StopMode::Hard)).await;
    life.loses_its_answer(&life.restore(backup)).await;
    let name = life.record.numbered.pve_name.clone();
    let back = life.until(Look::CONFIG, "restored", |machine| machine.config.name.as_ref() == Some(&name));
    assert_eq!(life.whose(&back.await), Ownership::Ours);
}

#[tokio::test]
async fn where_there_may_be_more_backups_is_told() {
    let life = Life::begin().await;
    life.back_up("one").await;
    let offline = |offline| {
        life.bench
            .sim
            .switch(Switch::StorageOffline { storage: "shared".to_owned(), offline })
            .expect("a storage");
    };
    offline(true);
    let backups = life.backups().await;
    assert!(backups.found.is_empty());
    let [unread] = &backups.unread[..] else { panic!("{backups:?}") };
    assert_eq!(unread.storage.as_ref().map(deploy_core::StorageId::as_str), Some("shared"), "{unread}");
    offline(false);
    life.bench.sim.switch(Switch::Node { node: "pve2".to_owned(), online: false }).expect("a node");
    let backups = life.backups().await;
    assert_eq!(backups.found.len(), 1);
    assert!(backups.unread.iter().all(|unread| unread.node.as_str() == "pve2"), "{backups:?}");
}

#[tokio::test]
async fn a_disk_is_unplugged_and_then_freed() {
    let life = Life::begin().await;
    life.well(&Change::Stop(StopMode::Hard)).await;
    let slot = DiskSlot::for_additional_disks().next().expect("a slot");
    let size = serde_json::from_value(1.into()).expect("a size");
    let new =
        DiskGoal::Create { storage: "shared".parse().expect("it"), size, limits: DiskLimits::default() };
    life.well(&configure(Configure { disks: [(slot, new)].into(), ..Configure::default() })).await;
    let volume = life.look(Look::CONFIG).await.config.disks[&slot].volume.clone();
    life.well(&configure(Configure { remove_disks: [slot].into(), ..Configure::default() })).await;
    let seen = life.look(Look::CONFIG).await.config;
    assert!(!seen.is_taken(slot));
    let (entry, kept) = seen.unused.into_iter().next().expect("an unused disk");
    assert_eq!(kept, volume);
    let exists = async || {
        let content = life.bench.ask("/nodes/pve1/storage/shared/content").await.to_string();
        content.contains(&volume)
    };
    assert!(exists().await, "unplugged is not gone");
    for _ in 0..2 {
        life.well(&configure(Configure { remove_unused: [entry].into(), ..Configure::default() })).await;
        assert!(life.look(Look::CONFIG).await.config.unused.is_empty());
        assert!(!exists().await);
    }
}

#[tokio::test]
async fn what_is_destroyed_to_be_made_anew_leaves_its_backups() {
    let life = Life::begin().await;
    life.back_up("one").await;
    life.well(&Change::Stop(StopMode::Hard)).await;
    life.well(&Change::Destroy(DestroyMode::KeepBackups)).await;
    assert_eq!(life.sight(Look::CONFIG).await, Sighting::ProvenAbsent);
    let content = life.bench.ask("/nodes/pve1/storage/shared/content").await.to_string();
    let number = life.record.numbered.vmid;
    assert!(content.contains(&format!("vzdump-qemu-{number}-")), "{content}");
    assert!(!content.contains(&format!("vm-{number}-")), "{content}");
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_all_of_it_but_ha() {
    let life = Life::with(rights::bench("VM.GuestAgent.Audit").await).await;
    life.well(&Change::Reset).await;
    life.well(&snapshot("one", "")).await;
    life.well(&Change::RollBack("one".parse().expect("a name"))).await;
    life.well(&Change::DeleteSnapshot("one".parse().expect("a name"))).await;
    let backup = life.back_up("one").await;
    assert_eq!(life.look(Look::HA.and(Look::SNAPSHOTS)).await.ha, Some(HaState::Unmanaged));
    life.well(&life.restore(backup.clone())).await;
    let error = life.submit(&Change::LeaveHa).await.expect_err("no Sys.Console");
    assert_eq!(error.class, ErrorClass::Unauthorized, "{error}");
    assert!(error.message.contains("Sys.Console"), "{error}");
    life.well(&Change::DeleteBackup(backup)).await;
    life.well(&Change::Destroy(DestroyMode::KeepBackups)).await;
}
