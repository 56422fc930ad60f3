//! Killed, interrupted, run again.

use crate::program::{Desk, assert_gone, assert_ready_once, interrupt, interrupted, quickstart, run, signal};
use std::{ffi::OsString, process::Child, process::Command};

fn with_database(desk: &Desk, args: &[&str]) -> Command {
    let database = [OsString::from("--db"), desk.database().into_os_string()];
    quickstart(args.iter().map(OsString::from).chain(database))
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
}

#[test]
fn killed_again_and_again_it_makes_nothing_twice() {
    let desk = Desk::new();
    // At once: perhaps between starting the simulator and knowing it. Then a little further each time.
    for lines in [0, 0, 1, 4, 9, 14] {
        interrupted(with_database(&desk, &[]), lines, kill);
    }
    let document = run(with_database(&desk, &["--json"])).document();
    assert_ready_once(&document);

    // Again, when all is done: nothing is asked for any more.
    let again = run(with_database(&desk, &["--json"])).document();
    assert_ready_once(&again);
    for (request, count) in again["requests"].as_object().unwrap() {
        assert!(request.starts_with("GET") || document["requests"][request] == *count, "{request}");
    }
    assert_gone(&run(with_database(&desk, &["--json", "--terminate"])).document());
}

#[test]
fn killed_while_requests_are_lost_it_makes_nothing_twice() {
    let desk = Desk::new();
    for lines in [3, 8, 13] {
        interrupted(with_database(&desk, &["--faults", "0.3"]), lines, kill);
    }
    assert_ready_once(&run(with_database(&desk, &["--faults", "0.3", "--json"])).document());
}

#[test]
fn killed_while_taking_away_it_takes_the_rest_away() {
    // Two lines of introduction, then five for each machine: killed in the middle, and when all are gone but the run is not
    // at its end.
    for lines in [3, 22] {
        let desk = Desk::new();
        assert_ready_once(&run(with_database(&desk, &["--json"])).document());
        interrupted(with_database(&desk, &["--terminate"]), lines, kill);
        assert_gone(&run(with_database(&desk, &["--terminate", "--json"])).document());
        assert_eq!(desk.simulator(), None);
    }
}

#[test]
fn what_was_taken_away_is_not_ordered_anew_to_be_taken_away() {
    let desk = Desk::new();
    assert_gone(&run(with_database(&desk, &["--terminate", "--json"])).document());
    let ended = run(with_database(&desk, &["--terminate"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("All of them are gone already"), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("Nothing is left: ") && ended.stdout.contains(" 0 clones made"),
        "{}",
        ended.stdout
    );
    assert_eq!(desk.simulator(), None);
    // Without --terminate it is a new order.
    assert_ready_once(&run(with_database(&desk, &["--json"])).document());
}

#[test]
fn an_order_file_that_was_changed_is_refused_before_anything_is_done() {
    let desk = Desk::new();
    assert_ready_once(&run(with_database(&desk, &["--json"])).document());
    let demo = include_str!("../../orders.toml");
    let changed =
        demo.replace("memory_mib = 1024", "memory_mib = 3072").replace("size_gib = 50", "size_gib = 60");
    let changed = desk.file("changed.toml", &changed);
    let changed = ["--orders", changed.to_str().unwrap()];
    let ended = run(with_database(&desk, &changed));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    for part in [
        "web-1: memory_mib (ordered 1024, in the file 3072)\n",
        "store-1: additional_disks differs\n",
        "lab-1: memory_mib",
        "another reference",
        "--terminate",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} is not in:\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("mail-1"), "its own memory was not changed:\n{}", ended.stderr);
    // To take them away needs no other file.
    assert_gone(&run(with_database(&desk, &[&changed[..], &["--terminate", "--json"]].concat())).document());
}

#[test]
fn interrupted_it_says_how_to_go_on() {
    let desk = Desk::new();
    assert_eq!(interrupted(with_database(&desk, &[]), 6, interrupt), Some(130));
    assert_ready_once(&run(with_database(&desk, &["--json"])).document());
}

#[test]
fn a_cluster_that_is_gone_is_not_replaced_silently() {
    let desk = Desk::new();
    assert_ready_once(&run(with_database(&desk, &["--json"])).document());
    let pid = desk.simulator().unwrap()["pid"].as_u64().unwrap();
    signal("-KILL", u32::try_from(pid).unwrap());
    let ended = run(with_database(&desk, &[]));
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains(&format!("(process {pid}) is gone, and with it the 4 machines")),
        "{}",
        ended.stderr
    );
}
