use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;
use crate::vm_config::VmConfig;

/// A change of a machine's configuration.
///
/// Not atomic: a failed change leaves an arbitrary subset written, on a stopped machine as pending values that the next
/// start applies. So compare [`Client::vm_config`] and [`Client::vm_pending`] with what was wanted afterwards.
#[derive(Clone, Debug, Default)]
pub struct ConfigUpdate<'a> {
    /// The options to set, as PVE writes them.
    pub set: Params,
    /// The options to remove.
    pub delete: &'a [&'a str],
    /// The pending changes to drop.
    pub revert: &'a [&'a str],
    /// The digest of the configuration that the change was made for; with another one it is refused. The only
    /// protection against allocating a disk twice.
    pub digest: Option<&'a str>,
    /// With `delete`: free a disk instead of keeping it as `unusedN`.
    pub force: bool,
}

impl ConfigUpdate<'_> {
    fn params(&self) -> Params {
        let mut params = self
            .set
            .clone()
            .list("delete", self.delete)
            .list("revert", self.revert)
            .opt("digest", self.digest);
        if self.force {
            params = params.flag("force", true);
        }
        params
    }
}

/// One option that is set, or waits to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PendingEntry {
    /// The option.
    pub key: String,
    /// What is in force.
    #[serde(default, deserialize_with = "lenient::opt_text")]
    pub value: Option<String>,
    /// What will be after the next stop and start.
    #[serde(default, deserialize_with = "lenient::opt_text")]
    pub pending: Option<String>,
    /// True if it waits to be removed.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub delete: bool,
}

impl PendingEntry {
    /// True if something waits here: most rows are just the values in force.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some() || self.delete
    }
}

impl Client {
    /// A machine's configuration, with pending changes already shown as made (VM.Audit).
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/config`.
    ///
    /// # Errors
    /// See [`ApiError`]. [`Failure::Gone`](crate::Failure::Gone) means: not on this node.
    pub async fn vm_config(&self, node: &str, vmid: u32) -> Result<VmConfig, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["config"]), &Params::new(), Pace::Read).await
    }

    /// A machine's configuration as it is in force, without pending changes.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/config` with `current=1`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn vm_config_in_force(&self, node: &str, vmid: u32) -> Result<VmConfig, ApiError> {
        let params = Params::new().flag("current", true);
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["config"]), &params, Pace::Read).await
    }

    /// All options, each with what is in force and what waits. The only place that shows whether a change has been
    /// applied.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/pending`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn vm_pending(&self, node: &str, vmid: u32) -> Result<Vec<PendingEntry>, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["pending"]), &Params::new(), Pace::Read).await
    }

    /// Changes a configuration in a task. With `background_delay` (1 to 30 s) the server waits that long and answers
    /// [`Started::Done`] if it is through by then; a failure within that time is an error with status 500.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/config`.
    ///
    /// # Errors
    /// See [`ApiError`]; on [`Sent::Yes`](crate::Sent::Yes) a part may have been written.
    pub async fn update_vm_config(
        &self,
        node: &str,
        vmid: u32,
        update: &ConfigUpdate<'_>,
        background_delay: Option<u8>,
    ) -> Result<Started, ApiError> {
        let params = update.params().opt("background_delay", background_delay);
        let pace = if background_delay.is_some() { Pace::LongWrite } else { Pace::ShortWrite };
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["config"]), &params, pace).await
    }

    /// Changes a configuration before it answers. It leaves no task that could be looked at after a lost answer, and
    /// allocating a disk may take longer than the 30 s that PVE gives a forwarded request: for plain values only.
    ///
    /// PVE API viewer: `PUT /nodes/{node}/qemu/{vmid}/config`.
    ///
    /// # Errors
    /// See [`ApiError`]; on [`Sent::Yes`](crate::Sent::Yes) a part may have been written.
    pub async fn update_vm_config_sync(
        &self,
        node: &str,
        vmid: u32,
        update: &ConfigUpdate<'_>,
    ) -> Result<(), ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["config"]);
        self.call(Method::PUT, path, &update.params(), Pace::LongWrite).await
    }
}
