//! What must hold in the end, whatever happened.

mod addresses;
mod machines;
mod ordered;
mod records;
mod volumes;

use crate::{customer::Wish, people::People, run, stage::Stage};
use deploy_core::{LogId, RecordStore, VmKey};
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
    found.extend(machines::problems(stage, &people, &all, wishes, &told(stage).await));
    found.extend(addresses::problems(stage, &all).await);
    found
}

/// All that people were told, in one text.
async fn told(stage: &Stage) -> String {
    let log = stage.store.events(LogId::default(), usize::MAX).await.expect("a log");
    log.iter().map(|entry| format!("{}\n", entry.line.event)).collect::<Vec<_>>().concat()
}
