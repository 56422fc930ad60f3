use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::endpoint::PendingEntry;
use crate::lenient;
use crate::property::{
    BootOrder, DriveConfig, IpConfig, NetConfig, PropertyError, PropertyString, Smbios, Tags, Volume,
};

/// The options that hold drives, and how many of each there may be.
const DRIVE_BUSES: [(&str, u8); 4] = [("scsi", 31), ("virtio", 16), ("sata", 6), ("ide", 4)];

/// A machine's configuration: every option as text, whatever type the server gave it, and readers for those with a
/// meaning here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmConfig(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for VmConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let options = BTreeMap::<String, Value>::deserialize(deserializer)?;
        Ok(Self(options.into_iter().filter_map(|(key, value)| Some((key, lenient::text(value)?))).collect()))
    }
}

impl VmConfig {
    /// The configuration as [`Client::vm_config`](crate::Client::vm_config) shows it, from the rows of
    /// [`Client::vm_pending`](crate::Client::vm_pending): with what waits as if it were made.
    pub fn with_pending(entries: impl IntoIterator<Item = PendingEntry>) -> Self {
        let shown = entries.into_iter().filter(|entry| !entry.delete);
        Self(shown.filter_map(|entry| Some((entry.key, entry.pending.or(entry.value)?))).collect())
    }

    /// A configuration as its file has it, and backups: `key: value` a line, the notes in lines that begin with `#`, with what is
    /// no plain character, and `:`, percent-encoded. What follows the first section (`[name]`) are snapshots and what waits.
    pub fn from_file(text: &str) -> Self {
        let own = text.lines().take_while(|line| !line.starts_with('['));
        let (notes, options): (Vec<&str>, Vec<&str>) = own.partition(|line| line.starts_with('#'));
        let options = options.iter().filter_map(|line| line.split_once(':'));
        let mut all: BTreeMap<String, String> =
            options.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect();
        // vzdump notes in between where it put what.
        let notes =
            notes.iter().filter(|line| !line.starts_with("#qmdump#") && !line.starts_with("#vzdump#"));
        let notes: Vec<_> = notes.map(|line| percent_decode_str(&line[1..]).decode_utf8_lossy()).collect();
        if !notes.is_empty() {
            all.insert("description".to_owned(), notes.join("\n"));
        }
        Self(all)
    }

    /// The value of an option, as text.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All options, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// What a change must carry to be refused if the configuration has changed meanwhile. It is a hash of the content,
    /// so an older content brings an older digest back.
    pub fn digest(&self) -> Option<&str> {
        self.get("digest")
    }

    /// What the machine is locked by.
    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    /// The name, which is also the guest's host name.
    pub fn name(&self) -> Option<&str> {
        self.get("name")
    }

    /// The notes, without the final newlines that PVE adds at times.
    pub fn description(&self) -> Option<&str> {
        self.get("description").map(|text| text.trim_end_matches('\n'))
    }

    /// CPU sockets; PVE's default is 1. `None` if the value cannot be read.
    pub fn sockets(&self) -> Option<u32> {
        if self.get("sockets").is_some() { self.number("sockets") } else { Some(1) }
    }

    /// CPU cores per socket; PVE's default is 1. `None` if the value cannot be read.
    pub fn cores(&self) -> Option<u32> {
        if self.get("cores").is_some() { self.number("cores") } else { Some(1) }
    }

    /// Memory in MiB; PVE's default is 512. `None` if the value cannot be read.
    pub fn memory_mib(&self) -> Option<u64> {
        let Some(text) = self.get("memory") else {
            return Some(512);
        };
        // A property string since 8.1.
        PropertyString::parse(text, "current").ok()?.get("current")?.parse().ok()
    }

