//! What must hold in the end, whatever happened.

mod addresses;
mod machines;
mod ordered;
mod records;
mod volumes;

use crate::{customer::Wish, people::People, run, stage::Stage};
use deploy_core::{LogEntry, LogId, RecordStore, VmKey, VmRecord, Vmid};
use std::collections::BTreeMap;

/// What does not hold.
pub(crate) async fn judge(stage: &Stage, wishes: &BTreeMap<VmKey, Wish>) -> Vec<String> {
    let mut found = Vec::new();
    let all = run::records(stage).await;
    let people = People::of(stage);
    for record in &all {
        let name = record.external_ref.as_str();
        let mut problems = records::problems(stage, &people, record, wishes.get(&record.key)).await;
        found.extend(problems.drain(..).map(|problem| format!("{name}: {problem}")));
    }
    found.extend(machines::problems(stage, &people, &all, wishes, &told(stage, &all).await));
    found.extend(addresses::problems(stage, &all).await);
    found
}

/// All that people were told, in one text: a line each, with the machine's number.
async fn told(stage: &Stage, all: &[VmRecord]) -> String {
    let log = stage.store.events(LogId::default(), usize::MAX).await.expect("a log");
    let numbers: BTreeMap<VmKey, Vmid> =
        all.iter().map(|record| (record.key, record.numbered.vmid)).collect();
    let line = |entry: &LogEntry| {
        let vmid = numbers.get(&entry.key).map(Vmid::to_string).unwrap_or_default();
        format!("{vmid}: {}\n", entry.line.event)
    };
    log.iter().map(line).collect()
}
