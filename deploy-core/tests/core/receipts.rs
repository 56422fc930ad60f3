//! Receipts, as they are kept and told.

use crate::{
    machines::{leaving, plain_machine, seen, settled},
    orders::p,
};
use deploy_core::*;
use serde_json::json;

/// Lines of earlier versions are words, and stay so.
#[test]
fn receipts_are_read_as_they_are_written_also_by_earlier_versions() {
    let backup = Resource::Backup { volume: "nas:backup/one".to_owned(), storage: p("nas") };
    let line = |resource, fate| Receipt::Resource { resource, fate };
    let lines = [
        (
            json!("removing: sent: destroy"),
            "removing: sent: destroy",
            Receipt::Words("removing: sent: destroy".to_owned()),
        ),
        (
            json!({ "resource": { "backup": { "volume": "nas:backup/one", "storage": "nas" } }, "fate": "deleted" }),
            "backup nas:backup/one: deleted",
            line(backup, Fate::Deleted),
        ),
        (
            json!({ "resource": { "backups": { "node": "n1", "storage": "nas" } }, "fate": { "not_known": "it is down" } }),
            "backups on storage nas of n1: not known: it is down",
            line(
                Resource::Backups { node: p("n1"), storage: Some(p("nas")) },
                Fate::NotKnown("it is down".to_owned()),
            ),
        ),
        (
            json!({ "resource": { "disk": { "slot": "scsi1", "volume": "local:vm-1-disk-1" } }, "fate": { "kept": "unproven" } }),
            "disk scsi1, local:vm-1-disk-1: left, nothing proves whose it is",
            line(
                Resource::Disk { slot: Some(p("scsi1")), volume: "local:vm-1-disk-1".to_owned() },
                Fate::Kept(Kept::Unproven),
            ),
        ),
        (
            json!({ "resource": "ha", "fate": "pending" }),
            "HA resource: being deleted",
            line(Resource::Ha, Fate::Pending),
        ),
        (
            json!({ "resource": "guest", "fate": { "shut_down": { "patience": 5 } } }),
            "guest: shut down, or stopped after 5 s",
            line(Resource::Guest, Fate::ShutDown { patience: 5 }),
        ),
        (
            json!({ "resource": { "address": "192.0.2.1" }, "fate": "deleted" }),
            "address 192.0.2.1: deleted",
            line(Resource::Address("192.0.2.1".parse().unwrap()), Fate::Deleted),
        ),
    ];
    for (written, told, line) in lines {
        assert_eq!(serde_json::to_value(&line).unwrap(), written);
        assert_eq!(serde_json::from_value::<Receipt>(written).unwrap(), line);
        assert_eq!(line.to_string(), told);
    }
    let kept: Life = serde_json::from_value(json!({ "receipt": ["stopping: as ordered"] })).unwrap();
    assert_eq!(kept.receipt, [Receipt::Words("stopping: as ordered".to_owned())]);
}

/// A disk that a destroy with warnings left is no deleted one, and where nobody can tell it is not known.
#[test]
fn a_disk_that_its_destroy_left_is_not_told_to_be_deleted() {
    let record = leaving(Step::Removing);
    let mut machine = plain_machine(&record);
    machine.config.unused.insert(UnusedSlot(0), "local:vm-disk-9".to_owned());
    let Decision::Note(note) = seen(&record, &machine) else { panic!() };
    let record = settled(&record, Outcome::Noted(note));
    let record = settled(&record, Outcome::Intending(&Change::Destroy(DestroyMode::Purge)));
    let left = |volume: &str| Leftover {
        node: p("n1"),
        volume: volume.to_owned(),
        size: None,
        made_at: Some(record.created_at),
    };
    let after = |found| {
        let record = settled(&record, Outcome::Noted(NoteDown::Leftovers(found)));
        let record = settled(&record, Outcome::Done("there is no machine".to_owned()));
        record.life.receipt.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        after(Ok(vec![left("local:vm-disk-9"), left("local:vm-disk-10")])),
        [
            "disk scsi0, local:vm-disk-0: deleted",
            "unused disk local:vm-disk-9: left, nothing proves whose it is",
            "machine 1001: deleted",
            "volume local:vm-disk-10 on n1: left, nothing proves whose it is",
        ]
    );
    assert_eq!(
        after(Err("no route".to_owned())),
        [
            "disk scsi0, local:vm-disk-0: not known: no route",
            "unused disk local:vm-disk-9: not known: no route",
            "machine 1001: deleted",
            "volumes that nothing names: not known: no route",
        ]
    );
}

/// It is there for the receipt alone.
#[test]
fn a_list_of_snapshots_that_cannot_be_read_does_not_hinder_a_destroy() {
    let record = leaving(Step::Removing);
    let asks = |record: &VmRecord| {
        query(record, record.created_at, &RetryPolicy::default()).look.unwrap().covers(Look::SNAPSHOTS)
    };
    assert!(asks(&record));
    assert!(!asks(&VmRecord { failures: RetryPolicy::default().attention_after, ..record.clone() }));
    let machine = Machine { snapshots: None, ..plain_machine(&record) };
    let Decision::Note(NoteDown::Receipt(lines)) = seen(&record, &machine) else { panic!() };
    let unseen = Fate::NotKnown("their list could not be read".to_owned());
    assert_eq!(lines[0], (Resource::Snapshots, unseen));
}
