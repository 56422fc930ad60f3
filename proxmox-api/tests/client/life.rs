//! What the life of a machine asks for beyond its making, through the hypervisor backend: what goes out, and what is made of
//! what comes back.

use crate::canned::{Act, Canned, answer};
use crate::looks::{hypervisor, look, machine};
use deploy_core::{
    Backup, BackupMode, Change, Configure, DestroyMode, Disk, DiskLimits, DiskSlot, Ended, ErrorClass,
    HaState, Hypervisor, Limit, Look, OwnerMark, Power, Sent, Sighting, SmbiosUuid, SnapshotName,
    SubmitError, Submitted, Target, TaskState, UnusedSlot, VmKey,
};
use uuid::Uuid;

const OURS: SmbiosUuid = SmbiosUuid(Uuid::from_u128(0xc1_0e));
const EARLIER: SmbiosUuid = SmbiosUuid(Uuid::from_u128(0xc1_0d));
const VOLUME: &str = "nas:backup/vzdump-qemu-100-2026_01_02-03_04_05.vma.zst";
const MARK: OwnerMark = OwnerMark(VmKey(Uuid::nil()));

fn target() -> Target {
    Target {
        machine: machine(),
        mark: MARK,
        smbios: Some(OURS),
        revision: Some("r1".parse().unwrap()),
        not_after: None,
    }
}

fn backup() -> Backup {
    Backup {
        node: "pve2".parse().unwrap(),
        storage: "nas".parse().unwrap(),
        volume: VOLUME.to_owned(),
        protected: false,
        size: None,
        made_at: None,
        notes: None,
    }
}

fn restore(identity: SmbiosUuid) -> Change {
    Change::RestoreBackup { backup: backup(), storage: None, identity }
}

fn name(text: &str) -> SnapshotName {
    text.parse().unwrap()
}

fn upid(kind: &str) -> String {
    format!("UPID:pve1:00000001:00000001:00000001:{kind}:100:root@pam!t1:")
}

