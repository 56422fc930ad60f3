use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

/// A set of addresses of a machine's firewall. The one named `ipfilter-netN` holds the addresses that card N may send
/// from; while it exists and is empty, nothing passes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IpSet {
    /// Its name.
    pub name: String,
    /// Its comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// Its digest.
    #[serde(default)]
    pub digest: Option<String>,
}

/// A member of a set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IpSetMember {
    /// The address or network as PVE writes it: without host bits, and without `/32` or `/128`.
    pub cidr: String,
    /// True for an exception.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub nomatch: bool,
    /// Its comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// The digest of the set.
    #[serde(default)]
    pub digest: Option<String>,
}

impl Client {
    /// The sets of a machine.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/firewall/ipset`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn ipsets(&self, node: &str, vmid: u32) -> Result<Vec<IpSet>, ApiError> {
        self.call(Method::GET, ApiPath::of_vm(node, vmid, &["firewall", "ipset"]), &Params::new(), Pace::Read)
            .await
    }

    /// Makes a set, empty.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/firewall/ipset`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Exists`](crate::Already::Exists) if it does.
    pub async fn create_ipset(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        comment: Option<&str>,
    ) -> Result<(), ApiError> {
        let params = Params::new().set("name", name).opt("comment", comment);
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["firewall", "ipset"]), &params, Pace::ShortWrite)
            .await
    }

    /// Removes a set; one with members only by `force`.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Absent`](crate::Already::Absent) if there is none.
    pub async fn delete_ipset(&self, node: &str, vmid: u32, name: &str, force: bool) -> Result<(), ApiError> {
        let params = Params::new().opt_flag("force", force.then_some(true));
        let path = ApiPath::of_vm(node, vmid, &["firewall", "ipset", name]);
        self.call(Method::DELETE, path, &params, Pace::ShortWrite).await
    }

    /// The members of a set.
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Absent`](crate::Already::Absent) if there is no such set.
    pub async fn ipset_members(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
    ) -> Result<Vec<IpSetMember>, ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["firewall", "ipset", name]);
        self.call(Method::GET, path, &Params::new(), Pace::Read).await
    }

    /// Adds a member.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}`.
    ///
    /// # Errors
    /// See [`ApiError`]; [`Already::Exists`](crate::Already::Exists) if it is one.
    pub async fn add_ipset_member(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        cidr: &str,
        comment: Option<&str>,
    ) -> Result<(), ApiError> {
        let params = Params::new().set("cidr", cidr).opt("comment", comment);
        let path = ApiPath::of_vm(node, vmid, &["firewall", "ipset", name]);
        self.call(Method::POST, path, &params, Pace::ShortWrite).await
    }

    /// Removes a member, by exactly the text that PVE gave. Of one that is not there it is a success.
    ///
    /// PVE API viewer: `DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn delete_ipset_member(
        &self,
        node: &str,
        vmid: u32,
        name: &str,
        cidr: &str,
        digest: Option<&str>,
    ) -> Result<(), ApiError> {
        let path = ApiPath::of_vm(node, vmid, &["firewall", "ipset", name, cidr]);
        self.call(Method::DELETE, path, &Params::new().opt("digest", digest), Pace::ShortWrite).await
    }
}
