//! That every machine is there, once, whoever made it.

use anyhow::{Context as _, ensure};
use deploy_core::{LogEvent, LogId, Operation, Step, VmKey, VmRecord};
use examples::trial::Trial;
use std::collections::BTreeSet;

/// In words; or what is otherwise.
pub(crate) async fn prove(trial: &Trial, keys: &[VmKey]) -> anyhow::Result<String> {
    let clones = trial.cluster.counters().clones;
    let (mut addresses, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for key in keys {
        let record = trial.panel.status(*key).await?.context("a machine is gone")?;
        let name = &record.external_ref;
        ensure!(record.step == Step::Ready, "{name} is at {}", record.step);
        let vmid = record.numbered.vmid.get();
        ensure!(clones.get(&vmid) == Some(&1), "{name} ({vmid}) was cloned {:?} times", clones.get(&vmid));
        ensure!(numbers.insert(vmid), "{vmid} is the number of two machines");
        for held in &record.addresses {
            ensure!(addresses.insert(held.address), "{} is held by two machines", held.address);
        }
        once(trial, &record).await?;
    }
    ensure!(clones.len() == keys.len(), "{} clones for {} machines", clones.len(), keys.len());
    let told = trial.notices("ready")?;
    ensure!(told.len() == keys.len() && told.values().all(|times| *times == 1), "notices: {told:?}");
    Ok(format!(
        "{} machines: one clone each, {} addresses, no two alike, every step once in each log, one notice each",
        keys.len(),
        addresses.len()
    ))
}

/// Whether each step was done once, in order.
async fn once(trial: &Trial, record: &VmRecord) -> anyhow::Result<()> {
    let log = trial.panel.log(record.key, LogId::default(), 10_000).await?;
    let done = log.iter().filter(|entry| matches!(entry.line.event, LogEvent::Done { .. }));
    let done: Vec<Step> = done.flat_map(|entry| (0..entry.times).map(|_| entry.line.step)).collect();
    let all = Operation::Create.steps().iter().copied().filter(|step| *step != Step::Ready);
    ensure!(done == all.collect::<Vec<_>>(), "{}: done: {done:?}", record.external_ref);
    Ok(())
}
