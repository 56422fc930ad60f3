//! Sizes and rates, each with its unit in the type.

use crate::Invalid;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// Makes a newtype over a positive whole number in a unit.
macro_rules! count_type {
    ($(#[$doc:meta])* $name:ident, $repr:ty, $field:literal, $min:literal..=$max:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name($repr);

        impl $name {
            /// The number, in this unit.
            pub fn get(self) -> $repr {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = Invalid;

            fn try_from(number: u64) -> Result<Self, Invalid> {
                match <$repr>::try_from(number) {
                    Ok(n) if ($min..=$max).contains(&n) => Ok(Self(n)),
                    _ => Err(Invalid::new($field, number, $expected)),
                }
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> u64 {
                u64::from(value.0)
            }
        }
    };
}

count_type!(
    /// The size of a disk in GiB (2^30 bytes), at least 1. Whole GiB, so that the storage's rounding never shows.
    GiB, u32, "size", 1..=1_048_576, "a size in GiB from 1 to 1048576"
);
count_type!(
    /// Memory of a machine in MiB (2^20 bytes), at least 16 (PVE's minimum).
    MiB, u32, "memory", 16..=16_777_216, "memory in MiB from 16 to 16777216"
);
count_type!(
    /// Input/output operations a second.
    Iops, u32, "iops", 1..=2_000_000_000, "operations a second from 1 to 2000000000 (leave it out for no limit)"
);
count_type!(
    /// A number of CPU sockets or of cores a socket.
    CpuCount, u16, "cpu", 1..=512, "a count from 1 to 512"
);

impl fmt::Display for GiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} GiB", self.0)
    }
}

impl fmt::Display for MiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

impl GiB {
    /// The same size in bytes.
    pub fn bytes(self) -> Bytes {
        Bytes(u64::from(self.0) << 30)
    }
}

/// A size in bytes, as observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    #[allow(clippy::cast_precision_loss)] // for people; half a byte in a petabyte does not matter
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1 << 30) {
            write!(f, "{} GiB", self.0 >> 30)
        } else {
            write!(f, "{:.2} GiB", self.0 as f64 / f64::from(1 << 30))
        }
    }
}

/// A rate in MiB/s (2^20 bytes a second), exact to a thousandth, as PVE's `mbps_rd` and a NIC's `rate` take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MiBps {
    thousandths: u64,
}

impl MiBps {
    const EXPECTED: &'static str =
        "a rate in MiB/s from 0.001 to 1000000, at most three decimals (leave it out for no limit)";

    /// A rate of so many thousandths of a MiB/s.
    ///
    /// # Errors
    /// [`Invalid`] for zero (no limit is [`Limit::Unlimited`], not a rate) and beyond a million MiB/s.
    pub fn from_thousandths(thousandths: u64) -> Result<Self, Invalid> {
        if (1..=1_000_000_000).contains(&thousandths) {
            Ok(Self { thousandths })
        } else {
            Err(Invalid::new(
                "rate",
                format!("{}.{:03}", thousandths / 1000, thousandths % 1000),
                Self::EXPECTED,
            ))
        }
    }

    /// The rate in thousandths of a MiB/s.
    pub fn thousandths(self) -> u64 {
        self.thousandths
    }
}

impl TryFrom<f64> for MiBps {
    type Error = Invalid;

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the range is checked first
    fn try_from(rate: f64) -> Result<Self, Invalid> {
        let thousandths = (rate * 1000.0).round();
        if (1.0..=1e9).contains(&thousandths)
            && (thousandths - rate * 1000.0).abs() < 1e-6 * thousandths.max(1.0)
        {
            Self::from_thousandths(thousandths as u64)
        } else {
            Err(Invalid::new("rate", rate, Self::EXPECTED))
        }
    }
}

impl FromStr for MiBps {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("rate", text, Self::EXPECTED);
        text.parse::<f64>()
            .map_err(|_| invalid())
            .and_then(|rate| Self::try_from(rate).map_err(|_| invalid()))
    }
}

impl fmt::Display for MiBps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.thousandths / 1000, self.thousandths % 1000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            f.write_str(format!("{whole}.{rest:03}").trim_end_matches('0'))
        }
    }
}

impl Serialize for MiBps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MiBps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rate;
        impl de::Visitor<'_> for Rate {
            type Value = MiBps;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(MiBps::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MiBps, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, rate: f64) -> Result<MiBps, E> {
                rate.try_into().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, rate: u64) -> Result<MiBps, E> {
                MiBps::from_thousandths(rate.saturating_mul(1000)).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, rate: i64) -> Result<MiBps, E> {
                u64::try_from(rate)
                    .map_err(|_| E::custom(Invalid::new("rate", rate, MiBps::EXPECTED)))
                    .and_then(|rate| self.visit_u64(rate))
            }
        }
        deserializer.deserialize_any(Rate)
    }
}

/// A limit that may be absent. "Unlimited" is its own word, never a magic zero: PVE and panels disagree about what
/// a zero means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit<T> {
    /// No limit.
    #[default]
    Unlimited,
    /// At most this.
    At(T),
}

impl<T> Limit<T> {
    /// The limit, where there is one.
    pub fn at(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for Limit<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unlimited, Self::At)
    }
}