fn begun(kind: &str) -> Act {
    answer("200 OK", &format!(r#"{{"data":"{}"}}"#, upid(kind)))
}

fn refused(message: &str) -> Act {
    answer("500 x", &format!(r#"{{"data":null,"message":"{message}\n"}}"#))
}

/// The machine as its configuration shows it.
fn shown(smbios: SmbiosUuid) -> Act {
    answer("200 OK", &format!(r#"{{"data":{{"smbios1":"uuid={smbios}","description":"{MARK}"}}}}"#))
}

/// The same as a backup has it, which encodes colons in its notes.
fn archived(smbios: SmbiosUuid, notes: &str) -> Act {
    let notes = notes.replace(':', "%3A");
    let text = format!(
        "#{notes}\\nname: vps-100\\nsmbios1: uuid={smbios}\\n#qmdump#map:scsi0:drive-scsi0:local:raw:\\n"
    );
    answer("200 OK", &format!(r#"{{"data":"{text}"}}"#))
}

/// What comes of it, and the lines and forms that went out.
async fn submit(
    change: &Change,
    acts: impl IntoIterator<Item = Act>,
) -> (Result<Submitted, SubmitError>, Vec<String>) {
    let server = Canned::start(acts).await;
    let outcome = hypervisor(&server).submit(&target(), change).await;
    let line = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace("/api2/json", "").replace(" HTTP/1.1", "");
        format!("{line} {body}").trim_end().to_owned()
    };
    (outcome, server.requests().iter().map(line).collect())
}

/// The disk that is there with a copy of a template's in its place.
fn import(volume: &str) -> Change {
    let limits = DiskLimits { read: Limit::At(50.0.try_into().unwrap()), ..DiskLimits::default() };
    let replaced = Disk {
        volume: volume.to_owned(),
        storage: "local-lvm".parse().unwrap(),
        size: None,
        limits,
        options: [("discard".to_owned(), "on".to_owned())].into(),
    };
    Change::Import {
        slot: "scsi0".parse().unwrap(),
        image: "local-lvm:base-9000-disk-0".to_owned(),
        replaced,
    }
}

/// Sent twice it would be made twice.
#[tokio::test]
async fn a_copy_is_not_asked_for_without_a_revision() {
    let server = Canned::start([]).await;
    let target = Target { revision: None, ..target() };
    let error = hypervisor(&server).submit(&target, &import("local-lvm:vm-100-disk-0")).await.unwrap_err();
    assert_eq!(error.sent, Sent::No, "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn each_change_is_the_call_that_it_is_named_after() {
    let snapshot = Change::CreateSnapshot {
        name: name("before"),
        description: "pvd-expires:2026-01-31T12:00:00Z".to_owned(),
    };
    let unplug = Configure {
        remove_disks: [DiskSlot::for_additional_disks().next().unwrap()].into(),
        remove_unused: [UnusedSlot(3)].into(),
        ..Configure::default()
    };
    let back_up = Change::Backup {
        storage: "nas".parse().unwrap(),
        mode: BackupMode::Stop,
        notes: "order 7".to_owned(),
    };
    let cases = [
        (Change::Reset, "qmreset", "POST /nodes/pve1/qemu/100/status/reset"),
        (
            snapshot,
            "qmsnapshot",
            "POST /nodes/pve1/qemu/100/snapshot snapname=before&description=pvd-expires%3A2026-01-31T12%3A00%3A00Z",
        ),
        (
            Change::DeleteSnapshot(name("before")),
            "qmdelsnapshot",
            "DELETE /nodes/pve1/qemu/100/snapshot/before",
        ),
        (
            back_up,
            "vzdump",
            "POST /nodes/pve1/vzdump vmid=100&storage=nas&mode=stop&compress=zstd&notes-template=order%207&remove=0",
        ),
        (
            Change::Configure(Box::new(unplug)),
            "qmconfig",
            "POST /nodes/pve1/qemu/100/config delete=scsi1%2Cunused3&digest=r1&background_delay=20",
        ),
    ];
    let mut cases = Vec::from(cases);
    cases.push((
        import("local-lvm:vm-100-disk-0"),
        "qmconfig",
        "POST /nodes/pve1/qemu/100/config scsi0=local-lvm%3A0%2Cdiscard%3Don%2Cimport-from%3Dlocal-lvm%3Abase-9000-disk-0%2C\
         mbps_rd%3D50&digest=r1&background_delay=20",
    ));
    // On a storage of files in the format of the one before.
    cases.push((
        import("local-lvm:100/vm-100-disk-0.qcow2"),
        "qmconfig",
        "POST /nodes/pve1/qemu/100/config scsi0=local-lvm%3A0%2Cdiscard%3Don%2Cformat%3Dqcow2%2C\
         import-from%3Dlocal-lvm%3Abase-9000-disk-0%2Cmbps_rd%3D50&digest=r1&background_delay=20",
    ));
    for (change, kind, request) in cases {
        let (outcome, requests) = submit(&change, [begun(kind)]).await;
        assert_eq!(outcome, Ok(Submitted::Task(upid(kind).parse().unwrap())), "{change}");
        assert_eq!(requests, [request], "{change}");
    }
}

#[tokio::test]
async fn a_machine_that_ha_does_not_care_for_has_left_it() {
    for act in
        [answer("200 OK", r#"{"data":null}"#), refused("cannot delete service 'vm:100', not HA managed!")]
    {
        let (outcome, requests) = submit(&Change::LeaveHa, [act]).await;
        assert_eq!(outcome, Ok(Submitted::Applied));
        assert_eq!(requests, ["DELETE /cluster/ha/resources/vm%3A100"]);
    }
    let (outcome, _) =
        submit(&Change::LeaveHa, [answer("403 Permission check failed (/, Sys.Console)", "")]).await;
    assert_eq!(outcome.unwrap_err().class, ErrorClass::Unauthorized);
}

#[tokio::test]
async fn destroying_keeps_what_it_is_told_to_keep() {
    for (mode, purge) in [(DestroyMode::Purge, 1), (DestroyMode::KeepBackups, 0)] {
        let (outcome, requests) = submit(&Change::Destroy(mode), [shown(OURS), begun("qmdestroy")]).await;
        assert!(outcome.is_ok());
        let query = format!("purge={purge}&destroy-unreferenced-disks=0");
        assert_eq!(requests[1], format!("DELETE /nodes/pve1/qemu/100?{query}"));
    }
}

/// It cannot be made conditional, and what was written since is lost: whose it is, is read once more.
#[tokio::test]
async fn nobody_elses_machine_is_rolled_back() {
    let change = Change::RollBack(name("before"));
    let (outcome, requests) = submit(&change, [shown(OURS), begun("qmrollback")]).await;
    assert!(outcome.is_ok());
    assert_eq!(requests[1], "POST /nodes/pve1/qemu/100/snapshot/before/rollback");
    let strangers = answer("200 OK", r#"{"data":{"smbios1":"uuid=00000000-0000-0000-0000-000000000001"}}"#);
    let husk = answer("200 OK", r#"{"data":{"memory":"128","digest":"d"}}"#);
    for there in [strangers, husk] {
        let (outcome, requests) = submit(&change, [there]).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.class, error.sent, requests.len()), (ErrorClass::Unknown, Sent::No, 1));
    }
}

/// A number says nothing: the backup itself must show the identity that was decided on, and be of this deployment.
#[tokio::test]
async fn only_a_backup_that_shows_whose_it_is_gets_restored() {
    let ours = MARK.to_string();
    let asked = "GET /nodes/pve2/vzdump/extractconfig?volume=nas%3Abackup%2Fvzdump-qemu-100-2026_01_02-03_04_05.vma.zst";
    let sent = "POST /nodes/pve1/qemu vmid=100&archive=nas%3Abackup%2Fvzdump-qemu-100-2026_01_02-03_04_05.vma.zst&force=1";
    // An incarnation that was destroyed since is ours by its mark, and only that.
    for (identity, notes) in [(OURS, ours.as_str()), (OURS, "edited"), (EARLIER, &ours)] {
        let acts = [archived(identity, notes), shown(OURS), begun("qmrestore")];
        let (outcome, requests) = submit(&restore(identity), acts).await;
        assert_eq!(outcome, Ok(Submitted::Task(upid("qmrestore").parse().unwrap())), "{identity} {notes}");
        assert_eq!(requests, [asked, "GET /nodes/pve1/qemu/100/config", sent]);
    }
    for (decided, there, notes) in
        [(OURS, EARLIER, ours.as_str()), (EARLIER, EARLIER, "edited"), (EARLIER, OURS, &ours)]
    {
        let (outcome, requests) = submit(&restore(decided), [archived(there, notes)]).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.class, error.sent), (ErrorClass::Refused, Sent::No), "{}", error.message);
        assert_eq!(requests, [asked], "nothing else was asked");
    }
    let gone = refused("can't open '/mnt/pve/nas/dump/x.vma.zst' - No such file or directory");
    let (outcome, _) = submit(&restore(OURS), [gone]).await;
    assert_eq!(outcome.unwrap_err().sent, Sent::No);
}

/// `force` overwrites whoever has the number.
#[tokio::test]
async fn a_backup_is_restored_over_our_machine_alone_or_what_a_restore_left_of_it() {
    let archive = || archived(OURS, &MARK.to_string());
    let husk = answer("200 OK", r#"{"data":{"memory":"128","digest":"d"}}"#);
    let (outcome, _) = submit(&restore(OURS), [archive(), husk, begun("qmrestore")]).await;
    assert!(outcome.is_ok());
    // Somebody restores something there just now, or has a machine of his own, or a container.
    let under_way = answer("200 OK", r#"{"data":{"memory":"128","lock":"create"}}"#);
    let strangers = answer("200 OK", r#"{"data":{"memory":"128","name":"other"}}"#);
    let nobody = refused("Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist");
    for there in [under_way, strangers, nobody] {
        let (outcome, requests) = submit(&restore(OURS), [archive(), there]).await;
        assert_eq!(outcome.unwrap_err().sent, Sent::No);
        assert_eq!(requests.len(), 2);
    }
}

#[tokio::test]
async fn a_backup_tells_whose_machine_it_was_made_of() {
    let server = Canned::start([archived(EARLIER, &MARK.to_string())]).await;
    let shown = hypervisor(&server).archived(&machine(), &backup()).await.unwrap();
    assert_eq!((shown.mark, shown.smbios, shown.husk), (Some(MARK), Some(EARLIER), false));
    let server = Canned::start([answer("403 Permission check failed (/vms/100, VM.Backup)", "")]).await;
    let error = hypervisor(&server).archived(&machine(), &backup()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
}

/// Both are in one answer.
#[tokio::test]
async fn what_ha_makes_of_it_costs_no_request_beside_its_power() {
    let look_at = Look::CONFIG.and(Look::POWER).and(Look::HA);
    for (ha, state) in [
        (r#"{"managed":0}"#, HaState::Unmanaged),
        (r#"{"managed":1,"state":null}"#, HaState::Managed(None)),
        (r#"{"managed":1,"group":null,"state":"started"}"#, HaState::Managed(Some("started".to_owned()))),
    ] {
        let status = format!(r#"{{"data":{{"status":"stopped","ha":{ha}}}}}"#);
        let server = Canned::start([answer("200 OK", r#"{"data":{}}"#), answer("200 OK", &status)]).await;
        let Sighting::Seen(seen) = look(&server, look_at).await else { panic!("unseen") };
        assert_eq!((seen.ha, server.requests().len()), (Some(state), 2));
    }
}

#[tokio::test]
async fn snapshots_are_seen_with_what_is_left_of_one_that_failed() {
    let list = r#"{"data":[{"name":"s2","snaptime":1700000100,"parent":"s1","description":"two\n","vmstate":1},
        {"name":"s1","snaptime":1700000000,"description":"pvd-expires:2026-01-31T12:00:00Z","vmstate":0},
        {"name":"s3","snapstate":"delete","parent":"s2"},{"name":"current","description":"You are here!"}]}"#;
    let config = r#"{"data":{"parent":"s2","unused1":"local:vm-100-disk-1"}}"#;
    let server = Canned::start([answer("200 OK", config), answer("200 OK", list)]).await;
    let Sighting::Seen(seen) = look(&server, Look::CONFIG.and(Look::SNAPSHOTS)).await else {
        panic!("unseen")
    };
    assert_eq!(seen.config.parent, Some(name("s2")));
    assert_eq!(seen.config.unused, [(UnusedSlot(1), "local:vm-100-disk-1".to_owned())].into());
    let snapshots = seen.snapshots.unwrap();
    let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    assert_eq!(names, ["s3", "s1", "s2"], "oldest first");
    assert_eq!(snapshots[0].incomplete.as_deref(), Some("delete"));
    assert_eq!(snapshots[1].expires_at(), Some("2026-01-31T12:00:00Z".parse().unwrap()));
    assert_eq!((snapshots[2].description.as_str(), snapshots[2].memory), ("two", true));
    assert_eq!(snapshots[2].parent, Some(name("s1")));
}

/// A husk is nobody's, and a container is none.
#[tokio::test]
async fn a_restore_that_failed_leaves_a_husk() {
    for (config, husk) in [
        (r#"{"data":{"memory":"128","digest":"d"}}"#, true),
        (r#"{"data":{"memory":"128","scsi0":"local:vm-100-disk-0,size=1G"}}"#, false),
        (r#"{"data":{"memory":"128","smbios1":"uuid=00000000-0000-0000-0000-00000000c10e"}}"#, false),
        (r#"{"data":{"memory":"128","lock":"create"}}"#, false),
        (r#"{"data":{}}"#, false),
    ] {
        let server = Canned::start([answer("200 OK", config)]).await;
        let Sighting::Seen(seen) = look(&server, Look::CONFIG).await else { panic!("unseen") };
        assert_eq!(seen.shown().husk, husk, "{config}");
    }
}

#[tokio::test]
async fn a_snapshot_that_is_there_or_gone_already_is_as_wanted() {
    for exit in ["snapshot name 'before' already used", "snapshot 'before' does not exist"] {
        let ended = format!(r#"{{"data":{{"status":"stopped","exitstatus":"{exit}"}}}}"#);
        let server = Canned::start([answer("200 OK", &ended)]).await;
        let states =
            hypervisor(&server).tasks(&machine().cluster, &[upid("qmsnapshot").parse().unwrap()]).await;
        assert_eq!(states, [TaskState::Ended(Ended::Ok)], "{exit}");
    }
}

/// Why a backup failed is in its log alone.
#[tokio::test]
async fn a_backup_that_failed_says_why() {
    let log = |why: &str| {
        let lines =
            format!(r#"{{"n":1,"t":"INFO: x"}},{{"n":2,"t":"ERROR: Backup of VM 100 failed - {why}"}}"#);
        answer("200 OK", &format!(r#"{{"data":[{lines}],"total":2}}"#))
    };
    let limit = "There is a max backup limit of 1 enforced by the target storage or the vzdump parameters. Either \
                 increase the limit or delete old backups.";
    let unread = answer("403 Permission check failed", "");
    for (log, class, words) in [
        (log("VM is locked (snapshot)"), ErrorClass::Busy, "VM is locked (snapshot)"),
        (log(limit), ErrorClass::Exhausted, limit),
        (unread, ErrorClass::Failed, "job errors"),
    ] {
        let ended = answer("200 OK", r#"{"data":{"status":"stopped","exitstatus":"job errors"}}"#);
        let server = Canned::start([ended, log]).await;
        let states = hypervisor(&server).tasks(&machine().cluster, &[upid("vzdump").parse().unwrap()]).await;
        let failed = Ended::Failed { class, message: words.to_owned() };
        assert_eq!(states, [TaskState::Ended(failed)]);
    }
}

/// A process without a guest, which is there for the backup alone.
#[tokio::test]
async fn a_stopped_machine_that_is_backed_up_does_not_run() {
    for (lock, power) in [("backup", Power::Stopped), ("other", Power::Running)] {
        let status = format!(r#"{{"data":{{"status":"running","qmpstatus":"prelaunch","lock":"{lock}"}}}}"#);
        let server = Canned::start([answer("200 OK", r#"{"data":{}}"#), answer("200 OK", &status)]).await;
        let Sighting::Seen(seen) = look(&server, Look::CONFIG.and(Look::POWER)).await else {
            panic!("unseen")
        };
        assert_eq!(seen.power, Some(power));
    }
}
