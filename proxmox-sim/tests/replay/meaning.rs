//! What an answer means, without what no two servers have in common: times, process ids, random
//! identities, load.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Map, Value, json};

/// Keys whose values say nothing but that they are there.
const VOLATILE: &[&str] = &[
    "starttime",
    "endtime",
    "pid",
    "pstart",
    "cpu",
    "mem",
    "memhost",
    "uptime",
    "digest",
    "ctime",
    "snaptime",
    "used",
    "avail",
    "used_fraction",
    "total",
    "ssl_fingerprint",
    "netin",
    "netout",
    "diskread",
    "diskwrite",
    "ticket",
    "CSRFPreventionToken",
    "value_secret",
    "freemem",
    "balloon_min",
    "ballooninfo",
    "blockstat",
    "nics",
    "proxmox-support",
    "maxcpu_node",
    "repoid",
    "loadavg",
    "wait",
    "idle",
    "memory_node",
    "rootfs",
    "swap",
    "cpuinfo",
    "kversion",
    "pveversion",
    "ksm",
    "current-kernel",
    "boot-info",
    "saved",
    "ip",
    "disk",
    "running-qemu",
    "running-machine",
    "pressurecpusome",
    "pressurecpufull",
    "pressureiosome",
    "pressureiofull",
    "pressurememorysome",
    "pressurememoryfull",
    "cgroup-mode",
    "free",
    "available",
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"UPID:([^:]+):[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:([^:]*):([^:]*):([^:]*):", "UPID:$1:$2:$3:$4"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
        (r"\b(?i:bc:24:11):[0-9A-F]{2}:[0-9A-F]{2}:[0-9A-F]{2}\b", "<mac>"),
        (r"\bbc:24:11:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}\b", "<mac>"),
        (r"\b[0-9a-f]{40}\b", "<digest>"),
        (r"creation-qemu=[0-9.]+,ctime=[0-9]+", "creation-qemu=<v>,ctime=<t>"),
        (r"\.conf\.tmp\.[0-9]+", ".conf.tmp.<pid>"),
        (r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} ", "<time> "),
        (r"[0-9]{4}_[0-9]{2}_[0-9]{2}-[0-9]{2}_[0-9]{2}_[0-9]{2}", "<time>"),
        (r"migration speed: [0-9.]+ .iB/s - downtime [0-9]+ ms", "migration speed: <n>"),
        (r"duration [0-9]{2}:[0-9]{2}:[0-9]{2}", "duration <d>"),
        (r"\(127\.0\.0\.[0-9]+\)", "(<ip>)"),
        (r"\$5\$[^$]+\$[A-Za-z0-9./]+", "<hash>"),
        (r" line [0-9]+\.", " line <n>."),
    ]
    .into_iter()
    .map(|(pattern, to)| (Regex::new(pattern).expect("a pattern"), to))
    .collect()
});

/// A text without its random parts.
pub(crate) fn text(text: &str) -> String {
    let known = PATTERNS.iter();
    known.fold(text.to_owned(), |text, (pattern, to)| pattern.replace_all(&text, *to).into_owned())
}

/// The meaning of `data`. Order counts only where the server has one.
pub(crate) fn data(path: &str, value: &Value) -> Value {
    if path.ends_with("/log") && path.contains("/tasks/") {
        return log(value);
    }
    if path.ends_with("/nextid") {
        return json!(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    if path.ends_with("/cluster/resources") || path.contains("/pools") {
        return plain(&statistics(value), "", false);
    }
    let ordered = path.contains("/ipset/")
        || path.ends_with("/rules")
        || (path.ends_with("/tasks") && path.contains("/nodes/"));
    plain(value, "", ordered)
}

/// Machines without what their nodes broadcast every ten seconds, at a moment that nobody knows.
fn statistics(value: &Value) -> Value {
    match value {
        Value::Array(all) => all.iter().map(statistics).collect(),
        Value::Object(map) if map.get("type").is_some_and(|kind| kind == "qemu") => {
            let live = ["id", "type", "vmid", "node", "lock", "tags", "pool", "hastate"];
            let live = map.iter().filter(|(key, _)| live.contains(&key.as_str()));
            Value::Object(live.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), statistics(value))).collect())
        }
        other => other.clone(),
    }
}

fn plain(value: &Value, key: &str, ordered: bool) -> Value {
    if VOLATILE.contains(&key) {
        return json!("<any>");
    }
    match value {
        Value::String(string) if key == "content" && string.contains(',') => {
            let mut kinds: Vec<&str> = string.split(',').collect();
            kinds.sort_unstable();
            json!(kinds)
        }
        Value::String(string) => json!(text(string)),
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(|value| plain(value, "", ordered)).collect();
            if !ordered {
                all.sort_by_key(Value::to_string);
            }
            Value::Array(all)
        }
        Value::Object(map) => {
            let hardware = map.get("type").is_some_and(|kind| kind == "node" || kind == "storage");
            // A row of `pending` has the name of the option beside its value.
            let secret = map.get("key").and_then(Value::as_str).is_some_and(|key| VOLATILE.contains(&key));
            let row = map.iter().map(|(key, value)| {
                let hidden = (secret && key == "value") || (hardware && key.starts_with("max"));
                let name = if hidden { "digest" } else { key.as_str() };
                (key.clone(), plain(value, name, ordered))
            });
            Value::Object(row.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// The lines of a log, progress folded into one.
fn log(value: &Value) -> Value {
    let Some(rows) = value.as_array() else {
        return plain(value, "", true);
    };
    let mut lines: Vec<String> = rows.iter().filter_map(|row| row["t"].as_str()).map(text).collect();
    for line in &mut lines {
        if line.starts_with("transferred ") || line.contains(" transferred ") {
            "<progress>".clone_into(line);
        }
        if let Some(options) = line.strip_prefix("update VM ") {
            // The order of the options is random.
            let mut words: Vec<&str> = options.split(" -").collect();
            words[1..].sort_unstable();
            *line = format!("update VM {}", words.join(" -"));
        }
    }
    // How often a storage's lock was waited for is a matter of milliseconds. What the copying tools and the language's own warnings say is not the server's.
    let noise = [
        "trying to acquire cfs lock",
        "records in",
        "records out",
        " copied, ",
        " is experimental at ",
        "Use of uninitialized value",
    ];
    lines.retain(|line| !noise.iter().any(|noise| line.contains(noise)));
    lines.dedup();
    json!(lines)
}
