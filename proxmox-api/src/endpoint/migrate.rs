use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// How to migrate.
#[derive(Clone, Copy, Debug)]
pub struct MigrateVm<'a> {
    /// Where to.
    pub target: &'a str,
    /// Live if it runs. Harmless for a stopped machine, needed for a running one.
    pub online: bool,
    /// Copies local disks of a running machine.
    pub with_local_disks: bool,
    /// Where local disks go: a storage, a list `from:to`, or `1` for the same names.
    pub targetstorage: Option<&'a str>,
    /// The limit of copying, in KiB/s.
    pub bwlimit: Option<u64>,
}

/// What a migration would meet with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MigratePreview {
    /// True if it runs.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub running: bool,
    /// The nodes that have all it needs. Older servers say so for stopped machines only.
    #[serde(default)]
    pub allowed_nodes: Option<Vec<String>>,
    /// Its disks on storages that are not shared.
    #[serde(default)]
    pub local_disks: Vec<Value>,
    /// Its devices that cannot leave the node.
    #[serde(default)]
    pub local_resources: Vec<Value>,
}

impl Client {
    /// Where a machine could be migrated to.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/migrate`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn migrate_preview(&self, node: &str, vmid: u32) -> Result<MigratePreview, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["migrate"]), &Params::new(), Pace::Read).await
    }

    /// Migrates a machine. The outcome of the task does not tell where the machine is: look for it. For a machine under
    /// HA the task only passes the wish on.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/migrate`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::OnTarget`](crate::Already::OnTarget) if it is there.
    pub async fn migrate_vm(
        &self,
        node: &str,
        vmid: u32,
        migrate: &MigrateVm<'_>,
    ) -> Result<Started, ApiError> {
        let mut params = Params::new()
            .set("target", migrate.target)
            .flag("online", migrate.online)
            .opt("targetstorage", migrate.targetstorage)
            .opt("bwlimit", migrate.bwlimit);
        if migrate.with_local_disks {
            params = params.flag("with-local-disks", true);
        }
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["migrate"]), &params, Pace::ShortWrite).await
    }
}
