//! The sentences of PVE and what they mean. They are not a stable interface, but have hardly changed from 7 to 9.

use super::failure::{Already, Busy, Failure};

use Failure::{
    Changed, Forbidden, Full, Gone, Guest, Other, Refused, Taken, Transient, UnknownOutcome, WrongState,
};

const EXISTS: Failure = Failure::Already(Already::Exists);
const ABSENT: Failure = Failure::Already(Already::Absent);

/// Lower-case fragments, all of which a text must contain. The first row that matches decides, so the special
/// ones come before the general.
const TABLE: &[(&[&str], Failure)] = &[
    // Quorum before locks: `cfs-lock 'x' error: no quorum!` is not another operation that will end.
    (&["no quorum"], Failure::Busy(Busy::NoQuorum)),
    // Without quorum the cluster file system refuses writes like any read-only file system.
    (&["/etc/pve/", "permission denied"], Failure::Busy(Busy::NoQuorum)),
    (&["/etc/pve/", "read-only file system"], Failure::Busy(Busy::NoQuorum)),
    (&["permission check failed (pool '", "does not exist"], Refused),
    (&["permission check failed"], Forbidden),
    (&["only root can"], Forbidden),
    (&["only root may"], Forbidden),
    (&["need proper ticket"], Forbidden),
    (&["no worker upid"], Transient),
    (&["unable to fork worker"], Transient),
    (&["starting worker failed"], Transient),
    (&["start worker failed"], Transient),
    (&["-locked command timed out"], UnknownOutcome),
    (&["got lock request timeout"], Failure::Busy(Busy::Cluster)),
    (&["failed to obtain guest migration lock"], Failure::Busy(Busy::File)),
    (&["can't lock file", "/pve-storage-"], Failure::Busy(Busy::Storage)),
    (&["can't lock file"], Failure::Busy(Busy::File)),
    (&["vm is locked ("], Failure::Busy(Busy::Locked)),
    (&["checksum mismatch (file change"], Changed),
    (&["detected modified configuration"], Changed),
    // A stopped worker says what stopped it, whatever it was doing.
    (&["unexpected status"], UnknownOutcome),
    (&["unable to get last line"], UnknownOutcome),
    (&["received interrupt"], UnknownOutcome),
    (&["interrupted by signal"], UnknownOutcome),
    (&["no such task"], UnknownOutcome),
    // The exit status tells neither how far it came nor on which node the machine is.
    (&["migration problems"], UnknownOutcome),
    (&["migration aborted"], Other),
    (&["configuration file '", "does not exist"], Gone),
    (&["unable to find configuration file for vm"], Gone),
    (&["config file already exists"], Taken),
    (&["close (rename) atomic file", "file exists"], Taken),
    (&["unable to create vm", "already exists on node"], Taken),
    (&["no space left"], Full),
    (&["not enough free space"], Full),
    (&["insufficient free space"], Full),
    (&["hotplug problem"], Failure::Busy(Busy::Hotplug)),
    (&["hot-unplug"], Failure::Busy(Busy::Hotplug)),
    (&["storage '", "is not online"], Failure::Busy(Busy::Storage)),
    (&["connection check for storage"], Failure::Busy(Busy::Storage)),
    (&["target is local node"], Failure::Already(Already::OnTarget)),
    (&["shrinking disks is not supported"], Failure::Already(Already::Larger)),
    (&["already running"], Failure::Already(Already::Running)),
    (&["already used"], EXISTS),
    (&["is already a pool member"], EXISTS),
    (&["already defined"], EXISTS),
    (&["can't convert a template to a template"], EXISTS),
    (&["belongs already to pool"], Refused),
    (&["cloud-init drive is already attached"], EXISTS),
    (&["snapshot '", "does not exist"], ABSENT),
    (&["not ha managed"], ABSENT),
    (&["is not a pool member"], ABSENT),
    (&["no such ipset"], ABSENT),
    (&["no rule at position"], ABSENT),
    (&["no such resource"], ABSENT),
    (&["can't migrate running vm without --online"], WrongState),
    (&["is running - destroy failed"], WrongState),
    (&["is paused - cannot shutdown"], WrongState),
    (&["ipset '", "is not empty"], WrongState),
    (&["vm quit/powerdown failed"], Guest),
    // Before "not running": the agent is one thing, the machine another.
    (&["guest agent is not running"], Guest),
    (&["guest agent", "got timeout"], Guest),
    (&["guest-ping", "got timeout"], Guest),
    // What QEMU says in between: a closed connection, a time-out, a socket that nobody serves.
    (&["qmp command 'guest-"], Guest),
    (&["qga socket"], Guest),
    (&["no qemu guest agent configured"], Refused),
    (&["vm ", "not running"], WrongState),
    (&["no options specified"], Refused),
    (&["not allowed for linked clones"], Refused),
    (&["clone feature is not supported"], Refused),
    (&["snapshot feature is not available"], Refused),
    (&["can't clone vm to node"], Refused),
    (&["can't clone to non-shared storage"], Refused),
    (&["can't migrate "], Refused),
    (&["is not available on node"], Refused),
    (&["storage '", "is disabled"], Refused),
    (&["storage '", "does not exist"], Refused),
    (&["no such cluster node"], Refused),
    (&["hostname lookup '"], Refused),
    (&["protection mode enabled"], Refused),
    (&["max backup limit"], Full),
    (&["vm is running"], WrongState),
    (&["used in ha resources and purge"], Refused),
    (&["still in use by linked clone"], Refused),
    (&["cannot remove protected"], Refused),
    (&["balloon value too large"], Refused),
    (&["invalid bootorder"], Refused),
    (&["you can't start a vm if it's a template"], Refused),
    (&["you can't resize a cdrom"], Refused),
    (&["vcpus allowed per vm"], Refused),
    (&["disk '", "does not exist"], Refused),
    (&["disk '", "has no associated volume"], Refused),
    (&["volume '", "does not exist"], Refused),
    (&["bridge '", "does not exist"], Refused),
    (&["no such security group"], Refused),
    (&["no such alias"], Refused),
    (&["pool '", "does not exist"], Refused),
    (&["unable to apply pending change"], Other),
    (&["parameter verification failed"], Refused),
    // What is left of `already exists` names no machine: IP sets, addresses, aliases, groups, pools.
    (&["vm ", "already exists"], Taken),
    (&["already exists"], EXISTS),
    // The time-out of a storage command: the image may be grown, half grown, or not.
    (&["got timeout"], UnknownOutcome),
];

