//! Writing down commits: many at once in one statement.

use super::{fence, number, row};
use crate::{
    column::{JsonText, Micros},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{Commit, CommitError, Due, Lease, NodeName, Operation, Order, Step};
use serde::Serialize;
use std::collections::BTreeSet;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// What is written under a lease.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) lease: Lease,
    pub(crate) commit: Commit,
    /// Whether the lease ends with it.
    pub(crate) release: bool,
}

impl Item {
    /// Whether it can go along with others: what touches more than the machine's own row has a transaction of its own.
    pub(crate) fn is_plain(&self) -> bool {
        let Commit { numbered, order, life, step, .. } = &self.commit;
        numbered.is_none() && order.is_none() && life.is_none() && *step != Some(Step::Terminated)
    }
}

/// What became of a statement with many commits.
pub(crate) enum Written {
    /// All but the fenced ones are written; these are the numbers of those that are.
    Items(BTreeSet<usize>),
    /// Nothing, because this session was ended.
    NoSession,
}

/// The statement is in the schema (`write_commits`), where it is planned once for each process of the server.
const COMMIT: &str = "SELECT $schema.write_commits(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
    $28, $29
)";

/// Writes plain commits of different machines, each under its own fence, as transaction `batch` of `session`.
pub(crate) async fn commit_together(
    db: &Db<'_>,
    session: Uuid,
    batch: i64,
    items: &[&Item],
) -> Result<Written, Failure<CommitError>> {
    let c = Arrays::of(items)?;
    let row = db
        .one(
            COMMIT,
            &[
                (&session, Type::UUID),
                (&batch, Type::INT8),
                db.clock(),
                (&c.keys, Type::UUID_ARRAY),
                (&c.owners, Type::UUID_ARRAY),
                (&c.epochs, Type::INT8_ARRAY),
                (&c.releases, Type::BOOL_ARRAY),
                (&c.operations, Type::TEXT_ARRAY),
                (&c.steps, Type::TEXT_ARRAY),
                (&c.progresses, Type::JSONB_ARRAY),
                (&c.failures, Type::INT8_ARRAY),
                (&c.dues, Type::BOOL_ARRAY),
                (&c.due_at, Type::TIMESTAMPTZ_ARRAY),
                (&c.attends, Type::BOOL_ARRAY),
                (&c.attentions, Type::JSONB_ARRAY),
                (&c.waits, Type::BOOL_ARRAY),
                (&c.waitings, Type::JSONB_ARRAY),
                (&c.nodes, Type::TEXT_ARRAY),
                (&c.knows, Type::BOOL_ARRAY),
                (&c.smbios, Type::UUID_ARRAY),
                (&c.slots, Type::JSONB_ARRAY),
                (&c.addresses, Type::JSONB_ARRAY),
                (&c.remembered, Type::JSONB_ARRAY),
                (&c.consumed, Type::TEXT_ARRAY),
                (&c.log_at, Type::TIMESTAMPTZ_ARRAY),
                (&c.log_operations, Type::TEXT_ARRAY),
                (&c.log_steps, Type::TEXT_ARRAY),
                (&c.log_events, Type::JSONB_ARRAY),
                (&c.notices, Type::JSONB_ARRAY),
            ],
        )
        .await?;
    let Some(numbers) = row.try_get::<_, Option<Vec<i64>>>(0)? else { return Ok(Written::NoSession) };
    // Ordinality counts from one.
    Ok(Written::Items(numbers.into_iter().filter_map(|n| usize::try_from(n - 1).ok()).collect()))
}

/// Writes a commit that touches more than its machine's row, in the transaction `batch` of `session`.
pub(crate) async fn commit_one(
    db: &Db<'_>,
    session: Uuid,
    batch: i64,
    item: &Item,
) -> Result<(), Failure<CommitError>> {
    let Item { lease, commit, .. } = item;
    if let Some(numbered) = &commit.numbered {
        fence(db, lease, CommitError::Fenced).await?;
        number::must_be_reserved(db, lease.key, numbered.vmid).await?;
    }
    match commit_together(db, session, batch, &[item]).await? {
        Written::Items(written) if !written.is_empty() => {}
        Written::Items(_) | Written::NoSession => return Err(Failure::Refused(CommitError::Fenced)),
    }
    if let Some(numbered) = &commit.numbered {
        let text = "UPDATE $schema.vm SET vmid = $2, fqdn = $3, pve_name = $4 WHERE key = $1";
        let params = [
            (&lease.key.0 as _, Type::UUID),
            (&row::number(numbered.vmid) as _, Type::INT4),
            (&numbered.fqdn.as_str() as _, Type::TEXT),
            (&numbered.pve_name.as_str() as _, Type::TEXT),
        ];
        db.execute(text, &params).await?;
    }
    if let Some(life) = &commit.life {
        let params = [(&lease.key.0 as _, Type::UUID), (&JsonText::of(life)? as _, Type::JSONB)];
        db.execute("UPDATE $schema.vm SET life = $2 WHERE key = $1", &params).await?;
    }
    if let Some(Order { spec, macs }) = commit.order.as_deref() {
        let text = "WITH state AS (UPDATE $schema.vm_state SET spec_version = $2 WHERE key = $1)
             UPDATE $schema.vm SET spec_version = $2, spec = $3, macs = $4 WHERE key = $1";
        let params = [
            (&lease.key.0 as _, Type::UUID),
            (&row::FORM as _, Type::INT4),
            (&JsonText::of(spec)? as _, Type::JSONB),
            (&JsonText::of(macs)? as _, Type::JSONB),
        ];
        db.execute(text, &params).await?;
    }
    if commit.step == Some(Step::Terminated) {
        db.execute("UPDATE $schema.vm SET terminated = true WHERE key = $1", &[(&lease.key.0, Type::UUID)])
            .await?;
        number::quarantine(db, lease.key).await?;
    }
    Ok(())
}

