use http::Method;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// How to restore a backup.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreVm<'a> {
    /// The backup's volume.
    pub archive: &'a str,
    /// Where its disks go; by default each where it came from.
    pub storage: Option<&'a str>,
    /// True overwrites the machine of this number, *whoever's it is*. Without it PVE refuses a number that is taken.
    pub force: bool,
    /// True makes new MAC addresses and a new SMBIOS UUID.
    pub unique: bool,
}

impl Client {
    /// Restores a backup to a number. All that was there goes: disks that the backup has as well are freed before they are made
    /// anew, snapshots are forgotten. Afterwards every volume that carries the number and that nothing names becomes `unusedN`,
    /// on every storage, also one of another cluster. A task that fails leaves the configuration as it was, its disks gone; of
    /// a number that was free, a machine without any settings.
    ///
    /// Needs VM.Allocate on the number (of one that is taken, VM.Backup is enough), VM.Backup on the number that the backup was
    /// made of, Datastore.AllocateSpace on all storages, and what the settings take beside: SDN.Use on its bridges.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu` with `archive`.
    ///
    /// # Errors
    /// See [`ApiError`]. That it runs or is protected is the task's failure.
    pub async fn restore_vm(
        &self,
        node: &str,
        vmid: u32,
        restore: &RestoreVm<'_>,
    ) -> Result<Started, ApiError> {
        let params = Params::new()
            .set("vmid", vmid)
            .set("archive", restore.archive)
            .opt("storage", restore.storage)
            .opt_flag("force", restore.force.then_some(true))
            .opt_flag("unique", restore.unique.then_some(true));
        self.call(Method::POST, ApiPath::of_node(node, &["qemu"]), &params, Pace::ShortWrite).await
    }
}
