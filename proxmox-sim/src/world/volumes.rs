//! The volumes of a storage, with the sums and indexes that keep thousands of them quick.

use std::collections::{BTreeMap, BTreeSet};

use super::storage::Volume;

/// Where a volume is: the node (empty when shared) and its name.
pub(crate) type Place = (String, String);

/// Volumes by place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Volumes {
    all: BTreeMap<Place, Volume>,
    by_owner: BTreeMap<u32, BTreeSet<Place>>,
    /// Bytes in use, by node.
    used: BTreeMap<String, u64>,
    /// Linked clones of each base image.
    clones: BTreeMap<Place, usize>,
}

impl Volumes {
    pub(crate) fn get(&self, place: &Place) -> Option<&Volume> {
        self.all.get(place)
    }

    pub(crate) fn contains(&self, place: &Place) -> bool {
        self.all.contains_key(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Volume)> {
        self.all.iter()
    }

    /// The volumes of one machine.
    pub(crate) fn of(&self, owner: u32) -> impl Iterator<Item = (&Place, &Volume)> {
        let places = self.by_owner.get(&owner).into_iter().flatten();
        places.filter_map(|place| self.all.get_key_value(place))
    }

    pub(crate) fn used(&self, node: &str) -> u64 {
        self.used.get(node).copied().unwrap_or_default()
    }

    /// Whether linked clones depend on the volume.
    pub(crate) fn has_clones(&self, place: &Place) -> bool {
        self.clones.get(place).is_some_and(|count| *count > 0)
    }

    pub(crate) fn insert(&mut self, place: Place, volume: Volume) {
        self.remove(&place);
        self.by_owner.entry(volume.owner).or_default().insert(place.clone());
        *self.used.entry(place.0.clone()).or_default() += volume.used();
        if let Some(parent) = &volume.parent {
            *self.clones.entry((place.0.clone(), parent.clone())).or_default() += 1;
        }
        self.all.insert(place, volume);
    }

    pub(crate) fn remove(&mut self, place: &Place) -> Option<Volume> {
        let volume = self.all.remove(place)?;
        if let Some(places) = self.by_owner.get_mut(&volume.owner) {
            places.remove(place);
        }
        if let Some(used) = self.used.get_mut(&place.0) {
            *used = used.saturating_sub(volume.used());
        }
        if let Some(parent) = &volume.parent
            && let Some(count) = self.clones.get_mut(&(place.0.clone(), parent.clone()))
        {
            *count = count.saturating_sub(1);
        }
        Some(volume)
    }

    /// Changes a volume; the sums follow.
    pub(crate) fn change(&mut self, place: &Place, change: impl FnOnce(&mut Volume)) -> bool {
        let Some(mut volume) = self.remove(place) else {
            return false;
        };
        change(&mut volume);
        self.insert(place.clone(), volume);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_indexes_follow() {
        let mut volumes = Volumes::default();
        let place = |name: &str| (String::new(), name.to_owned());
        volumes.insert(place("base"), Volume::image(9000, 1 << 30, "qcow2", 0));
        let clone = Volume { parent: Some("base".to_owned()), ..Volume::image(100, 1 << 30, "qcow2", 0) };
        volumes.insert(place("clone"), clone);
        assert!(volumes.has_clones(&place("base")));
        assert_eq!(volumes.of(100).count(), 1);
        let before = volumes.used("");
        assert!(volumes.change(&place("clone"), |volume| volume.size *= 4));
        assert!(volumes.used("") > before);
        volumes.remove(&place("clone"));
        assert!(!volumes.has_clones(&place("base")));
        assert_eq!((volumes.of(100).count(), volumes.used("")), (0, (1 << 30) / 64));
    }
}
