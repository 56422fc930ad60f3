//! What a backup holds.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::machine_config::section;
use super::{Firewall, Machine, Volume, World, split_volid};
use crate::config::BackupConfig;

/// The configuration, the disks, the firewall. Snapshots, unused disks and what waits for a power cycle are
/// not in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) disks: Vec<ArchivedDisk>,
    pub(crate) firewall: Option<Firewall>,
}

/// A disk, with where it came from.
#[derive(Debug, Clone)]
pub(crate) struct ArchivedDisk {
    pub(crate) slot: String,
    pub(crate) storage: String,
    pub(crate) format: String,
    pub(crate) size: u64,
    /// The image holds an operating system.
    pub(crate) system: bool,
    /// The image holds a guest agent.
    pub(crate) agent: bool,
}

impl Archive {
    /// What a backup of the machine would hold now.
    pub(crate) fn of(world: &World, machine: &Machine) -> Self {
        let kept = |key: &str| !key.starts_with("unused") && !matches!(key, "lock" | "parent");
        let options = machine.config.current.iter().filter(|(key, _)| kept(key));
        let disks = machine.drives().filter(|(_, drive)| {
            !drive.is_cdrom() && !drive.is_cloud_init() && drive.properties.get("backup") != Some("0")
        });
        let disk = |(slot, drive): (&str, super::Drive)| {
            let volid = drive.volume()?.to_owned();
            let volume = world.volume(&machine.node, &volid)?;
            Some(ArchivedDisk {
                slot: slot.to_owned(),
                storage: split_volid(&volid).0.to_owned(),
                format: volume.format.clone(),
                size: volume.size,
                system: volume.system,
                agent: volume.agent,
            })
        };
        Self {
            options: options.map(|(key, value)| (key.clone(), value.clone())).collect(),
            disks: disks.filter_map(disk).collect(),
            firewall: world.firewalls.get(&machine.vmid).cloned(),
        }
    }

    /// Whether a restore makes something new for this slot.
    pub(crate) fn makes(&self, slot: &str) -> bool {
        let drive = self.options.get(slot).and_then(|text| super::Drive::parse(slot, text));
        self.disks.iter().any(|disk| disk.slot == slot) || drive.is_some_and(|drive| drive.is_cloud_init())
    }

    /// The file in it that is the configuration, with notes on the disks.
    pub(crate) fn text(&self) -> String {
        let mut text = section(&self.options);
        for ArchivedDisk { slot, storage, format, .. } in &self.disks {
            let _ = writeln!(text, "#qmdump#map:{slot}:drive-{slot}:{storage}:{format}:");
        }
        text
    }
}

impl World {
    /// Lays a backup down on a storage, as if it had been made.
    pub(crate) fn lay_down(&mut self, backup: &BackupConfig) -> Option<String> {
        let archive = Archive { options: backup.config.clone(), ..Archive::default() };
        let size = if backup.size == 0 { 1 << 20 } else { backup.size };
        let volume = Volume {
            content: "backup",
            protected: backup.protected,
            archive: (!archive.options.is_empty()).then(|| Box::new(archive)),
            ..Volume::image(backup.vmid, size, "vma.zst", self.unix())
        };
        self.put_backup(&backup.storage, &backup.node, volume)
    }

    /// Puts a backup on a storage, and returns its volume id. Its name says when it was made; each has a second of
    /// its own.
    pub(crate) fn put_backup(&mut self, storage: &str, node: &str, volume: Volume) -> Option<String> {
        let storage = self.storages.get_mut(storage)?;
        let place = storage.place(node);
        let named = |second| {
            (place.clone(), format!("backup/vzdump-qemu-{}-{}.vma.zst", volume.owner, date_in_name(second)))
        };
        let mut at = named(volume.created);
        let mut second = volume.created;
        while storage.volumes.contains(&at) {
            second += 1;
            at = named(second);
        }
        let volid = format!("{}:{}", storage.name, at.1);
        storage.volumes.insert(at, volume);
        Some(volid)
    }
}

/// Unix time as backups are named after, such as `2026_01_02-03_04_05`.
fn date_in_name(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    let (year, month, day) = civil(days);
    format!("{year}_{month:02}_{day:02}-{:02}_{:02}_{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day since 1970, in the Gregorian calendar, whose cycle is 400 years and begins in March of a year that
/// can be divided by 400.
fn civil(days: u64) -> (u64, u64, u64) {
    const CYCLE: u64 = 146_097;
    let since = days + 719_468;
    let day_of_cycle = since % CYCLE;
    let year =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / (CYCLE - 1)) / 365;
    let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (since / CYCLE * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::date_in_name;

    #[test]
    fn backups_are_named_after_the_time() {
        for (unix, name) in [
            (0, "1970_01_01-00_00_00"),
            (951_782_400, "2000_02_29-00_00_00"),
            (1_767_323_045, "2026_01_02-03_04_05"),
            (4_107_542_399, "2100_02_28-23_59_59"),
        ] {
            assert_eq!(date_in_name(unix), name);
        }
    }
}
