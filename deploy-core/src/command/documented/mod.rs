//! What the code says about commands, as `docs/commands.md` shows it. `RENEW_DOCS=1 cargo test -p deploy-core --lib documented`
//! renews the file.

mod about;
mod samples;

use super::{Admission, Command, DataDisks, Denied, Kind, Phase, admit};
use crate::{CommandId, Operation, Step};
use about::{about, needs};
use samples::{commands, deployment_steps, record};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");

/// A new command's id.
fn new() -> CommandId {
    CommandId(uuid::Uuid::from_u128(2))
}

/// What becomes of one command in each phase: `None` where it is queued.
type Row = Vec<Cell>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Queued,
    AlreadySo,
    Refused(String),
}

fn row(command: &Command) -> Row {
    let judged = |phase: &Phase| match admit(&record(*phase, command), command, new()) {
        Ok(Admission::Queued(_)) => Cell::Queued,
        Ok(Admission::AlreadyDone) => Cell::AlreadySo,
        Ok(Admission::AlreadyQueued(id)) => {
            panic!("{command} at {phase}: nothing of its kind waits, but {id}")
        }
        Err(Denied::NotNow { instead, .. }) => Cell::Refused(instead.to_owned()),
        Err(Denied::AtRest(_)) => {
            Cell::Refused("the machine rests; there is nothing to try again".to_owned())
        }
        Err(Denied::Invalid(invalid)) => panic!("{command} at {phase}: the sample is wrong: {invalid}"),
        Err(denied) => Cell::Refused(denied.to_string()),
    };
    Phase::ALL.iter().map(judged).collect()
}

/// The command's name, with what it was given where that makes it another operation.
fn called(command: &Command) -> String {
    match command {
        Command::Reinstall(new) if new.additional_disks == DataDisks::Keep => {
            format!("`{}`, keeping disks", command.as_str())
        }
        _ => format!("`{}`", command.as_str()),
    }
}

/// Commands that are given a step, all steps that are treated alike in one row.
fn rows() -> Vec<(String, Row)> {
    let mut rows: Vec<_> = commands().iter().map(|command| (called(command), row(command))).collect();
    for with in [Command::Step as fn(Step) -> Command, Command::RunOn] {
        let mut alike: Vec<(Row, Vec<Step>)> = Vec::new();
        for step in deployment_steps(&with) {
            let row = row(&with(step));
            match alike.iter_mut().find(|(known, _)| *known == row) {
                Some((_, steps)) => steps.push(step),
                None => alike.push((row, vec![step])),
            }
        }
        for (row, steps) in alike {
            let name = with(steps[0]).as_str();
            let which = if steps.len() > 2 {
                "any other step".to_owned()
            } else {
                steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
            };
            rows.push((format!("`{name}` {which}"), row));
        }
    }
    rows
}

fn admission() -> String {
    let mut text = String::from("| |");
    for phase in Phase::ALL {
        write!(text, " {phase} |").unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(Phase::ALL.len()));
    let mut reasons: Vec<String> = Vec::new();
    for (name, row) in rows() {
        write!(text, "\n| {name} |").unwrap();
        for cell in row {
            match cell {
                Cell::Queued => text.push_str(" queued |"),
                Cell::AlreadySo => text.push_str(" so already |"),
                Cell::Refused(why) => {
                    let known = reasons.iter().position(|reason| *reason == why);
                    let number = known.unwrap_or_else(|| {
                        reasons.push(why);
                        reasons.len() - 1
                    });
                    write!(text, " refused ({}) |", number + 1).unwrap();
                }
            }
        }
    }
    text.push_str("\n\nWhy it is refused:\n");
    for (number, reason) in reasons.iter().enumerate() {
        write!(text, "\n{}. {reason}", number + 1).unwrap();
    }
    text
}

fn meanings() -> String {
    let mut text = String::from(
        "| command | what it does | operation | what it needs | in the queue |\n|---|---|---|---|---|",
    );
    for command in
        commands().into_iter().chain([Command::Step(Step::SetNetwork), Command::RunOn(Step::Clone)])
    {
        let operation = command
            .begins()
            .map_or("none: it is written down".to_owned(), |(operation, _)| format!("`{operation}`"));
        let kind = match command.kind() {
            Kind::Power => "the last one wins",
            Kind::Suspension => "cancels its opposite",
            Kind::Work => "waits its turn",
            Kind::AtOnce => "at once",
        };
        write!(
            text,
            "\n| {} | {} | {operation} | {} | {kind} |",
            called(&command),
            about(&command),
            needs(&command)
        )
        .unwrap();
    }
    text
}

fn operations() -> String {
    let mut begun: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for command in commands().iter().chain(&[Command::Step(Step::SetNetwork), Command::RunOn(Step::Clone)]) {
        if let Some((operation, _)) = command.begins() {
            begun.entry(operation.as_str()).or_default().insert(called(command));
        }
    }
    let mut text = String::from("| operation | begun by | steps |\n|---|---|---|");
    for operation in Operation::ALL {
        let by: Vec<_> = begun.get(operation.as_str()).into_iter().flatten().cloned().collect();
        let by = match operation {
            Operation::Create => format!("an order, {}", by.join(", ")),
            Operation::Adopt => "an adoption".to_owned(),
            _ => by.join(", "),
        };
        let steps: Vec<_> = operation.steps().iter().map(|step| format!("`{step}`")).collect();
        let (last, before) = steps.split_last().unwrap();
        let steps = match operation {
            Operation::SingleStep => format!("one of {}; then {last}", before.join(", ")),
            _ => steps.join(" → "),
        };
        write!(text, "\n| `{operation}` | {by} | {steps} |").unwrap();
    }
    text
}

/// `text` with what stands between the marks of this name replaced.
fn with(text: &str, name: &str, generated: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("\n<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{FILE} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{FILE} has no {end}"));
    format!("{before}{begin}{generated}{end}{after}")
}

#[test]
#[allow(clippy::disallowed_methods)] // a test keeps the documentation as the code is
fn the_documentation_says_what_the_code_does() {
    let is = std::fs::read_to_string(FILE).unwrap();
    let generated = [("admission", admission()), ("commands", meanings()), ("operations", operations())];
    let wanted = generated.iter().fold(is.clone(), |text, (name, block)| with(&text, name, block));
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(FILE, &wanted).unwrap();
    } else {
        let differs = is.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
        assert!(
            is == wanted,
            "docs/commands.md is not what the code says; RENEW_DOCS=1 cargo test -p deploy-core --lib documented renews it. \
             The first difference (file, code): {differs:#?}"
        );
    }
}

/// What serde knows is all there is: a command that is missing among the samples would be missing in the documentation.
#[test]
fn every_command_is_documented() {
    let error = serde_json::from_str::<Command>("\"unheard of\"").unwrap_err().to_string();
    let all: BTreeSet<&str> = error.split('`').skip(1).step_by(2).skip(1).collect();
    assert!(all.len() > 20, "{error}");
    let mut documented: BTreeSet<&str> = commands().iter().map(Command::as_str).collect();
    documented.extend(["step", "run_on"]);
    assert_eq!(documented, all);
}
