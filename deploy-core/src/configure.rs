//! Settings of a machine's configuration, as a change.

use crate::{
    Autostart, CpuCount, Disk, DiskLimits, DiskSlot, DnsName, GiB, GuestNetwork, MiB, Nic, NicSlot,
    PasswordHash, SshKey, StorageId, Tag, UnusedSlot, UserName,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Settings that one call can carry, also those of several steps. `None` and empty mean "as it is".
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)] // the fields are those of `MachineConfig`
pub struct Configure {
    pub description: Option<String>,
    pub name: Option<DnsName>,
    pub tags: Option<BTreeSet<Tag>>,
    pub autostart: Option<Autostart>,
    pub protected: Option<bool>,
    pub sockets: Option<CpuCount>,
    pub cores: Option<CpuCount>,
    pub memory: Option<MiB>,
    pub balloon: Option<MiB>,
    pub disks: BTreeMap<DiskSlot, DiskGoal>,
    /// Disks to unplug. PVE keeps each volume, as `unusedN`; of a machine that runs and whose guest does not let go of it the
    /// removal waits for the next start. Only from slots seen to hold the disk that is meant, guarded by the revision.
    pub remove_disks: BTreeSet<DiskSlot>,
    /// Volumes to free that no slot names any more, for ever. PVE frees what the entry names when the call arrives, so that it
    /// is only for an entry that was seen, guarded by the revision. One that is gone is no failure.
    pub remove_unused: BTreeSet<UnusedSlot>,
    pub nics: BTreeMap<NicSlot, Nic>,
    pub remove_nics: BTreeSet<NicSlot>,
    pub cloud_init: CloudInitGoal,
    /// Sizes of disks that are there already, absolute: a request of its own each, after the settings.
    pub sizes: BTreeMap<DiskSlot, GiB>,
}

/// What a disk slot shall hold.
#[derive(Debug, Clone, PartialEq)]
pub enum DiskGoal {
    /// The disk that is there, with these limits and options.
    Keep(Disk),
    /// A new disk. Only for a slot seen empty, and guarded by the revision: repeated blindly it makes a second volume.
    Create {
        /// The storage.
        storage: StorageId,
        /// The size.
        size: GiB,
        /// The limits.
        limits: DiskLimits,
    },
}

/// What cloud-init shall be told. `None` means "as it is".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the fields are those of `MachineCloudInit`
pub struct CloudInitGoal {
    /// A drive to make, where there is none.
    pub drive: Option<(DiskSlot, StorageId)>,
    pub user: Option<UserName>,
    pub password: Option<PasswordHash>,
    pub ssh_keys: Option<Vec<SshKey>>,
    pub networks: BTreeMap<NicSlot, GuestNetwork>,
    pub remove_networks: BTreeSet<NicSlot>,
    pub resolvers: Option<Vec<IpAddr>>,
    pub search_domain: Option<DnsName>,
    pub upgrade: Option<bool>,
}

impl Configure {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what `other` sets and this does not.
    pub fn merge(&mut self, other: Self) {
        let Self {
            description,
            name,
            tags,
            autostart,
            protected,
            sockets,
            cores,
            memory,
            balloon,
            disks,
            nics,
            ..
        } = other;
        self.description = self.description.take().or(description);
        self.name = self.name.take().or(name);
        self.tags = self.tags.take().or(tags);
        self.autostart = self.autostart.or(autostart);
        self.protected = self.protected.or(protected);
        self.sockets = self.sockets.or(sockets);
        self.cores = self.cores.or(cores);
        self.memory = self.memory.or(memory);
        self.balloon = self.balloon.or(balloon);
        for (slot, disk) in disks {
            self.disks.entry(slot).or_insert(disk);
        }
        for (slot, nic) in nics {
            self.nics.entry(slot).or_insert(nic);
        }
        self.remove_disks.extend(other.remove_disks);
        self.remove_unused.extend(other.remove_unused);
        self.remove_nics.extend(other.remove_nics);
        self.cloud_init.merge(other.cloud_init);
        for (slot, size) in other.sizes {
            self.sizes.entry(slot).or_insert(size);
        }
    }
}

impl CloudInitGoal {
    fn merge(&mut self, other: Self) {
        self.drive = self.drive.take().or(other.drive);
        self.user = self.user.take().or(other.user);
        self.password = self.password.take().or(other.password);
        self.ssh_keys = self.ssh_keys.take().or(other.ssh_keys);
        for (slot, network) in other.networks {
            self.networks.entry(slot).or_insert(network);
        }
        self.remove_networks.extend(other.remove_networks);
        self.resolvers = self.resolvers.take().or(other.resolvers);
        self.search_domain = self.search_domain.take().or(other.search_domain);
        self.upgrade = self.upgrade.or(other.upgrade);
    }
}

impl Configure {
    /// What it sets, in words.
    pub(crate) fn topics(&self) -> Vec<String> {
        let mut topics = Vec::new();
        let mut say = |set: bool, topic: &str| {
            if set {
                topics.push(topic.to_owned());
            }
        };
        say(self.description.is_some(), "description");
        say(self.name.is_some(), "name");
        say(self.tags.is_some(), "tags");
        say(self.autostart.is_some(), "autostart");
        say(self.protected.is_some(), "protection");
        say(self.sockets.is_some() || self.cores.is_some(), "CPU");
        say(self.memory.is_some() || self.balloon.is_some(), "memory");
        topics.extend(self.disks.keys().map(ToString::to_string));
        topics.extend(self.remove_disks.iter().map(|slot| format!("no {slot}")));
        topics.extend(self.remove_unused.iter().map(|slot| format!("no {slot}")));
        topics.extend(self.nics.keys().map(ToString::to_string));
        topics.extend(self.remove_nics.iter().map(|slot| format!("no {slot}")));
        if self.cloud_init != CloudInitGoal::default() {
            topics.push("cloud-init".to_owned());
        }
        topics.extend(self.sizes.iter().map(|(slot, size)| format!("size of {slot} {size}")));
        topics
    }
}
