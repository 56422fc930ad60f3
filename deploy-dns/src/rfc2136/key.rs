//! Keys that updates are signed with.

use deploy_core::{DnsName, Invalid};
use hickory_proto::rr::{TSigner, rdata::tsig};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, str::FromStr};

/// A TSIG key, as `tsig-keygen` makes one.
#[derive(Debug, Clone)]
pub struct TsigKey {
    /// Its name, which both sides must call it by.
    pub name: DnsName,
    /// How it signs.
    pub algorithm: TsigAlgorithm,
    /// The secret, in base 64.
    pub secret: SecretString,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`, what `tsig-keygen` makes by default.
    #[default]
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

/// By how many seconds our clock and the server's may differ (RFC 8945, 10, recommends it).
const FUDGE: u16 = 300;

impl TsigKey {
    pub(super) fn signer(&self) -> Result<TSigner, Invalid> {
        let invalid = |expected: &str| Invalid::new("secret", "(hidden)", expected);
        let secret = self.secret.expose_secret().trim();
        let secret = data_encoding::BASE64.decode(secret.as_bytes());
        let secret = secret.map_err(|_| invalid("the key's secret in base 64, as tsig-keygen shows it"))?;
        if secret.is_empty() {
            return Err(invalid("a secret that is not empty"));
        }
        let algorithm = match self.algorithm {
            TsigAlgorithm::HmacSha256 => tsig::TsigAlgorithm::HmacSha256,
            TsigAlgorithm::HmacSha384 => tsig::TsigAlgorithm::HmacSha384,
            TsigAlgorithm::HmacSha512 => tsig::TsigAlgorithm::HmacSha512,
        };
        TSigner::new(secret, algorithm, super::name_of(&self.name), FUDGE)
            .map_err(|error| invalid(&format!("a key that can be used ({error})")))
    }
}

impl TsigAlgorithm {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TsigAlgorithm {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| Invalid::new("algorithm", text, "hmac-sha256, hmac-sha384 or hmac-sha512"))
    }
}
