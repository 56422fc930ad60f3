//! Holds the tables against the description of PVE's API, where that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::field::{Field, Kind};
use super::table::{Endpoint, Schema};

/// Differences that are meant: how they begin, and why.
const MEANT: &[(&str, &str)] = &[
    ("GET /access/acl: not described", "the accounts of the recordings are made with it"),
    ("POST /access/users: not described", "the accounts of the recordings are made with it"),
    ("POST /access/users/{userid}/token/{tokenid}: not described", "the accounts are made with it"),
    ("PUT /access/acl: not described", "the accounts of the recordings are made with it"),
    ("PUT /cluster/firewall/options: not described", "switches the firewall of the cluster on and off"),
    ("agent/freeze-fs: on 7", "there it has its older name alone, which all lines take"),
    ("agent/freeze-fs: on 8", "there it has its older name alone, which all lines take"),
    ("ide[n]/cyls: only on 7", "the geometry of disks went with the newest line"),
    ("ide[n]/cyls: only on 8", "the geometry of disks went with the newest line"),
    ("ide[n]/heads: only on 7", "the geometry of disks went with the newest line"),
    ("ide[n]/heads: only on 8", "the geometry of disks went with the newest line"),
    ("ide[n]/secs: only on 7", "the geometry of disks went with the newest line"),
    ("ide[n]/secs: only on 8", "the geometry of disks went with the newest line"),
    ("ide[n]/trans: only on 7", "the geometry of disks went with the newest line"),
    ("ide[n]/trans: only on 8", "the geometry of disks went with the newest line"),
    ("GET /nodes/{node}/network type: enum on 7", "a filter; its newer values find nothing there"),
    ("GET /nodes/{node}/network type: enum on 8", "a filter; its newer values find nothing there"),
    ("GET /storage type: enum on 7", "a filter; what the older line had more finds nothing"),
    ("GET /storage type: enum on 8", "a filter; what the older line had more finds nothing"),
    ("POST /nodes/{node}/qemu/{vmid}/firewall/rules type: enum on 7", "rules that forward are not imitated"),
    (
        "PUT /nodes/{node}/qemu/{vmid}/firewall/rules/{pos} type: enum on 7",
        "rules that forward are not imitated",
    ),
    (
        "POST /nodes/{node}/storage/{storage}/content format: enum on 7",
        "a disk image of it is made all the same",
    ),
    ("POST /nodes/{node}/storage/{storage}/upload: not described", "files to install from come by it"),
    ("GET /nodes/{node}/vzdump/extractconfig: not described", "says whose machine a backup was made of"),
    ("POST /nodes/{node}/vzdump maxfiles: only on 7", "keeping backups is not imitated"),
    ("POST /nodes/{node}/vzdump maxfiles: only on 8", "keeping backups is not imitated"),
    ("POST /nodes/{node}/vzdump notification-policy: only on 8", "notifications are not imitated"),
    ("POST /nodes/{node}/vzdump notification-target: only on 8", "notifications are not imitated"),
];

/// The older lines, the newest first, and what the description calls them.
const OLDER: [(u8, &str); 2] = [(8, "8.4.5"), (7, "7.4-16")];

/// Where the description may be: beside the recordings or beside the repository.
fn description() -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let recordings = std::env::var_os("PVE_TRANSCRIPTS").map(|folder| PathBuf::from(folder).join(".."));
    let mut folders = recordings.into_iter().chain([beside]);
    let text = folders.find_map(|f| std::fs::read_to_string(f.join("pve-schema.json")).ok())?;
    Some(serde_json::from_str(&text).expect("the description is JSON"))
}

/// What differs, each thing once.
#[derive(Default)]
struct Differences(BTreeSet<String>);

impl Differences {
    fn check<T: PartialEq + std::fmt::Debug>(&mut self, at: &str, what: &str, described: &T, ours: &T) {
        if described != ours {
            self.0.insert(format!("{at}: {what}: described {described:?}, ours {ours:?}"));
        }
    }

