use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The SHA-256 fingerprint of a certificate, as `pvenode cert info` and the web interface show it.
///
/// ```
/// use proxmox_api::Fingerprint;
///
/// let text = "0F:68:B1:F5:49:BE:6A:27:4C:AB:18:74:6A:08:10:B3:88:F3:DE:15:CB:03:03:9D:6E:BD:5C:65:E1:F5:3F:48";
/// let fingerprint: Fingerprint = text.parse()?;
/// assert_eq!(fingerprint.to_string(), text);
/// # Ok::<(), proxmox_api::FingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// Why a text is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 32 pairs of hexadecimal digits, with or without colons between them")]
pub struct FingerprintError;

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let pair = if text.contains(':') { 3 } else { 2 };
        if !text.is_ascii() || text.len() != 32 * pair - (pair - 2) {
            return Err(FingerprintError);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let start = index * pair;
            let digits = &text[start..start + 2];
            // `from_str_radix` would accept a sign.
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| FingerprintError)?;
            if pair == 3 && index < 31 && text.as_bytes()[start + 2] != b':' {
                return Err(FingerprintError);
            }
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colons_and_case_do_not_matter_but_digits_do() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(plain.parse::<Fingerprint>(), colons.parse());
        for wrong in [
            "",
            "AB",
            &"+1".repeat(32),
            &"é".repeat(32),
            &format!("{plain}a"),
            &colons[1..],
            &colons.replacen(':', "-", 1),
        ] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,100}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
