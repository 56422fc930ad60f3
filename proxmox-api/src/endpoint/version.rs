use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::timeouts::Pace;

/// The version of a node. Nodes of one cluster may differ while it is upgraded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Complete, such as `9.2.11`.
    pub version: String,
    /// The product line, such as `9.2`.
    pub release: String,
    /// The commit it was built from.
    #[serde(default)]
    pub repoid: String,
}

impl Version {
    /// True for this version of PVE or a later one. A text that is no version counts as old.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.version.split(['.', '-', '~']).map_while(|part| part.parse::<u32>().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
    }
}

impl Client {
    /// The version of the node that is asked. Needs no privilege, so it also shows that the credentials are good.
    ///
    /// PVE API viewer: `GET /version`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn version(&self) -> Result<Version, ApiError> {
        self.call(Method::GET, ApiPath::join(["version"]), &Params::new(), Pace::Read).await
    }

    /// The version of one node.
    ///
    /// PVE API viewer: `GET /nodes/{node}/version`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn node_version(&self, node: &str) -> Result<Version, ApiError> {
        self.call(Method::GET, ApiPath::of_node(node, &["version"]), &Params::new(), Pace::Read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version =
            |text: &str| Version { version: text.into(), release: String::new(), repoid: String::new() };
        assert!(version("9.2.11").at_least(8, 10));
        assert!(version("8.10").at_least(8, 9));
        assert!(version("7.4-20").at_least(7, 4));
        assert!(!version("8.0.4").at_least(8, 1));
        assert!(!version("unknown").at_least(1, 0));
    }
}
