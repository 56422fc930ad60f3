//! The description of PVE's API, where it is there, and what a request may not be by it: every name, type, range,
//! choice, length, pattern and format, in property strings as well, and everything that is needed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use regex_lite::Regex;
use serde_json::{Map, Value, json};

static DESCRIPTION: LazyLock<Option<Value>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(shared("pve-schema.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
});

/// Calls that the description leaves out and the API viewer has.
static BESIDE: LazyLock<[Value; 1]> = LazyLock::new(|| {
    let text = |format: &str| json!({ "type": "string", "format": format, "optional": false });
    [json!({ "method": "GET", "path": "/nodes/{node}/vzdump/extractconfig",
        "params": { "node": text("pve-node"), "volume": { "type": "string", "optional": false } } })]
});

/// What lies beside the repository: the description, and the recordings in a folder that `PVE_TRANSCRIPTS` can name.
pub(crate) fn shared(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    let named = std::env::var_os("PVE_TRANSCRIPTS").map(|folder| PathBuf::from(folder).join("..").join(name));
    named.filter(|path| path.exists()).unwrap_or(beside)
}

/// Where the recordings are.
pub(crate) fn recordings() -> PathBuf {
    std::env::var_os("PVE_TRANSCRIPTS").map_or_else(|| shared("pve-transcripts"), PathBuf::from)
}

/// Whether there is anything to compare with.
pub(crate) fn is_there() -> bool {
    DESCRIPTION.is_some()
}

/// What is wrong with a request, as it came off the wire.
pub(crate) fn violations(request: &str) -> Vec<String> {
    let Some(description) = DESCRIPTION.as_ref() else { return Vec::new() };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = path.strip_prefix("/api2/json") else { return vec![format!("{path} is no call")] };
    let path = decoded(path);
    let endpoints = description["endpoints"].as_array().unwrap();
    let described = endpoints.iter().chain(&*BESIDE).find_map(|endpoint| {
        let variables = variables(endpoint["path"].as_str()?, &path)?;
        (endpoint["method"] == method).then_some((endpoint, variables))
    });
    let Some((endpoint, mut sent)) = described else { return vec![format!("no {method} {path}")] };
    let mut found = Vec::new();
    for pair in
        [query, body].into_iter().flat_map(|form| form.split(['&', ';'])).filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(&value.replace('+', " ")).into_owned();
        if sent.insert(decoded(name).into_owned(), value).is_some() {
            found.push(format!("{name} twice"));
        }
    }
    object(&mut found, "", endpoint["params"].as_object().unwrap(), &sent);
    found.iter().map(|text| format!("{method} {path}: {text}")).collect()
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8().unwrap()
}

/// The variables of a path. A volume or an address may contain slashes; it is always the end.
fn variables(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    let mut rest = path.trim_start_matches('/');
    let mut parts = template.trim_start_matches('/').split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let greedy = last && matches!(part, "{volume}" | "{cidr}" | "{poolid}");
        let (segment, tail) = match rest.split_once('/').filter(|_| !greedy) {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (rest, None),
        };
        if segment.is_empty() || last != tail.is_none() {
            return None;
        }
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => drop(variables.insert(name.to_owned(), segment.to_owned())),
            None if part == segment => {}
            None => return None,
        }
        rest = tail.unwrap_or_default();
    }
    Some(variables)
}

fn yes(value: &Value) -> bool {
    *value == true || *value == 1
}

/// `net0` is described as `net[n]`, with the highest number.
fn about<'a>(described: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    described.get(name).or_else(|| {
        let stem = name.trim_end_matches(|char: char| char.is_ascii_digit());
        let about = described.get(&format!("{stem}[n]"))?;
        let number: u64 = name[stem.len()..].parse().ok()?;
        (number <= about["indexed"]["max"].as_u64()?).then_some(about)
    })
}

