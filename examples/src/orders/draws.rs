//! Whether machines can draw their addresses from the pools that there are.

use super::file::{Draw, Package};
use crate::{clusters::Cluster, input::Problem};
use deploy_core::{AddressRequest, ClusterName, Family, NicSlot, Pool, PoolName};
use ip_pool::PoolDefinition;
use toml::Spanned;

/// The pools that machines can draw from.
pub(super) struct Known<'a> {
    defined: Vec<&'a PoolDefinition>,
    /// Without those that something is wrong with, which was complained about already.
    sound: Vec<Pool>,
}

impl<'a> Known<'a> {
    pub(super) fn new(clusters: &'a [Cluster]) -> Self {
        let defined: Vec<_> = clusters.iter().flat_map(|cluster| &cluster.pools).collect();
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
                    besides: Vec::new(),
                    exactly: Vec::new(),
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
            "there is none at all".to_owned()
        } else {
            format!("known are {}", known.join(", "))
        };
        Err(Problem::new(name.span(), format!("there is no pool {:?}; {known}", name.get_ref().as_str())))
    }

    /// Whether a pool that this would draw from must be mended first.
    fn is_undecided(&self, request: &AddressRequest) -> bool {
        self.defined.iter().filter(|pool| pool.plan().is_err()).any(|pool| {
            if request.pools.is_empty() {
                pool.cluster == request.cluster && pool.bridge == request.bridge && pool.vlan == request.vlan
            } else {
                request.pools.contains(&pool.name)
            }
        })
    }
}
