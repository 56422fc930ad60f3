//! Address pools of the file, and whether the machines can draw from them.

use super::{
    file::{File, Package, Pool as Table},
    problem::Problem,
};
use deploy_core::{AddressRequest, Addressing, ClusterName, Family, FromPools, NicSlot, Pool, VmSpec};
use ip_pool::PoolDefinition;
use jiff::SignedDuration;
use toml::Spanned;

/// The file's pools; what is wrong with them goes to `problems`.
pub(super) fn definitions(file: &File, problems: &mut Vec<Problem>) -> Vec<PoolDefinition> {
    let cluster = &file.cluster.get_ref().name;
    let definitions: Vec<_> = file.pools.iter().map(|pool| definition(cluster, pool.get_ref())).collect();
    for (at, (definition, table)) in definitions.iter().zip(&file.pools).enumerate() {
        let name = format!("pools[{at}] ({})", definition.name);
        if let Err(invalid) = definition.plan() {
            problems.push(Problem::new(table.span(), invalid).under(&name));
        } else if let Some(problem) = collision(&definitions[..at], definition, table) {
            problems.push(problem.under(&name));
        }
    }
    definitions
}

fn definition(cluster: &ClusterName, table: &Table) -> PoolDefinition {
    let base = PoolDefinition::new(
        table.name.get_ref().clone(),
        cluster.clone(),
        table.bridge.clone(),
        table.ranges.iter().copied(),
    );
    PoolDefinition {
        vlan: table.vlan,
        exclusions: table.exclusions.clone(),
        prefix_len: table.prefix_len,
        gateway: table.gateway,
        resolvers: table.resolvers.clone(),
        rest: table.rest_minutes.map_or(base.rest, |minutes| SignedDuration::from_mins(i64::from(minutes))),
        ..base
    }
}

/// What a pool has in common with one before it.
fn collision(earlier: &[PoolDefinition], pool: &PoolDefinition, table: &Spanned<Table>) -> Option<Problem> {
    if earlier.iter().any(|other| other.name == pool.name) {
        let message = "name: another pool of this file has it; each must have one of its own";
        return Some(Problem::new(table.get_ref().name.span(), message));
    }
    let mine = pool.plan().ok()?.usable;
    for other in earlier {
        let theirs = other.plan().map(|plan| plan.usable).unwrap_or_default();
        let shared =
            |a: &deploy_core::AddressRange| theirs.iter().any(|b| a.first <= b.last && b.first <= a.last);
        if let Some(range) = mine.iter().find(|range| shared(range)) {
            let message = format!(
                "ranges: addresses of {}-{} belong to pool {} as well; take them out of one of the two",
                range.first, range.last, other.name
            );
            return Some(Problem::new(table.span(), message));
        }
    }
    None
}

/// Whether every NIC can have its addresses: the pools it names exist and fit, or some pool fits.
pub(super) fn check_requests(spec: &VmSpec, wishes: &Package, pools: &[Pool]) -> Result<(), Problem> {
    let places = wishes.nics.iter().flatten().map(Spanned::span);
    for ((slot, nic), place) in NicSlot::in_order().zip(&spec.nics).zip(places) {
        let Addressing::Pools(FromPools { v4, v6 }) = &nic.addressing else { continue };
        for (family, draw) in [(Family::V4, v4), (Family::V6, v6)] {
            let Some(draw) = draw else { continue };
            let request = AddressRequest {
                nic: slot,
                cluster: spec.cluster.clone(),
                bridge: nic.bridge.clone(),
                vlan: nic.vlan,
                family,
                count: draw.count,
                pools: draw.pools.clone(),
            };
            ip_pool::fitting(&request, pools).map_err(|error| Problem::new(place.clone(), error))?;
        }
    }
    Ok(())
}
