//! Address pools of the file, and whether the machines can draw from them.

use super::{
    file::{Draw, File, Package, Pool as Table},
    problem::Problem,
};
use deploy_core::{AddressRequest, ClusterName, Family, NicSlot, Pool, PoolName};
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

/// The pools that machines can draw from.
pub(super) struct Known<'a> {
    defined: &'a [PoolDefinition],
    /// Without those that something is wrong with, which was complained about already.
    sound: Vec<Pool>,
}

impl<'a> Known<'a> {
    pub(super) fn new(defined: &'a [PoolDefinition]) -> Self {
        let sound = defined.iter().filter_map(|pool| pool.plan().ok()).map(|plan| plan.pool).collect();
        Self { defined, sound }
    }

    /// Whether every NIC can have its addresses: the pools it names exist and fit, or some pool fits.
    pub(super) fn check(&self, cluster: &ClusterName, wishes: &Package) -> Result<(), Problem> {
        let nics = wishes.nics.iter().flatten().map(Spanned::get_ref);
        for ((at, slot), nic) in NicSlot::in_order().enumerate().zip(nics) {
            for (key, family, draw) in [("v4", Family::V4, &nic.v4), ("v6", Family::V6, &nic.v6)] {
                let Some(draw) = draw else { continue };
                let request = AddressRequest {
                    nic: slot,
                    cluster: cluster.clone(),
                    bridge: nic.bridge.clone(),
                    vlan: nic.vlan,
                    family,
                    count: draw.get_ref().count,
                    pools: draw.get_ref().pools.iter().map(|name| name.get_ref().clone()).collect(),
                };
                let key = format!("nics[{at}].{key}");
                self.check_names(draw.get_ref()).map_err(|problem| problem.under(&format!("{key}.pools")))?;
                if self.is_undecided(&request) {
                    continue;
                }
                ip_pool::fitting(&request, &self.sound).map_err(|error| {
                    let why = error.to_string();
                    let why = why.strip_prefix(&format!("{slot}: ")).unwrap_or(&why);
                    Problem::new(draw.span(), format!("{key}: {why}"))
                })?;
            }
        }
        Ok(())
    }

    fn check_names(&self, draw: &Draw) -> Result<(), Problem> {
        let unknown =
            |name: &&Spanned<PoolName>| !self.defined.iter().any(|pool| pool.name == *name.get_ref());
        let Some(name) = draw.pools.iter().find(unknown) else { return Ok(()) };
        let known: Vec<_> = self.defined.iter().map(|pool| pool.name.as_str()).collect();
        let known = if known.is_empty() {
            "the file has none".to_owned()
        } else {
            format!("known are {}", known.join(", "))
        };
        Err(Problem::new(name.span(), format!("there is no pool {:?}; {known}", name.get_ref().as_str())))
    }

    /// Whether a pool that this would draw from must be mended first.
    fn is_undecided(&self, request: &AddressRequest) -> bool {
        self.defined.iter().filter(|pool| pool.plan().is_err()).any(|pool| {
            if request.pools.is_empty() {
                pool.bridge == request.bridge && pool.vlan == request.vlan
            } else {
                request.pools.contains(&pool.name)
            }
        })
    }
}
