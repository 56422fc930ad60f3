use crate::VmKey;

/// Tells a worker that there is something to do. Only a hint: a worker polls all the same.
pub trait Doorbell: Send + Sync {
    /// A machine was ordered, or a command was given to it.
    fn ring(&self, key: VmKey);

    /// Something may be due, nobody says which machine: another process ordered some, or it is not known what was missed.
    fn wake(&self);
}

/// No worker in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDoorbell;

impl Doorbell for NoDoorbell {
    fn ring(&self, _key: VmKey) {}

    fn wake(&self) {}
}
