//! The order file: what is deployed, and where.
//!
//! Nothing about a cluster is in the code: its name, numbers, pools, templates, nodes, storages and bridges are all in the
//! file. It is read and judged as a whole before anything is created, so a file with a mistake changes nothing.

mod file;
mod hint;
mod judge;
mod pools;
mod problem;
mod spec;
#[cfg(test)]
mod tests;

pub(crate) use problem::Rejected;

use anyhow::Context as _;
use deploy_core::{ClusterSettings, ExternalRef, VmSpec};
use ip_pool::PoolDefinition;
use std::{fs, path::Path};

/// The file that is deployed where none is named.
pub(crate) const DEMO: &str = include_str!("../../orders.toml");

/// Everything that an order file says.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The cluster.
    pub(crate) cluster: ClusterSettings,
    /// Its address pools.
    pub(crate) pools: Vec<PoolDefinition>,
    /// The machines, in the order of the file.
    pub(crate) machines: Vec<Order>,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Order {
    /// The reference it is known by.
    pub(crate) reference: ExternalRef,
    /// What is ordered. Its password is hashed already: the plain text does not outlive the reading of the file.
    pub(crate) spec: VmSpec,
}

/// Reads and judges a file, or the demonstration where none is named.
pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Orders> {
    let Some(path) = path else { return Ok(parse("orders.toml (built in)", DEMO)?) };
    let text =
        fs::read_to_string(path).with_context(|| format!("--orders: {} cannot be read", path.display()))?;
    Ok(parse(&path.display().to_string(), &text)?)
}

pub(crate) fn parse(name: &str, text: &str) -> Result<Orders, Rejected> {
    let file = toml::from_str(text).map_err(|error| Rejected::unreadable(name, text, &error))?;
    judge::judge(&file).map_err(|problems| Rejected::new(name, text, &problems))
}
