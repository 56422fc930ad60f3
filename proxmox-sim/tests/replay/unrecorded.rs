//! The table of what no row asks for, with the row that shows it.
//!
//! Scripts were run more than once, and of some only the last run was kept; what earlier runs left
//! behind is in the answers all the same.

use std::sync::LazyLock;

use proxmox_sim::{Switch, Version};

use crate::hands::Deed::{Begin, Call, Pause};
use crate::hands::{Deed, Help, Why};
use crate::noted;

const EIGHT: Option<Version> = Some(Version::V8_4);
const NINE: Option<Version> = Some(Version::V9_2);
const VM: &str = "/nodes/pve1/qemu/101/config";

pub(crate) static TABLE: LazyLock<Vec<Help>> = LazyLock::new(|| {
    noted::table()
        .into_iter()
        .chain(machines())
        .chain(options())
        .chain(migrations())
        .chain(chance())
        .collect()
});

pub(crate) fn help(
    why: Why,
    before: &'static str,
    only: Option<Version>,
    shown_by: &'static str,
    deeds: Vec<Deed>,
) -> Help {
    Help { before, only, why, deeds, shown_by }
}

fn unrecorded(before: &'static str, shown_by: &'static str, deeds: Vec<Deed>) -> Help {
    help(Why::Unrecorded, before, None, shown_by, deeds)
}

