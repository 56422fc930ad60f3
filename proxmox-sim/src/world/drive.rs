//! Drives: options whose value names a volume.

use crate::schema::{Properties, Schema, parse_properties};

/// A parsed drive option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drive {
    pub(crate) properties: Properties,
}

impl Drive {
    /// Parses the value of a drive slot; `None` when the combination of keys is refused.
    pub(crate) fn parse(slot: &str, text: &str) -> Option<Self> {
        let family = slot.trim_end_matches(|c: char| c.is_ascii_digit());
        let keys = Schema::get().properties(family)?;
        let properties = parse_properties(keys, text).ok()?;
        let drive = Self { properties };
        drive.consistent().then_some(drive)
    }

    /// The volume, `none`, or what is to be allocated.
    pub(crate) fn file(&self) -> &str {
        self.properties.get("file").unwrap_or_default()
    }

    pub(crate) fn is_cdrom(&self) -> bool {
        self.properties.get("media") == Some("cdrom") || matches!(self.file(), "none" | "cdrom")
    }

    pub(crate) fn is_cloud_init(&self) -> bool {
        let file = self.file();
        file.ends_with(":cloudinit") || file.contains("-cloudinit")
    }

    /// The volume it holds, if it holds one.
    pub(crate) fn volume(&self) -> Option<&str> {
        let file = self.file();
        (file.contains(':') && self.allocation().is_none() && !file.ends_with(":cloudinit")).then_some(file)
    }

    /// Storage and GiB, where the value asks for a new volume.
    pub(crate) fn allocation(&self) -> Option<(&str, f64)> {
        let (storage, size) = self.file().split_once(':')?;
        let plain = !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let gib: f64 = size.parse().ok()?;
        plain.then_some((storage, gib))
    }

    pub(crate) fn print(&self) -> String {
        self.properties.print("file")
    }

    /// Combinations that the server cannot parse.
    fn consistent(&self) -> bool {
        let set = |key: &str| self.properties.get(key).is_some_and(|v| v != "0");
        for kind in ["mbps", "iops"] {
            if set(kind) && (set(&format!("{kind}_rd")) || set(&format!("{kind}_wr"))) {
                return false;
            }
            for part in ["", "_rd", "_wr"] {
                if set(&format!("{kind}{part}_max")) && !set(&format!("{kind}{part}")) {
                    return false;
                }
            }
        }
        !(self.properties.get("media") == Some("cdrom") && (set("snapshot") || set("format")))
    }
}

/// Whether the option is a drive slot.
pub(crate) fn is_drive(option: &str) -> bool {
    let family = option.trim_end_matches(|c: char| c.is_ascii_digit());
    family.len() < option.len()
        && matches!(family, "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate")
}

/// Bytes as the server writes them: in the largest unit that leaves a whole number.
pub(crate) fn print_size(bytes: u64) -> String {
    let mut size = bytes;
    for unit in ["", "K", "M", "G"] {
        if size == 0 || !size.is_multiple_of(1024) {
            return format!("{size}{unit}");
        }
        size /= 1024;
        if unit == "G" {
            return format!("{size}T");
        }
    }
    format!("{bytes}")
}

/// Reads a size; without a unit it is bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: f64 = number.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    Some(bytes_of(number, shift))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn bytes_of(number: f64, shift: u32) -> u64 {
    (number * (1_u64 << shift) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_in_the_largest_whole_unit() {
        for (bytes, text) in
            [(5 << 30, "5G"), (4 << 20, "4M"), (1536 << 20, "1536M"), (1 << 40, "1T"), (1000, "1000")]
        {
            assert_eq!(print_size(bytes), text);
            assert_eq!(parse_size(text), Some(bytes));
        }
        assert_eq!(parse_size("1.5G"), Some(1536 << 20));
        assert_eq!(parse_size("abc"), None);
    }

    #[test]
    fn keys_come_back_sorted() {
        let text = "shared:100/vm-100-disk-0.qcow2,ssd=1,iothread=on,mbps_rd=100,discard=on";
        let drive = Drive::parse("scsi0", text).expect("a drive");
        let sorted = "shared:100/vm-100-disk-0.qcow2,discard=on,iothread=1,mbps_rd=100,ssd=1";
        assert_eq!(drive.print(), sorted);
        assert!(Drive::parse("scsi0", "shared:1,mbps=1,mbps_rd=2").is_none());
        assert_eq!(Drive::parse("scsi0", "shared:8").and_then(|d| d.allocation().map(|a| a.1)), Some(8.0));
    }
}
