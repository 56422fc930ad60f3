//! Leasing due records.

use super::row::{self, columns};
use crate::{
    Sharing,
    column::limit,
    db::{Db, Param},
    failure::{Failure, Unreadable, words},
    passed_over::PassedOver,
};
use deploy_core::{Lease, Leased, Operation, Step, StoreError, WorkerId};
use jiff::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// What is due and can be understood, as a text for `concat!`. Orders and steps of a newer program are passed over, so that
/// they never stand in the way of the others. Uses `$1` to `$5`.
macro_rules! due {
    () => {
        "due_at IS NOT NULL AND owner IS NULL AND due_at <= coalesce($1, now())
             AND spec_version <= $2 AND operation = ANY ($3) AND step = ANY ($4) AND key <> ALL ($5)"
    };
}

/// The parameters of [`due!`].
struct Known {
    operations: Vec<&'static str>,
    steps: Vec<&'static str>,
    passed: Vec<Uuid>,
}

impl Known {
    fn new(passed: &PassedOver<Uuid>) -> Self {
        Self {
            operations: Operation::ALL.iter().map(|operation| operation.as_str()).collect(),
            steps: Step::ALL.iter().map(|step| step.as_str()).collect(),
            passed: passed.all(),
        }
    }

    fn params<'a>(&'a self, db: &'a Db<'_>) -> [Param<'a>; 5] {
        [
            db.clock(),
            (&row::FORM, Type::INT4),
            (&self.operations, Type::TEXT_ARRAY),
            (&self.steps, Type::TEXT_ARRAY),
            (&self.passed, Type::UUID_ARRAY),
        ]
    }
}

/// Leases due records to a worker that lives, the longest due first.
///
/// Rows that another worker is just leasing are skipped, not waited for. Of what has become due in the last two seconds a
/// worker takes no more than its share: all that is held and due, divided by the workers that live.
const CLAIM: &str = concat!(
    "WITH share AS MATERIALIZED (
         SELECT CASE
             WHEN NOT EXISTS (SELECT 1 FROM $schema.worker WHERE id = $6 AND lease_until > coalesce($1, now())) THEN 0
             WHEN NOT $8 THEN $7
             WHEN NOT EXISTS (SELECT 1 FROM $schema.vm_state WHERE ", due!(), ") THEN 0
             ELSE least($7, greatest(
                 (SELECT count(*) FROM (
                     SELECT 1 FROM $schema.vm_state
                     WHERE ", due!(), " AND due_at <= coalesce($1, now()) - interval '2 seconds' LIMIT $7
                 ) AS overdue),
                 ceil((
                     (SELECT count(*) FROM $schema.vm_state WHERE owner IS NOT NULL)
                     + (SELECT count(*) FROM (
                         SELECT 1 FROM $schema.vm_state WHERE ", due!(), " LIMIT 16 * $7
                       ) AS fresh)
                 )::float8 / (SELECT count(*) FROM $schema.worker WHERE lease_until > coalesce($1, now())))::bigint
                 - (SELECT count(*) FROM $schema.vm_state WHERE owner = $6)
             ))
         END AS size
     ), due AS MATERIALIZED (
         SELECT key FROM $schema.vm_state WHERE ", due!(), "
         ORDER BY due_at, key LIMIT (SELECT size FROM share)
         FOR UPDATE SKIP LOCKED
     ), state AS (
         UPDATE $schema.vm_state AS taken SET owner = $6, epoch = epoch + 1 FROM due WHERE taken.key = due.key
         RETURNING taken.*
     )
     SELECT ", columns!(), " FROM state JOIN $schema.vm USING (key) ORDER BY state.due_at, vm.key"
);

/// More are not leased at once; the statement multiplies it.
const MOST: i64 = 1_000_000;

/// See [`CLAIM`].
pub(crate) async fn claim(
    db: &Db<'_>,
    worker: WorkerId,
    at_most: usize,
    sharing: Sharing,
    passed: &PassedOver<Uuid>,
) -> Result<Vec<Leased>, Failure<StoreError>> {
    let known = Known::new(passed);
    let (at_most, shared) = (limit(at_most).min(MOST), sharing == Sharing::Equal);
    let mut params = known.params(db).to_vec();
    params.extend([(&worker.0 as _, Type::UUID), (&at_most as _, Type::INT8), (&shared as _, Type::BOOL)]);
    let rows = db.query(CLAIM, &params).await?;
    let mut leased = Vec::with_capacity(rows.len());
    for row in &rows {
        match row::decode(row) {
            Ok(record) => {
                let lease = Lease { key: record.key, worker, epoch: row.get("epoch") };
                leased.push(Leased::new(lease, record));
            }
            Err(Unreadable(why)) => {
                tracing::error!("passed over: {why}");
                let key: Uuid = row.get("key");
                passed.add(key);
                let back = "UPDATE $schema.vm_state SET owner = NULL WHERE key = $1 AND owner = $2";
                // Where that fails it stays ours as long as we live; the others that were leased must be told all the same.
                if let Err(error) = db.execute(back, &[(&key, Type::UUID), (&worker.0, Type::UUID)]).await {
                    tracing::warn!(vm = %key, error = words(&error), "could not be given back");
                }
            }
        }
    }
    Ok(leased)
}

/// When the next record that nobody holds is due; only of those that [`claim`] would lease.
pub(crate) async fn next_due(
    db: &Db<'_>,
    passed: &PassedOver<Uuid>,
) -> Result<Option<Timestamp>, Failure<StoreError>> {
    let text = "SELECT due_at FROM $schema.vm_state
         WHERE due_at IS NOT NULL AND owner IS NULL
             AND spec_version <= $2 AND operation = ANY ($3) AND step = ANY ($4) AND key <> ALL ($5)
         ORDER BY due_at, key LIMIT 1";
    let known = Known::new(passed);
    let row = db.optional(text, &known.params(db)).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