    fn add(&mut self, text: String) {
        self.0.insert(text);
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

/// A number, which is written as a text here and there.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn yes(value: &Value) -> bool {
    *value == json!(true) || *value == json!(1)
}

fn kind(described: &Value) -> Kind {
    match described["type"].as_str() {
        Some("boolean") => Kind::Boolean,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        _ => Kind::Text,
    }
}

/// Perl's notation in ours, anchored as ours are.
fn pattern(described: &Value) -> Option<String> {
    let plain = described["pattern"].as_str()?.replace("(?^:", "(?:").replace("{,", "{0,");
    Some(format!("^(?:{plain})$"))
}

fn field(differences: &mut Differences, at: &str, described: &Value, ours: &Field) {
    if let Some(alias) = text(described, "alias") {
        differences.check(at, "alias", &Some(alias), &ours.alias);
        differences.check(at, "keyAlias", &text(described, "keyAlias"), &ours.key_alias);
        return;
    }
    differences.check(at, "type", &kind(described), &ours.kind);
    differences.check(at, "required", &!yes(&described["optional"]), &ours.required);
    differences.check(at, "minimum", &number(&described["minimum"]), &ours.min);
    differences.check(at, "maximum", &number(&described["maximum"]), &ours.max);
    let length = |key: &str| described[key].as_u64().and_then(|n| usize::try_from(n).ok());
    differences.check(at, "minLength", &length("minLength"), &ours.min_len);
    differences.check(at, "maxLength", &length("maxLength"), &ours.max_len);
    differences.check(at, "enum", &strings(&described["enum"]), &ours.values);
    differences.check(at, "requires", &text(described, "requires"), &ours.requires);
    differences.check(at, "default_key", &yes(&described["default_key"]), &ours.default_key);
    differences.check(at, "format", &text(described, "format"), &ours.format);
    let compiled = ours.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
    differences.check(at, "pattern", &pattern(described), &compiled);
    let highest = described["indexed"]["max"].as_u64().and_then(|n| u32::try_from(n).ok());
    differences.check(at, "index", &highest, &ours.index);
    let keys = ours.props.as_ref().and_then(|name| Schema::get().properties(name)).unwrap_or_default();
    properties(differences, at, &described["property_string"], keys);
}

/// The keys of a property string.
fn properties(differences: &mut Differences, at: &str, described: &Value, ours: &[Field]) {
    let described = described.as_object().cloned().unwrap_or_default();
    let known: BTreeMap<&str, &Field> = ours.iter().map(|field| (field.name.as_str(), field)).collect();
    let names = |key: &str| at.rsplit(' ').next().unwrap_or(at).to_owned() + "/" + key;
    for (key, about) in &described {
        match known.get(key.as_str()) {
            Some(ours) => field(differences, &names(key), about, ours),
            None => differences.add(format!("{}: not ours", names(key))),
        }
    }
    for key in known.keys().filter(|key| !described.contains_key(**key)) {
        differences.add(format!("{}: not described", names(key)));
    }
}

/// Names with their index as the description writes them.
fn named(field: &Field) -> String {
    if field.index.is_some() { format!("{}[n]", field.name) } else { field.name.clone() }
}

fn endpoint(differences: &mut Differences, described: &Value, ours: &Endpoint) {
    let at = format!("{} {}", ours.method, ours.path);
    differences.check(&at, "proxied", &yes(&described["proxied_to_node"]), &ours.proxied);
    differences.check(&at, "protected", &yes(&described["protected"]), &ours.daemon);
    differences.check(&at, "no token", &!yes(&described["allow_token"]), &ours.no_token);
    let in_path = strings(&described["path_params"]);
    let options = Schema::get().options.iter().filter(|_| ours.options);
    let known: BTreeMap<String, &Field> =
        options.chain(&ours.fields).map(|field| (named(field), field)).collect();
    let older = OLDER.map(|(major, full)| (major, &described["older_versions"][full]));
    // The line a parameter came with, by those that do not have it.
    let since = |lacks: &dyn Fn(&Value) -> bool| {
        older.iter().find(|(_, older)| lacks(older)).map_or(0, |(major, _)| major + 1)
    };
    differences.check(&at, "since", &since(&|older| yes(&older["absent"])), &ours.since);
    let parameters = described["params"].as_object().cloned().unwrap_or_default();
    for (name, about) in &parameters {
        let at = format!("{at} {name}");
        match known.get(name) {
            Some(ours) => {
                field(differences, &at, about, ours);
                let absent = |older: &Value| strings(&older["params_absent"]).contains(name);
                differences.check(&at, "since", &since(&absent), &ours.since);
                for (major, older) in older {
                    on_older(differences, &at, major, &older["param_details"][name.as_str()], ours);
                }
            }
            None if in_path.contains(name) => {}
            None => differences.add(format!("{at}: not ours")),
        }
    }
    for name in known.keys().filter(|name| !parameters.contains_key(*name)) {
        differences.add(format!("{at} {name}: not described"));
    }
    for (major, older) in older {
        for name in older["params_only_here"].as_object().into_iter().flat_map(|map| map.keys()) {
            differences.add(format!("{at} {name}: only on {major}"));
        }
    }
}

/// Keys that a property string has on an older line alone, or not there.
fn on_older(differences: &mut Differences, at: &str, major: u8, details: &Value, ours: &Field) {
    let name = at.rsplit(' ').next().unwrap_or(at);
    let keys = ours.props.as_ref().and_then(|name| Schema::get().properties(name)).unwrap_or_default();
    for key in strings(&details["absent"]) {
        // What stands for another key goes with it.
        let since =
            keys.iter().any(|field| field.name == key && (field.since > major || field.alias.is_some()));
        if !since {
            differences.add(format!("{name}/{key}: on {major} it is unknown"));
        }
    }
    for key in strings(&details["only_here"]) {
        // One line stands for all buses.
        differences.add(format!("ide[n]/{key}: only on {major}"));
    }
    if details.get("enum_here").is_some() {
        differences.add(format!("{at}: enum on {major}"));
    }
}

fn all(description: &Value) -> BTreeSet<String> {
    let mut differences = Differences::default();
    let described: BTreeMap<(String, String), &Value> = description["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|about| {
            ((text(about, "method").unwrap_or_default(), text(about, "path").unwrap_or_default()), about)
        })
        .collect();
    let mut missing: BTreeSet<_> = described.keys().cloned().collect();
    for ours in Schema::get().endpoints() {
        let name = (ours.method.clone(), ours.path.clone());
        missing.remove(&name);
        match described.get(&name) {
            Some(about) => endpoint(&mut differences, about, ours),
            None => differences.add(format!("{} {}: not described", ours.method, ours.path)),
        }
    }
    for (method, path) in missing {
        differences.add(format!("{method} {path}: not offered"));
    }
    // Formats that are property strings.
    for (name, about) in description["formats"].as_object().into_iter().flatten() {
        if let Some(keys) = about.get("property_string") {
            properties(&mut differences, name, keys, Schema::get().properties(name).unwrap_or_default());
        }
    }
    differences.0
}

