//! What the notes that came with the recordings say was done by hand.

use proxmox_sim::{BackupConfig, Switch, Version};

use crate::hands::Deed::{Kill, Pause};
use crate::hands::{Deed, Help, Why};
use crate::unrecorded::help;

/// What the notes name: switches for what was done by hand.
pub(crate) fn table() -> Vec<Help> {
    let noted = |before, deeds| help(Why::Noted, before, None, before, deeds);
    let switch = |before, switch| noted(before, vec![Deed::Switch(switch)]);
    let online = |online| Switch::Node { node: "pve2".to_owned(), online };
    let frozen = |frozen| Switch::Freeze { node: "pve2".to_owned(), frozen };
    let daemon = |running| Switch::Daemon { node: "pve1".to_owned(), running };
    let backup = |vmid| Switch::AddBackup {
        backup: BackupConfig {
            vmid,
            storage: "local".to_owned(),
            node: "pve1".to_owned(),
            size: 2,
            protected: false,
            config: [].into(),
        },
    };
    let tc = "command '/sbin/tc qdisc add dev tap5001i0 root handle 1: htb default 1' failed: exit code 1";
    let thaw = vec![Deed::Switch(frozen(false)), Deed::Switch(daemon(false))];
    let image = Switch::File { path: "/mnt/pve/shared/images/cloud.qcow2".to_owned(), size: 200 << 20 };
    vec![
        help(
            Why::Noted,
            "nextid/free",
            None,
            "create/ok",
            vec![Deed::Switch(Switch::RemoveFirewall { vmid: 555 })],
        ),
        switch("nodedown/pveproxy-of-target-down-get", online(false)),
        switch("nodedown/after-restart", online(true)),
        switch("nodedown/target-proxy-hangs", frozen(true)),
        noted("nodedown/pvedaemon-down-unprotected", thaw),
        switch("nodedown/after-restart2", daemon(true)),
        help(
            Why::Noted,
            "noquorum/cluster-status",
            None,
            "noquorum/clone",
            vec![Deed::Switch(Switch::Quorum { quorate: false })],
        ),
        switch("noquorum/recovered", Switch::Quorum { quorate: true }),
        noted("worker-killed/task-status", vec![Pause(2.0), Kill("worker-killed/start")]),
        // vzdump is missing there, so the backups were laid down.
        switch("golden/terminate/backups", backup(5001)),
        help(
            Why::Noted,
            "golden/lp-discover/backups",
            None,
            "golden/lp-discover/backups-with-VM.Backup",
            vec![Deed::Switch(backup(5010))],
        ),
        // The emulated machines had no network devices on the host.
        switch(
            "golden/lifecycle/package-up/net-rate-running",
            Switch::HotplugFails { vmid: 5001, option: "net0".to_owned(), text: tc.to_owned() },
        ),
        // That server's emulator could not mirror a disk.
        help(
            Why::Noted,
            "migrate/local-disk-online-with-flag",
            Some(Version::V9_2),
            "migrate/local-disk-online-with-flag/task-log",
            vec![Deed::Switch(Switch::LiveMigrationFails {
                vmid: 130,
                text: "drive-scsi0: throttle node without file child node name!".to_owned(),
            })],
        ),
        // An image from a distribution, laid down for importing.
        help(
            Why::Noted,
            "create/import-from-path-root-token",
            None,
            "create/import-from-config",
            vec![Deed::Switch(image)],
        ),
    ]
}