/// Which of these leases are still what the rows say; looked up where the answer to their commits was lost.
pub(crate) async fn still_leased(
    db: &Db<'_>,
    items: &[&Item],
) -> Result<BTreeSet<usize>, Failure<CommitError>> {
    let text = "SELECT n FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[]) WITH ORDINALITY
             AS item (key, owner, epoch, release, n) JOIN $schema.vm_state AS state USING (key)
         WHERE state.epoch = item.epoch
             AND (state.owner = item.owner OR item.release AND state.owner IS NULL)";
    let c = Arrays::of(items)?;
    let params = [
        (&c.keys as _, Type::UUID_ARRAY),
        (&c.owners as _, Type::UUID_ARRAY),
        (&c.epochs as _, Type::INT8_ARRAY),
        (&c.releases as _, Type::BOOL_ARRAY),
    ];
    let rows = db.query(text, &params).await?;
    let numbers = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    Ok(numbers.into_iter().filter_map(|n| usize::try_from(n - 1).ok()).collect())
}

/// The columns of the statement's `item`.
#[derive(Default)]
struct Arrays<'a> {
    keys: Vec<Uuid>,
    owners: Vec<Uuid>,
    epochs: Vec<i64>,
    releases: Vec<Option<bool>>,
    operations: Vec<Option<&'static str>>,
    steps: Vec<Option<&'static str>>,
    progresses: Vec<Option<JsonText>>,
    failures: Vec<Option<i64>>,
    dues: Vec<Option<bool>>,
    due_at: Vec<Option<Micros>>,
    attends: Vec<Option<bool>>,
    attentions: Vec<Option<JsonText>>,
    waits: Vec<Option<bool>>,
    waitings: Vec<Option<JsonText>>,
    nodes: Vec<Option<&'a str>>,
    knows: Vec<Option<bool>>,
    smbios: Vec<Option<Uuid>>,
    slots: Vec<Option<JsonText>>,
    addresses: Vec<Option<JsonText>>,
    remembered: Vec<Option<JsonText>>,
    consumed: Vec<Option<String>>,
    log_at: Vec<Option<Micros>>,
    log_operations: Vec<Option<&'static str>>,
    log_steps: Vec<Option<&'static str>>,
    log_events: Vec<Option<JsonText>>,
    notices: Vec<Option<JsonText>>,
}

impl<'a> Arrays<'a> {
    fn of(items: &[&'a Item]) -> Result<Self, Unreadable> {
        let every = items.len();
        let mut arrays = Self {
            keys: Vec::with_capacity(every),
            owners: Vec::with_capacity(every),
            epochs: Vec::with_capacity(every),
            ..Self::default()
        };
        items.iter().enumerate().try_for_each(|(n, item)| arrays.put(n, item))?;
        Ok(arrays)
    }

    fn put(&mut self, n: usize, Item { lease, commit, release }: &'a Item) -> Result<(), Unreadable> {
        let due_at = |due| match due {
            Due::At(at) => Some(Micros::of(at)),
            Due::OnCommand => None,
        };
        self.keys.push(lease.key.0);
        self.owners.push(lease.worker.0);
        self.epochs.push(lease.epoch);
        put(&mut self.releases, n, release.then_some(true));
        put(&mut self.operations, n, commit.operation.map(Operation::as_str));
        put(&mut self.steps, n, commit.step.map(Step::as_str));
        put_json(&mut self.progresses, n, commit.progress.as_ref())?;
        put(&mut self.failures, n, commit.failures.map(i64::from));
        put(&mut self.dues, n, commit.due.map(|_| true));
        put(&mut self.due_at, n, commit.due.and_then(due_at));
        put(&mut self.attends, n, commit.attention.as_ref().map(|_| true));
        put_json(&mut self.attentions, n, commit.attention.as_ref().and_then(Option::as_ref))?;
        put(&mut self.waits, n, commit.waiting.as_ref().map(|_| true));
        put_json(&mut self.waitings, n, commit.waiting.as_ref().and_then(Option::as_ref))?;
        put(&mut self.nodes, n, commit.node.as_ref().map(NodeName::as_str));
        put(&mut self.knows, n, commit.smbios.map(|_| true));
        put(&mut self.smbios, n, commit.smbios.flatten().map(|uuid| uuid.0));
        put_json(&mut self.slots, n, commit.slots.as_ref())?;
        put_json(&mut self.addresses, n, commit.addresses.as_ref())?;
        put_json(&mut self.remembered, n, commit.remembered.as_ref())?;
        put(&mut self.consumed, n, commit.consume.map(|id| id.0.to_string()));
        if let Some(line) = &commit.log {
            put(&mut self.log_at, n, Some(Micros::of(line.at)));
            put(&mut self.log_operations, n, Some(line.operation.as_str()));
            put(&mut self.log_steps, n, Some(line.step.as_str()));
            put_json(&mut self.log_events, n, Some(&line.event))?;
        }
        put_json(&mut self.notices, n, commit.notice.as_ref())
    }
}

/// Sets the n-th value of a column, if there is one; what is missing before it is null, and what is missing after the last one
/// is null to the statement. Most columns are empty in most groups.
fn put<T>(column: &mut Vec<Option<T>>, n: usize, value: Option<T>) {
    if value.is_some() {
        column.resize_with(n, || None);
        column.push(value);
    }
}

fn put_json<T: Serialize>(
    column: &mut Vec<Option<JsonText>>,
    n: usize,
    value: Option<&T>,
) -> Result<(), Unreadable> {
    put(column, n, value.map(JsonText::of).transpose()?);
    Ok(())
}
