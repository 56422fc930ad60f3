//! Values that a real server draws at random, here from the seed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The cluster's only source of randomness besides the faults.
#[derive(Debug)]
pub(crate) struct Random {
    identity: StdRng,
    jitter: StdRng,
    pid: u32,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { identity: StdRng::seed_from_u64(seed), jitter: StdRng::seed_from_u64(seed ^ 0x71), pid: 1000 }
    }

    /// From 0 to 1.
    pub(crate) fn roll(&mut self) -> f64 {
        self.jitter.random()
    }

    pub(crate) fn mac(&mut self) -> String {
        let [a, b, c] = self.identity.random::<[u8; 3]>();
        format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
    }

    pub(crate) fn uuid(&mut self) -> String {
        let mut bytes = self.identity.random::<[u8; 16]>();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = crate::access::hex(&bytes);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.pid += self.identity.random_range(1..30);
        self.pid
    }

    /// Salt of a password hash.
    pub(crate) fn salt(&mut self) -> String {
        crate::access::hex(&self.identity.random::<[u8; 8]>())
    }

    /// A random order, as the server walks through its hashes.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.identity.random_range(0..=i));
        }
    }
}
