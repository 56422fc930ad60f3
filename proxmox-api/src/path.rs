use std::fmt;

use crate::params::encode;

/// A path below `/api2/json`, each segment percent-encoded, so that a node or volume name cannot lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPath(String);

/// Why a text is not a path of the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A segment is empty or made of dots, which HTTP libraries resolve to another path.
    #[error("the path has a segment that is empty or made of dots")]
    Segment,
    /// A ready-made path must begin with a slash and be percent-encoded, without a query.
    #[error("a path begins with a slash, is percent-encoded, and has no query")]
    Text,
}

impl ApiPath {
    /// Joins segments, encoding each.
    ///
    /// # Errors
    /// [`PathError::Segment`] for an empty segment and for `.` and `..`.
    pub fn join<T: fmt::Display>(segments: impl IntoIterator<Item = T>) -> Result<Self, PathError> {
        let mut path = String::new();
        for segment in segments {
            let segment = segment.to_string();
            if matches!(segment.as_str(), "" | "." | "..") {
                return Err(PathError::Segment);
            }
            path.push('/');
            path.extend(encode(&segment));
        }
        Ok(Self(path))
    }

    /// `/nodes/{node}/` and the rest.
    pub(crate) fn of_node(node: &str, rest: &[&str]) -> Result<Self, PathError> {
        Self::join(["nodes", node].iter().chain(rest))
    }

    /// `/nodes/{node}/qemu/{vmid}/` and the rest.
    pub(crate) fn of_vm(node: &str, vmid: u32, rest: &[&str]) -> Result<Self, PathError> {
        Self::join(["nodes", node, "qemu", &vmid.to_string()].iter().chain(rest))
    }

    /// Takes a ready-made path such as `/nodes/pve1/qemu`.
    ///
    /// # Errors
    /// [`PathError::Text`] unless it begins with a slash and holds only what may stand in a path; also
    /// [`PathError::Segment`] as for [`ApiPath::join`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:@!$&'()*+,;=/".contains(&byte);
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PathError::Text);
        };
        if !text.bytes().all(allowed) {
            return Err(PathError::Text);
        }
        let dots = |segment: &str| {
            matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "" | "." | "..")
        };
        if rest.split('/').any(dots) {
            return Err(PathError::Segment);
        }
        Ok(Self(text.to_owned()))
    }

    /// The encoded path, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where the node that is asked hands the request on to the node in the path.
    pub(crate) fn is_proxied(&self) -> bool {
        self.0.starts_with("/nodes/")
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_cannot_escape() {
        let path =
            ApiPath::join(["nodes", "pve1", "storage", "local", "content", "local:backup/a b"]).unwrap();
        assert_eq!(path.as_str(), "/nodes/pve1/storage/local/content/local%3Abackup%2Fa%20b");
        assert_eq!(ApiPath::join(["nodes", ".."]), Err(PathError::Segment));
        assert_eq!(ApiPath::join(["nodes", ""]), Err(PathError::Segment));
    }

    #[test]
    fn a_ready_made_path_is_checked() {
        assert!(ApiPath::parse("/nodes/pve1/tasks/UPID:pve1:0:0:0:a:b:c@d!e:").is_ok());
        for (text, error) in [
            ("version", PathError::Text),
            ("/version?a=1", PathError::Text),
            ("/a b", PathError::Text),
            ("/a//b", PathError::Segment),
            ("/a/%2E./b", PathError::Segment),
            ("/", PathError::Segment),
        ] {
            assert_eq!(ApiPath::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn joined_paths_are_paths(segments in proptest::collection::vec(".{1,10}", 1..5)) {
            if let Ok(path) = ApiPath::join(&segments) {
                prop_assert_eq!(ApiPath::parse(path.as_str()), Ok(path.clone()));
                prop_assert_eq!(path.as_str().matches('/').count(), segments.len());
            }
        }
    }
}
