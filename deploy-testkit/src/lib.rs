//! Tools for testing.
mod clock;
mod entropy;
mod memory;
pub mod mocks;
pub mod sample;
pub mod world;
pub use clock::ManualClock;
pub use entropy::SeededEntropy;
pub use memory::MemoryStore;
