//! Storages and the volumes on them.

use super::volumes::Volumes;
use super::{Archive, Node, World};
use crate::config::StorageKind;

/// A storage, on one node or on all.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub(crate) name: String,
    pub(crate) kind: StorageKind,
    pub(crate) shared: bool,
    pub(crate) content: Vec<String>,
    pub(crate) total: u64,
    /// Refuses every allocation.
    pub(crate) full: bool,
    /// Cannot be reached, as a file server that is down.
    pub(crate) offline: bool,
    pub(crate) volumes: Volumes,
}

/// A volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) size: u64,
    pub(crate) format: String,
    pub(crate) owner: u32,
    pub(crate) content: &'static str,
    /// Name of the base image of a linked clone.
    pub(crate) parent: Option<String>,
    pub(crate) created: u64,
    /// The image holds an operating system, which shuts down when asked.
    pub(crate) system: bool,
    /// The image holds a guest agent.
    pub(crate) agent: bool,
    pub(crate) protected: bool,
    /// Notes of a backup.
    pub(crate) notes: Option<String>,
    /// What a backup holds.
    pub(crate) archive: Option<Box<Archive>>,
}

/// Storage and volume name.
pub(crate) fn split_volid(volid: &str) -> (&str, &str) {
    volid.split_once(':').unwrap_or((volid, ""))
}

impl Storage {
    /// Where volumes seen from that node are filed.
    pub(crate) fn place(&self, node: &str) -> String {
        if self.shared { String::new() } else { node.to_owned() }
    }

    pub(crate) fn used(&self, node: &str) -> u64 {
        self.volumes.used(&self.place(node))
    }

    /// File name of a volume from its plain name.
    fn named(&self, vmid: u32, plain: &str, format: &str) -> String {
        match self.kind {
            StorageKind::Dir => format!("{vmid}/{plain}.{format}"),
            StorageKind::LvmThin => plain.to_owned(),
        }
    }

    /// Format of a new volume.
    pub(crate) fn format(&self, wanted: Option<&str>) -> String {
        match (self.kind, wanted) {
            (StorageKind::Dir, Some(wanted)) => wanted.to_owned(),
            _ => "raw".to_owned(),
        }
    }

    /// First free `vm-N-disk-M`.
    fn free_disk(&self, place: &str, vmid: u32) -> String {
        let taken = |plain: &str| {
            self.volumes.of(vmid).any(|((at, name), _)| {
                let file = name.rsplit('/').next().unwrap_or(name);
                let stem = file.split('.').next().unwrap_or(file);
                at == place && (stem == plain || stem == plain.replacen("vm-", "base-", 1))
            })
        };
        (0..1000).map(|n: u32| format!("vm-{vmid}-disk-{n}")).find(|plain| !taken(plain)).unwrap_or_default()
    }
}

impl World {
    pub(crate) fn storage(&self, name: &str) -> Result<&Storage, String> {
        self.storages.get(name).ok_or_else(|| format!("storage '{name}' does not exist"))
    }

    pub(crate) fn storage_mut(&mut self, name: &str) -> Result<&mut Storage, String> {
        self.storages.get_mut(name).ok_or_else(|| format!("storage '{name}' does not exist"))
    }

    /// The storage, refused when it cannot be reached.
    pub(crate) fn online_storage(&self, name: &str) -> Result<&Storage, String> {
        match self.storage(name)? {
            storage if storage.offline => Err(format!("storage '{name}' is not online")),
            storage => Ok(storage),
        }
    }

    /// The storage, refused when it cannot hold images.
    pub(crate) fn image_storage(&self, name: &str) -> Result<&Storage, String> {
        let storage = self.online_storage(name)?;
        if storage.content.iter().any(|c| c == "images") {
            return Ok(storage);
        }
        Err(format!("storage '{name}' does not support content-type 'images'"))
    }

    pub(crate) fn volume(&self, node: &str, volid: &str) -> Option<&Volume> {
        let (storage, name) = split_volid(volid);
        let storage = self.storages.get(storage)?;
        storage.volumes.get(&(storage.place(node), name.to_owned()))
    }

    /// Changes a volume; one that is missing is left alone.
    pub(crate) fn change_volume(
        &mut self,
        node: &str,
        volid: &str,
        change: impl FnOnce(&mut Volume),
    ) -> bool {
        let (storage, name) = split_volid(volid);
        self.storages.get_mut(storage).is_some_and(|storage| {
            let place = (storage.place(node), name.to_owned());
            storage.volumes.change(&place, change)
        })
    }

    /// Makes a disk and returns its volume id.
    pub(crate) fn allocate(
        &mut self,
        node: &str,
        storage: &str,
        vmid: u32,
        size: u64,
        format: Option<&str>,
    ) -> Result<String, String> {
        let target = self.image_storage(storage)?;
        let (place, format) = (target.place(node), target.format(format));
        let name = target.named(vmid, &target.free_disk(&place, vmid), &format);
        self.put(node, storage, name, Volume::image(vmid, size, &format, self.unix()))
    }

    /// The line and the error with which a file that no file system holds is refused: ext4 stops at
    /// sixteen tebibytes. An image that only grows with what is written is not concerned.
    pub(crate) fn too_large(
        &self,
        node: &str,
        storage: &str,
        vmid: u32,
        size: u64,
        format: Option<&str>,
    ) -> Option<(String, String)> {
        const LARGEST: u64 = 1 << 44;
        let target = self.image_storage(storage).ok()?;
        if target.kind != StorageKind::Dir || target.format(format) != "raw" || size < LARGEST {
            return None;
        }
        let name = target.named(vmid, &target.free_disk(&target.place(node), vmid), "raw");
        let file = self.file_of(&format!("{storage}:{name}"))?;
        let line = format!("Formatting '{file}', fmt=raw size={size} preallocation=off");
        let text = format!("qemu-img: {file}: The image size is too large for file format 'raw'");
        Some((line, format!("unable to create image: {text}")))
    }

