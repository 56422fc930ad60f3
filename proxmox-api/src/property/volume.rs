use std::fmt;
use std::str::FromStr;

use super::DiskSize;

/// What a drive is backed by: the `file` of a drive's property string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Volume {
    /// A volume that exists: `STORAGE:NAME`.
    Existing {
        /// The storage.
        storage: String,
        /// The volume's name on it.
        name: String,
    },
    /// `STORAGE:SIZE`, only when writing: a new volume. Repeating it allocates another one.
    Allocate {
        /// The storage.
        storage: String,
        /// How large; PVE takes it in GiB, with a fraction if need be.
        size: DiskSize,
    },
    /// `STORAGE:cloudinit`, only when writing: a new cloud-init drive.
    CloudInit {
        /// The storage.
        storage: String,
    },
    /// `none`: an empty CD-ROM drive.
    None,
    /// `cdrom`: the CD-ROM drive of the node.
    Cdrom,
    /// Anything else, such as an absolute path.
    Other(String),
}

impl Volume {
    /// The volume's id, `STORAGE:NAME`, if it names one that exists.
    pub fn volid(&self) -> Option<String> {
        matches!(self, Self::Existing { .. }).then(|| self.to_string())
    }

    /// The storage, if there is one.
    pub fn storage(&self) -> Option<&str> {
        match self {
            Self::Existing { storage, .. } | Self::Allocate { storage, .. } | Self::CloudInit { storage } => {
                Some(storage)
            }
            Self::None | Self::Cdrom | Self::Other(_) => None,
        }
    }

    /// True if this is a cloud-init drive, to be made or made: PVE names them `vm-N-cloudinit`.
    pub fn is_cloud_init(&self) -> bool {
        match self {
            Self::CloudInit { .. } => true,
            Self::Existing { name, .. } => {
                let file = name.rsplit('/').next().unwrap_or(name);
                let stem = file.split('.').next().unwrap_or(file);
                stem.starts_with("vm-") && stem.ends_with("-cloudinit")
            }
            _ => false,
        }
    }
}

impl FromStr for Volume {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::None,
            "cdrom" => Self::Cdrom,
            _ => match text.split_once(':') {
                Some((storage, name)) if is_storage(storage) && !name.is_empty() => {
                    let storage = storage.to_owned();
                    if name == "cloudinit" {
                        Self::CloudInit { storage }
                    } else if let Ok(size) = DiskSize::scaled(name, 30) {
                        Self::Allocate { storage, size }
                    } else {
                        Self::Existing { storage, name: name.to_owned() }
                    }
                }
                _ => Self::Other(text.to_owned()),
            },
        })
    }
}

fn is_storage(text: &str) -> bool {
    !text.is_empty() && !text.contains(|char: char| char == '/' || char.is_whitespace())
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Existing { storage, name } => write!(f, "{storage}:{name}"),
            Self::Allocate { storage, size } => {
                write!(f, "{storage}:{}", size.bytes() >> 30)?;
                let rest = size.bytes() & ((1 << 30) - 1);
                if rest == 0 {
                    return Ok(());
                }
                // A fraction of 2^30 has at most 30 decimals, so this is exact.
                let decimals = u128::from(rest) * 5_u128.pow(30);
                write!(f, ".{}", format!("{decimals:030}").trim_end_matches('0'))
            }
            Self::CloudInit { storage } => write!(f, "{storage}:cloudinit"),
            Self::None => f.write_str("none"),
            Self::Cdrom => f.write_str("cdrom"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn volume(text: &str) -> Volume {
        match text.parse() {
            Ok(volume) => volume,
        }
    }

    #[test]
    fn all_forms_are_told_apart() {
        let base = volume("shared:9100/base-9100-disk-0.qcow2/101/vm-101-disk-0.qcow2");
        assert_eq!(base.storage(), Some("shared"));
        assert_eq!(
            base.volid().as_deref(),
            Some("shared:9100/base-9100-disk-0.qcow2/101/vm-101-disk-0.qcow2")
        );
        assert_eq!(
            volume("fast:32"),
            Volume::Allocate { storage: "fast".to_owned(), size: DiskSize::from_gib(32) }
        );
        assert_eq!(volume("fast:0.5").to_string(), "fast:0.5");
        assert!(volume("fast:cloudinit").is_cloud_init());
        assert!(volume("shared:9100/vm-9100-cloudinit.qcow2").is_cloud_init());
        assert!(volume("pool:vm-9100-cloudinit").is_cloud_init());
        assert!(!volume("pool:vm-9100-disk-0").is_cloud_init());
        assert_eq!(volume("none"), Volume::None);
        assert_eq!(volume("/dev/sda"), Volume::Other("/dev/sda".to_owned()));
    }

    proptest! {
        #[test]
        fn allocations_are_exact(bytes: u64) {
            let made = Volume::Allocate { storage: "s".to_owned(), size: DiskSize::from_bytes(bytes) };
            prop_assert_eq!(volume(&made.to_string()), made);
        }

        #[test]
        fn any_text_is_survived(text in "[a-z]{1,3}:[0-9.]{0,30}|[a-z:/]{0,10}|.{0,20}") {
            let parsed = volume(&text);
            prop_assert_eq!(volume(&parsed.to_string()), parsed);
        }
    }
}
