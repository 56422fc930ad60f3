use http::Method;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::Started;
use crate::timeouts::Pace;

/// How to clone. `None` leaves a choice to PVE.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneVm<'a> {
    /// The new machine's VMID. Two clones can never share one, so repeating a clone with the same is safe.
    pub newid: u32,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its notes. Visible from the first copied disk on.
    pub description: Option<&'a str>,
    /// The pool it becomes a member of, at the very end. Not together with `target`: should joining the pool fail, a
    /// machine without disks would stay on the target.
    pub pool: Option<&'a str>,
    /// The snapshot to clone.
    pub snapname: Option<&'a str>,
    /// Where its disks go; full clones only.
    pub storage: Option<&'a str>,
    /// The format of its disks; full clones only.
    pub format: Option<&'a str>,
    /// True copies the disks, false links to them. PVE's default: a template is linked, anything else is copied.
    pub full: Option<bool>,
    /// The node it goes to; only with all disks on shared storage.
    pub target: Option<&'a str>,
    /// The limit of copying, in KiB/s.
    pub bwlimit: Option<u64>,
}

impl Client {
    /// Clones a machine. The task has the *source's* VMID as its id.
    ///
    /// PVE API viewer: `POST /nodes/{node}/qemu/{vmid}/clone`.
    ///
    /// # Errors
    /// See [`ApiError`]. [`Failure::Taken`](crate::Failure::Taken) may mean our own earlier clone.
    pub async fn clone_vm(&self, node: &str, vmid: u32, clone: &CloneVm<'_>) -> Result<Started, ApiError> {
        let params = Params::new()
            .set("newid", clone.newid)
            .opt("name", clone.name)
            .opt("description", clone.description)
            .opt("pool", clone.pool)
            .opt("snapname", clone.snapname)
            .opt("storage", clone.storage)
            .opt("format", clone.format)
            .opt_flag("full", clone.full)
            .opt("target", clone.target)
            .opt("bwlimit", clone.bwlimit);
        self.call(Method::POST, ApiPath::of_vm(node, vmid, &["clone"]), &params, Pace::ShortWrite).await
    }
}
