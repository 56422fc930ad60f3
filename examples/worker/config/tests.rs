//! The example file, and ways to spoil it.

use super::{File, Job, load};
use deploy_core::{NoticeKind, RetryPolicy};
use deploy_worker::Limits;
use examples::{database::Database, input, orders};
use std::{fs, num::NonZero};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../worker.toml");

/// A folder with all that the example names, but for the CA.
fn folder(worker: &str, machines: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in [
        ("worker.toml", worker),
        ("machines.toml", machines),
        ("token", "deploy@pve!panel=3f0c"),
        ("password", "s3cret\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The machines of the demonstration, without its cluster.
fn machines() -> String {
    orders::DEMO.split_once("# --- Packages").map(|(_, packages)| format!("# {packages}")).unwrap()
}

/// The example with each of these replaced.
fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = EXAMPLE.replace("ca = \"pve-root-ca.pem\"\n", "");
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    text
}

fn job(changes: &[(&str, &str)]) -> anyhow::Result<Job> {
    load(&folder(&changed(changes), &machines()).path().join("worker.toml"))
}

/// The example with a server, and this line about its listener.
fn job_with_listener(line: &str) -> anyhow::Result<Job> {
    job(&[
        ("database = \"deploy.db\"", ""),
        ("# database = \"postgres", "database = \"postgres"),
        ("# [postgres]", "[postgres]"),
        ("# listen =", line),
    ])
}

#[track_caller]
fn refused(changes: &[(&str, &str)], expected: &[&str]) {
    let error = format!("{:#}", job(changes).err().expect("it is taken"));
    for part in expected {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
    assert!(!error.contains("s3cret"), "{error}");
}

#[test]
fn the_example_says_the_defaults() {
    let file: File = input::read("worker.toml", EXAMPLE).unwrap();
    assert_eq!(file.delays.policy(), RetryPolicy::default());
    assert_eq!(super::Delays::default().policy(), RetryPolicy::default());
    assert_eq!(file.jobs.plan(), deploy_worker::JobPlan::default());
    let seconds = [file.lease_seconds, file.poll_seconds, file.audit_seconds];
    assert_eq!(seconds.map(|said| said.unwrap().duration().as_secs()), [30, 1, 300]);
    let (said, limits) = (file.concurrency, Limits::default());
    assert_eq!([said.turns, said.machines], [NonZero::new(64), NonZero::new(10_000)]);
    let said = [said.cluster, said.node, said.clone_storage, said.template, said.migration, said.backup];
    let Limits { cluster, node, clone_storage, template, migration, backup } = limits;
    assert_eq!(said, [cluster, node, clone_storage, template, migration, backup].map(NonZero::new));
}

#[test]
fn what_is_not_known_or_cannot_be_is_told_with_what_would_be_right() {
    refused(&[("turns = 64", "turn = 64")], &["worker.toml:", "unknown key `turn`. Did you mean turns?"]);
    refused(&[("turns = 64", "turns = 0")], &["turns", "\"0\" is not valid: a whole number of 1 or more"]);
    refused(&[("node = 8", "node = -8")], &["node: \"-8\" is not valid: a whole number of 1 or more"]);
    refused(
        &[("lease_seconds = 30", "lease_seconds = -1")],
        &["lease_seconds: \"-1\" is not valid: a number of seconds from 0"],
    );
    refused(
        &[("poll_seconds = 1", "poll_seconds = \"1s\"")],
        &["write a plain number", "poll_seconds counts seconds"],
    );
    refused(&[("database = \"deploy.db\"\n", "")], &["missing field `database`"]);
    refused(
        &[("orders = \"machines.toml\"", "orders = \"none.toml\"")],
        &["orders: ", "none.toml cannot be read"],
    );
}

#[test]
fn the_database_is_a_file_or_a_server() {
    let file = "database = \"deploy.db\"";
    let (url, table) = ("# database = \"postgres", "# [postgres]");
    let server = [(file, ""), (url, "database = \"postgres")];
    let with = |more: [(&'static str, &'static str); 2]| [server.as_slice(), &more].concat();
    assert!(matches!(job(&[]).unwrap().database, Database::Sqlite(path) if path.ends_with("deploy.db")));
    let plain = [(file, "database = \"postgres://deploy:s3cret@db1/panel\"")];
    assert_eq!(
        job(&plain).unwrap().database.to_string(),
        "PostgreSQL: database panel at db1:5432, schema pve_deploy"
    );
    let job = job(&with([(table, "[postgres]\nschema = \"deploy\""), ("# password_file", "password_file")]))
        .unwrap();
    assert_eq!(job.database.to_string(), "PostgreSQL: database panel at db1.example.net:5432, schema deploy");

    refused(&[(table, "[postgres]")], &["postgres: the database is a file (deploy.db), with SQLite; write"]);
    refused(
        &with([(table, "[postgres]"), ("# schema = \"pve_deploy\"", "schema = \"Deploy\"")]),
        &["postgres: schema: \"Deploy\" is not valid: 1 to 63 lower-case letters"],
    );
    refused(
        &with([(table, "[postgres]"), ("# sharing = \"equal\"", "sharing = \"fair\"")]),
        &["sharing: \"fair\" is not valid: write \"equal\" or \"greedy\""],
    );
    refused(
        &with([(table, "[postgres]"), ("# password_file = \"password\"", "password_file = \"none\"")]),
        &["postgres: password_file: ", "none cannot be read"],
    );
    let listen = |url: &str| format!("listen = {url:?} #");
    job_with_listener(&listen("postgres://db1/panel")).unwrap();
    let error = job_with_listener(&listen("mysql://joe:s3cret@db1/panel")).err().unwrap().to_string();
    assert!(error.contains("postgres: listen: \"mysql://joe@db1/panel\" is not valid: "), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    for (url, expected) in [
        ("mysql://joe:s3cret@db1/panel", "begins with \"postgres://\""),
        ("postgres://joe:s3cret@db1/panel?sslmode=verify-ca", "sslmode: \"verify-ca\" is not valid: "),
        ("postgres://joe:s3cret@db1:x/panel", "postgres://user@host/database"),
    ] {
        refused(&[(file, &format!("database = \"{url}\""))], &["worker.toml:", expected]);
    }
}

#[test]
fn clusters_must_make_sense() {
    let second = "[[cluster]]\nname = \"other\"\naccess = { urls = [\"https://pve9:8006\"], token_file = \"token\" }\n";
    let with = |more: &str| format!("{second}{more}\n# --- How it works");
    let place = "# --- How it works";
    refused(
        &[(place, &with("pools = []\nvmids = { first = 300, last = 200 }"))],
        &[
            "cluster[1] (other): quarantine_minutes: is missing; say all of vmids, quarantine_minutes and pools, or nothing",
        ],
    );
    refused(
        &[(place, &with("quarantine_minutes = 60\nvmids = { first = 300, last = 200 }"))],
        &[
            "cluster[1] (other): vmids: \"300-200\" is not valid: the first number not above the last",
            " | vmids = { first = 300, last = 200 }",
        ],
    );
    let pool = |name: &str, bridge: &str, range: &str| {
        with(&format!(
            "quarantine_minutes = 60\nvmids = {{ first = 200, last = 300 }}\n[[cluster.pools]]\nname = \"{name}\"\n\
             bridge = \"{bridge}\"\nranges = [\"{range}\"]"
        ))
    };
    // A pool's name is its own in the whole database; addresses may be in two clusters that know nothing of one another.
    refused(
        &[(place, &pool("public-v4", "vmbr0", "198.51.100.0/24"))],
        &["cluster[1] (other): pools[0] (public-v4): name: another pool of this file has it"],
    );
    let second = pool("more-v4", "vmbr0", "203.0.113.0/24");
    refused(
        &[(place, &second)],
        &[
            "machines[0] (web-1): cluster: is missing; the machine or its package must say which: one of demo, other",
        ],
    );
    let job = job(&[(place, &second), ("orders = \"machines.toml\"", "")]).unwrap();
    assert_eq!((job.clients.len(), job.clusters.len()), (2, 2));
    refused(&[(place, &with("").replace("other", "demo"))], &["cluster[1] (demo): name: another cluster"]);
    refused(
        &[(place, &with("").replace("token\" }", "none\" }"))],
        &["cluster[1] (other): access: token_file: ", "none cannot be read"],
    );
    refused(&[("# fingerprints = []", "fingerprints = [\"AB:CD\"]")], &["access: fingerprints: \"AB:CD\": "]);
    refused(&[("# fingerprints = []", "ca = \"none.pem\"")], &["cluster[0] (demo): access: ca: "]);
}

#[test]
fn a_cluster_may_be_written_down_by_somebody_else() {
    let (start, end) =
        (EXAMPLE.find("# The numbers (VMIDs)").unwrap(), EXAMPLE.find("[cluster.access]").unwrap());
    let numbers = &EXAMPLE[start..end];
    let (start, end) =
        (EXAMPLE.find("# The pools of its").unwrap(), EXAMPLE.find("# Another cluster").unwrap());
    let pools = &EXAMPLE[start..end];
    refused(&[(numbers, "")], &["cluster[0] (demo): vmids: is missing; say all of"]);
    let job = job(&[(numbers, ""), (pools, ""), ("orders = \"machines.toml\"", "")]).unwrap();
    assert_eq!((job.clients.len(), job.clusters.len(), job.orders.len()), (1, 0, 0));
}

/// The example with mail and a webhook switched on, and then changed further.
fn told(changes: &[(&str, &str)]) -> anyhow::Result<Job> {
    let (start, end) = (EXAMPLE.find("# [smtp]").unwrap(), EXAMPLE.find("# --- Names").unwrap());
    let on: String = EXAMPLE[start..end]
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|line| line.contains(" = ") || line.starts_with('[')).unwrap_or("")
        })
        // Their files are not there.
        .filter(|line| !line.starts_with("ca =") && !line.starts_with("templates ="))
        .collect::<Vec<_>>()
        .join("\n");
    let mut text = changed(&[(&EXAMPLE[start..end], &format!("{on}\n"))]);
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    let folder = folder(&text, &machines());
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("smtp-password", "s3cret\n");
    write("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    write("short", "whsec_s3cret\n");
    write("ready.txt", "Subject: x\n\nHello {{ custommer }}\n");
    load(&folder.path().join("worker.toml"))
}

#[test]
fn the_example_of_notices_says_the_defaults() {
    let said = told(&[]).unwrap();
    let (letters, (_, kinds)) = (said.post.letters.unwrap(), said.post.webhook.unwrap());
    assert_eq!(kinds, NoticeKind::ALL);
    let (contact, operator) = (letters.contact_kinds.clone(), letters.operator_kinds.clone());
    let left_out = told(&[("contact_kinds =", "# "), ("operator_kinds =", "# "), ("kinds =", "# ")]).unwrap();
    let (letters, (_, kinds)) = (left_out.post.letters.unwrap(), left_out.post.webhook.unwrap());
    assert_eq!(kinds, NoticeKind::ALL);
    assert_eq!((letters.contact_kinds, letters.operator_kinds), (contact, operator));
    assert_eq!(letters.operator.unwrap().to_string(), "ops@example.net");
    let nobody = job(&[]).unwrap();
    assert!(nobody.post.letters.is_none() && nobody.post.webhook.is_none());
}

#[test]
fn notices_that_could_not_be_told_are_refused_before_anything_is_done() {
    let refused = |changes: &[(&str, &str)], expected: &[&str]| {
        let error = format!("{:#}", told(changes).err().expect("it is taken"));
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in:\n{error}");
        }
        for secret in ["s3cret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hooks/machines"] {
            assert!(!error.contains(secret), "{error}");
        }
    };
    refused(
        &[("security = \"tls\"", "security = \"plain\"")],
        &["smtp: security: a connection to mail.example.net"],
    );
    refused(
        &[("security = \"tls\"", "security = \"ssl\"")],
        &["security: \"ssl\" is not valid: write \"tls\""],
    );
    refused(&[("host = \"mail.example.net\"", "host = \"mail example\"")], &["smtp: host: "]);
    refused(&[("user = \"panel\"", "")], &["smtp: user: is missing"]);
    refused(&[("\"smtp-password\"", "\"none\"")], &["smtp: password_file: ", "none cannot be read"]);
    refused(&[("Hosting <noreply@", "Hosting <noreply")], &["smtp: sender: ", "is not a mail address"]);
    refused(&[("\"ops@example.net\"", "\"ops\"")], &["smtp: operator: \"ops\" is not a mail address"]);
    refused(
        &[("port = 465", "templates = \".\"")],
        &["smtp: templates: template ready.txt, line 3: there is no variable custommer"],
    );
    refused(&[("port = 465", "ca = \"none.pem\"")], &["smtp: ca: ", "none.pem cannot be read"]);
    refused(&[("port = 465", "ca = \"token\"")], &["smtp: trust: the PEM text holds no certificate"]);
    refused(
        &[("[\"ready\", \"susp", "[\"redy\", \"susp")],
        &["contact_kinds: \"redy\" is not valid: write \"ready\""],
    );
    refused(&[("https://panel", "http://panel")], &["webhook: url: a receiver on another machine"]);
    refused(&[("\"webhook-secret\"", "\"short\"")], &["webhook: secret_file: a webhook's secret is"]);
}

/// The example with DNS switched on, and then changed further.
fn named(changes: &[(&str, &str)]) -> anyhow::Result<Job> {
    let (start, end) = (EXAMPLE.find("# [dns]").unwrap(), EXAMPLE.find("# --- Jobs").unwrap());
    let on: Vec<&str> =
        EXAMPLE[start..end].lines().map(|line| line.strip_prefix("# ").unwrap_or_default()).collect();
    let mut text = changed(&[(&EXAMPLE[start..end], &format!("{}\n", on.join("\n")))]);
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    let folder = folder(&text, &machines());
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("powerdns-key", "s3cret\n");
    write("cloudflare-token", "s3cret\n");
    write("tsig-secret", "czNjcmV0\n");
    load(&folder.path().join("worker.toml"))
}

#[test]
fn the_example_of_names_says_the_defaults() {
    let said = named(&[]).unwrap().names.unwrap();
    assert_eq!(said.zones.all().len(), 5);
    let left_out = named(&[
        ("matching =", "# "),
        ("poll_seconds = 2", "# "),
        ("ttl_seconds =", "# "),
        ("at_once =", "# "),
    ]);
    let left_out = left_out.unwrap().names.unwrap();
    assert_eq!(left_out.zones, said.zones);
    assert_eq!((said.poll, left_out.poll), (Some(std::time::Duration::from_secs(2)), None));
    let without_algorithm = named(&[("algorithm = \"hmac-sha256\", ", "")]);
    assert!(without_algorithm.is_ok());
    let all = named(&[("matching = \"longest\"", "matching = \"all\"")]).unwrap().names.unwrap();
    assert_ne!(all.zones, said.zones);
    assert!(job(&[]).unwrap().names.is_none());
}

#[test]
fn names_that_could_not_be_kept_are_refused_before_anything_is_done() {
    let refused = |changes: &[(&str, &str)], expected: &[&str]| {
        let error = format!("{:#}", named(changes).err().expect("it is taken"));
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in:\n{error}");
        }
        for secret in ["s3cret", "czNjcmV0"] {
            assert!(!error.contains(secret), "{error}");
        }
    };
    refused(&[("http://ns1", "ns1")], &["dns.provider[0]: powerdns: url: "]);
    refused(&[("\"powerdns-key\"", "\"none\"")], &["dns.provider[0]: powerdns: ", "none cannot be read"]);
    refused(
        &[("\"cloudflare-token\"", "\"none\"")],
        &["dns.provider[1]: cloudflare: ", "none cannot be read"],
    );
    refused(
        &[("hmac-sha256", "hmac-md5")],
        &["dns.provider[2]: rfc2136: algorithm: \"hmac-md5\" is not valid"],
    );
    refused(&[("\"tsig-secret\"", "\"token\"")], &["dns.provider[2]: rfc2136: secret: \"(hidden)\""]);
    refused(
        &[("name = \"bind\"", "name = \"ns1\"")],
        &["dns.provider[2]: name: another provider of this file"],
    );
    let powerdns = "powerdns = { url = \"http://ns1.example.net:8081\", key_file = \"powerdns-key\" }";
    refused(&[(powerdns, "")], &["dns.provider[0]: needs exactly one of powerdns, cloudflare and rfc2136"]);
    refused(&[("\"example.org\"", "\"example..org\"")], &["\"example..org\""]);
    refused(&[("matching = \"longest\"", "matching = \"some\"")], &["matching: \"some\" is not valid"]);
}