    /// A boolean option; `None` if it is not set or holds something else, such as a property string.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(lenient::boolean)
    }

    /// A numeric option.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.trim().parse().ok()
    }

    /// True for a template.
    pub fn is_template(&self) -> bool {
        self.flag("template") == Some(true)
    }

    /// True if PVE refuses to destroy the machine or remove its disks.
    pub fn is_protected(&self) -> bool {
        self.flag("protection") == Some(true)
    }

    /// The tags.
    pub fn tags(&self) -> Tags {
        Tags::parse(self.get("tags").unwrap_or_default())
    }

    /// The UUID that PVE gave this incarnation of the VMID.
    pub fn smbios_uuid(&self) -> Option<Uuid> {
        self.get("smbios1")?.parse::<Smbios>().ok()?.uuid
    }

    /// A drive by the name of its option, such as `scsi0`.
    ///
    /// # Errors
    /// If the value is not one of a drive.
    pub fn drive(&self, slot: &str) -> Result<Option<DriveConfig>, PropertyError> {
        self.get(slot).map(str::parse).transpose()
    }

    /// The options that hold drives, CD-ROM drives among them, with their texts.
    pub fn drives(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| is_drive(key))
    }

    /// A network card.
    ///
    /// # Errors
    /// If the value is not one of a network card.
    pub fn net(&self, index: u8) -> Result<Option<NetConfig>, PropertyError> {
        self.get(&format!("net{index}")).map(str::parse).transpose()
    }

    /// The indices of the network cards.
    pub fn nets(&self) -> impl Iterator<Item = u8> {
        self.0.keys().filter_map(|key| key.strip_prefix("net")?.parse().ok())
    }

    /// The addresses that cloud-init gives to a network card.
    ///
    /// # Errors
    /// If the value is not one of cloud-init addresses.
    pub fn ipconfig(&self, index: u8) -> Result<Option<IpConfig>, PropertyError> {
        self.get(&format!("ipconfig{index}")).map(str::parse).transpose()
    }

    /// The order in which it boots; empty if nothing is said.
    ///
    /// # Errors
    /// If the value is not one of a boot order.
    pub fn boot_order(&self) -> Result<BootOrder, PropertyError> {
        self.get("boot").map(str::parse).transpose().map(Option::unwrap_or_default)
    }

    /// The slot of the system disk: the first disk of the boot order, or what older configurations name `bootdisk`.
    /// Never guessed.
    pub fn system_slot(&self) -> Option<&str> {
        let order = self.boot_order().ok()?;
        let named = order.devices.iter().map(String::as_str).chain(self.get("bootdisk"));
        named.filter_map(|slot| self.drives().find(|(key, _)| *key == slot)).find_map(|(key, text)| {
            let drive: DriveConfig = text.parse().ok()?;
            (!drive.is_cdrom()).then_some(key)
        })
    }

    /// The slot of the cloud-init drive.
    pub fn cloud_init_slot(&self) -> Option<&str> {
        self.drives().find_map(|(key, text)| {
            let drive: DriveConfig = text.parse().ok()?;
            drive.volume.is_cloud_init().then_some(key)
        })
    }

    /// The volumes that are detached but still referenced: `unusedN` and the volume's id.
    pub fn unused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| index_of(key, "unused").is_some())
    }

    /// The ids of all volumes that it refers to, CD images of others among them.
    pub fn volids(&self) -> impl Iterator<Item = String> {
        let others = |key: &str| matches!(key, "efidisk0" | "tpmstate0" | "vmstate");
        let holders = self
            .iter()
            .filter(move |(key, _)| is_drive(key) || index_of(key, "unused").is_some() || others(key));
        holders.filter_map(|(_, text)| {
            let volume =
                text.parse::<DriveConfig>().map_or_else(|_| text.parse().ok(), |drive| Some(drive.volume));
            volume.as_ref().and_then(Volume::volid)
        })
    }
}

impl FromIterator<(String, String)> for VmConfig {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(options: T) -> Self {
        Self(options.into_iter().collect())
    }
}