/// Parameters of a call, or keys of a property string.
fn object(
    found: &mut Vec<String>,
    at: &str,
    described: &Map<String, Value>,
    sent: &BTreeMap<String, String>,
) {
    for (name, text) in sent {
        match about(described, name) {
            None => found.push(format!("{at}{name} is unknown")),
            Some(about) => {
                if let Some(needed) = about["requires"].as_str().filter(|needed| !sent.contains_key(*needed))
                {
                    found.push(format!("{at}{name} needs {needed}"));
                }
                value(found, &format!("{at}{name}"), about, text);
            }
        }
    }
    for (name, about) in described {
        let needed = !yes(&about["optional"]) && about["alias"].is_null() && !name.ends_with("[n]");
        if needed && !sent.contains_key(name) {
            found.push(format!("{at}{name} is missing"));
        }
    }
}

fn value(found: &mut Vec<String>, at: &str, about: &Value, text: &str) {
    let mut wrong = |what: &str| found.push(format!("{at}: {text:?} {what}"));
    let number = text.parse::<f64>().ok();
    match about["type"].as_str().unwrap_or_default() {
        "boolean" if !matches!(text, "0" | "1") => wrong("is no boolean"),
        "integer" if text.parse::<i64>().is_err() => wrong("is no integer"),
        "number" if number.is_none() => wrong("is no number"),
        _ => {}
    }
    let bound = |key: &str| about[key].as_f64().or_else(|| about[key].as_str()?.parse().ok());
    if bound("minimum").zip(number).is_some_and(|(least, number)| number < least) {
        wrong("is too small");
    }
    if bound("maximum").zip(number).is_some_and(|(most, number)| number > most) {
        wrong("is too large");
    }
    let length = text.chars().count() as u64;
    if about["maxLength"].as_u64().is_some_and(|most| length > most)
        || about["minLength"].as_u64().is_some_and(|least| length < least)
    {
        wrong("is too long or too short");
    }
    if about["pattern"].as_str().is_some_and(|pattern| !is_match(pattern, text)) {
        wrong("does not match");
    }
    if about["enum"].as_array().is_some_and(|all| !all.iter().any(|one| one == text)) {
        wrong("is not one of the choices");
    }
    if let Some(name) = about["format"].as_str() {
        format(found, at, name, text);
    }
    if let Some(keys) = about["property_string"].as_object() {
        properties(found, at, keys, text);
    }
}

/// Perl's notation.
fn is_match(pattern: &str, text: &str) -> bool {
    let pattern = pattern.replace("(?^:", "(?:").replace("{,", "{0,");
    let (flags, pattern) = pattern.strip_prefix("(?i)").map_or(("", pattern.as_str()), |rest| ("(?i)", rest));
    Regex::new(&format!("{flags}^(?:{pattern})$")).unwrap().is_match(text)
}

/// `virtio=BC:24:11:00:00:01,bridge=vmbr0`. Booleans are laxer there.
fn properties(found: &mut Vec<String>, at: &str, keys: &Map<String, Value>, text: &str) {
    let mut sent = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        let boolean = keys.get(key).is_some_and(|about| about["type"] == "boolean");
        let value = match value {
            "on" | "yes" | "true" if boolean => "1",
            "off" | "no" | "false" if boolean => "0",
            value => value,
        };
        sent.insert(key.to_owned(), value.to_owned()).is_some()
    };
    let default = keys.iter().find(|(_, about)| yes(&about["default_key"])).map(|(key, _)| key.as_str());
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let twice = match part.split_once('=') {
            None => default.is_none_or(|key| put(key, part)),
            Some((key, value)) => {
                let about = keys.get(key).unwrap_or(&Value::Null);
                about["keyAlias"].as_str().is_some_and(|named| put(named, key))
                    | put(about["alias"].as_str().unwrap_or(key), value)
            }
        };
        if twice {
            found.push(format!("{at}: {part:?} twice, or without a key"));
        }
    }
    object(found, &format!("{at}."), keys, &sent);
}