/// What a sentence of PVE means: the message of an error answer, one value of its `errors`, or a task's exit status.
///
/// A prefix such as `clone failed: ` does not matter. Anything unknown is [`Failure::Other`].
///
/// ```
/// use proxmox_api::{Busy, Failure, classify};
///
/// assert_eq!(classify("VM is locked (backup)"), Failure::Busy(Busy::Locked));
/// assert_eq!(classify("clone failed: no quorum!"), Failure::Busy(Busy::NoQuorum));
/// ```
pub fn classify(text: &str) -> Failure {
    let text = text.to_lowercase();
    TABLE
        .iter()
        .find(|(fragments, _)| fragments.iter().all(|fragment| text.contains(fragment)))
        .map_or(Failure::Other, |(_, failure)| *failure)
}

/// Which lock a text speaks of: `backup` for `VM is locked (backup)`.
pub fn locked_by(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("VM is locked (")?;
    rest.split_once(')').map(|(lock, _)| lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &[(&str, Failure)] = &[
        ("Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist", Gone),
        ("unable to find configuration file for VM 100 on node 'pve1'", Gone),
        ("VM is locked (clone)", Failure::Busy(Busy::Locked)),
        ("can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", Failure::Busy(Busy::File)),
        ("cluster not ready - no quorum?", Failure::Busy(Busy::NoQuorum)),
        ("cfs-lock 'firewall-vm-100' error: no quorum!", Failure::Busy(Busy::NoQuorum)),
        (
            "unable to open file '/etc/pve/nodes/pve1/qemu-server/100.conf.tmp.23' - Permission denied",
            Failure::Busy(Busy::NoQuorum),
        ),
        ("no such cluster node 'pve7'", Refused),
        (
            "hostname lookup 'pve7' failed - failed to get address info for: pve7: Name or service not known",
            Refused,
        ),
        ("checksum mismatch (file change by other user?)", Changed),
        ("detected modified configuration - file changed by other user? Try again.", Changed),
        ("no options specified", Refused),
        ("unable to create VM 100: config file already exists", Taken),
        ("unable to create VM 100 - VM 100 already exists on node 'pve2'", Taken),
        ("VM 100 already exists", Taken),
        ("snapshot 'a' does not exist", ABSENT),
        ("parameter 'storage' not allowed for linked clones", Refused),
        ("parameter 'format' not allowed for linked clones", Refused),
        ("can't clone VM to node 'pve2' (VM uses local storage)", Refused),
        ("can't clone to non-shared storage 'local'", Refused),
        ("Linked clone feature is not supported for 'local:1/vm-1-disk-0.raw' (scsi0)", Refused),
        ("Full clone feature is not supported for 'local:1/vm-1-disk-0.raw' (scsi0)", Refused),
        ("can't migrate running VM without --online", WrongState),
        ("can't migrate VM - check log", Refused),
        ("storage 'fast' is not available on node 'pve2'", Refused),
        ("storage 'fast' is disabled", Refused),
        ("storage 'fast' does not exist", Refused),
        ("storage 'fast' is not online", Failure::Busy(Busy::Storage)),
        ("VM 100 not running", WrongState),
        ("VM 100 is not running", WrongState),
        ("VM is paused - cannot shutdown", WrongState),
        ("can't remove VM 100 - protection mode enabled", Refused),
        ("VM 100 is running - destroy failed", WrongState),
        ("unable to restore VM 100 - vm is running", WrongState),
        ("unable to restore VM 100 - VM is locked (backup)", Failure::Busy(Busy::Locked)),
        (
            "There is a max backup limit of 1 enforced by the target storage or the vzdump parameters. Either increase the \
             limit or delete old backups.",
            Full,
        ),
        ("unable to remove VM 100 - used in HA resources and purge parameter not set.", Refused),
        ("only root can set 'args' config", Forbidden),
        ("Only root may use this option.", Forbidden),
        ("no such IPSet 'ipfilter-net0'", ABSENT),
        ("IPSet 'ipfilter-net0' is not empty", WrongState),
        ("no rule at position 3", ABSENT),
        ("pool 'p' does not exist", Refused),
        ("Permission check failed (pool 'p' does not exist)", Refused),
        ("Permission check failed (/vms/100, VM.Audit)", Forbidden),
        ("403 Permission check failed (/vms/100, VM.Config.Disk)", Forbidden),
        ("update pools failed: VM 100 is already a pool member", EXISTS),
        ("update pools failed: VM 100 is not a pool member", ABSENT),
        ("create pool failed: pool 'p1' already exists", EXISTS),
        ("create resource failed: resource ID 'vm:100' already defined", EXISTS),
        ("cannot delete service 'vm:100', not HA managed!", ABSENT),
        ("No QEMU guest agent configured", Refused),
        ("QEMU guest agent is not running", Guest),
        ("VM 100 qmp command 'guest-ping' failed - got timeout", Guest),
        ("VM 100 qmp command 'guest-network-get-interfaces' failed - got timeout", Guest),
        ("VM 100 qmp command 'guest-network-get-interfaces' failed - client closed connection", Guest),
        ("unable to connect to VM 100 qga socket - timeout after 31 retries", Guest),
        ("got no worker upid - start worker failed", Transient),
        ("target is local node.", Failure::Already(Already::OnTarget)),
        ("no such task", UnknownOutcome),
        ("hotplug problem - error on hot-unplugging device 'scsi1'", Failure::Busy(Busy::Hotplug)),
        ("unable to apply pending change scsi1 : broken", Other),
        ("IPSet 'ipfilter-net0' already exists", EXISTS),
        ("address '203.0.113.7' already exists", EXISTS),
        ("no such alias 'nonsense'", Refused),
        ("OK, but strange", Other),
        ("unexpected status", UnknownOutcome),
        (
            "clone failed: can't lock file '/var/lock/pve-manager/pve-storage-local' - got timeout",
            Failure::Busy(Busy::Storage),
        ),
        (
            "clone failed: cfs-lock 'storage-shared' error: got lock request timeout",
            Failure::Busy(Busy::Cluster),
        ),
        ("'storage-shared'-locked command timed out - aborting", UnknownOutcome),
        ("close (rename) atomic file '/etc/pve/nodes/pve1/qemu-server/100.conf' failed: File exists", Taken),
        ("migration aborted", Other),
        ("migration problems", UnknownOutcome),
        ("shrinking disks is not supported", Failure::Already(Already::Larger)),
        ("disk 'scsi7' does not exist", Refused),
        ("disk 'scsi7' has no associated volume", Refused),
        ("you can't resize a cdrom", Refused),
        ("VM 100 already running", Failure::Already(Already::Running)),
        ("start failed: QEMU exited with code 1", Other),
        ("VM quit/powerdown failed - got timeout", Guest),
        ("VM quit/powerdown failed", Guest),
        ("snapshot name 'a' already used", EXISTS),
        ("snapshot feature is not available", Refused),
        ("base volume 'shared:9000/base-9000-disk-0.qcow2' is still in use by linked cloned", Refused),
        ("Failed to obtain guest migration lock - replication running?", Failure::Busy(Busy::File)),
        ("cfs-lock 'storage-shared' error: got lock request timeout", Failure::Busy(Busy::Cluster)),
        ("interrupted by signal", UnknownOutcome),
        ("received interrupt", UnknownOutcome),
        ("command '/usr/bin/qemu-img resize x' failed: got timeout", UnknownOutcome),
        ("lvcreate 'pve/vm-1' error: Volume group \"pve\" has insufficient free space (1 extents)", Full),
        ("write failed: No space left on device", Full),
        ("MAX 2 vcpus allowed per VM on this node", Refused),
        ("you can't start a vm if it's a template", Refused),
        ("you can't convert a template to a template", EXISTS),
        ("balloon value too large (must be smaller than assigned memory)", Refused),
        (
            "400 Parameter verification failed. net0: hotplug problem - command '/sbin/tc' failed: exit code 1",
            Failure::Busy(Busy::Hotplug),
        ),
        ("failed to update VM 100: unable to create image: qemu-img: Invalid image size specified.", Other),
    ];

    #[test]
    fn the_known_sentences_have_their_meaning() {
        for (text, expected) in CATALOGUE {
            assert_eq!(classify(text), *expected, "{text}");
        }
    }

    #[test]
    fn every_row_of_the_table_can_be_reached() {
        for (index, (fragments, failure)) in TABLE.iter().enumerate() {
            let text = fragments.join(" ");
            let first = TABLE.iter().position(|(earlier, _)| earlier.iter().all(|part| text.contains(part)));
            assert_eq!(first, Some(index), "{fragments:?} ({failure:?}) is hidden by an earlier row");
        }
    }

    #[test]
    fn the_lock_is_named() {
        assert_eq!(locked_by("clone failed: VM is locked (snapshot-delete)"), Some("snapshot-delete"));
        assert_eq!(locked_by("VM is locked (half"), None);
        assert_eq!(locked_by("fine"), None);
    }
}
