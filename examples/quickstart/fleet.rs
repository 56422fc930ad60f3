//! The machines of this run, and what has to be done with them.

use anyhow::bail;
use deploy_core::{Command, ListQuery, Operation, RecordStore, VmKey, VmRecord};
use examples::{
    difference,
    engine::{Engine, is_gone},
    orders::Orders,
};

/// Where a run begins: anew or after a crash, both look into the store and do what is missing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Machines are to be ordered, or to become ready.
    Deploy,
    /// They are to be taken away, and were ordered by an earlier run.
    TakeAway,
}

/// The number of machines in a store that are not terminated.
pub(crate) async fn living(store: &dyn RecordStore) -> anyhow::Result<usize> {
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
pub(crate) async fn phase(
    store: &dyn RecordStore,
    orders: &Orders,
    terminate: bool,
) -> anyhow::Result<Phase> {
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

fn is_going(record: &VmRecord) -> bool {
    let asked = record.pending.iter().any(|queued| queued.command == Command::Terminate);
    !is_gone(record) && (record.operation == Operation::Terminate || asked)
}

/// Refuses a file that says something else of a machine that exists. Taken away is what was ordered, whatever the file says by
/// now, but from the cluster that the file names.
pub(crate) async fn refuse_changes(
    store: &dyn RecordStore,
    orders: &Orders,
    phase: Phase,
) -> anyhow::Result<()> {
    let mut found = difference::of(store, &orders.machines).await?;
    if phase == Phase::TakeAway {
        for different in &mut found {
            different.keys.retain(|key| key.starts_with("cluster "));
        }
        found.retain(|different| !different.keys.is_empty());
    }
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    bail!(
        "machines of --db were ordered otherwise than the file now says:\n  {}\nAn order is not changed afterwards. Put the file \
         back as it was; or give the changed machine another reference; or take the machines away first (--terminate), and \
         order them anew",
        found.join("\n  ")
    )
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
