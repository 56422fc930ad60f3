//! The backups of a machine.

use super::{
    meaning::{read, words},
    read_config::machine_config,
    storages::{Found, Hindrance, volumes},
};
use crate::{ApiError, Client, VmConfig};
use deploy_core::{Backup, Backups, Bytes, Shown, SmbiosUuid, Unread};
use jiff::Timestamp;

/// All that can be seen, and where there may be more.
pub(super) async fn of(client: &Client, vmid: u32) -> Result<Backups, ApiError> {
    let search = volumes(client, vmid, "backup").await?;
    Ok(Backups {
        found: search.found.into_iter().filter_map(backup).collect(),
        unread: search.hindrances.into_iter().filter_map(unread).collect(),
    })
}

/// What a backup shows of whose machine it was made of.
pub(super) async fn archived(client: &Client, backup: &Backup) -> Result<Shown, ApiError> {
    let config = read(|| client.backup_config(backup.node.as_str(), &backup.volume)).await?;
    Ok(shown(&config))
}

/// What a configuration shows of its identity.
pub(super) fn shown(config: &VmConfig) -> Shown {
    let husk = config.lock().is_none() && machine_config(config).is_husk();
    let smbios = config.smbios_uuid().map(SmbiosUuid);
    Shown { husk, ..Shown::of(config.description().unwrap_or_default(), smbios, config.lock()) }
}

/// When a volume was made, by the storage's clock.
pub(super) fn made_at(ctime: Option<u64>) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(ctime?).ok()?).ok()
}

fn backup(Found { node, storage, volume }: Found) -> Option<Backup> {
    Some(Backup {
        node: node.parse().ok()?,
        storage: storage.parse().ok()?,
        volume: volume.volid,
        protected: volume.protected,
        size: volume.size.map(Bytes),
        made_at: made_at(volume.ctime),
        notes: volume.notes,
    })
}

fn unread(Hindrance { node, storage, error }: Hindrance) -> Option<Unread> {
    let why = error.as_ref().map_or_else(|| "it is not online".to_owned(), words);
    Some(Unread { node: node.parse().ok()?, storage: storage.and_then(|storage| storage.parse().ok()), why })
}
