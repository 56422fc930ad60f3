//! The differences that are meant, and why. They count as differences all the same.

use proxmox_sim::Version;

use crate::rows::Row;

/// A case (a star stands for any ending), the version it concerns if only one, and the reason.
type Difference = (&'static str, Option<Version>, &'static str);

const EIGHT: Option<Version> = Some(Version::V8_4);
const NINE: Option<Version> = Some(Version::V9_2);

const MEANT: &[Difference] = &[
    ("clone-abort/task-log", EIGHT, "the copying tool's own words when a signal meets it are not imitated"),
    (
        "clone-running2/config-post-new-vm",
        EIGHT,
        "all workers of the daemon were blocked, and the proxy's connection to it broke, which is chance",
    ),
    (
        "clone-running2/clone-same-newid",
        EIGHT,
        "all workers of the daemon were blocked, and the proxy's connection to it broke",
    ),
    (
        "clone-running2/clone-of-new-vm",
        NINE,
        "all workers of the daemon were blocked, and the proxy's connection to it broke",
    ),
    (
        "clone-running2/cluster-tasks",
        None,
        "calls sent at the same time, and one that is not in the recording",
    ),
    ("clone-running2/*/task-log", None, "which of several calls at the same time waits is chance"),
    ("clone-race/*", None, "which of several calls at the same time waits is chance"),
    ("nodes/network", None, "eth0 is the container's that the servers ran in"),
    (
        "http/plain-on-tls-port",
        None,
        "answered before HTTP: by the server (tests/transport), not by the cluster that is asked here",
    ),
    (
        "golden/lifecycle/package-up/net-rate-running/task-log",
        None,
        "a line of tc, which the simulator has not",
    ),
    (
        "golden/lifecycle/suspend/watch-status/1",
        None,
        "the process ends between two questions to it; simulated processes answer all or nothing",
    ),
    (
        "golden/lifecycle/unsuspend/start/status-1",
        NINE,
        "the process is there and does not answer yet; simulated processes answer all or nothing",
    ),
    (
        "golden/migrated/clone/watch-status/1",
        NINE,
        "the configuration appeared within the call, which left a row with nothing but `ha`",
    ),
    (
        "golden/*/destroy/watch-resources/1",
        None,
        "the list read the configuration just after it was removed and before the list of machines knew",
    ),
    (
        "golden/lp-role/cluster-tasks",
        None,
        "names stops of the clean-up between scripts, which nobody recorded",
    ),
    (
        "nowait/start-immediately/task-log",
        NINE,
        "whether the start still meets the lock of the call before it is a matter of milliseconds",
    ),
];

/// Why the row may differ.
pub(crate) fn reason(version: Version, row: &Row) -> Option<&'static str> {
    let concerned =
        |(case, only, _): &&Difference| fits(case, &row.case) && only.is_none_or(|only| only == version);
    MEANT.iter().find(concerned).map(|(_, _, reason)| *reason)
}

fn fits(pattern: &str, case: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == case,
        Some((start, end)) => {
            case.len() >= start.len() + end.len() && case.starts_with(start) && case.ends_with(end)
        }
    }
}
