//! Wrong input: told in words, with exit status 2, and nothing is made.

use crate::program::{Desk, quickstart, run};

#[track_caller]
fn refused(args: &[&str], expected: &[&str]) {
    let ended = run(quickstart(args));
    assert_eq!(ended.status, Some(2), "{args:?}: {}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout, "", "{args:?}");
    for part in expected {
        assert!(ended.stderr.contains(part), "{part:?} is not in:\n{}", ended.stderr);
    }
}

#[test]
fn options_that_make_no_sense() {
    refused(&["--faults", "1.5"], &["a share from 0 to 0.9"]);
    refused(&["--faults", "-0.1"], &["'-0.1'", "a share from 0 to 0.9"]);
    refused(&["--url", "https://pve1:8006"], &["--token-file"]);
    refused(&["--frobnicate"], &["unexpected argument"]);
    refused(&["--orders", "/nowhere/orders.toml"], &["--orders: /nowhere/orders.toml cannot be read"]);
    refused(&["--db", "/nowhere/demo.db"], &["--db: ", "/nowhere"]);
}

#[test]
fn access_that_cannot_be() {
    let desk = Desk::new();
    let path = |name: &str, text: &str| desk.file(name, text).to_str().unwrap().to_owned();
    let (good, bad) = (path("good", "deploy@pve!panel=3f0c\n"), path("bad", "swordfish"));
    let (orders, database) = (path("orders.toml", include_str!("../../orders.toml")), desk.database());
    let own = ["--orders", &orders, "--db", database.to_str().unwrap()];
    let url = [&own[..], &["--url", "https://pve1:8006", "--token-file"]].concat();
    let with = |more: &[&str], expected: &[&str]| refused(&[&url, more].concat(), expected);
    with(&["/nowhere/token"], &["--token-file: /nowhere/token cannot be read"]);
    with(&[&bad], &["--token-file: ", "USER@REALM!TOKENID=SECRET"]);
    with(
        &[&good, "--fingerprint", "AB:CD"],
        &["--fingerprint: \"AB:CD\": a SHA-256 fingerprint has 32 pairs"],
    );
    with(&[&good, "--ca", "/nowhere/ca.pem"], &["--ca: /nowhere/ca.pem cannot be read"]);
    with(&[&good, "--ca", &bad], &["no usable CA certificate"]);
    let at = |url: &str, expected: &str| {
        refused(&[&own[..], &["--url", url, "--token-file", &good]].concat(), &[expected]);
    };
    at("http://pve1:8006", "not encrypted");
    at("pve1:8006", "is not the address of a server");

    let secret = run(quickstart([&url[..], &[&bad]].concat()));
    assert!(!secret.stderr.contains("swordfish"), "{}", secret.stderr);
    assert!(!database.exists());
}

#[test]
fn a_real_cluster_needs_orders_and_a_database_of_ones_own() {
    let desk = Desk::new();
    let path = |name: &str, text: &str| desk.file(name, text).to_str().unwrap().to_owned();
    let (token, orders) =
        (path("token", "deploy@pve!panel=3f0c"), path("orders.toml", include_str!("../../orders.toml")));
    let url = ["--url", "https://pve1:8006", "--token-file", &token];
    let database = desk.database();
    let own = ["--db", database.to_str().unwrap()];
    refused(
        &[&url[..], &own].concat(),
        &["--url needs --orders FILE", "a demonstration with made-up addresses"],
    );
    refused(&[&url[..], &["--orders", &orders]].concat(), &["--url needs --db FILE", "knows which machines"]);
    assert!(!database.exists());
}

#[test]
fn an_order_file_with_a_mistake_creates_nothing() {
    let desk = Desk::new();
    let demo = include_str!("../../orders.toml");
    let orders = desk.file("orders.toml", &demo.replace("vlan = 120\nrate", "vlan = 5000\nrate"));
    let database = desk.database();
    refused(
        &["--orders", orders.to_str().unwrap(), "--db", database.to_str().unwrap()],
        &["orders.toml:", "vlan: \"5000\" is not valid: a VLAN tag from 1 to 4094", "vlan = 5000\n"],
    );
    assert!(!database.exists() && desk.simulator().is_none());

    // The last machine's: those before it are not ordered either.
    let late = "nics = [{ bridge = \"vmbr0\", dhcp = true }]";
    let orders =
        desk.file("orders.toml", &demo.replace(late, &format!("{late}\ncloud_init = {{ password = \"\" }}")));
    refused(
        &["--orders", orders.to_str().unwrap(), "--db", database.to_str().unwrap()],
        &[
            "orders.toml:",
            "machines[3] (lab-1): cloud_init.password: \"(hidden)\" is not valid: 1 to 256 bytes",
        ],
    );
    assert!(!database.exists() && desk.simulator().is_none());
}
