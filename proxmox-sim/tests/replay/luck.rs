//! The order in which a server happened to write the options of a call that failed half-way. It is
//! that of a hash, so the simulator is told what the dice showed.

use std::collections::BTreeSet;

use crate::rows::Row;

/// The options of a row in the order of writing, as far as the later answers give it away.
pub(crate) fn order(rows: &[Row], n: usize) -> Option<Vec<String>> {
    let row = &rows[n];
    let changes = matches!(row.method.as_deref(), Some("PUT" | "POST")) && row.path.ends_with("/config");
    let script = row.case.rsplit_once('/').filter(|_| changes)?.0;
    let look = format!("{script}/pending");
    let later = rows[n + 1..].iter().take(5).find(|later| later.case == look)?;
    let answer = later.answer()?;
    let waiting: BTreeSet<&str> = answer["data"]
        .as_array()?
        .iter()
        .filter(|option| !option["pending"].is_null() || !option["delete"].is_null())
        .filter_map(|option| option["key"].as_str())
        .collect();
    if waiting.is_empty() {
        return None;
    }
    let named = row.params.iter().map(|(name, _)| name.clone());
    let (mut written, mut rest): (Vec<String>, Vec<String>) =
        named.partition(|name| waiting.contains(name.as_str()));
    // What failed came next; only drives can fail.
    rest.sort_by_key(|name| !name.starts_with("scsi"));
    written.extend(rest);
    Some(written)
}
