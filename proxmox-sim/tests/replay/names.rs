//! What the recording calls by names of its own: tasks and digests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use proxmox_sim::Reply;
use regex_lite::Regex;
use serde_json::Value;

use crate::rows::Row;

/// Tasks and digests by the case whose answer gave them, and simulated tasks by recorded ones.
#[derive(Debug, Default)]
pub(crate) struct Names {
    upids: BTreeMap<String, String>,
    digests: BTreeMap<String, String>,
    tasks: BTreeMap<String, String>,
    /// Digests and file names, simulated ones by recorded ones.
    recorded: BTreeMap<String, String>,
    /// A moment in recorded Unix time and in the time of its script.
    clock: Option<(u64, f64)>,
    /// Simulated tasks, which are nobody else's name.
    own: BTreeSet<String>,
    /// The latest task of each kind.
    latest: BTreeMap<String, String>,
}

static HOLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{(upid|digest):([^}]*)\}\}").expect("a pattern"));
static UPID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"UPID(:|%3A)[^/?]*(?::|%3A)").expect("a pattern"));

impl Names {
    pub(crate) fn learn(&mut self, row: &Row, reply: &Reply) {
        let data = reply.payload();
        if let Some(upid) = data.as_str().filter(|text| text.starts_with("UPID:")) {
            self.upids.insert(row.case.clone(), upid.to_owned());
            self.meet(reply);
            if let Some(recorded) = row.upid() {
                self.clock = time_of(&recorded).zip(row.t_s);
                self.tasks.insert(recorded, upid.to_owned());
            }
        }
        if let Some(digest) = digest_of(data) {
            self.digests.insert(row.case.clone(), digest.to_owned());
            if let Some(recorded) = row.answer().as_ref().and_then(|answer| digest_of(&answer["data"])) {
                self.recorded.insert(recorded.to_owned(), digest.to_owned());
            }
        }
        if let (Some(answer), Some(rows)) = (row.answer(), data.as_array()) {
            self.pair(&answer["data"], rows);
        }
    }

    /// A task that no row started.
    pub(crate) fn meet(&mut self, reply: &Reply) {
        if let Some(upid) = reply.payload().as_str() {
            self.latest.insert(kind(upid), upid.to_owned());
            self.own.insert(upid.to_owned());
        }
    }

    /// Tasks that were started without an answer are known from the lists.
    fn pair(&mut self, recorded: &Value, simulated: &[Value]) {
        for (a, b) in recorded.as_array().into_iter().flatten().zip(simulated) {
            let same = a["type"] == b["type"] && a["id"] == b["id"] && a["node"] == b["node"];
            if let (Some("backup"), Some(a), Some(b)) =
                (a["content"].as_str(), a["volid"].as_str(), b["volid"].as_str())
            {
                self.recorded.insert(file(a), file(b));
            }
            if let (true, Some(a), Some(b)) = (same, a["upid"].as_str(), b["upid"].as_str()) {
                self.tasks.entry(a.to_owned()).or_insert_with(|| b.to_owned());
            }
        }
    }

    /// A Unix time of the recording on the clock of the simulator.
    pub(crate) fn moment(&self, text: &str, row: &Row, now: u64) -> String {
        let (Ok(moment), Some((recorded, then))) = (text.parse::<u64>(), self.clock) else {
            return text.to_owned();
        };
        // The row was sent that long after the task whose time is known.
        let later = Duration::try_from_secs_f64(row.t_s.unwrap_or(then) - then).unwrap_or_default();
        let recorded_now = recorded + later.as_secs();
        (now + moment).saturating_sub(recorded_now).to_string()
    }

    /// Puts the simulator's own names in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let filled = HOLE.replace_all(text, |found: &regex_lite::Captures<'_>| {
            let known = if &found[1] == "upid" { &self.upids } else { &self.digests };
            known.get(&found[2]).cloned().unwrap_or_else(|| found[0].to_owned())
        });
        let tasks = UPID.replace_all(&filled, |found: &regex_lite::Captures<'_>| {
            let recorded = percent_decode_str(&found[0]).decode_utf8_lossy().into_owned();
            if self.own.contains(&recorded) {
                return recorded;
            }
            let known = self.tasks.get(&recorded).or_else(|| self.latest.get(&kind(&recorded)));
            known.cloned().unwrap_or_else(|| found[0].to_owned())
        });
        self.recorded.iter().fold(tasks.into_owned(), |text, (recorded, own)| text.replace(recorded, own))
    }
}

/// When a task began, in Unix time.
fn time_of(upid: &str) -> Option<u64> {
    u64::from_str_radix(upid.split(':').nth(4)?, 16).ok()
}

/// The digest of an answer, or of the first row of a list.
fn digest_of(data: &Value) -> Option<&str> {
    data["digest"].as_str().or_else(|| data[0]["digest"].as_str())
}

/// The name of a volume's file.
fn file(volid: &str) -> String {
    volid.rsplit('/').next().unwrap_or(volid).to_owned()
}

/// Node, type, id and user of a task.
fn kind(upid: &str) -> String {
    let parts: Vec<&str> = upid.split(':').collect();
    if parts.len() > 7 { [parts[1], parts[5], parts[6], parts[7]].join(":") } else { String::new() }
}
