use http::Method;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;
use crate::vm_config::VmConfig;

/// How to back a machine up.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupVm<'a> {
    /// The storage it goes to, which must be there on the machine's node.
    pub storage: &'a str,
    /// `snapshot`, `suspend` or `stop`; PVE's default is `snapshot`.
    pub mode: Option<&'a str>,
    /// `zstd`, `gzip`, `lzo`; PVE's default is none. A Proxmox Backup Server has its own way and takes no notice.
    pub compress: Option<&'a str>,
    /// Its notes. `{{` begins a variable, `\\` an escape.
    pub notes_template: Option<&'a str>,
    /// True protects it against removal.
    pub protected: Option<bool>,
    /// False leaves older backups alone. PVE's default is to remove those that the storage's retention has no room for, which
    /// takes Datastore.Allocate; with false it refuses where that is so.
    pub remove: Option<bool>,
}

impl Client {
    /// Backs a machine up (VM.Backup on it, Datastore.AllocateSpace on the storage). Other backups of the node are waited for, up
    /// to three hours; meanwhile the machine is not locked yet.
    ///
    /// PVE API viewer: `POST /nodes/{node}/vzdump`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn backup_vm(&self, node: &str, vmid: u32, backup: &BackupVm<'_>) -> Result<Started, ApiError> {
        let params = Params::new()
            .set("vmid", vmid)
            .set("storage", backup.storage)
            .opt("mode", backup.mode)
            .opt("compress", backup.compress)
            .opt("notes-template", backup.notes_template)
            .opt_flag("protected", backup.protected)
            .opt_flag("remove", backup.remove);
        self.call(Method::POST, ApiPath::of_node(node, &["vzdump"]), &params, Pace::ShortWrite).await
    }

    /// The configuration in a backup: what a restore would make of it (VM.Backup on the machine, Datastore.AllocateSpace on the
    /// storage). Snapshots and what waited for a power cycle are not in it.
    ///
    /// PVE API viewer: `GET /nodes/{node}/vzdump/extractconfig`. Unpacks the beginning of the archive.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn backup_config(&self, node: &str, volid: &str) -> Result<VmConfig, ApiError> {
        let path = ApiPath::of_node(node, &["vzdump", "extractconfig"]);
        let text: String =
            self.call(Method::GET, path, &Params::new().set("volume", volid), Pace::Read).await?;
        Ok(VmConfig::from_file(&text))
    }
}
