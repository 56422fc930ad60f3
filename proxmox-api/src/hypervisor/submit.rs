//! Changes, as PVE's calls.

use super::{
    backups,
    meaning::{not_submitted, read, submitted},
    submit_firewall, write_config,
};
use crate::{
    BackupVm, Client, CloneVm, ConfigUpdate, DestroyVm, DiskSize, Failure, MigrateVm, Params, PropertyError,
    RestoreVm, Started,
};
use deploy_core::{
    Backup, Change, CloneMode, Configure, DestroyMode, Disk, DiskSlot, DnsName, ErrorClass, GiB, NodeName,
    Ownership, Sent, SmbiosUuid, StopMode, StorageId, SubmitError, Submitted, Target, Vmid,
};

/// How long PVE waits for a configuration task before it answers with the task instead of the outcome: long enough for an
/// allocation, and well below the 30 s after which a forwarding node gives up. Saves the polls.
const CONFIG_DELAY_S: u8 = 20;

/// Asks for a change.
pub(super) async fn submit(
    client: &Client,
    target: &Target,
    change: &Change,
) -> Result<Submitted, SubmitError> {
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    match change {
        Change::Clone { template, template_node, mode, name } => {
            clone(client, target, (*template, template_node), mode, name).await
        }
        Change::JoinPool(pool) => {
            submitted(client.add_to_pool(pool.as_str(), &[vmid], None).await.map(|()| Started::Done))
        }
        Change::Migrate { to, storage } => {
            let migrate = MigrateVm {
                target: to.as_str(),
                online: true,
                with_local_disks: true,
                targetstorage: storage.as_ref().map(deploy_core::StorageId::as_str),
                bwlimit: None,
            };
            submitted(client.migrate_vm(node, vmid, &migrate).await)
        }
        Change::Configure(configure) => self::configure(client, target, configure).await,
        Change::Import { slot, image, replaced } => import(client, target, *slot, image, replaced).await,
        Change::Resize { slot, size } => resize(client, target, *slot, *size, revision(target)).await,
        Change::SetFirewall(set) => submit_firewall::set(client, node, vmid, set).await,
        Change::Start => submitted(client.start_vm(node, vmid).await),
        Change::Stop(StopMode::Hard) => submitted(client.stop_vm(node, vmid, None).await),
        Change::Stop(StopMode::Graceful { patience }) => {
            submitted(client.shutdown_vm(node, vmid, Some(u32::from(*patience)), true).await)
        }
        Change::Reset => submitted(client.reset_vm(node, vmid).await),
        Change::LeaveHa => submitted(client.delete_ha_resource(vmid).await.map(|()| Started::Done)),
        Change::CreateSnapshot { name, description } => {
            let description = Some(description.as_str()).filter(|text| !text.is_empty());
            submitted(client.create_snapshot(node, vmid, name.as_str(), description, false).await)
        }
        Change::DeleteSnapshot(name) => {
            submitted(client.delete_snapshot(node, vmid, name.as_str(), false).await)
        }
        Change::RollBack(name) => {
            still_ours(client, target, Husk::Nobodys).await?;
            submitted(client.roll_back(node, vmid, name.as_str()).await)
        }
        Change::Backup { storage, mode, notes } => {
            let backup = BackupVm {
                storage: storage.as_str(),
                mode: Some(&mode.to_string()),
                compress: Some("zstd"),
                notes_template: Some(notes).filter(|notes| !notes.is_empty()).map(String::as_str),
                protected: None,
                // Which of the older ones may go is not for a new one to decide.
                remove: Some(false),
            };
            submitted(client.backup_vm(node, vmid, &backup).await)
        }
        Change::RestoreBackup { backup, storage, identity } => {
            restore(client, target, backup, storage.as_ref(), *identity).await
        }
        Change::DeleteBackup(backup) => {
            let call =
                client.delete_volume(backup.node.as_str(), backup.storage.as_str(), &backup.volume, None);
            submitted(call.await)
        }
        Change::Destroy(mode) => destroy(client, target, *mode).await,
    }
}

fn revision(target: &Target) -> Option<&str> {
    target.revision.as_ref().map(deploy_core::Revision::as_str)
}

/// The clone carries our mark from its first disk on, always under the same number: repeated, it never makes a second
/// machine. No PVE pool: a clone whose last step fails after it moved leaves a machine without disks.
async fn clone(
    client: &Client,
    target: &Target,
    (template, node): (Vmid, &NodeName),
    mode: &CloneMode,
    name: &DnsName,
) -> Result<Submitted, SubmitError> {
    let mark = target.mark.to_string();
    let (full, storage) = match mode {
        CloneMode::Linked => (false, None),
        CloneMode::Full { storage } => (true, storage.as_ref().map(deploy_core::StorageId::as_str)),
    };
    let clone = CloneVm {
        newid: target.machine.vmid.get(),
        name: Some(name.as_str()),
        description: Some(&mark),
        storage,
        full: Some(full),
        ..CloneVm::default()
    };
    match client.clone_vm(node.as_str(), template.get(), &clone).await {
        Err(error) if error.class() == Failure::Gone => Err(SubmitError {
            class: ErrorClass::Refused,
            ..with_message(&error, format!("template {template} does not exist on node {node}"))
        }),
        result => submitted(result),
    }
}

fn with_message(error: &crate::ApiError, message: String) -> SubmitError {
    SubmitError { message, ..not_submitted(error) }
}

fn not_expressible(error: &PropertyError) -> SubmitError {
    SubmitError { class: ErrorClass::Refused, sent: Sent::No, message: error.to_string() }
}

