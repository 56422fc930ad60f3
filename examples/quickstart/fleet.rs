//! The machines of this run, and what has to be done with them.

use crate::{engine::Engine, orders::Orders};
use anyhow::{Context as _, bail};
use deploy_core::{Command, ListQuery, Operation, RecordStore, Step, VmKey, VmRecord};
use store_sqlite::SqliteStore;

/// Where a run begins: anew or after a crash, both look into the store and do what is missing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Machines are to be ordered, or to become ready.
    Deploy,
    /// They are to be taken away, and were ordered by an earlier run.
    TakeAway,
}

/// The number of machines in a store that are not terminated.
pub(crate) async fn living(store: &SqliteStore) -> anyhow::Result<usize> {
    let mut query = ListQuery::default();
    let mut count = 0;
    loop {
        let page = store.list(&query).await?;
        count += page.len();
        match page.last() {
            Some(last) if page.len() == query.limit => query.after = Some(last.key),
            _ => return Ok(count),
        }
    }
}

/// What to do first. To take away what was ordered never orders anything: not what an earlier run took away already, and not
/// what an earlier run did not come to.
pub(crate) async fn phase(store: &SqliteStore, orders: &Orders, terminate: bool) -> anyhow::Result<Phase> {
    let mut records = Vec::new();
    for order in &orders.machines {
        records.extend(store.by_reference(&order.reference).await?);
    }
    if terminate {
        return Ok(if records.is_empty() { Phase::Deploy } else { Phase::TakeAway });
    }
    match records.iter().find(|record| is_going(record)) {
        Some(record) => bail!(
            "{} is being terminated since an earlier run; run this again with --terminate to finish that",
            record.external_ref
        ),
        None => Ok(Phase::Deploy),
    }
}

/// Whether all of a machine was taken away.
pub(crate) fn is_gone(record: &VmRecord) -> bool {
    record.step == Step::Terminated
}

fn is_going(record: &VmRecord) -> bool {
    let asked = record.pending.iter().any(|queued| queued.command == Command::Terminate);
    !is_gone(record) && (record.operation == Operation::Terminate || asked)
}

/// Orders every machine that is not there yet, and says which all of them are.
pub(crate) async fn order(engine: &Engine, orders: &Orders) -> anyhow::Result<Vec<VmKey>> {
    let mut keys = Vec::new();
    for order in &orders.machines {
        let (reference, spec) = (order.reference.clone(), order.spec.clone());
        let created = engine.deployments.create(reference, spec, serde_json::Value::Null).await;
        keys.push(created.with_context(|| order.reference.to_string())?.record().key);
    }
    Ok(keys)
}

/// The machines as they are in the store, also terminated ones.
pub(crate) async fn existing(engine: &Engine, orders: &Orders) -> anyhow::Result<Vec<VmKey>> {
    let mut keys = Vec::new();
    for order in &orders.machines {
        keys.extend(engine.deployments.by_reference(&order.reference).await?.map(|record| record.key));
    }
    Ok(keys)
}

/// How many of these machines are not gone.
pub(crate) async fn terminable(engine: &Engine, keys: &[VmKey]) -> anyhow::Result<usize> {
    let mut count = 0;
    for key in keys {
        count += usize::from(engine.deployments.status(*key).await?.is_some_and(|record| !is_gone(&record)));
    }
    Ok(count)
}

/// Asks for the end of every machine; those that are gone already stay so.
pub(crate) async fn terminate(engine: &Engine, keys: &[VmKey]) -> anyhow::Result<()> {
    for key in keys {
        if engine.deployments.status(*key).await?.is_some_and(|record| !is_gone(&record)) {
            engine.deployments.command(*key, Command::Terminate).await?;
        }
    }
    Ok(())
}
