//! Clusters as files define them: the numbers that machines get there, and the pools of their addresses.

mod pools;
mod table;

pub use table::{Pool, Vmids};

use crate::input::Problem;
use deploy_core::{ClusterName, ClusterSettings, VmidRange};
use ip_pool::PoolDefinition;
use jiff::SignedDuration;
use toml::Spanned;

/// A cluster: what a store must know of it.
#[derive(Debug)]
pub struct Cluster {
    /// Its name, its numbers, and how long they rest.
    pub settings: ClusterSettings,
    /// Its address pools.
    pub pools: Vec<PoolDefinition>,
}

impl Cluster {
    /// Judges what a file says of a cluster. What is wrong goes to `problems`; there is an answer all the same where possible,
    /// by which it can be judged what else is wrong. `earlier` are the clusters that the file defines before this one.
    pub fn judge(
        name: &ClusterName,
        vmids: &Spanned<Vmids>,
        quarantine_minutes: u32,
        pools: &[Spanned<Pool>],
        earlier: &[Self],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let quarantine = SignedDuration::from_mins(i64::from(quarantine_minutes));
        let Vmids { first, last } = *vmids.get_ref();
        let range = VmidRange::new(first, last).or_else(|invalid| {
            problems.push(Problem::new(vmids.span(), invalid));
            VmidRange::new(last, first)
        });
        let pools = pools::definitions(name, pools, earlier, problems);
        let settings = ClusterSettings { name: name.clone(), vmids: range.ok()?, quarantine };
        Some(Self { settings, pools })
    }
}
