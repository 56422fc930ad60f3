//! Jobs: who may run them, and how the last run went.

use crate::{
    PostgresStore,
    column::{Columns, JsonText, kept},
    db::Db,
    failure::Failure,
};
use async_trait::async_trait;
use deploy_core::{
    CommitError, Job, JobOutcome, JobRecord, JobRun, JobStart, JobState, JobStore, JobTerms, RunId,
    StoreError,
};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::Type;

#[async_trait]
impl JobStore for PostgresStore {
    async fn begin_job(&self, job: Job, run: &JobRun, terms: JobTerms) -> Result<JobStart, StoreError> {
        let run = JobRun { info: run.info.replace('\0', "\u{fffd}"), ..run.clone() };
        self.write((job, run, terms), |db, (job, run, terms)| Box::pin(begin(db, *job, run, *terms))).await
    }

    async fn prolong_job(&self, job: Job, run: RunId, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.write((job, run, alive_for), |db, (job, run, alive_for)| {
            Box::pin(async {
                let (record, now) = locked(db, *job).await?;
                change(db, *job, record, |record| record.prolong(*run, *alive_for, now)).await
            })
        })
        .await
    }

    async fn end_job(&self, job: Job, run: RunId, outcome: &JobOutcome) -> Result<(), CommitError> {
        self.write((job, run, outcome.clone()), |db, (job, run, outcome)| {
            Box::pin(async {
                let (record, now) = locked(db, *job).await?;
                change(db, *job, record, |record| record.end(*run, outcome, now)).await
            })
        })
        .await
    }

    async fn jobs(&self) -> Result<Vec<JobState>, StoreError> {
        self.read((), |db, ()| Box::pin(states(db))).await
    }
}

async fn begin(
    db: &Db<'_>,
    job: Job,
    run: &JobRun,
    terms: JobTerms,
) -> Result<JobStart, Failure<StoreError>> {
    let (record, now) = locked(db, job).await?;
    let (start, record) = JobRecord::begin(record, run, terms, now);
    if let Some(record) = record {
        put(db, job, &record).await?;
    }
    Ok(start)
}

async fn change(
    db: &Db<'_>,
    job: Job,
    record: Option<JobRecord>,
    change: impl FnOnce(JobRecord) -> Result<JobRecord, CommitError>,
) -> Result<(), Failure<CommitError>> {
    let record = record.ok_or(CommitError::Fenced).and_then(change).map_err(Failure::Refused)?;
    put(db, job, &record).await
}

/// A job as it is kept, and what time it is, under a lock until the end of the transaction: a job that was never begun has no
/// row to lock.
async fn locked<E>(db: &Db<'_>, job: Job) -> Result<(Option<JobRecord>, Timestamp), Failure<E>> {
    let text =
        "SELECT pg_advisory_xact_lock(hashtextextended('pve-deploy job ' || $channel || ' ' || $1, 0))";
    db.query(text, &[(&job.as_str(), Type::TEXT)]).await?;
    let text = "SELECT (SELECT state FROM $schema.job WHERE name = $1) AS state,
             coalesce($2, clock_timestamp()) AS now";
    let row = db.one(text, &[(&job.as_str(), Type::TEXT), db.clock()]).await?;
    let what = format!("job {job}");
    let columns = Columns::new(&row, &what);
    Ok((columns.json_if_any("state")?, columns.raw("now")?))
}

async fn put<E>(db: &Db<'_>, job: Job, record: &JobRecord) -> Result<(), Failure<E>> {
    let text = "INSERT INTO $schema.job (name, state) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state";
    db.execute(text, &[(&job.as_str(), Type::TEXT), (&JsonText::of(record)?, Type::JSONB)]).await?;
    Ok(())
}

async fn states(db: &Db<'_>) -> Result<Vec<JobState>, Failure<StoreError>> {
    let rows =
        db.query("SELECT name, state, coalesce($1, now()) AS now FROM $schema.job", &[db.clock()]).await?;
    let mut states = Vec::with_capacity(rows.len());
    for row in &rows {
        let columns = Columns::new(row, "a job");
        // One of a newer program is none of ours.
        let Ok(job) = columns.parsed::<Job>("name") else { continue };
        let now: Timestamp = columns.raw("now")?;
        states.push(columns.json::<JobRecord>("state")?.state(job, kept(now)));
    }
    states.sort_by_key(|state| state.job);
    Ok(states)
}
