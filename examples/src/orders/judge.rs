//! Judges a file as a whole: what no single value can show.

use super::{
    Order, Orders,
    file::{Cluster, File, Machine, Package},
    pools,
    problem::Problem,
    spec,
};
use deploy_core::{
    ClusterSettings, Entropy, ExternalRef, Invalid, Numbered, PasswordHash, VmSpec, Vmid, VmidRange,
};
use deploy_worker::SystemEntropy;
use jiff::SignedDuration;
use secrecy::SecretString;
use std::collections::BTreeSet;
use toml::Spanned;

/// All orders of a file, or everything that is wrong with it.
pub(super) fn judge(file: &File) -> Result<Orders, Vec<Problem>> {
    let mut problems = Vec::new();
    let cluster = keep(cluster(file.cluster.get_ref(), file.machines.len()), &mut problems);
    let pools = pools::definitions(file, &mut problems);
    let known = pools::Known::new(&pools);
    let references = references(&file.machines);
    let mut machines = Vec::new();
    for (at, (machine, reference)) in file.machines.iter().zip(references).enumerate() {
        let name = format!("machines[{at}] ({})", machine.get_ref().reference.get_ref());
        let order = reference.and_then(|()| order(file, machine, cluster.as_ref(), &known));
        machines.extend(keep(order.map_err(|problem| problem.under(&name)), &mut problems));
    }
    match cluster {
        Some(cluster) if problems.is_empty() => Ok(Orders { cluster, pools, machines }),
        _ => Err(problems),
    }
}

fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn cluster(cluster: &Cluster, machines: usize) -> Result<ClusterSettings, Problem> {
    let place = cluster.vmids.span();
    let vmids = cluster.vmids.get_ref();
    let vmids = VmidRange::new(vmids.first, vmids.last)
        .map_err(|invalid| Problem::new(place.clone(), invalid).under("cluster"))?;
    let numbers =
        usize::try_from(vmids.last().get() - vmids.first().get()).unwrap_or(usize::MAX).saturating_add(1);
    if numbers < machines {
        let message = format!("cluster: vmids: {numbers} numbers are too few for {machines} machines");
        return Err(Problem::new(place, message));
    }
    let quarantine = SignedDuration::from_mins(i64::from(cluster.quarantine_minutes));
    Ok(ClusterSettings { name: cluster.name.clone(), vmids, quarantine })
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
    cluster: Option<&ClusterSettings>,
    pools: &pools::Known<'_>,
) -> Result<Order, Problem> {
    let name = &file.cluster.get_ref().name;
    let wishes = machine.get_ref().over(&package(file, machine.get_ref())?);
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

/// Whether the name patterns give names with any number that the machine may get: the last is the longest, and a name that is
/// right with the first and the last does not hang on one number.
fn names(
    spec: &VmSpec,
    reference: &ExternalRef,
    wishes: &Package,
    machine: &Spanned<Machine>,
    cluster: Option<&ClusterSettings>,
) -> Result<(), Problem> {
    let vmids = cluster.map_or([Vmid::MAX; 2], |cluster| [cluster.vmids.last(), cluster.vmids.first()]);
    for vmid in vmids {
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
