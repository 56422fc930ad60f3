use super::workers::later;
use deploy_core::{
    AddressRange, Family, HeldAddress, Invalid, Pool, PoolError, PoolName, PoolUsage, TakeError, VmKey, Want,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, net::IpAddr, net::Ipv4Addr, net::Ipv6Addr};

/// Pools and who has their addresses. The plainest way: an address is free when it is usable and nobody has it.
#[derive(Default)]
pub(super) struct Addresses {
    pools: BTreeMap<PoolName, Defined>,
    taken: u64,
}

struct Defined {
    pool: Pool,
    usable: Vec<AddressRange>,
    /// Held and resting ones.
    given: BTreeMap<IpAddr, Given>,
}

#[derive(Clone)]
struct Given {
    to: VmKey,
    held: HeldAddress,
    /// The how-manieth address it was that was taken.
    turn: u64,
    /// `None` while it is held, else when its rest is over.
    until: Option<Timestamp>,
}

impl Defined {
    /// Forgets what has rested long enough.
    fn reclaim(&mut self, now: Timestamp) {
        self.given.retain(|_, given| given.until.is_none_or(|until| until > now));
    }

    fn lowest_free(&self) -> Option<IpAddr> {
        let of_range = |range: &AddressRange| {
            let mut candidate = range.first;
            for given in self.given.range(range.first..=range.last).map(|(address, _)| *address) {
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
        let counted = |wanted: &dyn Fn(&IpAddr, &Given) -> bool| {
            self.given.iter().filter(|(address, given)| wanted(address, given)).count() as u64
        };
        let rests = |given: &Given| given.until.is_some_and(|until| until > now);
        let size = self.usable.iter().fold(0_u128, |sum, range| sum.saturating_add(size(range)));
        let out =
            counted(&|address, given| (given.until.is_none() || rests(given)) && self.is_usable(*address));
        PoolUsage {
            pool: self.pool.clone(),
            free: size.saturating_sub(u128::from(out)),
            held: counted(&|_, given| given.until.is_none()),
            resting: counted(&|_, given| rests(given)),
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
        let given = self.pools.remove(&pool.name).map(|before| before.given).unwrap_or_default();
        let defined = Defined { pool: pool.clone(), usable: usable.to_vec(), given };
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
            let given = other.given.iter().filter(|(_, given)| given.until.is_none_or(|until| until > now));
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
        let held = defined.given.values().filter(|given| given.until.is_none()).count() as u64;
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
        let mut new = Vec::new();
        for want in wants {
            if let Err(error) = self.take_missing(key, want, now, &mut new) {
                for (pool, address) in new {
                    self.pools.get_mut(&pool).map(|defined| defined.given.remove(&address));
                }
                return Err(error);
            }
        }
        let held = self.held(key);
        Ok(wants.iter().flat_map(|want| held.iter().filter(|held| meets(want, held)).cloned()).collect())
    }

    fn take_missing(
        &mut self,
        key: VmKey,
        want: &Want,
        now: Timestamp,
        new: &mut Vec<(PoolName, IpAddr)>,
    ) -> Result<(), TakeError> {
        let has = self.held(key).iter().filter(|held| meets(want, held)).count();
        let mut missing = usize::from(want.count).saturating_sub(has);
        for name in &want.pools {
            let Some(defined) = self.pools.get_mut(name) else { continue };
            if defined.pool.family != want.family {
                continue;
            }
            defined.reclaim(now);
            while missing > 0
                && let Some(address) = defined.lowest_free()
            {
                self.taken += 1;
                let held = HeldAddress { nic: want.nic, address, pool: name.clone() };
                defined.given.insert(address, Given { to: key, held, turn: self.taken, until: None });
                new.push((name.clone(), address));
                missing -= 1;
            }
        }
        let missing = u8::try_from(missing).unwrap_or(u8::MAX);
        if missing == 0 { Ok(()) } else { Err(TakeError::Exhausted { want: want.clone(), missing }) }
    }

    pub(super) fn give_back(&mut self, key: VmKey, now: Timestamp) -> Vec<HeldAddress> {
        let given = self.held(key);
        for defined in self.pools.values_mut() {
            for address in defined.given.values_mut().filter(|given| given.to == key) {
                address.until = address.until.or_else(|| Some(later(now, defined.pool.rest)));
            }
        }
        given
    }

    /// What a machine holds, in the order in which it was taken.
    pub(super) fn held(&self, key: VmKey) -> Vec<HeldAddress> {
        let given = self.pools.values().flat_map(|defined| defined.given.values());
        let mut held: Vec<&Given> = given.filter(|given| given.to == key && given.until.is_none()).collect();
        held.sort_by_key(|given| given.turn);
        held.into_iter().map(|given| given.held.clone()).collect()
    }
}

fn meets(want: &Want, held: &HeldAddress) -> bool {
    held.nic == want.nic && Family::of(held.address) == want.family
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