/// The number behind a name, such as 3 for `unused3`.
fn index_of(key: &str, name: &str) -> Option<u16> {
    let digits = key.strip_prefix(name)?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn is_drive(key: &str) -> bool {
    DRIVE_BUSES.iter().any(|(bus, count)| index_of(key, bus).is_some_and(|index| index < u16::from(*count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::DiskSize;

    fn config() -> VmConfig {
        serde_json::from_str(
            r#"{"digest":"cb68","name":"web1","cores":2,"memory":"128","onboot":0,"template":1,"agent":"1",
            "boot":"order=ide2;scsi0","scsi0":"shared:9100/base-9100-disk-0.qcow2,size=2G,ssd=1","scsihw":"virtio-scsi-single",
            "ide2":"shared:9100/vm-9100-cloudinit.qcow2,media=cdrom","unused0":"shared:9100/vm-9100-disk-3.qcow2",
            "smbios1":"uuid=e6948eb7-ee2a-4996-8892-1f22dfaf2cb4","net0":"virtio=BC:24:11:3D:F2:9A,bridge=vmbr0",
            "net1":"virtio,bridge=vmbr0","description":"a\nb\n","ipconfig0":"ip=dhcp","tags":"b;a","numa":null}"#,
        )
        .unwrap()
    }

    #[test]
    fn options_are_read_whatever_their_type() {
        let config = config();
        assert_eq!((config.cores(), config.sockets(), config.memory_mib()), (Some(2), Some(1), Some(128)));
        let odd: VmConfig = serde_json::from_str(r#"{"memory":"current=2048","cores":"many"}"#).unwrap();
        assert_eq!((odd.memory_mib(), odd.cores()), (Some(2048), None));
        assert_eq!(
            (config.flag("onboot"), config.flag("numa"), config.is_template()),
            (Some(false), None, true)
        );
        assert_eq!(config.description(), Some("a\nb"));
        assert_eq!(config.smbios_uuid().unwrap().to_string(), "e6948eb7-ee2a-4996-8892-1f22dfaf2cb4");
        assert_eq!(config.nets().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(config.net(0).unwrap().unwrap().bridge.as_deref(), Some("vmbr0"));
        assert_eq!(config.net(7), Ok(None));
        assert!(config.ipconfig(0).unwrap().unwrap().ip.is_some());
        assert!(config.tags().contains("a"));
    }

    #[test]
    fn a_file_says_the_same_as_the_api_does() {
        let file = "#pve-deploy%3A 7f9c\n#ein f%C3%BCnfter\nboot: order=scsi0\nname: web1\nsmbios1: \
                    uuid=e6948eb7-ee2a-4996-8892-1f22dfaf2cb4\n#qmdump#map:scsi0:drive-scsi0:local:raw:\n\n\
                    [before]\nname: old\n";
        let config = VmConfig::from_file(file);
        assert_eq!(config.description(), Some("pve-deploy: 7f9c\nein fünfter"));
        assert_eq!((config.name(), config.iter().count()), (Some("web1"), 4));
        assert_eq!(config.smbios_uuid().unwrap().to_string(), "e6948eb7-ee2a-4996-8892-1f22dfaf2cb4");
        assert_eq!(VmConfig::from_file("name: a").description(), None);
    }

    #[test]
    fn drives_are_told_from_other_options() {
        let config = config();
        assert_eq!(config.drives().map(|(slot, _)| slot).collect::<Vec<_>>(), ["ide2", "scsi0"]);
        assert_eq!(config.system_slot(), Some("scsi0"));
        assert_eq!(config.cloud_init_slot(), Some("ide2"));
        assert_eq!(config.drive("scsi0").unwrap().unwrap().size, Some(DiskSize::from_gib(2)));
        assert_eq!(config.unused().count(), 1);
        assert_eq!(config.volids().count(), 3);
    }

    #[test]
    fn a_system_disk_is_not_guessed() {
        let without: VmConfig =
            serde_json::from_str(r#"{"scsi0":"a:vm-1-disk-0","boot":"order=net0"}"#).unwrap();
        assert_eq!(without.system_slot(), None);
        let legacy: VmConfig =
            serde_json::from_str(r#"{"ide0":"a:vm-1-disk-0","bootdisk":"ide0","boot":"c"}"#).unwrap();
        assert_eq!(legacy.system_slot(), Some("ide0"));
    }
}
