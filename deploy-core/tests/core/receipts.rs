//! Receipts, as they are kept and told.

use crate::orders::p;
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
    let life: Life = serde_json::from_value(json!({ "receipt": ["stopping: as ordered"] })).unwrap();
    assert_eq!(life.receipt, [Receipt::Words("stopping: as ordered".to_owned())]);
}