/// A named format; what has no rule here is not used by the client.
fn format(found: &mut Vec<String>, at: &str, name: &str, text: &str) {
    let formats = &DESCRIPTION.as_ref().unwrap()["formats"];
    let about = &formats[name];
    if let Some(one) = about["list_of"].as_str() {
        for item in text.split([',', ';', ' ', '\n']).filter(|item| !item.is_empty()) {
            format(found, at, one, item);
        }
        return;
    }
    if let Some(keys) = about["property_string"].as_object() {
        return properties(found, at, keys, text);
    }
    let cidr = |text: &str, least: u8| {
        text.split_once('/').is_some_and(|(address, prefix)| {
            let most = if address.contains(':') { 128 } else { 32 };
            address.parse::<IpAddr>().is_ok()
                && prefix.parse::<u8>().is_ok_and(|n| (least..=most).contains(&n))
        })
    };
    let address = |text: &str| text.parse::<IpAddr>().is_ok();
    let volume = |text: &str| {
        text.split_once(':').is_some_and(|(storage, name)| !storage.is_empty() && !name.is_empty())
    };
    let fine = match name {
        _ if about["pattern"].is_string() => is_match(about["pattern"].as_str().unwrap(), text),
        "CIDR" | "CIDRv4" | "CIDRv6" => cidr(text, 8),
        "ipv4" => address(text) && !text.contains(':'),
        "ipv6" => address(text) && text.contains(':'),
        "pve-ipv4-config" => matches!(text, "dhcp" | "manual") || (cidr(text, 8) && !text.contains(':')),
        "pve-ipv6-config" => {
            matches!(text, "auto" | "dhcp" | "manual") || (cidr(text, 8) && text.contains(':'))
        }
        "IPorCIDR" | "IPorCIDRorAlias" => address(text) || cidr(text, 0),
        "pve-fw-addr-spec" => text.split(',').all(|one| one.starts_with('+') || address(one) || cidr(one, 0)),
        "address-list" => text.split([' ', ',']).filter(|one| !one.is_empty()).all(address),
        "pve-volume-id" => volume(text),
        "pve-volume-id-or-qm-path" => {
            matches!(text, "none" | "cdrom") || text.starts_with('/') || volume(text)
        }
        "pve-ha-resource-or-vm-id" => text.strip_prefix("vm:").unwrap_or(text).parse::<u32>().is_ok(),
        _ => true,
    };
    if !fine {
        found.push(format!("{at}: {text:?} is no {name}"));
    }
}

#[test]
fn each_kind_of_mistake_is_noticed() {
    if !is_there() {
        println!("NOT COMPARED: no description at {}", shared("pve-schema.json").display());
        return;
    }
    let about = |method: &str, target: &str, body: &str| {
        violations(&format!("{method} /api2/json{target} HTTP/1.1\r\nHost: x\r\n\r\n{body}")).join("; ")
    };
    let config = |body: &str| about("PUT", "/nodes/pve1/qemu/100/config", body);
    assert_eq!(
        config("cores=2&net0=virtio%3DBC%3A24%3A11%3A00%3A00%3A01%2Cbridge%3Dvmbr0%2Cfirewall%3Don"),
        ""
    );
    assert_eq!(config("ipconfig0=ip%3D10.0.0.2%2F24%2Cgw%3D10.0.0.1&tags=a%3Bb&delete=net1%2Cscsi2"), "");
    for (body, part) in [
        ("core=2", "core is unknown"),
        ("net32=virtio", "net32 is unknown"),
        ("cores=two", "no integer"),
        ("cores=0", "too small"),
        ("cpulimit=129", "too large"),
        ("onboot=true", "no boolean"),
        ("name=a_b", "no dns-name"),
        ("net0=virtio%3DZZ", "no mac-addr"),
        ("net0=virtio%2Ctag%3D5000", "too large"),
        ("net0=bridge%3Dvmbr0", "net0.model is missing"),
        ("net0=virtio%2Cspeed%3D1", "net0.speed is unknown"),
        ("scsi1=local%3A8%2Ccache%3Dfast", "not one of the choices"),
        ("ipconfig0=gw%3D10.0.0.1", "gw needs ip"),
        ("sshkeys=a%20b", "no urlencoded"),
        ("force=1", "force needs delete"),
        ("cores=1&cores=2", "cores twice"),
        ("vmgenid=x", "does not match"),
    ] {
        let found = config(body);
        assert!(found.contains(part), "{body}: {found}");
    }
    assert!(about("POST", "/nodes/pve1/qemu/100/clone", "name=x").contains("newid is missing"));
    assert!(about("GET", "/nodes/pve1/qemu/99/config", "").contains("too small"));
    assert!(about("GET", "/nosuchcall", "").contains("no GET /nosuchcall"));
}
