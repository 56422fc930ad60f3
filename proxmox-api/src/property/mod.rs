//! The little languages inside PVE's configuration values.

mod boot;
mod drive;
mod ipconfig;
mod mac;
mod net;
mod size;
mod smbios;
mod sshkeys;
mod string;
mod tags;
mod volume;

pub use boot::BootOrder;
pub use drive::{DriveConfig, DriveLimits};
pub use ipconfig::{IpConfig, Ipv4Setting, Ipv6Setting};
pub use mac::{MacAddr, MacAddrError};
pub use net::NetConfig;
pub use size::{DiskSize, DiskSizeError};
pub use smbios::Smbios;
pub use sshkeys::{SshKeysError, decode_ssh_keys, encode_ssh_keys};
pub use string::{PropertyError, PropertyString};
pub use tags::Tags;
pub use volume::Volume;
