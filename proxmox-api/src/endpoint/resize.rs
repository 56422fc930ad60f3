use http::Method;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::property::DiskSize;
use crate::task::Started;
use crate::timeouts::Pace;

impl Client {
    /// Makes a disk this large. The size is absolute, so repeating is safe; never smaller than it is. Use whole GiB:
    /// storages round up.
    ///
    /// PVE API viewer: `PUT /nodes/{node}/qemu/{vmid}/resize`. A task since 8.0, before that done when it answers.
    ///
    /// # Errors
    /// See [`ApiError`]; since 8.0 most failures are the task's.
    pub async fn resize_disk(
        &self,
        node: &str,
        vmid: u32,
        slot: &str,
        size: DiskSize,
        digest: Option<&str>,
    ) -> Result<Started, ApiError> {
        let params = Params::new().set("disk", slot).set("size", size).opt("digest", digest);
        self.call(Method::PUT, ApiPath::of_vm(node, vmid, &["resize"]), &params, Pace::LongWrite).await
    }
}
