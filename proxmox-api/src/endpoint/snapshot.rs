use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// A snapshot of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its description, without the final newlines that PVE adds at times.
    #[serde(default)]
    pub description: String,
    /// When it was taken, in Unix seconds.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub snaptime: Option<u64>,
    /// The snapshot before it.
    #[serde(default)]
    pub parent: Option<String>,
    /// `prepare` or `delete` while it is incomplete, which may be for ever.
    #[serde(default)]
    pub snapstate: Option<String>,
    /// True if it holds the memory.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub vmstate: bool,
}

impl Client {
    /// The snapshots of a machine, without the entry `current` that PVE adds for the machine itself.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/snapshot`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn snapshots(&self, node: &str, vmid: u32) -> Result<Vec<Snapshot>, ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["snapshot"]);
        let mut list: Vec<Snapshot> = self.call(Method::GET, path, &Params::new(), Pace::Read).await?;
        list.retain(|snapshot| snapshot.name != "current");
        Ok(list)
    }

    /// Takes a snapshot, without memory unless `vmstate` (VM.Snapshot). The guest's file systems are frozen meanwhile where its
    /// agent answers.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/snapshot`.
    ///
    /// # Errors
    /// See [`ApiError`]; that there is one of this name is the task's failure.
    pub async fn create_snapshot(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        description: Option<&str>,
        vmstate: bool,
    ) -> Result<Started, ApiError> {
        let params = Params::new()
            .set("snapname", name)
            .opt("description", description)
            .opt_flag("vmstate", vmstate.then_some(true));
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["snapshot"]), &params, Pace::ShortWrite).await
    }

    /// Goes back to a snapshot (VM.Snapshot or VM.Snapshot.Rollback): the machine is stopped hard, and what was written since is
    /// lost.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback`.
    ///
    /// # Errors
    /// See [`ApiError`]; that there is none is the task's failure.
    pub async fn roll_back(&self, node: &str, vmid: u32, name: &str) -> Result<Started, ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["snapshot", name, "rollback"]);
        self.call(Method::POST, path, &Params::new(), Pace::ShortWrite).await
    }

    /// Removes a snapshot; with `force` also when a storage fails to.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}`.
    ///
    /// # Errors
    /// See [`ApiError`]; that there is none is the task's failure.
    pub async fn delete_snapshot(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        force: bool,
    ) -> Result<Started, ApiError> {
        let params = Params::new().opt_flag("force", force.then_some(true));
        self.call(Method::DELETE, ApiPath::of_vm(node, vmid, &["snapshot", name]), &params, Pace::ShortWrite)
            .await
    }
}
