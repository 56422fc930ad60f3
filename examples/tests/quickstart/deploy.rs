//! Runs in one go.

use crate::program::{Desk, and, assert_gone, assert_ready_once, quickstart, run};

#[test]
fn without_arguments_four_machines_become_ready() {
    let ended = run(quickstart::<&str>([]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for part in [
        "web-1.example.net",
        "2001:db8:1::1000",
        "DHCP",
        "The deploy log of",
        "done: as ordered",
        "4 clones made",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in:\n{}", ended.stdout);
    }
    // Each of the fifteen steps of each of the four machines is a line, in order.
    let lines: Vec<_> = ended.stderr.lines().filter(|line| line.contains("store-1")).collect();
    let mut numbers: Vec<_> =
        lines.iter().filter_map(|line| line.split_whitespace().find_map(|w| w.strip_suffix("/15"))).collect();
    // A step that takes its time has lines about what it waits for as well.
    numbers.dedup();
    assert_eq!(numbers, (1..=15).map(|n| n.to_string()).collect::<Vec<_>>(), "{}", ended.stderr);
    // Neither output is a terminal, so there is no colour.
    assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'));
}

#[test]
fn json_is_one_document_on_the_standard_output() {
    let document = run(quickstart(["--json"])).document();
    assert_ready_once(&document);
    assert_eq!(document["requests"]["POST /nodes/{node}/qemu/{vmid}/clone"], 4);
    assert_eq!(document["requests"]["POST /nodes/{node}/qemu/{vmid}/migrate"], 1);
    assert_eq!(document["faults"], serde_json::json!({}));
    assert_eq!(document["left"], serde_json::Value::Null);
    assert!(document["machines"].as_array().unwrap().iter().all(|machine| machine["attempts"] == 1));
}

#[test]
fn a_third_of_all_requests_may_go_wrong() {
    let ended = run(quickstart(["--faults", "0.3", "--json"]));
    let document = ended.document();
    assert_ready_once(&document);
    assert!(document["faults"].as_object().unwrap().values().any(|count| count.as_u64() > Some(0)));
    assert!(ended.stderr.contains("failed ("), "no failure was shown:\n{}", ended.stderr);
}

#[test]
fn everything_can_be_taken_away_again() {
    let desk = Desk::new();
    let ended = run(and(quickstart(["--terminate", "--json", "--db"]), desk.database()));
    assert_gone(&ended.document());
    assert_eq!(desk.simulator(), None, "the simulated cluster did not end");
    // The addresses that each had are told all the same.
    assert_eq!(ended.document()["machines"][2]["addresses"].as_array().unwrap().len(), 4);

    let ended = run(quickstart(["--terminate"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("Nothing is left: no machine, no volume, no firewall, no held address"));
}

#[test]
fn what_needs_attention_is_told_in_words() {
    let desk = Desk::new();
    let demo = include_str!("../../orders.toml");
    let orders = desk.file("orders.toml", &demo.replace("macro = \"SSH\"", "macro = \"Nonsense\""));
    let ended = run(and(quickstart(["--patience", "0", "--orders"]), orders));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("mail-1 needs attention: "), "{}", ended.stdout);
    assert!(ended.stdout.contains("Nonsense"), "{}", ended.stdout);
    assert!(ended.stderr.contains("12/15 set_firewall"), "{}", ended.stderr);
}

#[test]
fn orders_for_another_cluster_can_be_tried() {
    let desk = Desk::new();
    let demo = include_str!("../../orders.toml");
    let theirs = [
        ("pve", "ams"),
        ("9000", "102"),
        ("\"shared\"", "\"ceph\""),
        ("vmbr1", "vmbr20"),
        ("cores = 2", "cores = 12"),
    ];
    let text = theirs
        .iter()
        .fold(demo.to_owned(), |text, (from, to)| text.replace(from, to))
        .replace("ams_", "pve_");
    let orders = desk.file("orders.toml", &text);
    // In a process of its own.
    let command = and(and(and(quickstart(["--json", "--orders"]), orders), "--db"), desk.database());
    let ended = run(command);
    let document = ended.document();
    assert!(
        document["machines"].as_array().unwrap().iter().all(|machine| machine["attempts"] == 1),
        "{document}"
    );
    assert_eq!(document["machines"][1]["node"], "ams3");
    for part in [
        "It has what the order file names: ",
        "node ams1",
        "template 102 of 2 GiB on ams1",
        "storage ceph",
        "bridge vmbr20",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} is not in:\n{}", ended.stderr);
    }
}
