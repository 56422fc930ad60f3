use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::{Already, ApiError, Failure};
use crate::params::Params;
use crate::path::{ApiPath, PathError};
use crate::timeouts::Pace;

/// A machine under the HA manager's care.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HaResource {
    /// Its id, `vm:N`.
    pub sid: String,
    /// The state that is wanted: `started`, `stopped`, `ignored`, `disabled`.
    #[serde(default)]
    pub state: Option<String>,
    /// The HA group, up to 8.x.
    #[serde(default)]
    pub group: Option<String>,
    /// The digest of the HA configuration.
    #[serde(default)]
    pub digest: Option<String>,
}

fn path(vmid: u32) -> Result<ApiPath, PathError> {
    ApiPath::join(["cluster", "ha", "resources", &format!("vm:{vmid}")])
}

impl Client {
    /// What the HA manager is told about a machine; `None` if it is not managed. Needs Sys.Audit on `/`.
    ///
    /// PVE API viewer: `GET /cluster/ha/resources/{sid}`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn ha_resource(&self, vmid: u32) -> Result<Option<HaResource>, ApiError> {
        match self.call(Method::GET, path(vmid), &Params::new(), Pace::Read).await {
            Ok(resource) => Ok(Some(resource)),
            Err(error) if error.class() == Failure::Already(Already::Absent) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells the HA manager which state is wanted. Needs Sys.Console on `/`.
    ///
    /// PVE API viewer: `PUT /cluster/ha/resources/{sid}`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn set_ha_state(&self, vmid: u32, state: &str) -> Result<(), ApiError> {
        self.call(Method::PUT, path(vmid), &Params::new().set("state", state), Pace::ShortWrite).await
    }

    /// Takes a machine out of the HA manager's care. Needs Sys.Console on `/`.
    ///
    /// PVE API viewer: `DELETE /cluster/ha/resources/{sid}`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Absent`] if it is not managed.
    pub async fn delete_ha_resource(&self, vmid: u32) -> Result<(), ApiError> {
        self.call(Method::DELETE, path(vmid), &Params::new(), Pace::ShortWrite).await
    }
}
