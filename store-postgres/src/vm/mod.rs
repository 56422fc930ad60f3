//! Machines: their rows, leases, commands and logs.

mod claim;
mod command;
mod commit;
mod create;
mod fence;
mod log;
mod number;
mod outbox;
mod rest;
mod row;
mod worker;

pub(crate) use claim::{claim, next_due};
pub(crate) use command::command;
pub(crate) use commit::{Item, Written, commit_one, commit_together, still_leased};
pub(crate) use create::{clusters, create, describe, put_cluster};
pub(crate) use fence::{fence, reload};
pub(crate) use log::{entries, entries_of};
pub(crate) use number::renumber;
pub(crate) use outbox::{delivered, take as take_notices};
pub(crate) use rest::{check, resting};
pub(crate) use row::{by_key, by_reference, count_newer, list};
pub(crate) use worker::{heartbeat, retire, sweep};
