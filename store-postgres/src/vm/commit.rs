//! Writing down commits: many at once in one statement.

use super::{fence, number, row};
use crate::{
    column::{JsonText, kept},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{Commit, CommitError, Due, Lease, NodeName, Operation, Step};
use jiff::Timestamp;
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
        self.commit.numbered.is_none() && self.commit.step != Some(Step::Terminated)
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
    releases: Vec<bool>,
    operations: Vec<Option<&'static str>>,
    steps: Vec<Option<&'static str>>,
    progresses: Vec<Option<JsonText>>,
    failures: Vec<Option<i64>>,
    dues: Vec<bool>,
    due_at: Vec<Option<Timestamp>>,
    attends: Vec<bool>,
    attentions: Vec<Option<JsonText>>,
    waits: Vec<bool>,
    waitings: Vec<Option<JsonText>>,
    nodes: Vec<Option<&'a str>>,
    knows: Vec<bool>,
    smbios: Vec<Option<Uuid>>,
    slots: Vec<Option<JsonText>>,
    addresses: Vec<Option<JsonText>>,
    remembered: Vec<Option<JsonText>>,
    consumed: Vec<Option<String>>,
    log_at: Vec<Option<Timestamp>>,
    log_operations: Vec<Option<&'static str>>,
    log_steps: Vec<Option<&'static str>>,
    log_events: Vec<Option<JsonText>>,
    notices: Vec<Option<JsonText>>,
}

impl<'a> Arrays<'a> {
    fn of(items: &[&'a Item]) -> Result<Self, Unreadable> {
        let mut arrays = Self::default();
        items.iter().try_for_each(|item| arrays.push(item))?;
        arrays.trim();
        Ok(arrays)
    }

    /// Leaves out what is null or false from somewhere to the end: most columns are in most groups.
    fn trim(&mut self) {
        for flags in [&mut self.releases, &mut self.dues, &mut self.attends, &mut self.waits, &mut self.knows]
        {
            flags.truncate(flags.iter().rposition(|flag| *flag).map_or(0, |last| last + 1));
        }
        trim(&mut self.operations);
        trim(&mut self.steps);
        trim(&mut self.progresses);
        trim(&mut self.failures);
        trim(&mut self.due_at);
        trim(&mut self.attentions);
        trim(&mut self.waitings);
        trim(&mut self.nodes);
        trim(&mut self.smbios);
        trim(&mut self.slots);
        trim(&mut self.addresses);
        trim(&mut self.remembered);
        trim(&mut self.consumed);
        trim(&mut self.log_at);
        trim(&mut self.log_operations);
        trim(&mut self.log_steps);
        trim(&mut self.log_events);
        trim(&mut self.notices);
    }

    fn push(&mut self, Item { lease, commit, release }: &'a Item) -> Result<(), Unreadable> {
        fn json<T: serde::Serialize>(value: Option<&T>) -> Result<Option<JsonText>, Unreadable> {
            value.map(JsonText::of).transpose()
        }
        let due_at = |due| match due {
            Due::At(at) => Some(kept(at)),
            Due::OnCommand => None,
        };
        self.keys.push(lease.key.0);
        self.owners.push(lease.worker.0);
        self.epochs.push(lease.epoch);
        self.releases.push(*release);
        self.operations.push(commit.operation.map(Operation::as_str));
        self.steps.push(commit.step.map(Step::as_str));
        self.progresses.push(json(commit.progress.as_ref())?);
        self.failures.push(commit.failures.map(i64::from));
        self.dues.push(commit.due.is_some());
        self.due_at.push(commit.due.and_then(due_at));
        self.attends.push(commit.attention.is_some());
        self.attentions.push(json(commit.attention.as_ref().and_then(Option::as_ref))?);
        self.waits.push(commit.waiting.is_some());
        self.waitings.push(json(commit.waiting.as_ref().and_then(Option::as_ref))?);
        self.nodes.push(commit.node.as_ref().map(NodeName::as_str));
        self.knows.push(commit.smbios.is_some());
        self.smbios.push(commit.smbios.flatten().map(|uuid| uuid.0));
        self.slots.push(json(commit.slots.as_ref())?);
        self.addresses.push(json(commit.addresses.as_ref())?);
        self.remembered.push(json(commit.remembered.as_ref())?);
        self.consumed.push(commit.consume.map(|id| id.0.to_string()));
        let line = commit.log.as_ref();
        self.log_at.push(line.map(|line| kept(line.at)));
        self.log_operations.push(line.map(|line| line.operation.as_str()));
        self.log_steps.push(line.map(|line| line.step.as_str()));
        self.log_events.push(json(line.map(|line| &line.event))?);
        self.notices.push(json(commit.notice.as_ref())?);
        Ok(())
    }
}

fn trim<T>(column: &mut Vec<Option<T>>) {
    let length = column.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    column.truncate(length);
}
