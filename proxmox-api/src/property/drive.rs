use std::fmt;
use std::str::FromStr;

use super::{DiskSize, PropertyError, PropertyString, Volume};

/// A drive: the value of `scsiN`, `virtioN`, `sataN`, `ideN`, `efidisk0`, `tpmstate0`.
///
/// Options without a field of their own are kept in `others` and written back: PVE replaces the whole value, so an
/// option that is left out is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct DriveConfig {
    /// What it is backed by.
    pub volume: Volume,
    /// The size as the configuration remembers it. PVE ignores it when it is written, and never resizes by it.
    pub size: Option<DiskSize>,
    /// The limits of throughput.
    pub limits: DriveLimits,
    /// `disk` or `cdrom`; `None` means disk.
    pub media: Option<String>,
    /// All other options.
    pub others: PropertyString,
}

/// Limits of a drive's throughput. `None` is unlimited; PVE takes 0 as that, too, so 0 is read as `None`.
///
/// The combined limits (`mbps`, `iops`) exclude those for reading and writing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DriveLimits {
    /// Reading and writing together, in MiB/s.
    pub mbps: Option<f64>,
    /// Reading, in MiB/s.
    pub mbps_rd: Option<f64>,
    /// Writing, in MiB/s.
    pub mbps_wr: Option<f64>,
    /// Reading and writing together, in operations per second.
    pub iops: Option<u64>,
    /// Reading, in operations per second.
    pub iops_rd: Option<u64>,
    /// Writing, in operations per second.
    pub iops_wr: Option<u64>,
}

impl DriveConfig {
    /// A drive without options.
    pub fn new(volume: Volume) -> Self {
        Self {
            volume,
            size: None,
            limits: DriveLimits::default(),
            media: None,
            others: PropertyString::new("file"),
        }
    }

    /// True for a CD-ROM drive, which cloud-init drives are, too.
    pub fn is_cdrom(&self) -> bool {
        self.media.as_deref() == Some("cdrom") || matches!(self.volume, Volume::Cdrom | Volume::None)
    }

    /// The value to write: without the size, which the server finds out by itself.
    pub fn for_writing(&self) -> String {
        Self { size: None, ..self.clone() }.to_string()
    }
}

impl FromStr for DriveConfig {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let mut rest = PropertyString::parse(text, "file")?;
        // An older name of the same option.
        let volume = rest.take("file")?.or(rest.take("volume")?).ok_or(PropertyError::Missing("file"))?;
        let limits = DriveLimits {
            mbps: take_rate(&mut rest, "mbps")?,
            mbps_rd: take_rate(&mut rest, "mbps_rd")?,
            mbps_wr: take_rate(&mut rest, "mbps_wr")?,
            iops: rest.take("iops")?.filter(|limit| *limit != 0),
            iops_rd: rest.take("iops_rd")?.filter(|limit| *limit != 0),
            iops_wr: rest.take("iops_wr")?.filter(|limit| *limit != 0),
        };
        Ok(Self { volume, size: rest.take("size")?, limits, media: rest.take("media")?, others: rest })
    }
}

impl fmt::Display for DriveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.others.clone();
        all.put("file", &self.volume);
        let limits = &self.limits;
        let rates = [("mbps", limits.mbps), ("mbps_rd", limits.mbps_rd), ("mbps_wr", limits.mbps_wr)];
        for (key, rate) in rates {
            put(&mut all, key, rate.as_ref());
        }
        let operations = [("iops", limits.iops), ("iops_rd", limits.iops_rd), ("iops_wr", limits.iops_wr)];
        for (key, rate) in operations {
            put(&mut all, key, rate.as_ref());
        }
        put(&mut all, "size", self.size.as_ref());
        put(&mut all, "media", self.media.as_ref());
        write!(f, "{all}")
    }
}

fn put(all: &mut PropertyString, key: &str, value: Option<&impl ToString>) {
    if let Some(value) = value {
        all.put(key, value.to_string());
    }
}

/// A rate in MiB/s, where 0 is none.
pub(super) fn take_rate(rest: &mut PropertyString, key: &str) -> Result<Option<f64>, PropertyError> {
    match rest.take::<f64>(key)? {
        Some(rate) if !rate.is_finite() || rate < 0.0 => Err(PropertyError::value(key, &rate.to_string())),
        rate => Ok(rate.filter(|rate| *rate > 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_drive_is_read_changed_and_written_back() {
        let text =
            "shared:9100/vm-1-disk-0.qcow2,discard=on,iops_rd=1000,iothread=1,mbps_wr=50.5,size=2G,ssd=1";
        let mut drive: DriveConfig = text.parse().unwrap();
        assert_eq!(drive.to_string(), text);
        assert_eq!(drive.size, Some(DiskSize::from_gib(2)));
        assert_eq!(
            (drive.limits.mbps_wr, drive.limits.iops_rd, drive.limits.mbps),
            (Some(50.5), Some(1000), None)
        );
        drive.limits = DriveLimits { mbps: Some(100.0), ..DriveLimits::default() };
        let expected = "shared:9100/vm-1-disk-0.qcow2,discard=on,iothread=1,mbps=100,ssd=1";
        assert_eq!(drive.for_writing(), expected);
    }

    #[test]
    fn zero_is_no_limit_and_cdroms_are_known() {
        let drive: DriveConfig = "local:iso/a.iso,media=cdrom,iops=0,mbps=0".parse().unwrap();
        assert_eq!(drive.limits, DriveLimits::default());
        assert!(drive.is_cdrom());
        assert!("none".parse::<DriveConfig>().unwrap().is_cdrom());
        for wrong in ["", "ssd=1", "a:b,mbps=-1", "a:b,mbps=inf", "a:b,iops=1.5", "a:b,size=x"] {
            assert!(wrong.parse::<DriveConfig>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(
            volume in "[a-z]{1,5}:vm-[0-9]{1,4}-disk-[0-9]",
            bytes: Option<u64>,
            rate in proptest::option::of(0.000_1_f64..1e9),
            iops in proptest::option::of(1_u64..),
            extra in "[a-z]{9}",
            value in "[a-z0-9=]{1,5}",
        ) {
            let mut drive = DriveConfig::new(volume.parse().unwrap());
            drive.size = bytes.map(DiskSize::from_bytes);
            drive.limits = DriveLimits { mbps_rd: rate, iops_wr: iops, ..DriveLimits::default() };
            drive.others.set(&extra, value).unwrap();
            prop_assert_eq!(drive.to_string().parse(), Ok(drive));
        }

        #[test]
        fn any_text_is_survived(text in "[a-z:]{1,5}(,(mbps|iops|size|media)=[0-9.a-z]{1,5}){0,3}|.{0,30}") {
            if let Ok(drive) = text.parse::<DriveConfig>() {
                prop_assert_eq!(drive.to_string().parse(), Ok(drive));
            }
        }
    }
}
