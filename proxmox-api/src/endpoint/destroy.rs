use http::Method;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// How to destroy.
#[derive(Clone, Copy, Debug, Default)]
pub struct DestroyVm {
    /// Also removes it from backup jobs, replication and HA; without this PVE refuses while it is in one of the latter.
    pub purge: bool,
    /// Also frees volumes with its VMID that it does not refer to, on all storages. Dangerous where two clusters share a
    /// storage: it frees the other one's.
    pub destroy_unreferenced_disks: bool,
}

impl Client {
    /// Destroys a stopped machine and its disks. There is no way to make this conditional: find out that it is the right
    /// machine immediately before.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/qemu/{vmid}`.
    ///
    /// # Errors
    /// See [`ApiError`]. Disks that could not be freed are only warnings in the task.
    pub async fn destroy_vm(&self, node: &str, vmid: u32, destroy: DestroyVm) -> Result<Started, ApiError> {
        // Always said: the default differs between versions for the one and may yet for the other.
        let params = Params::new()
            .flag("purge", destroy.purge)
            .flag("destroy-unreferenced-disks", destroy.destroy_unreferenced_disks);
        self.call(Method::DELETE, ApiPath::of_vm(node, vmid, &[]), &params, Pace::ShortWrite).await
    }
}
