//! Address pools of a file.

use super::{Cluster, Pool as Table};
use crate::input::Problem;
use deploy_core::ClusterName;
use ip_pool::PoolDefinition;
use jiff::SignedDuration;
use toml::Spanned;

/// The pools of a cluster; what is wrong with them goes to `problems`.
pub(super) fn definitions(
    cluster: &ClusterName,
    tables: &[Spanned<Table>],
    earlier: &[Cluster],
    problems: &mut Vec<Problem>,
) -> Vec<PoolDefinition> {
    let definitions: Vec<_> = tables.iter().map(|table| definition(cluster, table.get_ref())).collect();
    for (at, (definition, table)) in definitions.iter().zip(tables).enumerate() {
        let name = format!("pools[{at}] ({})", definition.name);
        let before: Vec<_> =
            earlier.iter().flat_map(|cluster| &cluster.pools).chain(&definitions[..at]).collect();
        if let Err(invalid) = definition.plan() {
            problems.push(Problem::new(table.span(), invalid).under(&name));
        } else if let Some(problem) = collision(&before, definition, table) {
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

/// What a pool has in common with one before it. A name is a pool's own among all clusters, an address in its cluster.
fn collision(earlier: &[&PoolDefinition], pool: &PoolDefinition, table: &Spanned<Table>) -> Option<Problem> {
    if earlier.iter().any(|other| other.name == pool.name) {
        let message = "name: another pool of this file has it; each must have one of its own";
        return Some(Problem::new(table.get_ref().name.span(), message));
    }
    let mine = pool.plan().ok()?.usable;
    for other in earlier.iter().filter(|other| other.cluster == pool.cluster) {
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
