use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What JavaScript's `encodeURIComponent` leaves alone: PVE was written for it, and refuses everything else.
const BARE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Why a value of `sshkeys` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys are not percent-encoded UTF-8")]
pub struct SshKeysError;

/// Encodes OpenSSH public keys, one a line, as the value of `sshkeys`.
///
/// The value is percent-encoded by itself, before the form encodes it again. (PVE API viewer: `sshkeys` has the format
/// `urlencoded`.)
///
/// ```
/// use proxmox_api::{decode_ssh_keys, encode_ssh_keys};
///
/// let value = encode_ssh_keys("ssh-ed25519 AAAA+b/c= bob@host\n");
/// assert_eq!(value, "ssh-ed25519%20AAAA%2Bb%2Fc%3D%20bob%40host%0A");
/// assert_eq!(decode_ssh_keys(&value)?, "ssh-ed25519 AAAA+b/c= bob@host\n");
/// # Ok::<(), proxmox_api::SshKeysError>(())
/// ```
pub fn encode_ssh_keys(keys: &str) -> String {
    utf8_percent_encode(keys, BARE).to_string()
}

/// Decodes the value of `sshkeys`.
///
/// # Errors
/// If it is not percent-encoded UTF-8; PVE itself never stores such a value.
pub fn decode_ssh_keys(value: &str) -> Result<String, SshKeysError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%-_.!~*'()".contains(&byte);
    if !value.bytes().all(plain) {
        return Err(SshKeysError);
    }
    percent_decode_str(value).decode_utf8().map(String::from).map_err(|_| SshKeysError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_set_is_that_of_javascript() {
        let all: String = (' '..='~').collect();
        let bare: String = all.chars().filter(|char| encode_ssh_keys(&char.to_string()).len() == 1).collect();
        let expected: String =
            all.chars().filter(|char| char.is_ascii_alphanumeric() || "-_.!~*'()".contains(*char)).collect();
        assert_eq!(bare, expected);
        assert_eq!(decode_ssh_keys("a+b"), Err(SshKeysError));
        assert_eq!(decode_ssh_keys("%FF"), Err(SshKeysError));
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(keys in "(?s).{0,60}") {
            prop_assert_eq!(decode_ssh_keys(&encode_ssh_keys(&keys)), Ok(keys));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,30}") {
            let _ = decode_ssh_keys(&text);
        }
    }
}
