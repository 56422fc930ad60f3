//! Locks that workers hold while they work.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::world::{World, split_volid};

/// A lock a worker wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flock {
    pub(crate) key: String,
    pub(crate) shared: bool,
    pub(crate) timeout: Duration,
    /// What the worker dies with when it does not get it.
    pub(crate) failure: String,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Flock {
    /// The lock of a machine's configuration on its node.
    pub(crate) fn machine(node: &str, vmid: u32) -> Self {
        Self {
            key: format!("{node}/lock-{vmid}"),
            shared: false,
            timeout: PATIENCE,
            failure: format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"),
        }
    }

    /// The lock that lets a migration, a replication and the end of a snapshot not meet.
    pub(crate) fn migration(node: &str, vmid: u32) -> Self {
        Self {
            key: format!("{node}/pve-migrate-{vmid}"),
            shared: false,
            timeout: PATIENCE,
            failure: format!("can't lock file '/var/lock/pve-manager/pve-migrate-{vmid}' - got timeout"),
        }
    }

    /// The same, as a worker asks for it that blames the replication.
    pub(crate) fn replication(node: &str, vmid: u32) -> Self {
        let failure = "Failed to obtain guest migration lock - replication running?".to_owned();
        Self { failure, ..Self::migration(node, vmid) }
    }

    /// The lock that lets one backup of a node run at a time.
    pub(crate) fn vzdump(node: &str) -> Self {
        Self {
            key: format!("{node}/vzdump"),
            shared: false,
            timeout: Duration::from_secs(180 * 60),
            failure: "can't acquire lock '/var/run/vzdump.lock' - got timeout".to_owned(),
        }
    }

    /// The lock under which volumes of a storage are made and removed.
    pub(crate) fn storage(node: &str, storage: &str, shared: bool) -> Self {
        let (key, failure) = if shared {
            let failure = format!("cfs-lock 'storage-{storage}' error: got lock request timeout");
            (format!("storage-{storage}"), failure)
        } else {
            let file = format!("/var/lock/pve-manager/pve-storage-{storage}");
            (format!("{node}/storage-{storage}"), format!("can't lock file '{file}' - got timeout"))
        };
        Self { key, shared: false, timeout: PATIENCE, failure }
    }

    pub(crate) fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl World {
    /// What is said when the lock of a storage, or of a volume's storage, is not had in time.
    pub(crate) fn storage_busy(&self, node: &str, volid: &str) -> String {
        let (storage, _) = split_volid(volid);
        let shared = self.storage(storage).is_ok_and(|storage| storage.shared);
        Flock::storage(node, storage, shared).failure
    }
}

/// Who holds what, and who waits.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    locks: BTreeMap<String, Lock>,
}

#[derive(Debug, Default)]
struct Lock {
    shared: bool,
    holders: Vec<u64>,
    waiting: VecDeque<(u64, bool)>,
}

impl LockTable {
    /// Takes the lock or joins its queue. A shared holder lets other shared ones in, also past an
    /// exclusive one that waits.
    pub(crate) fn take(&mut self, owner: u64, flock: &Flock) -> bool {
        let lock = self.locks.entry(flock.key.clone()).or_default();
        if lock.holders.is_empty() || (lock.shared && flock.shared) {
            lock.shared = flock.shared;
            lock.holders.push(owner);
            return true;
        }
        lock.waiting.push_back((owner, flock.shared));
        false
    }

    /// Whether nobody holds the lock.
    pub(crate) fn is_free(&self, key: &str) -> bool {
        !self.locks.contains_key(key)
    }

    /// Leaves the queue of a lock.
    pub(crate) fn give_up(&mut self, owner: u64, key: &str) {
        if let Some(lock) = self.locks.get_mut(key) {
            lock.waiting.retain(|(waiter, _)| *waiter != owner);
        }
    }

    /// Releases the lock and returns those who have it now.
    pub(crate) fn release(&mut self, owner: u64, key: &str) -> Vec<u64> {
        let mut woken = Vec::new();
        let Some(lock) = self.locks.get_mut(key) else {
            return woken;
        };
        lock.holders.retain(|holder| *holder != owner);
        while let Some((next, shared)) = lock.waiting.front().copied() {
            if !(lock.holders.is_empty() || (lock.shared && shared)) {
                break;
            }
            lock.waiting.pop_front();
            lock.shared = shared;
            lock.holders.push(next);
            woken.push(next);
        }
        if lock.holders.is_empty() {
            self.locks.remove(key);
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_holders_share_and_an_exclusive_one_waits_for_all() {
        let mut table = LockTable::default();
        let exclusive = Flock::machine("pve1", 100);
        let shared = exclusive.clone().shared();
        assert!(table.take(1, &shared));
        assert!(!table.take(2, &exclusive));
        assert!(table.take(3, &shared), "a waiting writer does not stop a reader");
        assert!(table.release(1, &exclusive.key).is_empty());
        assert_eq!(table.release(3, &exclusive.key), [2]);
        table.give_up(2, &exclusive.key);
        assert!(table.release(2, &exclusive.key).is_empty());
        assert!(table.take(4, &exclusive));
    }
}
