use http::Method;
use serde::{Deserialize, Deserializer};

use super::cluster::tags;
use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::property::Tags;
use crate::task::Started;
use crate::timeouts::Pace;

/// Whether a machine's process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It runs; a paused machine does, too.
    Running,
    /// It does not.
    Stopped,
    /// The server does not say, or not yet.
    #[default]
    Unknown,
}

impl<'de> Deserialize<'de> for RunState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match lenient::opt_text(deserializer)?.as_deref() {
            Some("running") => Self::Running,
            Some("stopped") => Self::Stopped,
            _ => Self::Unknown,
        })
    }
}

/// A machine's state at this moment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VmStatus {
    /// Whether its process runs. Unknown in the moment in which a configuration appears, when PVE answers nothing but
    /// `ha`.
    #[serde(default)]
    pub status: RunState,
    /// What QEMU says of itself: `running`, `paused`, `io-error`, `prelaunch`...
    #[serde(default)]
    pub qmpstatus: Option<String>,
    /// What it is locked by.
    #[serde(default)]
    pub lock: Option<String>,
    /// How long QEMU has run, in seconds.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub uptime: Option<u64>,
    /// True if the guest agent is *enabled in the configuration*.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub agent: bool,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Tags,
    /// True for a template.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub template: bool,
    /// What the HA manager makes of it.
    #[serde(default)]
    pub ha: HaStatus,
}

/// What the HA manager makes of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct HaStatus {
    /// True if it is managed: then start, stop and migrate are only wishes.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub managed: bool,
    /// The state that is wanted.
    #[serde(default)]
    pub state: Option<String>,
}

impl Client {
    /// A machine's state, live (VM.Audit).
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/status/current`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn vm_status(&self, node: &str, vmid: u32) -> Result<VmStatus, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["status", "current"]), &Params::new(), Pace::Read)
            .await
    }

    /// Starts a machine; pending changes are applied and the cloud-init drive is written first. The task of a running
    /// machine fails with [`Already::Running`](crate::Already::Running); even a machine that does not exist gets a task.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/status/start`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn start_vm(&self, node: &str, vmid: u32) -> Result<Started, ApiError> {
        self.power(node, vmid, "start", &Params::new()).await
    }

    /// Pulls the plug. Of a stopped machine it is a success. `overrule_shutdown` (since 8.2) ends shutdown tasks that
    /// wait; leave it out for older servers.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/status/stop`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn stop_vm(
        &self,
        node: &str,
        vmid: u32,
        overrule_shutdown: Option<bool>,
    ) -> Result<Started, ApiError> {
        let params = Params::new().opt_flag("overrule-shutdown", overrule_shutdown);
        self.power(node, vmid, "stop", &params).await
    }

    /// Asks the guest to shut down, and waits for `timeout` seconds (PVE's default is 60). With `force_stop` the plug is
    /// pulled then, so that it is stopped in any case. Other changes of the machine have to wait meanwhile.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/status/shutdown`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn shutdown_vm(
        &self,
        node: &str,
        vmid: u32,
        timeout: Option<u32>,
        force_stop: bool,
    ) -> Result<Started, ApiError> {
        let params = Params::new().opt("timeout", timeout).flag("forceStop", force_stop);
        self.power(node, vmid, "shutdown", &params).await
    }

    /// Shuts the guest down and starts it again, with pending changes applied. The task ends before it runs again.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/status/reboot`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Failure::WrongState`](crate::Failure::WrongState) if it does not run.
    pub async fn reboot_vm(&self, node: &str, vmid: u32, timeout: Option<u32>) -> Result<Started, ApiError> {
        self.power(node, vmid, "reboot", &Params::new().opt("timeout", timeout)).await
    }

    /// Resets a machine that runs, as its button would: no pending changes are applied.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/status/reset`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Failure::WrongState`](crate::Failure::WrongState) if it does not run.
    pub async fn reset_vm(&self, node: &str, vmid: u32) -> Result<Started, ApiError> {
        self.power(node, vmid, "reset", &Params::new()).await
    }

    async fn power(&self, node: &str, vmid: u32, action: &str, params: &Params) -> Result<Started, ApiError> {
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["status", action]), params, Pace::ShortWrite)
            .await
    }
}
