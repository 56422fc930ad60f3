use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

/// What we may do, per path of the rights tree, such as `/vms/100`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<String, BTreeMap<String, serde_json::Value>>);

impl Permissions {
    /// True if we hold the privilege on exactly this path. The server lists paths that rights were given on, and those
    /// that were asked for; it does not list what merely inherits.
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        self.0.get(path).is_some_and(|held| held.contains_key(privilege))
    }

    /// The privileges on a path.
    pub fn on(&self, path: &str) -> impl Iterator<Item = &str> {
        self.0.get(path).into_iter().flat_map(|held| held.keys().map(String::as_str))
    }
}

impl Client {
    /// Our own privileges: all of them, or with `path` those on one path, inherited ones included.
    ///
    /// PVE API viewer: `GET /access/permissions`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn permissions(&self, path: Option<&str>) -> Result<Permissions, ApiError> {
        let params = Params::new().opt("path", path);
        self.call(Method::GET, ApiPath::join(["access", "permissions"]), &params, Pace::Read).await
    }
}
