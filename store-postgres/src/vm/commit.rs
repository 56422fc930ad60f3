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

/// A null leaves a column as it is; columns that may become null have a flag beside their value. Log lines, notices and
/// commands depend on the row that was changed: a lease that is not ours any more changes nothing at all.
///
/// The commands are in the row, and what is computed from them is computed from the row: where another transaction has just
/// queued one, this statement waits for it and then computes from the new row. From a table of commands it would read what
/// was there when it began.
const COMMIT: &str = "
    WITH session AS (
        UPDATE $schema.session SET batch = $2, at = now() WHERE id = $1 RETURNING id
    ), item AS (
        SELECT * FROM unnest(
            $4::uuid[], $5::uuid[], $6::bigint[], $7::boolean[], $8::text[], $9::text[], $10::jsonb[], $11::bigint[],
            $12::boolean[], $13::timestamptz[], $14::boolean[], $15::jsonb[], $16::boolean[], $17::jsonb[], $18::text[],
            $19::boolean[], $20::uuid[], $21::jsonb[], $22::jsonb[], $23::jsonb[], $24::text[], $25::timestamptz[],
            $26::text[], $27::text[], $28::jsonb[], $29::jsonb[]
        ) WITH ORDINALITY AS item (
            key, owner, epoch, release, operation, step, progress, failures,
            dues, due_at, attends, attention, waits, waiting, node,
            knows, smbios, slots, addresses, remembered, consumed, log_at,
            log_operation, log_step, log_event, notice, n
        )
    ), written AS (
        UPDATE $schema.vm_state AS state SET
            operation  = coalesce(item.operation, state.operation),
            step       = coalesce(item.step, state.step),
            progress   = coalesce(item.progress, state.progress),
            failures   = coalesce(item.failures, state.failures),
            attention  = CASE WHEN item.attends THEN item.attention ELSE state.attention END,
            waiting    = CASE WHEN item.waits THEN item.waiting ELSE state.waiting END,
            node       = coalesce(item.node, state.node),
            smbios     = CASE WHEN item.knows THEN item.smbios ELSE state.smbios END,
            slots      = coalesce(item.slots, state.slots),
            addresses  = coalesce(item.addresses, state.addresses),
            remembered = coalesce(item.remembered, state.remembered),
            owner      = CASE WHEN item.release THEN NULL ELSE state.owner END,
            pending    = CASE
                WHEN state.pending = '[]' OR item.consumed IS NULL THEN state.pending
                ELSE jsonb_path_query_array(
                    state.pending, '$[*] ? (@.id != $consumed)', jsonb_build_object('consumed', item.consumed)
                )
            END,
            due_at     = CASE
                WHEN NOT item.dues THEN state.due_at
                WHEN state.pending <> '[]' AND (item.consumed IS NULL OR jsonb_path_exists(
                    state.pending, '$[*] ? (@.id != $consumed)', jsonb_build_object('consumed', item.consumed)
                )) THEN least(item.due_at, coalesce($3, now()))
                ELSE item.due_at
            END
        FROM item, session
        WHERE state.key = item.key AND state.owner = item.owner AND state.epoch = item.epoch
        RETURNING item.n, item.key, item.log_at, item.log_operation, item.log_step, item.log_event, item.notice
    ), repeated AS (
        SELECT written.n, last.id, written.log_at FROM written CROSS JOIN LATERAL (
            SELECT * FROM $schema.deploy_log WHERE vm = written.key ORDER BY vm DESC, id DESC LIMIT 1
        ) AS last
        WHERE (last.operation, last.step, last.event) = (written.log_operation, written.log_step, written.log_event)
    ), counted AS (
        UPDATE $schema.deploy_log AS line SET times = least(line.times + 1, 4294967295), last_at = repeated.log_at
        FROM repeated WHERE line.id = repeated.id
    ), logged AS (
        INSERT INTO $schema.deploy_log (vm, at, operation, step, event, last_at)
        SELECT key, log_at, log_operation, log_step, log_event, log_at FROM written
        WHERE log_event IS NOT NULL AND n NOT IN (SELECT n FROM repeated)
        ORDER BY n
    ), told AS (
        INSERT INTO $schema.outbox (vm, at, notice)
        SELECT key, coalesce($3, now()), notice FROM written WHERE notice IS NOT NULL ORDER BY n
    )
    SELECT (SELECT count(*) FROM session) AS sessions, array(SELECT n FROM written) AS written";

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
    if row.try_get::<_, i64>("sessions")? == 0 {
        return Ok(Written::NoSession);
    }
    let numbers: Vec<i64> = row.try_get("written")?;
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
        Ok(arrays)
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
