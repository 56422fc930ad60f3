//! Jobs: who may run them, and how the last run went.

use crate::{
    SqliteStore,
    column::{Columns, json},
    failure::Failure,
    writer::Tx,
};
use async_trait::async_trait;
use deploy_core::{
    CommitError, Job, JobOutcome, JobRecord, JobRun, JobStart, JobState, JobStore, JobTerms, RunId,
    StoreError,
};
use jiff::SignedDuration;
use rusqlite::{Connection, params};

#[async_trait]
impl JobStore for SqliteStore {
    async fn begin_job(&self, job: Job, run: &JobRun, terms: JobTerms) -> Result<JobStart, StoreError> {
        let run = run.clone();
        self.write(move |tx| {
            let (start, record) = JobRecord::begin(record(tx.conn, job)?, &run, terms, tx.now);
            record.map_or(Ok(()), |record| put(tx, job, &record)).map(|()| start)
        })
        .await
    }

    async fn prolong_job(&self, job: Job, run: RunId, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.write(move |tx| change(tx, job, |record| record.prolong(run, alive_for, tx.now))).await
    }

    async fn end_job(&self, job: Job, run: RunId, outcome: &JobOutcome) -> Result<(), CommitError> {
        let outcome = outcome.clone();
        self.write(move |tx| change(tx, job, |record| record.end(run, &outcome, tx.now))).await
    }

    async fn jobs(&self) -> Result<Vec<JobState>, StoreError> {
        let now = self.clock().now();
        self.read(move |conn| {
            let states = Job::ALL
                .iter()
                .map(|job| Ok(record::<StoreError>(conn, *job)?.map(|record| record.state(*job, now))));
            states.filter_map(Result::transpose).collect()
        })
        .await
    }
}

fn change(
    tx: &Tx<'_>,
    job: Job,
    change: impl FnOnce(JobRecord) -> Result<JobRecord, CommitError>,
) -> Result<(), Failure<CommitError>> {
    let kept = record(tx.conn, job)?.ok_or(Failure::Refused(CommitError::Fenced))?;
    put(tx, job, &change(kept).map_err(Failure::Refused)?)
}

fn record<E>(conn: &Connection, job: Job) -> Result<Option<JobRecord>, Failure<E>> {
    let mut statement = conn.prepare_cached("SELECT state FROM job WHERE name = ?")?;
    let mut rows = statement.query([job.as_str()])?;
    let what = format!("job {job}");
    Ok(rows.next()?.map(|row| Columns::new(row, &what).json("state")).transpose()?)
}

fn put<E>(tx: &Tx<'_>, job: Job, record: &JobRecord) -> Result<(), Failure<E>> {
    let text = "INSERT INTO job (name, state) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET state = ?2";
    tx.conn.prepare_cached(text)?.execute(params![job.as_str(), json(record)?])?;
    Ok(())
}
