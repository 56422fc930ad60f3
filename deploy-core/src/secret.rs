//! Passwords: hashed once, here, and never kept in plain text.

use crate::Invalid;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A password as a `$6$` crypt hash (SHA-512, 5,000 rounds).
///
/// PVE hashes a plain `cipassword` with a new salt at every set, which changes the cloud-init instance id and makes the
/// guest run its first-boot modules again. So the hash is made once, when the order is taken, and always the same
/// one is sent. The plain text is never stored, logged or printed; the hash is not printed either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes `password` with these random bytes as the salt.
    ///
    /// # Errors
    /// [`Invalid`] for an empty password, one with a line break or NUL, and one of more than 256 bytes; the error
    /// does not repeat it.
    pub fn of(password: &SecretString, salt: [u8; 12]) -> Result<Self, Invalid> {
        const SALT: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let plain = password.expose_secret();
        let invalid = || Invalid::new("password", "(hidden)", "1 to 256 bytes without line breaks");
        if plain.is_empty() || plain.len() > 256 || plain.contains(['\n', '\r', '\0']) {
            return Err(invalid());
        }
        let salt: String = salt.iter().map(|byte| char::from(SALT[usize::from(byte & 63)])).collect();
        let params = sha_crypt::Sha512Params::new(sha_crypt::ROUNDS_DEFAULT).map_err(|_| invalid())?;
        let hash =
            sha_crypt::sha512_crypt_b64(plain.as_bytes(), salt.as_bytes(), &params).map_err(|_| invalid())?;
        Ok(Self(format!("$6${salt}${hash}")))
    }

    /// The hash, for the one who sends it to the hypervisor.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let parts: Vec<&str> = text.split('$').collect();
        match parts.as_slice() {
            ["", "6", salt, hash] if !salt.is_empty() && hash.len() == 86 => Ok(Self(text)),
            _ => Err(Invalid::new("password", "(hidden)", "a $6$ crypt hash")),
        }
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> String {
        hash.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}
