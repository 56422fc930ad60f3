//! What was done on the servers without a request that is in the recording.

use proxmox_sim::{BackupConfig, Grant, Switch, Version};

use crate::rows::Row;

/// A deed between two rows.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Switch(Switch),
    /// A call that nobody recorded; what it starts is waited for.
    Call(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// The same without waiting.
    Begin(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// SIGKILL for the worker that the case started.
    Kill(&'static str),
    Pause(f64),
}

use Deed::{Begin, Call, Kill, Pause};

/// What was done before a row.
pub(crate) fn before(row: &Row, version: Version) -> Vec<Deed> {
    if let Some(note) = row.note.as_deref().filter(|_| row.method.is_none()) {
        return granted(note).into_iter().collect();
    }
    let switch = |switch: Switch| vec![Deed::Switch(switch)];
    let online = |online| Switch::Node { node: "pve2".to_owned(), online };
    let frozen = |frozen| Switch::Freeze { node: "pve2".to_owned(), frozen };
    let daemon = |running| Switch::Daemon { node: "pve1".to_owned(), running };
    match row.case.as_str() {
        "nextid/free" => switch(Switch::RemoveFirewall { vmid: 555 }),
        "nodedown/pveproxy-of-target-down-get" => {
            unrecorded(&row.case).into_iter().chain(switch(online(false))).collect()
        }
        "nodedown/after-restart" => switch(online(true)),
        "nodedown/target-proxy-hangs" => switch(frozen(true)),
        "nodedown/pvedaemon-down-unprotected" => {
            vec![Deed::Switch(frozen(false)), Deed::Switch(daemon(false))]
        }
        "nodedown/after-restart2" => switch(daemon(true)),
        "noquorum/cluster-status" => switch(Switch::Quorum { quorate: false }),
        "noquorum/recovered" => switch(Switch::Quorum { quorate: true }),
        "worker-killed/task-status" => vec![Pause(2.0), Kill("worker-killed/start")],
        "golden/terminate/backups" => switch(backup(5001)),
        "golden/lp-discover/backups" => switch(backup(5010)),
        "golden/lp-pool/clone-without-pool" => vec![Call("PUT", "/pools/dep", &[("vms", "9100")])],
        "golden/lifecycle/package-up/net-rate-running" => switch(Switch::HotplugFails {
            vmid: 5001,
            option: "net0".to_owned(),
            // The emulated machines had no network devices on the host.
            text:
                "command '/sbin/tc qdisc add dev tap5001i0 root handle 1: htb default 1' failed: exit code 1"
                    .to_owned(),
        }),
        // The clean-up after the stop held the lock of the machine that had been started again.
        "clone-running2/pending-get-new-vm" if version == Version::V9_2 => vec![Pause(0.5)],
        "golden/lifecycle/package-down/one-call-put" if version == Version::V9_2 => {
            switch(Switch::HoldLock { vmid: 5001, seconds: 22.0 })
        }
        "parallel-delete/220" if version == Version::V9_2 => {
            vec![Call("POST", "/nodes/pve1/qemu/220/status/stop", &[])]
        }
        "parallel-delete/202" if version == Version::V8_4 => {
            vec![Call("POST", "/nodes/pve1/qemu/220/status/stop", &[])]
        }
        // The worker that was to destroy the template had its lock a moment longer.
        "clone-abort/start" => {
            let seconds = if version == Version::V9_2 { 2.0 } else { 0.4 };
            switch(Switch::HoldLock { vmid: 9000, seconds })
        }
        "resize/running-ok" if version == Version::V9_2 => {
            switch(Switch::HoldLock { vmid: 101, seconds: 22.0 })
        }
        // The live migration of a local disk fails there, see the differences that are meant.
        "migrate/local-disk-offline" if version == Version::V9_2 => vec![
            Call("POST", "/nodes/pve2/qemu/130/status/stop", &[]),
            Call("POST", "/nodes/pve2/qemu/130/migrate", &[("target", "pve1")]),
        ],
        case => unrecorded(case),
    }
}

/// Calls of the first run of a script, of which only the second run was kept.
fn unrecorded(case: &str) -> Vec<Deed> {
    match case {
        "clone-abort/stop" => vec![Pause(1.5)],
        "nodedown/pveproxy-of-target-down-get" => {
            const GONE: [&str; 7] = [
                "/nodes/pve1/qemu/131",
                "/nodes/pve1/qemu/132",
                "/nodes/pve1/qemu/134",
                "/nodes/pve1/qemu/136",
                "/nodes/pve1/qemu/137",
                "/nodes/pve1/qemu/138",
                "/nodes/pve1/qemu/141",
            ];
            let stop = Call("POST", "/nodes/pve1/qemu/131/status/stop", &[]);
            std::iter::once(stop).chain(GONE.map(|path| Call("DELETE", path, &[]))).collect()
        }
        "clone-running/task-status" => vec![Pause(1.0)],
        "create/root-only-args-with-token" => vec![Call("DELETE", "/nodes/pve1/qemu/150", &[])],
        "clone-running2/full-clone-start" => vec![
            Call("DELETE", "/nodes/pve1/qemu/102", &[]),
            Call("DELETE", "/nodes/pve1/qemu/106", &[]),
            Call("DELETE", "/nodes/pve1/qemu/108", &[]),
        ],
        "config/running-put-becomes-pending" => {
            vec![Call("PUT", "/nodes/pve1/qemu/101/resize", &[("disk", "scsi0"), ("size", "+1G")])]
        }
        "config/after-stop-pending-applied?" => vec![
            Call("PUT", "/nodes/pve1/qemu/101/config", &[("ciuser", "other")]),
            Call("PUT", "/nodes/pve1/qemu/101/config", &[("scsi3", "shared:1")]),
            Call("PUT", "/nodes/pve1/qemu/101/config", &[("delete", "scsi3")]),
        ],
        "power/start-ok2" => vec![Call(
            "PUT",
            "/nodes/pve1/qemu/101/config",
            &[("ciuser", "dev"), ("ipconfig0", "ip=10.1.2.3/24,gw=10.1.2.1")],
        )],
        "config/running-put-cores-pending" => vec![Call(
            "PUT",
            "/nodes/pve1/qemu/101/config",
            &[("net0", "virtio=BC:24:11:03:C2:A8,bridge=vmbr0,firewall=0")],
        )],
        "locked/set-lock-root-ticket" => {
            vec![Call("PUT", "/nodes/pve1/qemu/101/config", &[("cores", "1")])]
        }
        "snapshot/unlink-unused" => vec![Call("PUT", "/nodes/pve1/qemu/101/config", &[("delete", "scsi1")])],
        "power/start-too-many-vcpus" => vec![
            Call("PUT", "/nodes/pve1/qemu/101/config", &[("cores", "4")]),
            Call("POST", "/nodes/pve2/qemu/9000/migrate", &[("target", "pve1")]),
        ],
        "create/import-from-path-root-token" => vec![Deed::Switch(Switch::File {
            path: "/mnt/pve/shared/images/cloud.qcow2".to_owned(),
            size: 200 << 20,
        })],
        "tasks/list-limit" => vec![Call("POST", "/nodes/pve1/qemu/101/status/start", &[])],
        "migrate-running/stop" => vec![
            Begin("POST", "/nodes/pve1/qemu/101/migrate", &[("target", "pve2"), ("online", "1")]),
            Begin(
                "POST",
                "/nodes/pve1/qemu/101/firewall/rules",
                &[("type", "in"), ("action", "ACCEPT"), ("comment", "during migration")],
            ),
        ],
        "migrate/precond-local-disk" => vec![
            Call("POST", "/nodes/pve2/qemu/101/status/stop", &[]),
            Call("POST", "/nodes/pve2/qemu/101/migrate", &[("target", "pve1")]),
            Call(
                "POST",
                "/nodes/pve1/qemu",
                &[("vmid", "130"), ("memory", "64"), ("kvm", "0"), ("scsi0", "local:1,format=qcow2")],
            ),
        ],
        "migrate/precond-local-disk-running" => vec![Call("POST", "/nodes/pve1/qemu/130/status/start", &[])],
        "migrate/local-disk-offline" => vec![Call("POST", "/nodes/pve2/qemu/130/status/stop", &[])],
        "config/running-net0-change" => vec![
            Call("PUT", "/nodes/pve1/qemu/101/config", &[("cores", "1")]),
            Call("POST", "/nodes/pve1/qemu/101/status/start", &[]),
        ],
        "migrate/offline-ok" => vec![Call("POST", "/nodes/pve2/qemu/101/status/stop", &[])],
        "delete/template-with-linked-clones" => {
            vec![Call("POST", "/nodes/pve2/qemu/101/migrate", &[("target", "pve1")])]
        }
        "delete/protected" => vec![Call("PUT", "/nodes/pve1/qemu/130/config", &[("protection", "1")])],
        "delete/ok-purge" => vec![Call("PUT", "/nodes/pve1/qemu/130/config", &[("protection", "0")])],
        "clone/linked-local-storage-other-target" => vec![
            Call(
                "POST",
                "/nodes/pve1/qemu",
                &[("vmid", "9001"), ("memory", "64"), ("scsi0", "local:1,format=qcow2")],
            ),
            Call("POST", "/nodes/pve1/qemu/9001/template", &[]),
        ],
        "perm/acl-after-vm-delete" => vec![Call("DELETE", "/nodes/pve2/qemu/150", &[])],
        "golden/lost/statistics/stop-fin-tasks"
        | "golden/lost/statistics/stop-rst-tasks"
        | "golden/lost/statistics/stop-1ms-tasks" => {
            vec![Call("POST", "/nodes/pve1/qemu/5005/status/stop", &[]); 12]
        }
        _ => Vec::new(),
    }
}

fn backup(vmid: u32) -> Switch {
    let (storage, node) = ("local".to_owned(), "pve1".to_owned());
    Switch::AddBackup { backup: BackupConfig { vmid, storage, node, size: 2, protected: false } }
}

/// Rights were given as each refusal named them, and noted down.
fn granted(note: &str) -> Option<Deed> {
    let (privilege, rest) = note.strip_prefix("granted ")?.split_once(" on ")?;
    let (path, reason) = rest.split_once(" because ")?;
    let token = if reason.starts_with("half") { "half@pve!dep" } else { "lp@pve!dep" };
    let grant = Grant { path: path.to_owned(), privileges: vec![privilege.to_owned()] };
    Some(Deed::Switch(Switch::Grant { token: token.to_owned(), grant }))
}

/// Whether the request never arrived as a whole, so that no server carried it out.
pub(crate) fn never_whole(row: &Row, version: Version) -> bool {
    // One of the requests whose sender was reset did not arrive.
    let lost = version == Version::V9_2 && row.case == "golden/lost/start-rst/send";
    lost || row.note.as_deref().is_some_and(|note| note.ends_with("mode partial"))
}

/// Whether the state of a task was asked for without waiting for its end.
pub(crate) fn hurried(row: &Row) -> bool {
    matches!(row.case.as_str(), "clone-running/task-status" | "clone-abort/status-other-user")
}

/// Whether the row was sent at the same time as its neighbours.
pub(crate) fn together(row: &Row) -> bool {
    let Some((script, name)) = row.case.split_once('/') else {
        return false;
    };
    let numbered = name.bytes().all(|b| b.is_ascii_digit());
    match script {
        "clone-race" | "parallel-clone" | "parallel-delete" => numbered,
        "clone-running2" => {
            !name.contains("/task-")
                && !matches!(name, "full-clone-start" | "cluster-tasks")
                && !name.starts_with("final-")
        }
        _ => false,
    }
}
