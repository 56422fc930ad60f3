use http::Method;

use super::config::PendingEntry;
use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

impl Client {
    /// Writes the cloud-init drive anew. Every start does so by itself; this is for running machines, whose guests act
    /// on it at their next boot.
    ///
    /// PVE API viewer: `PUT /nodes/{node}/qemu/{vmid}/cloudinit`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn regenerate_cloud_init(&self, node: &str, vmid: u32) -> Result<(), ApiError> {
        self.call(Method::PUT, ApiPath::of_vm(node, vmid, &["cloudinit"]), &Params::new(), Pace::LongWrite)
            .await
    }

    /// What the cloud-init drive of a running machine holds, and what waits. Never lists the addresses.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/cloudinit`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn cloud_init_pending(&self, node: &str, vmid: u32) -> Result<Vec<PendingEntry>, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["cloudinit"]), &Params::new(), Pace::Read).await
    }
}
