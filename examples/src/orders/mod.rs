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

pub use problem::Rejected;

use anyhow::Context as _;
use deploy_core::{ClusterSettings, ExternalRef, VmSpec};
use ip_pool::PoolDefinition;
use std::{fs, path::Path};

/// The file that is deployed where none is named.
pub const DEMO: &str = include_str!("../../orders.toml");

/// Everything that an order file says.
#[derive(Debug)]
pub struct Orders {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// Its address pools.
    pub pools: Vec<PoolDefinition>,
    /// The machines, in the order of the file.
    pub machines: Vec<Order>,
}

/// One machine.
#[derive(Debug)]
pub struct Order {
    /// The reference it is known by.
    pub reference: ExternalRef,
    /// What is ordered. Its password is hashed already: the plain text does not outlive the reading of the file.
    pub spec: VmSpec,
}

/// Reads and judges a file; `named_by` is the option or key that names it.
///
/// # Errors
/// That it cannot be read, or [`Rejected`].
pub fn load(path: &Path, named_by: &str) -> anyhow::Result<Orders> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{named_by}: {} cannot be read", path.display()))?;
    Ok(parse(&path.display().to_string(), &text)?)
}

/// Judges the text of a file of this name.
///
/// # Errors
/// [`Rejected`].
pub fn parse(name: &str, text: &str) -> Result<Orders, Rejected> {
    let file = toml::from_str(text).map_err(|error| Rejected::unreadable(name, text, &error))?;
    judge::judge(&file).map_err(|problems| Rejected::new(name, text, &problems))
}
