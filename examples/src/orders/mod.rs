//! The order file: what is deployed, and where.
//!
//! Nothing about a cluster is in the code: its name, numbers, pools, templates, nodes, storages and bridges are all in the
//! file. It is read and judged as a whole before anything is created, so a file with a mistake changes nothing.

mod draws;
mod file;
mod judge;
mod spec;
#[cfg(test)]
mod tests;

use crate::{
    clusters::Cluster,
    input::{self, Problem, Rejected},
};
use anyhow::Context as _;
use deploy_core::{ExternalRef, VmSpec};
use file::File;
use std::{fs, path::Path, slice};

/// The file that is deployed where none is named.
pub const DEMO: &str = include_str!("../../orders.toml");

/// Everything that an order file says.
#[derive(Debug)]
pub struct Orders {
    /// The cluster.
    pub cluster: Cluster,
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
    Ok(parse(&path.display().to_string(), &text(path, named_by)?)?)
}

/// Reads and judges the machines of a file that leaves the clusters to whoever reads it.
///
/// # Errors
/// That it cannot be read, or [`Rejected`].
pub fn load_machines(path: &Path, named_by: &str, clusters: &[Cluster]) -> anyhow::Result<Vec<Order>> {
    Ok(parse_machines(&path.display().to_string(), &text(path, named_by)?, clusters)?)
}

fn text(path: &Path, named_by: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{named_by}: {} cannot be read", path.display()))
}

/// Judges the text of a file of this name.
///
/// # Errors
/// [`Rejected`].
pub fn parse(name: &str, text: &str) -> Result<Orders, Rejected> {
    let file: File = input::read(name, text)?;
    let mut problems = Vec::new();
    let cluster = judge::cluster(&file, &mut problems);
    if let Some(cluster) = cluster {
        let machines = judge::machines(&file, slice::from_ref(&cluster), &mut problems);
        if problems.is_empty() {
            return Ok(Orders { cluster, machines });
        }
    }
    Err(Rejected::new(name, text, &problems))
}

fn parse_machines(name: &str, text: &str, clusters: &[Cluster]) -> Result<Vec<Order>, Rejected> {
    let file: File = input::read(name, text)?;
    let mut problems = Vec::new();
    if let Some(cluster) = &file.cluster {
        let message =
            "cluster: this program knows its clusters and their pools from elsewhere; leave the tables out";
        problems.push(Problem::new(cluster.span(), message));
    }
    let machines = judge::machines(&file, clusters, &mut problems);
    if problems.is_empty() { Ok(machines) } else { Err(Rejected::new(name, text, &problems)) }
}
