use jiff::Timestamp;

/// The time. The core never asks the system for it, so that tests decide what time it is.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}
