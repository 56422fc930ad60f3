//! Holds the simulator to the recorded answers of real servers.
//!
//! The rows of a recording are sent to a simulated cluster in their order and in virtual time. Every
//! row whose endpoint is known to the schema counts. The recordings are not part of the repository:
//! without them only cases of our own are compared. `PVE_TRANSCRIPTS` names another folder, and
//! `REPLAY_OUT` a file for every answer of the simulator.

#![allow(clippy::print_stdout, reason = "the report is what the test is run for")]

mod accounts;
mod body;
mod clock;
mod compare;
mod hands;
mod luck;
mod meaning;
mod meant;
mod names;
mod offered;
mod player;
mod raw;
mod report;
mod rows;
mod verdict;
mod watch;

use std::io::Write as _;
use std::path::Path;

use proxmox_sim::Version;

/// Below this the simulator is no stand-in.
const LEAST: f64 = 90.0;

/// Cases of our own, in the form of the recordings, which every version must meet to the letter.
#[test]
fn own_cases() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/own.jsonl");
    for version in [Version::V8_4, Version::V9_2] {
        let rows = rows::read(&file);
        let mut played = player::Player::new(version, true).play(&rows);
        let report = verdict::judge(version, &rows, &mut played);
        assert!(report.share() > 99.9, "{version:?}: {report}");
    }
}

#[test]
fn replay() {
    let folder = rows::folder();
    let mut out = std::env::var_os("REPLAY_OUT").map(|file| std::fs::File::create(file).expect("a file"));
    let mut failed = Vec::new();
    for (version, name) in [(Version::V8_4, "8.4"), (Version::V9_2, "9.2")] {
        for kind in ["pve", "golden"] {
            let file = folder.join(format!("{kind}-{name}.jsonl"));
            if !file.is_file() {
                println!("{kind}-{name}: no recording at {}", file.display());
                continue;
            }
            let share = one(version, name, &file, kind == "golden", out.as_mut());
            if share < LEAST {
                failed.push(format!("{kind}-{name}: {share:.1} %"));
            }
        }
    }
    assert!(failed.is_empty(), "agreement below {LEAST} %: {failed:?}");
}

/// Plays one recording and returns the share that agrees.
fn one(version: Version, name: &str, file: &Path, lives: bool, out: Option<&mut std::fs::File>) -> f64 {
    let rows = rows::read(file);
    let mut played = player::Player::new(version, lives).play(&rows);
    let report = verdict::judge(version, &rows, &mut played);
    if let Some(out) = out {
        for (n, reply) in &played.replies {
            let row = &rows[*n];
            let line = serde_json::json!({
                "version": name, "seq": row.seq, "case": row.case, "status": reply.status,
                "reason": reply.reason, "response": reply.body,
            });
            writeln!(out, "{line}").expect("a file that can be written");
        }
    }
    println!("{}: {report}", file.file_stem().unwrap_or_default().display());
    report.share()
}
