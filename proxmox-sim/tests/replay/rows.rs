//! The recorded exchanges: one JSON object a line, in the order in which they happened.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One exchange, or a remark.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) case: String,
    #[serde(default)]
    pub(crate) auth: Option<String>,
    #[serde(default)]
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) params: Vec<(String, Value)>,
    pub(crate) raw_body: Option<String>,
    pub(crate) raw_request: Option<String>,
    pub(crate) request_content_type: Option<String>,
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    pub(crate) response: Option<Value>,
    pub(crate) raw_response: Option<String>,
    pub(crate) response_text: Option<String>,
    #[serde(default)]
    pub(crate) elapsed_s: f64,
    /// Seconds since the script began, at the moment of sending.
    pub(crate) t_s: Option<f64>,
    pub(crate) note: Option<String>,
    /// The answer is kept from us; the request was sent all the same.
    #[serde(default)]
    pub(crate) held: bool,
}

impl Row {
    /// A fast look that was kept because its answer had changed: the watch and its look.
    pub(crate) fn watch(&self) -> Option<(&str, &str)> {
        let (script, rest) = self.case.split_once("/watch-")?;
        Some((script, rest.split('/').next().unwrap_or(rest)))
    }

    /// What the report counts it under.
    pub(crate) fn group(&self) -> String {
        let parts = if self.case.starts_with("golden/") { 2 } else { 1 };
        self.case.split('/').take(parts).collect::<Vec<_>>().join("/")
    }

    /// The UPID that the answer gave.
    pub(crate) fn upid(&self) -> Option<String> {
        let answer = self.answer()?;
        answer["data"].as_str().filter(|text| text.starts_with("UPID:")).map(str::to_owned)
    }
}

/// Where the recordings are: not in a clone of the repository.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("PVE_TRANSCRIPTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pve-transcripts"),
        PathBuf::from,
    )
}

/// Reads a recording.
pub(crate) fn read(file: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(file).expect("a recording that can be read");
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}