#[test]
fn the_tables_are_as_described() {
    let Some(description) = description() else {
        println!("NOT COMPARED: no pve-schema.json beside the repository");
        return;
    };
    let differences = all(&description);
    let meant = |text: &String| MEANT.iter().any(|(begins, _)| text.starts_with(begins));
    let others: Vec<&String> = differences.iter().filter(|text| !meant(text)).collect();
    assert!(others.is_empty(), "{} differences:\n{others:#?}", others.len());
    for (begins, reason) in MEANT {
        assert!(differences.iter().any(|text| text.starts_with(begins)), "no longer: {begins} ({reason})");
    }
}

/// Each of these would be found.
#[test]
fn a_wrong_table_is_noticed() {
    let wrong = json!({"endpoints": [{
        "method": "PUT", "path": "/nodes/{node}/qemu/{vmid}/resize", "path_params": ["node", "vmid"],
        "proxied_to_node": true, "protected": false, "allow_token": true,
        "params": {
            "node": {"type": "string"}, "vmid": {"type": "integer"},
            "disk": {"type": "string", "enum": ["scsi0"], "optional": false},
            "size": {"type": "integer", "optional": true},
            "speed": {"type": "integer", "optional": true},
        },
        "older_versions": {"8.4.5": {"params_absent": ["size"]}},
    }]});
    let found = all(&wrong);
    let resize: Vec<&String> = found.iter().filter(|text| text.contains("/resize")).collect();
    let has = |part: &str| assert!(resize.iter().any(|text| text.contains(part)), "{part}: {resize:#?}");
    for part in ["protected", "disk: enum", "size: type", "size: required", "size: pattern", "size: since"] {
        has(part);
    }
    has("speed: not ours");
    has("digest: not described");
    assert!(found.contains("GET /version: not described"));
}
