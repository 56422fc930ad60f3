//! The demonstration of three workers, as the README has it.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use std::process::{Command, Stdio};

#[test]
fn one_of_three_is_killed_and_the_others_finish_its_machines() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_three_workers"));
    let ended = program.args(["--machines", "18"]).stdin(Stdio::null()).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}\n{errors}");
    for expected in [
        "worker-2 is killed (kill -9)",
        "nothing is worker-2's any more",
        "all 18 machines are ready",
        "18 machines: one clone each, 18 addresses, no two alike, every step once in each log, one notice each",
        "that it had in hand were finished by the others",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
    assert_eq!(errors, "");
}
