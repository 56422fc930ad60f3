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
mod noted;
mod offered;
mod player;
mod raw;
mod report;
mod rows;
mod unrecorded;
mod verdict;
mod watch;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proxmox_sim::Version;

use hands::Why;

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
        println!("own cases, {version:?}: {:.1} % of {} agree", report.share(), rows.len());
        assert!(report.share() > 99.9, "{version:?}: {report}");
    }
}

#[test]
fn replay() {
    let folder = rows::folder();
    let mut out = std::env::var_os("REPLAY_OUT").map(|file| std::fs::File::create(file).expect("a file"));
    let mut failed = Vec::new();
    let files = [(Version::V8_4, "8.4"), (Version::V9_2, "9.2")]
        .into_iter()
        .flat_map(|(version, name)| ["pve", "golden"].map(|kind| (version, name, kind)));
    let (here, missing): (Vec<_>, Vec<_>) = files
        .map(|file| (file, folder.join(format!("{}-{}.jsonl", file.2, file.1))))
        .partition(|(_, path)| path.is_file());
    for (_, path) in missing {
        println!("NOT COMPARED: no recording at {}; own cases only", path.display());
    }
    // They know nothing of one another.
    let one = |((version, name, kind), path): (_, PathBuf)| Replay::of(version, name, kind, &path);
    let replays: Vec<Replay> = std::thread::scope(|scope| {
        let threads: Vec<_> = here.into_iter().map(|file| scope.spawn(move || one(file))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a replay that does not panic")).collect()
    });
    for replay in replays {
        println!("{replay}");
        if let Some(out) = out.as_mut() {
            replay.write(out);
        }
        if replay.report.share() < LEAST {
            failed.push(format!("{}: {:.1} %", replay.title, replay.report.share()));
        }
    }
    assert!(failed.is_empty(), "agreement below {LEAST} %: {failed:?}");
}

/// One recording, played.
struct Replay {
    title: String,
    name: &'static str,
    rows: Vec<rows::Row>,
    played: player::Played,
    report: report::Report,
    /// The same without what was inferred from later answers.
    bare: f64,
}

impl Replay {
    fn of(version: Version, name: &'static str, kind: &str, path: &Path) -> Self {
        let rows = rows::read(path);
        let lives = kind == "golden";
        let mut played = player::Player::new(version, lives).play(&rows);
        let report = verdict::judge(version, &rows, &mut played);
        let mut bare = player::Player::bare(version, lives).play(&rows);
        let bare = verdict::judge(version, &rows, &mut bare).share();
        Self { title: format!("{kind}-{name}"), name, rows, played, report, bare }
    }

    /// Writes every answer of the simulator, one JSON object a line.
    fn write(&self, out: &mut std::fs::File) {
        for (n, reply) in &self.played.replies {
            let row = &self.rows[*n];
            let line = serde_json::json!({
                "version": self.name, "seq": row.seq, "case": row.case, "status": reply.status,
                "reason": reply.reason, "response": reply.body,
            });
            writeln!(out, "{line}").expect("a file that can be written");
        }
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |why| self.played.given.get(&why).copied().unwrap_or_default();
        let held = self.rows.iter().filter(|row| row.held).count();
        write!(f, "{}: {}", self.title, self.report)?;
        writeln!(f, "  {held} rows with held answers were sent as well")?;
        writeln!(
            f,
            "  beside the rows: {} times what the notes name, {} calls that were not kept, {} pauses and locks \
             of chance, {} orders of writing",
            given(Why::Noted),
            given(Why::Unrecorded),
            given(Why::Chance),
            self.played.told
        )?;
        writeln!(f, "  with what the notes name alone: {:.1} %", self.bare)
    }
}
