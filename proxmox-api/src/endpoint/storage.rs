use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// A storage as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageInfo {
    /// Its name.
    pub storage: String,
    /// Its type, such as `dir`, `lvmthin`, `rbd`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What it may hold, separated by commas.
    #[serde(default)]
    pub content: String,
    /// True if all nodes see the same.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub shared: bool,
    /// True if it can be used at the moment.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub active: bool,
    /// True unless it was switched off.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub enabled: bool,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub total: Option<u64>,
    /// What is used, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub used: Option<u64>,
    /// What is free, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub avail: Option<u64>,
}

impl StorageInfo {
    /// True if it may hold this kind of content, such as `images`.
    pub fn holds(&self, content: &str) -> bool {
        self.content.split(',').any(|kind| kind == content)
    }
}

/// A volume on a storage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StorageVolume {
    /// Its id, with the storage's name in front.
    pub volid: String,
    /// `images`, `backup`, `iso`...
    #[serde(default)]
    pub content: String,
    /// `raw`, `qcow2`...
    #[serde(default)]
    pub format: Option<String>,
    /// Its size in bytes, as the guest sees it.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub size: Option<u64>,
    /// The VMID in its name.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub vmid: Option<u32>,
    /// When it was made, in Unix seconds.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub ctime: Option<u64>,
    /// What it is a linked clone of.
    #[serde(default)]
    pub parent: Option<String>,
    /// Notes of a backup.
    #[serde(default)]
    pub notes: Option<String>,
    /// True for a backup that PVE refuses to remove.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub protected: bool,
}

impl Client {
    /// The storages of a node that we may use.
    ///
    /// PVE API viewer: `GET /nodes/{node}/storage`. May hang on a dead network storage.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn storages(&self, node: &str) -> Result<Vec<StorageInfo>, ApiError> {
        self.call(Method::GET, ApiPath::of_node(node, &["storage"]), &Params::new(), Pace::Read).await
    }

    /// The volumes on a storage, of one VMID and one kind if given. Only those that we may see: an empty list proves
    /// nothing unless we hold Datastore.Audit on the storage.
    ///
    /// PVE API viewer: `GET /nodes/{node}/storage/{storage}/content`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn storage_content(
        &self,
        node: &str,
        storage: &str,
        content: Option<&str>,
        vmid: Option<u32>,
    ) -> Result<Vec<StorageVolume>, ApiError> {
        let params = Params::new().opt("content", content).opt("vmid", vmid);
        self.call(Method::GET, ApiPath::of_node(node, &["storage", storage, "content"]), &params, Pace::Read)
            .await
    }

    /// Deletes a volume. PVE does *not* check whether a machine uses it: only for what no configuration, pending change
    /// or snapshot refers to. With `delay` (1 to 30 s) the server waits that long for the end.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/storage/{storage}/content/{volume}`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete_volume(
        &self,
        node: &str,
        storage: &str,
        volid: &str,
        delay: Option<u8>,
    ) -> Result<Started, ApiError> {
        let pace = if delay.is_some() { Pace::LongWrite } else { Pace::ShortWrite };
        let params = Params::new().opt("delay", delay);
        let path = ApiPath::of_node(node, &["storage", storage, "content", volid]);
        self.call(Method::DELETE, path, &params, pace).await
    }
}
