//! Snapshots and backups.

use crate::tale::{Tale, nothing};

pub(super) fn snapshots(tale: &mut Tale<'_>) {
    tale.done("create_snapshot", |machine| machine.snapshots = &["before-update"]);
    tale.done("roll_back", nothing);
    tale.done("delete_snapshot", |machine| machine.snapshots = &[]);
}

pub(super) fn backups(tale: &mut Tale<'_>) {
    tale.done("backup", |machine| machine.backups = 1);
    // What is restored lies over no template.
    tale.done("restore_backup", |machine| machine.template = None);
    tale.done("delete_backup", |machine| machine.backups = 0);
}
