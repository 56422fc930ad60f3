//! Which pools fit a NIC, and the words for those that do not.

use deploy_core::{
    AddressRequest, AssignError, ErrorClass, Family, HeldAddress, NicSlot, Pool, PoolName, PoolUsage, VlanId,
    VmKey, Want,
};
use std::net::IpAddr;

/// The pools that serve a request: those that it names, each of which must fit, or all that fit.
///
/// A worker asks this for every machine; a panel may ask it before it takes an order.
///
/// # Errors
/// [`AssignError::Refused`], in words, where a named pool does not exist or does not fit, and where no pool fits.
pub fn fitting(request: &AddressRequest, pools: &[Pool]) -> Result<Vec<PoolName>, AssignError> {
    if request.pools.is_empty() {
        all_that_fit(request, pools)
    } else {
        request.pools.iter().map(|name| named(request, name, pools)).collect()
    }
}

/// What to ask the store for. What a machine holds stays its own, also where its pool was changed and would not fit any
/// more.
pub(crate) fn want(
    request: &AddressRequest,
    pools: &[Pool],
    held: &[HeldAddress],
) -> Result<Want, AssignError> {
    let pools = if is_held(request, held) { request.pools.clone() } else { fitting(request, pools)? };
    let AddressRequest { nic, family, count, besides, exactly, .. } = request.clone();
    Ok(Want { nic, family, count, pools, besides, exactly })
}

fn is_held(request: &AddressRequest, held: &[HeldAddress]) -> bool {
    let mine = |h: &&HeldAddress| {
        h.nic == request.nic
            && Family::of(h.address) == request.family
            && !request.besides.contains(&h.address)
            && (request.exactly.is_empty() || request.exactly.contains(&h.address))
    };
    held.iter().filter(mine).count() >= usize::from(request.count)
}

fn all_that_fit(request: &AddressRequest, pools: &[Pool]) -> Result<Vec<PoolName>, AssignError> {
    let fitting: Vec<_> =
        pools.iter().filter(|pool| misfit(request, pool).is_none()).map(|p| p.name.clone()).collect();
    if !fitting.is_empty() {
        return Ok(fitting);
    }
    let AddressRequest { nic, cluster, bridge, vlan, family, .. } = request;
    let near: Vec<_> = pools
        .iter()
        .filter(|pool| pool.cluster == *cluster && pool.family == *family)
        .map(|pool| format!("{} ({} {})", pool.name, pool.bridge, tagged(pool.vlan)))
        .collect();
    let has = if near.is_empty() {
        "it has none of this family".to_owned()
    } else {
        format!("it has {}", near.join(", "))
    };
    Err(refused(format!(
        "{nic}: cluster {cluster} has no {family} pool on {bridge}, {}; {has}. Make a pool for this network, or order another NIC",
        tagged(*vlan),
    )))
}

fn named(request: &AddressRequest, name: &PoolName, pools: &[Pool]) -> Result<PoolName, AssignError> {
    let Some(pool) = pools.iter().find(|pool| pool.name == *name) else {
        return Err(refused(format!(
            "{}: there is no pool {name}; make it, or order from another",
            request.nic
        )));
    };
    match misfit(request, pool) {
        None => Ok(name.clone()),
        Some(why) => Err(refused(format!(
            "{}: pool {name} does not fit: {why}. Change the order or the pool",
            request.nic
        ))),
    }
}

/// Why a pool cannot serve a NIC.
fn misfit(request: &AddressRequest, pool: &Pool) -> Option<String> {
    if pool.cluster != request.cluster {
        Some(format!("it belongs to cluster {}, the machine to {}", pool.cluster, request.cluster))
    } else if pool.family != request.family {
        Some(format!("it has {} addresses, ordered are {}", pool.family, request.family))
    } else if pool.bridge != request.bridge {
        Some(format!("its network is on bridge {}, the NIC on {}", pool.bridge, request.bridge))
    } else if pool.vlan != request.vlan {
        Some(format!("its network is {}, the NIC {}", tagged(pool.vlan), tagged(request.vlan)))
    } else {
        None
    }
}

fn tagged(vlan: Option<VlanId>) -> String {
    vlan.map_or_else(|| "untagged".to_owned(), |vlan| format!("on VLAN {vlan}"))
}

fn refused(message: String) -> AssignError {
    AssignError::Refused { class: ErrorClass::Refused, message }
}

/// The words for an address that a machine has and another one holds.
pub(crate) fn held(address: IpAddr, holder: VmKey, nic: NicSlot) -> AssignError {
    refused(format!(
        "{address} is held by machine {holder}, for {nic}. One of the two must have another address, in the guest too; this machine \
         goes on by itself then"
    ))
}

/// The words for an address that a machine has and no pool of it gives.
pub(crate) fn foreign(want: &Want, address: IpAddr) -> AssignError {
    let pools: Vec<_> = want.pools.iter().map(PoolName::as_str).collect();
    refused(format!(
        "{}: {address} is none that {} give: add it to a range of one of them, or take it out of what is excluded there; this \
         machine goes on by itself then",
        want.nic,
        pools.join(", ")
    ))
}

/// The words for pools that are full.
pub(crate) fn exhausted(want: &Want, missing: u8, asked: &[&PoolUsage]) -> String {
    let pools: Vec<_> = asked
        .iter()
        .map(|PoolUsage { pool, held, resting, .. }| {
            format!("{} ({held} held, {resting} resting)", pool.name)
        })
        .collect();
    let (what, name) = if pools.len() == 1 { ("pool", "it") } else { ("pools", "one of them") };
    let Want { nic, count, family, .. } = want;
    let resting = asked.iter().any(|usage| usage.resting > 0);
    let until = if resting { ", or wait until a resting address is free again" } else { "" };
    format!(
        "{nic} wants {count} {family} and {missing} cannot be had: {what} {} full. Add a range to {name}, or terminate \
         machines that are no longer needed{until}; this machine goes on by itself then",
        if pools.is_empty() { "all".to_owned() } else { pools.join(", ") },
    )
}