/// One call, guarded by the revision that the decision was made on.
async fn set(
    client: &Client,
    target: &Target,
    set: Params,
    delete: &[String],
) -> Result<Submitted, SubmitError> {
    let delete: Vec<&str> = delete.iter().map(String::as_str).collect();
    let update = ConfigUpdate { set, delete: &delete, digest: revision(target), ..ConfigUpdate::default() };
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    submitted(client.update_vm_config(node, vmid, &update, Some(CONFIG_DELAY_S)).await)
}

async fn configure(
    client: &Client,
    target: &Target,
    configure: &Configure,
) -> Result<Submitted, SubmitError> {
    let update = write_config::update(configure).map_err(|error| not_expressible(&error))?;
    let set = self::set(client, target, update.set, &update.delete).await?;
    if let Submitted::Task(_) = set {
        // A disk that is grown beside it would change the configuration under it; that is left to the step that is for it.
        return Ok(set);
    }
    for (slot, size) in &configure.sizes {
        // One task at a time: the next would wait for the machine's lock. Further ones are left to their step as well.
        if let grows @ Submitted::Task(_) = resize(client, target, *slot, *size, None).await? {
            return Ok(grows);
        }
    }
    Ok(set)
}

/// Asked for without a revision it would be made once more by whatever is repeated, so that it is never sent without one.
async fn import(
    client: &Client,
    target: &Target,
    slot: DiskSlot,
    image: &str,
    replaced: &Disk,
) -> Result<Submitted, SubmitError> {
    if target.revision.is_none() {
        let message = format!("the revision that {slot} was seen at is not known");
        return Err(SubmitError { class: ErrorClass::Unknown, sent: Sent::No, message });
    }
    let drive = write_config::copy(image, replaced).map_err(|error| not_expressible(&error))?;
    set(client, target, Params::new().set(slot.to_string(), drive), &[]).await
}

/// The size is absolute, and nothing is made smaller: without a revision it does no harm, whatever the configuration is by then.
async fn resize(
    client: &Client,
    target: &Target,
    slot: DiskSlot,
    size: GiB,
    revision: Option<&str>,
) -> Result<Submitted, SubmitError> {
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    let size = DiskSize::from_gib(u64::from(size.get()));
    submitted(client.resize_disk(node, vmid, &slot.to_string(), size, revision).await)
}

/// PVE has no conditional delete, so that the identity is read once more right before: whoever replaced the machine a
/// moment ago keeps his.
async fn destroy(client: &Client, target: &Target, mode: DestroyMode) -> Result<Submitted, SubmitError> {
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    still_ours(client, target, Husk::Ours).await?;
    // Not with `destroy-unreferenced-disks`: on a storage that another cluster shares it frees the disks of the machine
    // that has the same number there.
    let how = DestroyVm { purge: mode == DestroyMode::Purge, destroy_unreferenced_disks: false };
    match client.destroy_vm(node, vmid, how).await {
        Err(error) if error.class() == Failure::Gone => Ok(Submitted::Applied),
        result => submitted(result),
    }
}

/// What is made of a husk: a restore of ours that failed left it, or somebody else's, over our machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Husk {
    /// There is nothing in it to lose, and it is in our machine's place.
    Ours,
    /// There is nothing in it to work on.
    Nobodys,
}

/// Reads the identity once more, right before what cannot be made conditional and cannot be taken back.
async fn still_ours(client: &Client, target: &Target, husk: Husk) -> Result<(), SubmitError> {
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    let config = match read(|| client.vm_config(node, vmid)).await {
        Ok(config) => config,
        Err(error) => return Err(SubmitError { sent: Sent::No, ..not_submitted(&error) }),
    };
    let shown = backups::shown(&config);
    match Ownership::judge(target.mark, target.smbios, shown) {
        Ownership::Ours | Ownership::OursUnmarked => Ok(()),
        Ownership::TooEarly if shown.husk && husk == Husk::Ours => Ok(()),
        Ownership::TooEarly | Ownership::Stranger => Err(SubmitError {
            class: ErrorClass::Unknown,
            sent: Sent::No,
            message: format!("machine {vmid} is not the one that was decided on"),
        }),
    }
}

/// Only over our own machine, and only from a backup that shows, in itself, the identity that was decided on: in the list of a
/// storage there is nothing but the number.
async fn restore(
    client: &Client,
    target: &Target,
    backup: &Backup,
    storage: Option<&StorageId>,
    identity: SmbiosUuid,
) -> Result<Submitted, SubmitError> {
    let archived = match backups::archived(client, backup).await {
        Ok(archived) => archived,
        Err(error) => return Err(SubmitError { sent: Sent::No, ..not_submitted(&error) }),
    };
    let is_ours = target.smbios == Some(identity) || archived.mark == Some(target.mark);
    if archived.smbios != Some(identity) || !is_ours {
        return Err(SubmitError {
            class: ErrorClass::Refused,
            sent: Sent::No,
            message: format!("backup {} was made of another machine", backup.volume),
        });
    }
    still_ours(client, target, Husk::Ours).await?;
    let (node, vmid) = (target.machine.node.as_str(), target.machine.vmid.get());
    let restore = RestoreVm {
        archive: &backup.volume,
        storage: storage.map(StorageId::as_str),
        // There is our machine; a moment later there may be somebody else's, as with `destroy`.
        force: true,
        // Its MACs and its identity are what it is known by.
        unique: false,
    };
    submitted(client.restore_vm(node, vmid, &restore).await)
}
