use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

/// A pool and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pool {
    /// Its comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// Its members: machines, containers and storages.
    #[serde(default)]
    pub members: Vec<PoolMember>,
}

/// A member of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PoolMember {
    /// `qemu`, `lxc` or `storage`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The VMID of a guest.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub vmid: Option<u32>,
    /// The node it is on.
    #[serde(default)]
    pub node: Option<String>,
}

impl Client {
    /// A pool and its members.
    ///
    /// PVE API viewer: `GET /pools/{poolid}`; for nested pools (since 8.1), whose names hold slashes, `GET /pools` with
    /// `poolid`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn pool(&self, pool: &str) -> Result<Pool, ApiError> {
        if !pool.contains('/') {
            return self.call(Method::GET, ApiPath::join(["pools", pool]), &Params::new(), Pace::Read).await;
        }
        let params = Params::new().set("poolid", pool);
        let mut found: Vec<Pool> =
            self.call(Method::GET, ApiPath::join(["pools"]), &params, Pace::Read).await?;
        Ok(found.pop().unwrap_or_default())
    }

    /// Makes machines members of a pool. `allow_move` (since 8.1) takes them out of another one.
    ///
    /// PVE API viewer: `PUT /pools/{poolid}`; for nested pools `PUT /pools` with `poolid`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Exists`](crate::Already::Exists) if one is a member.
    pub async fn add_to_pool(
        &self,
        pool: &str,
        vmids: &[u32],
        allow_move: Option<bool>,
    ) -> Result<(), ApiError> {
        let params = members(vmids).opt_flag("allow-move", allow_move);
        self.change_pool(pool, params).await
    }

    /// Takes machines out of a pool.
    ///
    /// PVE API viewer: `PUT /pools/{poolid}` with `delete=1`; for nested pools `PUT /pools` with `poolid`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Absent`](crate::Already::Absent) if one is no member.
    pub async fn remove_from_pool(&self, pool: &str, vmids: &[u32]) -> Result<(), ApiError> {
        self.change_pool(pool, members(vmids).flag("delete", true)).await
    }

    async fn change_pool(&self, pool: &str, params: Params) -> Result<(), ApiError> {
        // The older form is known to every version, but its path cannot hold the slash of a nested pool.
        if pool.contains('/') {
            let params = params.set("poolid", pool);
            return self.call(Method::PUT, ApiPath::join(["pools"]), &params, Pace::ShortWrite).await;
        }
        self.call(Method::PUT, ApiPath::join(["pools", pool]), &params, Pace::ShortWrite).await
    }
}

fn members(vmids: &[u32]) -> Params {
    Params::new().list("vms", vmids.iter().map(ToString::to_string))
}
