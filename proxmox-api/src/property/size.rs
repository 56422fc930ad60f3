use std::fmt;
use std::str::FromStr;

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// A size in bytes, as PVE writes it: `5G`, `512M`, `4194304K`, `1.5T`, or bytes without a unit.
///
/// The units are binary. Printing uses the largest one that is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DiskSize(u64);

/// Why a text is not a disk size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a disk size is a number with an optional unit K, M, G or T")]
pub struct DiskSizeError;

impl DiskSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many GiB, at most 16 EiB.
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In whole GiB, rounded up.
    pub const fn gib_ceil(self) -> u64 {
        self.0.div_ceil(1 << 30)
    }

    /// A decimal number of units of 2^`shift` bytes.
    pub(super) fn scaled(number: &str, shift: u32) -> Result<Self, DiskSizeError> {
        let (whole, fraction) = match number.split_once('.') {
            Some((_, "")) => return Err(DiskSizeError),
            Some(parts) => parts,
            None => (number, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(DiskSizeError);
        }
        let whole: u64 = whole.parse().map_err(|_| DiskSizeError)?;
        let bytes = (u128::from(whole) << shift) + u128::from(scaled_fraction(fraction, shift));
        u64::try_from(bytes).map(Self).map_err(|_| DiskSizeError)
    }
}

/// The whole part of `0.fraction` times 2^`shift`: doubles the decimal digits, and every carry is a bit. Exact, where
/// whole numbers of any width would overflow; digits beyond the 60th are less than a thousandth of a byte.
fn scaled_fraction(fraction: &str, shift: u32) -> u64 {
    let mut digits: Vec<u8> = fraction.bytes().take(60).map(|digit| digit - b'0').collect();
    let mut bits = 0;
    for _ in 0..shift {
        let mut carry = 0;
        for digit in digits.iter_mut().rev() {
            let double = *digit * 2 + carry;
            *digit = double % 10;
            carry = double / 10;
        }
        bits = bits << 1 | u64::from(carry);
    }
    bits
}

impl FromStr for DiskSize {
    type Err = DiskSizeError;

    fn from_str(text: &str) -> Result<Self, DiskSizeError> {
        for (unit, shift) in UNITS {
            if let Some(number) = text.strip_suffix(unit) {
                return Self::scaled(number, shift);
            }
        }
        Self::scaled(text, 0)
    }
}

impl fmt::Display for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift) {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_and_fractions_are_read() {
        let bytes = |text: &str| text.parse().map(DiskSize::bytes);
        assert_eq!(bytes("5G"), Ok(5 << 30));
        assert_eq!(bytes("512M"), Ok(512 << 20));
        assert_eq!(bytes("4194304K"), Ok(4 << 30));
        assert_eq!(bytes("1.5T"), Ok(3 << 39));
        assert_eq!(bytes("2147483648"), Ok(2 << 30));
        assert_eq!(bytes("0.3K"), Ok(307));
        assert_eq!(DiskSize::from_bytes((2 << 30) + 1).gib_ceil(), 3);
        for wrong in ["", "G", "+5G", "-1", "5g", "5GB", "1.", ".5", "1.5.2", "99999999999T", "٣G"] {
            assert_eq!(bytes(wrong), Err(DiskSizeError), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(number: u64, shift in 0_u32..64) {
            let size = DiskSize(number << shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn any_text_is_survived(text in "[0-9.]{0,40}[KMGT]?|.{0,10}") {
            if let Ok(size) = text.parse::<DiskSize>() {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