/// Machines that an earlier run made, started, stopped or removed.
fn machines() -> Vec<Help> {
    const LOCAL: &[(&str, &str)] = &[("vmid", "9001"), ("memory", "64"), ("scsi0", "local:1,format=qcow2")];
    const DISK: &[(&str, &str)] =
        &[("vmid", "130"), ("memory", "64"), ("kvm", "0"), ("scsi0", "local:1,format=qcow2")];
    const GONE: [&str; 6] = [
        "/nodes/pve1/qemu/131",
        "/nodes/pve1/qemu/132",
        "/nodes/pve1/qemu/134",
        "/nodes/pve1/qemu/137",
        "/nodes/pve1/qemu/138",
        "/nodes/pve1/qemu/141",
    ];
    let stop = Call("POST", "/nodes/pve1/qemu/131/status/stop", &[]);
    let gone = std::iter::once(stop).chain(GONE.map(|path| Call("DELETE", path, &[]))).collect();
    let removed = |paths: &[&'static str]| paths.iter().map(|path| Call("DELETE", path, &[])).collect();
    let stop_220 = || vec![Call("POST", "/nodes/pve1/qemu/220/status/stop", &[])];
    let second_run = ["/nodes/pve1/qemu/102", "/nodes/pve1/qemu/106", "/nodes/pve1/qemu/108"];
    vec![
        // Not in the list of machines any more.
        unrecorded(
            "create/root-only-args-with-token",
            "clone-running/resources",
            removed(&["/nodes/pve1/qemu/150"]),
        ),
        // Their numbers are free again: the second run makes all three anew.
        unrecorded(
            "clone-running2/full-clone-start",
            "clone-running2/config-get-new-vm",
            removed(&second_run),
        ),
        unrecorded("nodedown/pveproxy-of-target-down-get", "noquorum/resources", gone),
        unrecorded(
            "perm/acl-after-vm-delete",
            "perm/acl-after-vm-delete",
            removed(&["/nodes/pve2/qemu/150"]),
        ),
        // It runs in the tasks that follow, and `tasks/status-ok` names the task that started it.
        unrecorded(
            "tasks/list-limit",
            "tasks/status-ok",
            vec![Call("POST", "/nodes/pve1/qemu/101/status/start", &[])],
        ),
        unrecorded(
            "migrate/precond-local-disk",
            "migrate/precond-local-disk",
            vec![
                Call("POST", "/nodes/pve2/qemu/101/status/stop", &[]),
                Call("POST", "/nodes/pve2/qemu/101/migrate", &[("target", "pve1")]),
                Call("POST", "/nodes/pve1/qemu", DISK),
            ],
        ),
        unrecorded(
            "migrate/precond-local-disk-running",
            "migrate/precond-local-disk-running",
            vec![Call("POST", "/nodes/pve1/qemu/130/status/start", &[])],
        ),
        unrecorded(
            "clone/linked-local-storage-other-target",
            "clone/linked-local-storage-other-target",
            vec![
                Call("POST", "/nodes/pve1/qemu", LOCAL),
                Call("POST", "/nodes/pve1/qemu/9001/template", &[]),
            ],
        ),
        // `nowait/start-immediately` had started it, and a running machine is not destroyed.
        help(Why::Unrecorded, "parallel-delete/220", NINE, "parallel-delete/220/task-status", stop_220()),
        help(Why::Unrecorded, "parallel-delete/202", EIGHT, "parallel-delete/220/task-status", stop_220()),
        unrecorded(
            "golden/lp-pool/clone-without-pool",
            "golden/lp-pool/clone-without-pool",
            vec![Call("PUT", "/pools/dep", &[("vms", "9100")])],
        ),
    ]
}

/// Options of machines that an earlier run set.
fn options() -> Vec<Help> {
    const DEV: &[(&str, &str)] = &[("ciuser", "dev"), ("ipconfig0", "ip=10.1.2.3/24,gw=10.1.2.1")];
    const NET: &[(&str, &str)] = &[("net0", "virtio=BC:24:11:03:C2:A8,bridge=vmbr0,firewall=0")];
    vec![
        // The disk has 4 GiB.
        unrecorded(
            "config/running-put-becomes-pending",
            "config/running-pending",
            vec![Call("PUT", "/nodes/pve1/qemu/101/resize", &[("disk", "scsi0"), ("size", "+1G")])],
        ),
        // `ciuser` is `other`, and `unused0` is a disk that was scsi2 or scsi3.
        unrecorded(
            "config/after-stop-pending-applied?",
            "config/after-stop-pending-applied?",
            vec![
                Call("PUT", VM, &[("ciuser", "other")]),
                Call("PUT", VM, &[("scsi3", "shared:1")]),
                Call("PUT", VM, &[("delete", "scsi3")]),
            ],
        ),
        // `ciuser` is `dev` again, with a fixed address.
        unrecorded("power/start-ok2", "config/running-unplug-disk-config", vec![Call("PUT", VM, DEV)]),
        // The address that the network device has from here on; until the stop it waits.
        unrecorded(
            "config/running-put-cores-pending",
            "config/after-stop-pending",
            vec![Call("PUT", VM, NET)],
        ),
        // `cores` is 1, where the last call that we have made it 4.
        unrecorded(
            "locked/set-lock-root-ticket",
            "locked/config-get",
            vec![Call("PUT", VM, &[("cores", "1")])],
        ),
        // The raw disk, with which no snapshot could be made, is gone.
        unrecorded(
            "snapshot/unlink-unused",
            "snapshot/config-get",
            vec![Call("PUT", VM, &[("delete", "scsi1")])],
        ),
        unrecorded(
            "config/running-net0-change",
            "config/running-net0-change-pending",
            vec![Call("PUT", VM, &[("cores", "1")]), Call("POST", "/nodes/pve1/qemu/101/status/start", &[])],
        ),
        unrecorded(
            "delete/protected",
            "delete/protected",
            vec![Call("PUT", "/nodes/pve1/qemu/130/config", &[("protection", "1")])],
        ),
        unrecorded(
            "delete/ok-purge",
            "delete/config-after",
            vec![Call("PUT", "/nodes/pve1/qemu/130/config", &[("protection", "0")])],
        ),
    ]
}

/// Moves that an earlier run made.
fn migrations() -> Vec<Help> {
    const DURING: &[(&str, &str)] = &[("type", "in"), ("action", "ACCEPT"), ("comment", "during migration")];
    const LIVE: &[(&str, &str)] = &[("target", "pve2"), ("online", "1")];
    let stop = |path| Call("POST", path, &[]);
    vec![
        // The machine is on its way when it is stopped: a second rule of that name is there later.
        unrecorded(
            "migrate-running/stop",
            "migrate-running/stop/task-status",
            vec![
                Begin("POST", "/nodes/pve1/qemu/101/migrate", LIVE),
                Begin("POST", "/nodes/pve1/qemu/101/firewall/rules", DURING),
            ],
        ),
        help(
            Why::Unrecorded,
            "migrate/local-disk-offline",
            EIGHT,
            "migrate/local-disk-offline/task-status",
            vec![stop("/nodes/pve2/qemu/130/status/stop")],
        ),
        // Nothing else brings it to rest before it is destroyed.
        help(
            Why::Unrecorded,
            "migrate/local-disk-offline",
            NINE,
            "delete/config-after",
            vec![stop("/nodes/pve1/qemu/130/status/stop")],
        ),
        // The template is on pve1 again, and the machine has four processors, which are too many.
        unrecorded(
            "power/start-too-many-vcpus",
            "power/start-too-many-vcpus/task-status",
            vec![
                Call("PUT", VM, &[("cores", "4")]),
                Call("POST", "/nodes/pve2/qemu/9000/migrate", &[("target", "pve1")]),
            ],
        ),
        unrecorded(
            "migrate/offline-ok",
            "migrate/offline-ok/task-log",
            vec![stop("/nodes/pve2/qemu/101/status/stop")],
        ),
        unrecorded(
            "delete/template-with-linked-clones",
            "delete/resources-after",
            vec![Call("POST", "/nodes/pve2/qemu/101/migrate", &[("target", "pve1")])],
        ),
    ]
}

/// Pauses of the scripts, and locks that somebody held a moment longer.
fn chance() -> Vec<Help> {
    let chance = |before, only, shown_by, deeds| help(Why::Chance, before, only, shown_by, deeds);
    let held = |vmid, seconds| vec![Deed::Switch(Switch::HoldLock { vmid, seconds })];
    vec![
        chance("clone-running/task-status", None, "clone-running/new-vm-config", vec![Pause(1.0)]),
        // The worker that was to destroy the template had its lock a moment longer.
        chance("clone-abort/start", EIGHT, "clone-abort/task-log", held(9000, 0.4)),
        chance("clone-abort/start", NINE, "clone-abort/task-log", held(9000, 2.0)),
        chance("clone-abort/stop", None, "clone-abort/task-status", vec![Pause(1.5)]),
        chance(
            "clone-running2/pending-get-new-vm",
            NINE,
            "clone-running2/pending-get-new-vm",
            vec![Pause(0.5)],
        ),
        // The newer line's clean-up after a stop holds the lock of a machine that was started again.
        chance("resize/running-ok", NINE, "resize/running-ok/task-status", held(101, 22.0)),
        chance(
            "golden/lifecycle/package-down/one-call-put",
            NINE,
            "golden/lifecycle/package-down/one-call-put",
            held(5001, 22.0),
        ),
        // More than two seconds lie between the answer before it and the call after it.
        chance("create/start-1-status", None, "clone/full-of-running-no-disk", vec![Pause(2.0)]),
    ]
}
