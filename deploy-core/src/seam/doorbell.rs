use crate::VmKey;

/// Tells a worker in the same process that there is something to do. Only a hint: a worker polls all the same.
pub trait Doorbell: Send + Sync {
    /// A machine was ordered, or a command was given to it.
    fn ring(&self, key: VmKey);
}

/// No worker in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDoorbell;

impl Doorbell for NoDoorbell {
    fn ring(&self, _key: VmKey) {}
}
