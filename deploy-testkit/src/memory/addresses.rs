use super::workers::later;
use deploy_core::{
    AddressRange, Family, HeldAddress, Invalid, OrphanedAddress, Pool, PoolError, PoolName, PoolUsage,
    TakeError, VmKey, Want,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Pools and who has their addresses. The plainest way: an address is free when it is usable and nobody has it.
#[derive(Default)]
pub(super) struct Addresses {
    pools: BTreeMap<PoolName, Defined>,
    /// What each machine holds, in the order in which it was taken.
    held: BTreeMap<VmKey, Vec<HeldAddress>>,
}

#[derive(Clone)]
struct Defined {
    pool: Pool,
    usable: Vec<AddressRange>,
    /// Held and resting addresses; the latter with the end of their rest.
    given: BTreeMap<IpAddr, Option<Timestamp>>,
    /// The resting ones by the end of their rest.
    resting: BTreeSet<(Timestamp, IpAddr)>,
    /// Nothing below is free, so that nobody looks there again.
    full_below: Option<IpAddr>,
}

impl Defined {
    /// Forgets what has rested long enough.
    fn reclaim(&mut self, now: Timestamp) {
        while let Some((until, address)) = self.resting.first().copied()
            && until <= now
        {
            self.resting.pop_first();
            self.put_back(address);
        }
    }

    fn put_back(&mut self, address: IpAddr) {
        self.given.remove(&address);
        self.full_below = self.full_below.map(|below| below.min(address));
    }

    /// Takes the lowest free address.
    fn take_lowest(&mut self) -> Option<IpAddr> {
        let address = self.lowest_free()?;
        self.given.insert(address, None);
        self.full_below = Some(address);
        Some(address)
    }

    fn lowest_free(&self) -> Option<IpAddr> {
        let of_range = |range: &AddressRange| {
            let mut candidate = self.full_below.map_or(range.first, |below| below.max(range.first));
            if candidate > range.last {
                return None;
            }
            for given in self.given.range(candidate..=range.last).map(|(address, _)| *address) {
                if candidate < given {
                    break;
                }
                candidate = next(given).filter(|next| *next <= range.last)?;
            }
            Some(candidate)
        };
        self.usable.iter().find_map(of_range)
    }

    fn is_usable(&self, address: IpAddr) -> bool {
        self.usable.iter().any(|range| (range.first..=range.last).contains(&address))
    }

    fn usage(&self, now: Timestamp) -> PoolUsage {
        let size = self.usable.iter().fold(0_u128, |sum, range| sum.saturating_add(size(range)));
        let still = |until: &Option<Timestamp>| until.is_none_or(|until| until > now);
        let given = self.given.iter().filter(|(address, until)| still(until) && self.is_usable(**address));
        PoolUsage {
            pool: self.pool.clone(),
            free: size.saturating_sub(given.count() as u128),
            held: (self.given.len() - self.resting.len()) as u64,
            resting: self.resting.iter().filter(|(until, _)| *until > now).count() as u64,
        }
    }
}

impl Addresses {
    pub(super) fn put(
        &mut self,
        pool: &Pool,
        usable: &[AddressRange],
        now: Timestamp,
    ) -> Result<(), PoolError> {
        check(pool.family, usable)?;
        if let Some(before) = self.pools.get_mut(&pool.name) {
            before.reclaim(now);
            must_not_move(before, pool)?;
        }
        self.must_not_overlap(pool, usable, now)?;
        let (given, resting) =
            self.pools.remove(&pool.name).map(|before| (before.given, before.resting)).unwrap_or_default();
        let defined =
            Defined { pool: pool.clone(), usable: usable.to_vec(), given, resting, full_below: None };
        self.pools.insert(pool.name.clone(), defined);
        Ok(())
    }

    fn must_not_overlap(
        &self,
        pool: &Pool,
        usable: &[AddressRange],
        now: Timestamp,
    ) -> Result<(), PoolError> {
        let others = self
            .pools
            .values()
            .filter(|other| other.pool.cluster == pool.cluster && other.pool.name != pool.name);
        let met = others.flat_map(|other| {
            let given = other.given.iter().filter(|(_, until)| until.is_none_or(|until| until > now));
            let given = given.map(|(address, _)| AddressRange { first: *address, last: *address });
            let theirs = other.usable.iter().copied().chain(given);
            theirs
                .filter_map(|theirs| lowest_common(usable, theirs))
                .map(|address| (address, &other.pool.name))
        });
        match met.min() {
            None => Ok(()),
            Some((address, other)) => {
                Err(PoolError::Overlap { pool: pool.name.clone(), other: other.clone(), address })
            }
        }
    }

    pub(super) fn delete(&mut self, name: &PoolName) -> Result<(), PoolError> {
        let defined = self.pools.get(name).ok_or_else(|| PoolError::NotFound(name.clone()))?;
        let held = (defined.given.len() - defined.resting.len()) as u64;
        if held > 0 {
            return Err(PoolError::InUse { pool: name.clone(), held });
        }
        self.pools.remove(name);
        Ok(())
    }

    pub(super) fn usage(&self, now: Timestamp) -> Vec<PoolUsage> {
        self.pools.values().map(|defined| defined.usage(now)).collect()
    }

    pub(super) fn take(
        &mut self,
        key: VmKey,
        wants: &[Want],
        now: Timestamp,
    ) -> Result<Vec<HeldAddress>, TakeError> {
        let before = self.held(key).len();
        // What is taken out of its rest goes back there, where all cannot be had.
        let rests = wants.iter().any(|want| !want.exactly.is_empty());
        let whole = rests.then(|| (self.pools.clone(), self.held.clone()));
        for want in wants {
            if let Err(error) = self.take_missing(key, want, now) {
                match whole {
                    Some((pools, held)) => (self.pools, self.held) = (pools, held),
                    None => self.undo(key, before),
                }
                return Err(error);
            }
        }
        let held = self.held(key);
        Ok(wants.iter().flat_map(|want| held.iter().filter(|held| want.is_met_by(held)).cloned()).collect())
    }

    /// Takes those that are named and not held yet, also out of their rest.
    fn take_exactly(&mut self, key: VmKey, want: &Want, now: Timestamp) -> Result<(), TakeError> {
        for address in want.exactly.iter().copied() {
            if self.held(key).iter().any(|held| want.is_met_by(held) && held.address == address) {
                continue;
            }
            let gives =
                |name: &&PoolName| self.pools.get(*name).is_some_and(|defined| defined.is_usable(address));
            let holder = self
                .held
                .iter()
                .flat_map(|(holder, held)| held.iter().map(|held| (*holder, held)))
                .find(|(_, held)| held.address == address && self.is_of(&held.pool, &want.pools));
            if let Some((holder, HeldAddress { nic, .. })) = holder {
                return Err(TakeError::Held { address, holder, nic: *nic });
            }
            let Some(name) = want.pools.iter().find(gives).cloned() else {
                return Err(TakeError::Foreign { want: want.clone(), address });
            };
            if let Some(defined) = self.pools.get_mut(&name) {
                defined.reclaim(now);
                if let Some(until) = defined.given.insert(address, None).flatten() {
                    defined.resting.remove(&(until, address));
                }
            }
            self.held.entry(key).or_default().push(HeldAddress { nic: want.nic, address, pool: name });
        }
        Ok(())
    }

    /// Whether a pool belongs to the same cluster as one of these.
    fn is_of(&self, pool: &PoolName, pools: &[PoolName]) -> bool {
        let cluster = |name: &PoolName| self.pools.get(name).map(|defined| &defined.pool.cluster);
        pools.iter().any(|name| cluster(name).is_some() && cluster(name) == cluster(pool))
    }

    fn take_missing(&mut self, key: VmKey, want: &Want, now: Timestamp) -> Result<(), TakeError> {
        if !want.exactly.is_empty() {
            return self.take_exactly(key, want, now);
        }
        let held = self.held.entry(key).or_default();
        let has = held.iter().filter(|held| want.is_met_by(held)).count();
        let mut missing = usize::from(want.count).saturating_sub(has);
        for name in &want.pools {
            let Some(defined) = self.pools.get_mut(name) else { continue };
            if defined.pool.family != want.family {
                continue;
            }
            defined.reclaim(now);
            while missing > 0
                && let Some(address) = defined.take_lowest()
            {
                held.push(HeldAddress { nic: want.nic, address, pool: name.clone() });
                missing -= 1;
            }
        }
        let missing = u8::try_from(missing).unwrap_or(u8::MAX);
        if missing == 0 { Ok(()) } else { Err(TakeError::Exhausted { want: want.clone(), missing }) }
    }

    /// Puts back all that the machine took beyond the first so many.
    fn undo(&mut self, key: VmKey, keep: usize) {
        for new in self.held.get_mut(&key).into_iter().flat_map(|held| held.drain(keep..)) {
            if let Some(defined) = self.pools.get_mut(&new.pool) {
                defined.put_back(new.address);
            }
        }
    }

    /// Lets what the machine holds rest: all of it, or only these.
    pub(super) fn give_back(
        &mut self,
        key: VmKey,
        only: Option<&[IpAddr]>,
        now: Timestamp,
    ) -> Vec<HeldAddress> {
        let held = self.held.remove(&key).unwrap_or_default();
        let goes = |held: &HeldAddress| only.is_none_or(|only| only.contains(&held.address));
        let (held, kept): (Vec<_>, Vec<_>) = held.into_iter().partition(goes);
        if !kept.is_empty() {
            self.held.insert(key, kept);
        }
        for HeldAddress { address, pool, .. } in &held {
            if let Some(defined) = self.pools.get_mut(pool) {
                let until = later(now, defined.pool.rest);
                defined.given.insert(*address, Some(until));
                defined.resting.insert((until, *address));
            }
        }
        held
    }

    /// What a machine holds, in the order in which it was taken.
    pub(super) fn held(&self, key: VmKey) -> Vec<HeldAddress> {
        self.held.get(&key).cloned().unwrap_or_default()
    }

    /// All that anybody holds.
    pub(super) fn held_by_any(&self) -> Vec<OrphanedAddress> {
        let of = |key: VmKey, held: &HeldAddress| {
            let cluster = self.pools.get(&held.pool)?.pool.cluster.clone();
            Some(OrphanedAddress { cluster, key, held: held.clone() })
        };
        self.held.iter().flat_map(|(key, held)| held.iter().filter_map(|held| of(*key, held))).collect()
    }
}

/// Addresses that machines hold do not change cluster or family with their pool.
fn must_not_move(before: &Defined, pool: &Pool) -> Result<(), PoolError> {
    let stay = |field: &str, value: String, as_it_is: String| {
        let expected = format!("{as_it_is}, as it is, while addresses of the pool are held or rest");
        Err(PoolError::Invalid(Invalid::new(field, value, expected)))
    };
    let was = &before.pool;
    if !before.given.is_empty() && was.cluster != pool.cluster {
        return stay("cluster", pool.cluster.to_string(), was.cluster.to_string());
    }
    if !before.given.is_empty() && was.family != pool.family {
        return stay("family", pool.family.to_string(), was.family.to_string());
    }
    Ok(())
}

/// Ranges must be what the contract says: of one family, disjoint, ascending.
fn check(family: Family, usable: &[AddressRange]) -> Result<(), PoolError> {
    let mut before: Option<IpAddr> = None;
    for range in usable {
        let text = format!("{}-{}", range.first, range.last);
        let invalid =
            |expected: &str| Err(PoolError::Invalid(Invalid::new("usable", text.clone(), expected)));
        let fits = |address: IpAddr| Family::of(address) == family && !is_mapped(address);
        if !fits(range.first) || !fits(range.last) {
            return invalid(&format!("{family} addresses, as the pool's are"));
        }
        if range.first > range.last {
            return invalid("a first address that is not above the last");
        }
        if before.is_some_and(|before| before >= range.first) {
            return invalid("ranges in ascending order that do not overlap");
        }
        before = Some(range.last);
    }
    Ok(())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn lowest_common(usable: &[AddressRange], theirs: AddressRange) -> Option<IpAddr> {
    usable.iter().find_map(|ours| {
        let first = ours.first.max(theirs.first);
        (first <= ours.last.min(theirs.last)).then_some(first)
    })
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

fn size(range: &AddressRange) -> u128 {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (bits(range.last) - bits(range.first)).saturating_add(1)
}
