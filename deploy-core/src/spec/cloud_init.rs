//! What cloud-init is told.

use crate::{DnsName, Invalid, PasswordHash, StorageId, UserName};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// The cloud-init part of an order (PVE: Cloud-Init Support).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudInit {
    /// The user that is created; `None` is the image's own.
    #[serde(default)]
    pub user: Option<UserName>,
    /// The user's password, hashed.
    #[serde(default)]
    pub password: Option<PasswordHash>,
    /// Keys that may log in.
    #[serde(default)]
    pub ssh_keys: Vec<SshKey>,
    /// DNS resolvers; none means those of the pools that the addresses came from. Where there are none either, PVE
    /// takes the node's.
    #[serde(default)]
    pub resolvers: Vec<IpAddr>,
    /// The DNS search domain.
    #[serde(default)]
    pub search_domain: Option<DnsName>,
    /// Where the drive is made if the template has none; `None` is the system disk's storage.
    #[serde(default)]
    pub drive_storage: Option<StorageId>,
}

/// An OpenSSH public key: algorithm, key, comment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey(String);

impl SshKey {
    /// The key on one line, as it stands in `authorized_keys`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SshKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let line = text.trim();
        match ssh_key::PublicKey::from_openssh(line) {
            Ok(_) if !line.contains(['\n', '\r']) => Ok(Self(line.to_owned())),
            _ => Err(Invalid::new(
                "ssh_keys",
                text,
                "one OpenSSH public key on one line, such as \"ssh-ed25519 AAAA... ann@laptop\"",
            )),
        }
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::text::kept_as_text!(SshKey);
