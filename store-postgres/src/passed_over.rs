use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// What this process took and could not understand, because a newer program wrote it: given back, and left to others from
/// then on.
#[derive(Debug)]
pub(crate) struct PassedOver<K>(Mutex<BTreeSet<K>>);

impl<K> Default for PassedOver<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Copy> PassedOver<K> {
    /// All of it.
    pub(crate) fn all(&self) -> Vec<K> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// One more.
    pub(crate) fn add(&self, key: K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }
}
