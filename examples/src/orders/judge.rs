//! Judges a file as a whole: what no single value can show.

use super::{
    Order,
    draws::Known,
    file::{File, Machine, Package},
    spec,
};
use crate::{clusters::Cluster, input::Problem};
use deploy_core::{ClusterName, Entropy, ExternalRef, Invalid, Numbered, PasswordHash, VmSpec};
use deploy_worker::SystemEntropy;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// The cluster that the file defines.
pub(super) fn cluster(file: &File, problems: &mut Vec<Problem>) -> Option<Cluster> {
    let Some(table) = &file.cluster else {
        let message = "cluster: is missing; the file must say what cluster its machines are on";
        problems.push(Problem::new(0..0, message));
        return None;
    };
    let table = table.get_ref();
    let mut found = Vec::new();
    let cluster =
        Cluster::judge(&table.name, &table.vmids, table.quarantine_minutes, &table.pools, &[], &mut found);
    problems.extend(found.into_iter().map(|problem| problem.under("cluster")));
    cluster
}

/// The orders of the file, on these clusters; what is wrong with them goes to `problems`.
pub(super) fn machines(file: &File, clusters: &[Cluster], problems: &mut Vec<Problem>) -> Vec<Order> {
    let known = Known::new(clusters);
    let references = references(&file.machines);
    let mut orders = Vec::new();
    for (at, (machine, reference)) in file.machines.iter().zip(references).enumerate() {
        let name = format!("machines[{at}] ({})", machine.get_ref().reference.get_ref());
        let order = reference.and_then(|()| order(file, machine, clusters, &known));
        orders.extend(keep(order.map_err(|problem| problem.under(&name)), problems));
    }
    numbers(file, clusters, &orders, problems);
    orders
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// Whether each cluster has enough numbers.
fn numbers(file: &File, clusters: &[Cluster], orders: &[Order], problems: &mut Vec<Problem>) {
    let mut ordered: BTreeMap<&ClusterName, usize> = BTreeMap::new();
    for order in orders {
        *ordered.entry(&order.spec.cluster).or_default() += 1;
    }
    for Cluster { settings, .. } in clusters {
        let machines = ordered.get(&settings.name).copied().unwrap_or_default();
        let count = settings.vmids.last().get() - settings.vmids.first().get();
        let numbers = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(1);
        if numbers < machines {
            let place = file.cluster.as_ref().map_or(0..0, |cluster| cluster.get_ref().vmids.span());
            let message = format!(
                "cluster {}: vmids: {numbers} numbers are too few for {machines} machines",
                settings.name
            );
            problems.push(Problem::new(place, message));
        }
    }
}

/// For each machine whether its reference is its own.
fn references(machines: &[Spanned<Machine>]) -> impl Iterator<Item = Result<(), Problem>> {
    let mut seen = BTreeSet::new();
    machines.iter().map(move |machine| {
        let reference = &machine.get_ref().reference;
        if seen.insert(reference.get_ref()) {
            return Ok(());
        }
        let message = "reference: another machine of this file has it; each must have one of its own";
        Err(Problem::new(reference.span(), message))
    })
}

fn order(
    file: &File,
    machine: &Spanned<Machine>,
    clusters: &[Cluster],
    pools: &Known<'_>,
) -> Result<Order, Problem> {
    let wishes = machine.get_ref().over(&package(file, machine.get_ref())?);
    let cluster = chosen(clusters, machine, &wishes)?;
    let name = &cluster.settings.name;
    let reference = machine.get_ref().reference.get_ref().clone();
    let mut spec = spec::spec(name, machine.span(), &wishes)?;
    pools.check(name, &wishes)?;
    spec.check().map_err(|invalid| {
        let field = invalid.field.replace(".addressing.", ".");
        Problem::new(machine.span(), Invalid { field, ..invalid })
    })?;
    names(&spec, &reference, &wishes, machine, cluster)?;
    if let Some(cloud_init) = &mut spec.cloud_init {
        cloud_init.password = password(&wishes)?;
    }
    Ok(Order { reference, spec })
}

/// The cluster that the machine is to be on; where there is one only, it need not be said.
fn chosen<'a>(
    clusters: &'a [Cluster],
    machine: &Spanned<Machine>,
    wishes: &Package,
) -> Result<&'a Cluster, Problem> {
    let known: Vec<_> = clusters.iter().map(|cluster| cluster.settings.name.as_str()).collect();
    let known = known.join(", ");
    match (&wishes.cluster, clusters) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let message =
                format!("cluster: is missing; the machine or its package must say which: one of {known}");
            Err(Problem::new(machine.span(), message))
        }
        (Some(name), _) => {
            clusters.iter().find(|cluster| cluster.settings.name == *name.get_ref()).ok_or_else(|| {
                let message =
                    format!("cluster: {:?} is not defined; defined: {known}", name.get_ref().as_str());
                Problem::new(name.span(), message)
            })
        }
    }
}

/// Whether the name patterns give names with any number that the machine may get: the last is the longest, and a name that is
/// right with the first and the last does not hang on one number.
fn names(
    spec: &VmSpec,
    reference: &ExternalRef,
    wishes: &Package,
    machine: &Spanned<Machine>,
    cluster: &Cluster,
) -> Result<(), Problem> {
    for vmid in [cluster.settings.vmids.last(), cluster.settings.vmids.first()] {
        Numbered::resolve(spec, reference, vmid).map_err(|invalid| {
            let is_pve_name = invalid.field.starts_with("pve_name");
            let (key, pattern) =
                if is_pve_name { ("pve_name", &wishes.pve_name) } else { ("domain", &wishes.domain) };
            let place = pattern.as_ref().map_or_else(|| machine.span(), Spanned::span);
            Problem::new(place, Invalid { field: key.to_owned(), ..invalid })
        })?;
    }
    Ok(())
}

/// The hash of the password, with a salt of its own for each machine.
fn password(wishes: &Package) -> Result<Option<PasswordHash>, Problem> {
    let password = wishes.cloud_init.as_ref().and_then(|cloud_init| cloud_init.password.as_ref());
    let entropy: &dyn Entropy = &SystemEntropy;
    let hash = |password: &Spanned<SecretString>| {
        PasswordHash::of(password.get_ref(), entropy.bytes())
            .map_err(|invalid| Problem::new(password.span(), invalid.at("cloud_init")))
    };
    password.map(hash).transpose()
}

fn package(file: &File, machine: &Machine) -> Result<Package, Problem> {
    let Some(name) = &machine.package else { return Ok(Package::default()) };
    file.packages.get(name.get_ref()).cloned().ok_or_else(|| {
        let known: Vec<_> = file.packages.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "the file has none".to_owned()
        } else {
            format!("known are {}", known.join(", "))
        };
        Problem::new(name.span(), format!("package: there is no package {:?}; {known}", name.get_ref()))
    })
}