    /// Makes the cloud-init volume of a machine.
    pub(crate) fn allocate_cloud_init(
        &mut self,
        node: &str,
        storage: &str,
        vmid: u32,
    ) -> Result<String, String> {
        let target = self.image_storage(storage)?;
        let format = target.format(Some("qcow2"));
        let name = target.named(vmid, &format!("vm-{vmid}-cloudinit"), &format);
        self.put(node, storage, name, Volume::image(vmid, 4 << 20, &format, self.unix()))
    }

    /// Makes a volume that shares its data with a base image.
    pub(crate) fn clone_linked(&mut self, node: &str, volid: &str, vmid: u32) -> Result<String, String> {
        let (storage, base) = split_volid(volid);
        let source = self.volume(node, volid).cloned().ok_or_else(|| format!("no such volume '{volid}'"))?;
        let target = self.storage(storage)?;
        let plain = target.named(vmid, &target.free_disk(&target.place(node), vmid), &source.format);
        let name = if target.kind == StorageKind::Dir { format!("{base}/{plain}") } else { plain };
        let copy = Volume { parent: Some(base.to_owned()), owner: vmid, created: self.unix(), ..source };
        self.put(node, storage, name, copy)
    }

    /// Makes a volume with a copy of the data.
    pub(crate) fn clone_full(
        &mut self,
        node: &str,
        volid: &str,
        storage: &str,
        vmid: u32,
        format: Option<&str>,
    ) -> Result<String, String> {
        let source = self.volume(node, volid).cloned().ok_or_else(|| format!("no such volume '{volid}'"))?;
        let copy = self.allocate(node, storage, vmid, source.size, format.or(Some(&source.format)))?;
        self.change_volume(node, &copy, |volume| {
            volume.agent = source.agent;
            volume.system = source.system;
        });
        Ok(copy)
    }

    fn put(&mut self, node: &str, storage: &str, name: String, volume: Volume) -> Result<String, String> {
        let target = self.storage_mut(storage)?;
        let place = target.place(node);
        if target.full || target.used(node) + volume.used() > target.total {
            return Err("unable to create image: No space left on device".to_owned());
        }
        if target.volumes.contains(&(place.clone(), name.clone())) {
            return Err(format!("disk image '{name}' already exists"));
        }
        let volid = format!("{storage}:{name}");
        target.volumes.insert((place, name), volume);
        Ok(volid)
    }

    /// Frees a volume. A missing one is fine; a base image in use is not.
    pub(crate) fn free(&mut self, node: &str, volid: &str) -> Result<(), String> {
        if self.in_use_as_base(node, volid) {
            return Err(format!("base volume '{volid}' is still in use by linked cloned"));
        }
        let (storage, name) = split_volid(volid);
        self.online_storage(storage)?;
        let storage = self.storage_mut(storage)?;
        let place = storage.place(node);
        storage.volumes.remove(&(place, name.to_owned()));
        Ok(())
    }

    pub(crate) fn in_use_as_base(&self, node: &str, volid: &str) -> bool {
        let (storage, name) = split_volid(volid);
        self.storages
            .get(storage)
            .is_some_and(|storage| storage.volumes.has_clones(&(storage.place(node), name.to_owned())))
    }

    /// Turns a disk into a base image and returns its new id.
    pub(crate) fn make_base(&mut self, node: &str, volid: &str) -> String {
        let (storage, name) = split_volid(volid);
        let base = name.replace("/vm-", "/base-");
        let base = base.strip_prefix("vm-").map_or(base.clone(), |rest| format!("base-{rest}"));
        let renamed = format!("{storage}:{base}");
        let (storage, name) = (storage.to_owned(), name.to_owned());
        if let Ok(storage) = self.storage_mut(&storage) {
            let place = storage.place(node);
            if let Some(mut volume) = storage.volumes.remove(&(place.clone(), name)) {
                volume.parent = None;
                storage.volumes.insert((place, base), volume);
            }
        }
        renamed
    }

    /// Moves a volume of a storage that is not shared to another node's.
    pub(crate) fn carry(&mut self, from: &str, to: &str, volid: &str) {
        let (storage, name) = split_volid(volid);
        if let Some(storage) = self.storages.get_mut(storage).filter(|s| !s.shared)
            && let Some(volume) = storage.volumes.remove(&(from.to_owned(), name.to_owned()))
        {
            storage.volumes.insert((to.to_owned(), name.to_owned()), volume);
        }
    }

    pub(crate) fn node(&self, name: &str) -> Result<&Node, String> {
        self.nodes.get(name).ok_or_else(|| format!("no such cluster node '{name}'"))
    }
}

impl Volume {
    /// Bytes that it takes up. Images are thin: guests have written little into them.
    pub(crate) fn used(&self) -> u64 {
        if self.content == "images" { self.size / 64 } else { self.size }
    }

    pub(crate) fn image(owner: u32, size: u64, format: &str, created: u64) -> Self {
        Self {
            size,
            format: format.to_owned(),
            owner,
            content: "images",
            parent: None,
            created,
            system: false,
            agent: false,
            protected: false,
            notes: None,
            archive: None,
        }
    }
}
