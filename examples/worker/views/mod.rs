//! What is shown instead of working: tables on the standard output.

mod jobs;
mod orphans;
mod status;
mod table;
mod traffic;
mod zones;

pub(crate) use jobs::{jobs, print_ticks};
pub(crate) use orphans::orphans;
pub(crate) use status::status;
pub(crate) use traffic::traffic;
pub(crate) use zones::zones;

use crate::{config::Job, service};
use deploy_core::{ExternalRef, ListQuery, RecordStore, VmRecord};
use examples::database::Opened;

/// Opens the database, and changes nothing in it.
async fn open(job: &Job) -> anyhow::Result<Opened> {
    service::open(job.database.clone()).await
}

/// The machines of these references, or all that are not terminated.
async fn records(store: &dyn RecordStore, references: &[ExternalRef]) -> anyhow::Result<Vec<VmRecord>> {
    let mut records = Vec::new();
    if references.is_empty() {
        loop {
            let after = records.last().map(|record: &VmRecord| record.key);
            let page = store.list(&ListQuery { after, ..ListQuery::default() }).await?;
            if page.is_empty() {
                return Ok(records);
            }
            records.extend(page);
        }
    }
    for reference in references {
        let found = store.by_reference(reference).await?;
        records.push(found.ok_or_else(|| anyhow::anyhow!("there is no machine {reference}"))?);
    }
    Ok(records)
}
