/// Randomness: for keys, MAC addresses and salts. The core never makes its own, so that tests are repeatable.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with random bytes.
    ///
    /// # Guarantees
    /// Fit for identifiers that must not collide and for salts; an implementation for production uses the operating
    /// system's generator.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Entropy {
    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random UUID (version 4, RFC 9562, 5.4).
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}
