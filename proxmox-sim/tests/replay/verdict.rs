//! Which rows count, and whether they agree.

use std::collections::BTreeMap;

use proxmox_sim::{Reply, Version};

use crate::compare::differences;
use crate::player::Played;
use crate::report::Report;
use crate::rows::Row;
use crate::{meant, offered};

/// Judges every row that counts. The answers that the looks of a watch were held against join the
/// others.
pub(crate) fn judge(version: Version, rows: &[Row], played: &mut Played) -> Report {
    let mut report = Report::default();
    // How far each watch has been followed.
    let mut follow: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (n, row) in rows.iter().enumerate() {
        if row.held || row.status.is_none() || !offered::counts(row) {
            continue;
        }
        let found = match (row.watch(), played.replies.get(&n)) {
            (Some((script, look)), _) => {
                let at = follow.entry((script.to_owned(), look.to_owned())).or_default();
                let (found, reply) = followed(row, played.seen.seen(script, look), at);
                played.replies.extend(reply.map(|reply| (n, reply)));
                found
            }
            (None, Some(reply)) => differences(row, reply),
            (None, None) => vec!["not sent".to_owned()],
        };
        report.count(row, &found, meant::reason(version, row));
    }
    report
}

/// Only the order of distinct answers counts: the next one that agrees is the one that was seen.
fn followed(row: &Row, seen: &[Reply], at: &mut usize) -> (Vec<String>, Option<Reply>) {
    let mut nearest: Option<(Vec<String>, &Reply)> = None;
    for (n, reply) in seen.iter().enumerate().skip(at.saturating_sub(1)) {
        let found = differences(row, reply);
        if found.is_empty() {
            *at = n + 1;
            return (found, Some(reply.clone()));
        }
        if nearest.as_ref().is_none_or(|(nearest, _)| found.len() < nearest.len()) {
            nearest = Some((found, reply));
        }
    }
    match nearest {
        Some((found, reply)) => (found, Some(reply.clone())),
        None => (vec!["never seen".to_owned()], None),
    }
}
