//! Lines that the tools below the server print into a task's log.

use std::fmt::Write as _;

use super::World;
use super::storage::split_volid;
use crate::config::StorageKind;
use crate::version::Version;

impl World {
    /// Where a volume of a directory storage lies.
    pub(crate) fn file_of(&self, volid: &str) -> Option<String> {
        let (storage, name) = split_volid(volid);
        if self.storages.get(storage)?.kind != StorageKind::Dir {
            return None;
        }
        let base = if storage == "local" { "/var/lib/vz".to_owned() } else { format!("/mnt/pve/{storage}") };
        let parts: Vec<&str> = name.split('/').collect();
        // A linked clone is named after its base, but lies in a folder of its own.
        match parts.as_slice() {
            ["backup", file] => Some(format!("{base}/dump/{file}")),
            ["iso", file] => Some(format!("{base}/template/iso/{file}")),
            ["vztmpl", file] => Some(format!("{base}/template/cache/{file}")),
            ["import", file] => Some(format!("{base}/import/{file}")),
            ["snippets", file] => Some(format!("{base}/snippets/{file}")),
            [.., owner, file] => Some(format!("{base}/images/{owner}/{file}")),
            _ => Some(format!("{base}/images/{name}")),
        }
    }

    /// What is printed when a volume has been made.
    pub(crate) fn formatting(&self, node: &str, volid: &str) -> Vec<String> {
        let (Some(file), Some(volume)) = (self.file_of(volid), self.volume(node, volid)) else {
            return Vec::new();
        };
        let size = volume.size;
        let Some(parent) = &volume.parent else {
            let details = if volume.format == "qcow2" {
                format!(
                    "fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata \
                     compression_type=zlib size={size} lazy_refcounts=off refcount_bits=16"
                )
            } else {
                format!("fmt={} size={size} preallocation=off", volume.format)
            };
            return vec![format!("Formatting '{file}', {details}")];
        };
        let (owner, plain) = (volume.owner, file.rsplit('/').next().unwrap_or_default());
        let clusters = if self.version < Version::V9_2 {
            "cluster_size=65536 extended_l2=off"
        } else {
            "cluster_size=131072 extended_l2=on preallocation=metadata"
        };
        vec![
            format!("clone {parent}: images, {plain}, {owner} to {plain} (base=../{parent})"),
            format!(
                "Formatting '{file}', fmt=qcow2 {clusters} compression_type=zlib size={size} \
                 backing_file=../{parent} backing_fmt=qcow2 lazy_refcounts=off refcount_bits=16"
            ),
        ]
    }

    /// The beginning of a line of a migration's log: the local time.
    pub(crate) fn stamp(&self) -> String {
        let seconds = self.unix();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Progress of a copy, from nothing to all.
pub(crate) fn transferred(size: u64) -> [String; 2] {
    let all = amount(size);
    [format!("transferred 0.0 B of {all} (0.00%)"), format!("transferred {all} of {all} (100.00%)")]
}

#[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn amount(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut text = String::new();
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        text.clear();
        let _ = write!(text, "{value:.1} {unit}");
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
    }
    text
}

/// Year, month and day of a number of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_and_bytes_become_amounts() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(1_795_291_896 / 86_400), (2026, 11, 21));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(transferred(200 << 20)[1], "transferred 200.0 MiB of 200.0 MiB (100.00%)");
    }
}
