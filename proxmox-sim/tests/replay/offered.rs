//! Which rows count: those whose endpoint is in the schema.

use std::path::Path;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::rows::{self, Row};

/// Method and parts of the path.
type Endpoint = (String, Vec<String>);

/// Without the schema every row counts.
static ENDPOINTS: LazyLock<Option<Vec<Endpoint>>> = LazyLock::new(|| {
    let file = rows::folder().join("../pve-schema.json");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/pve-schema.json");
    let text = std::fs::read_to_string(&file).or_else(|_| std::fs::read_to_string(beside)).ok()?;
    let schema: Value = serde_json::from_str(&text).expect("the schema");
    let endpoint = |endpoint: &Value| {
        let text = |key: &str| endpoint[key].as_str().unwrap_or_default().to_owned();
        (text("method"), text("path").trim_matches('/').split('/').map(str::to_owned).collect())
    };
    Some(schema["endpoints"].as_array().into_iter().flatten().map(endpoint).collect())
});

pub(crate) fn counts(row: &Row) -> bool {
    let method = row.method.as_deref().unwrap_or_default();
    let path = row.path.split('?').next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let Some(path) = path.strip_prefix("/api2/json") else {
        return false;
    };
    // The case that a placeholder names may contain slashes.
    let path = blank(path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let offered = |(wanted, pattern): &Endpoint| wanted == method && fits(pattern, &parts);
    ENDPOINTS.as_ref().is_none_or(|endpoints| endpoints.iter().any(offered))
}

fn blank(path: &str) -> String {
    match (path.find("{{"), path.find("}}")) {
        (Some(from), Some(to)) => format!("{}X{}", &path[..from], &path[to + 2..]),
        _ => path.to_owned(),
    }
}

fn fits(pattern: &[String], parts: &[&str]) -> bool {
    let greedy = pattern.last().is_some_and(|last| matches!(last.as_str(), "{cidr}" | "{volume}"));
    let long_enough = if greedy { parts.len() >= pattern.len() } else { parts.len() == pattern.len() };
    long_enough && pattern.iter().zip(parts).all(|(want, have)| want.starts_with('{') || want == have)
}
