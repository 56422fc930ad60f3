//! The order in which a server happened to write the options of a call that failed half-way. It is
//! that of a hash, so the simulator is told what the dice showed.

use serde_json::Value;

use crate::rows::Row;

/// The options of a row in the order of writing, as far as the later answers give it away.
pub(crate) fn order(rows: &[Row], n: usize) -> Option<Vec<String>> {
    let row = &rows[n];
    let changes = matches!(row.method.as_deref(), Some("PUT" | "POST")) && row.path.ends_with("/config");
    let script = row.case.rsplit_once('/').filter(|_| changes)?.0;
    let look = |name: &str| {
        let case = format!("{script}/{name}");
        rows[n + 1..].iter().take(5).find(|later| later.case == case).and_then(Row::answer)
    };
    let (waiting, after) = (look("pending"), look("after"));
    let value = |name: &str| match &waiting {
        Some(answer) => {
            let options = answer["data"].as_array().into_iter().flatten();
            options.filter(|option| option["key"] == name).map(|option| option["pending"].clone()).next()
        }
        None => after.as_ref().map(|answer| answer["data"][name].clone()),
    };
    let was_written = |name: &str, sent: &Value| {
        let found = value(name).filter(|value| !value.is_null());
        // What is brought into another form is not compared.
        found.is_some_and(|found| text(&found) == text(sent) || text(sent).contains([',', ' ']))
    };
    let status = rows[n + 1..].iter().take(2).find(|later| later.case == format!("{}/task-status", row.case));
    let exit = status.and_then(Row::answer).map(|answer| answer["data"]["exitstatus"].clone());
    let worked = row.status == Some(200) && exit.is_none_or(|exit| exit == "OK");
    if worked || (waiting.is_none() && after.is_none()) {
        return None;
    }
    let (written, rest): (Vec<&Pair>, Vec<&Pair>) =
        row.params.iter().partition(|(name, sent)| was_written(name, sent));
    if written.is_empty() {
        return None;
    }
    let mut written: Vec<String> = written.iter().map(|(name, _)| name.clone()).collect();
    let mut rest: Vec<String> = rest.iter().map(|(name, _)| name.clone()).collect();
    // What failed came next; only drives can fail, and it was the additional one.
    rest.sort_by_key(|name| (!name.starts_with("scsi"), std::cmp::Reverse(name.clone())));
    written.extend(rest);
    Some(written)
}

/// A parameter as it was sent.
type Pair = (String, Value);

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
