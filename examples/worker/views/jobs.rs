//! Jobs: what a tick did, and how their last runs went.

use super::table;
use crate::config::Job as Work;
use deploy_core::{Job, JobOutcome, JobState};
use deploy_worker::JobTick;

/// Prints what came of each job of a tick.
///
/// # Errors
/// Where one failed.
pub(crate) fn print_ticks(ticks: &[(Job, JobTick)]) -> anyhow::Result<()> {
    let rows = ticks.iter().map(|(job, tick)| {
        let took = match tick {
            JobTick::Ran { took, .. } => table::took(*took),
            _ => "-".to_owned(),
        };
        [job.to_string(), took, tick.to_string()]
    });
    table::print(["Job", "Took", "Outcome"], rows.collect(), "no jobs");
    let has_failed = |tick: &JobTick| {
        matches!(tick, JobTick::Unasked(_) | JobTick::Ran { outcome: JobOutcome::Failed { .. }, .. })
    };
    let failed: Vec<String> =
        ticks.iter().filter(|(_, tick)| has_failed(tick)).map(|(job, _)| job.to_string()).collect();
    if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("failed: {}", failed.join(", "))) }
}

/// Shows how the last run of each job went.
pub(crate) async fn jobs(work: Work) -> anyhow::Result<()> {
    let database = super::open(&work).await?;
    let states = database.store().jobs().await?;
    database.close().await;
    table::print(["Job", "Began", "Took", "Outcome"], states.iter().map(row).collect(), "no job ever ran");
    Ok(())
}

fn row(state: &JobState) -> [String; 4] {
    let job = state.job.to_string();
    if let Some(running) = &state.running {
        return [job, table::time(running.since), "-".to_owned(), format!("{} runs it", running.info)];
    }
    match &state.last {
        Some(last) => [job, table::time(last.began_at), table::took(last.took()), last.outcome.to_string()],
        None => [job, "-".to_owned(), "-".to_owned(), "-".to_owned()],
    }
}
