//! Every command and every single step is shown: here, and in the README.

use examples::life::Told;
use std::{collections::BTreeSet, fs};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The tables of `docs/commands.md` are made by the code, so that a new command is missed here.
pub(super) fn every_command(told: &[Told]) {
    let documented = read("docs/commands.md");
    let readme = read("README.md");
    let (_, shown) = readme.split_once("\n## The life of a machine\n").expect("the section");
    let (shown, _) = shown.split_once("\n## ").expect("its end");
    let given: BTreeSet<&str> =
        told.iter().map(|told| told.command.split(':').next().unwrap_or("")).collect();
    let named = |name: &str| given.iter().any(|given| given.split(' ').next() == Some(name));
    let commands = between(&documented, "<!-- generated: commands -->", "<!-- end of commands -->");
    let rows = commands.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    let mut count = 0;
    for name in rows {
        count += 1;
        assert!(named(name), "life does not give {name}");
        let line = match name {
            "change_package" => "life.change(".to_owned(),
            _ => format!("Command::{}", in_rust(name)),
        };
        assert!(shown.contains(&line), "the README does not show {line}");
    }
    assert!(count >= 26, "only {count} commands are documented");
    let steps = between(&documented, "| `single_step` | `step` | one of ", "; then");
    for step in steps.split(", ").map(|step| step.trim_matches('`')) {
        assert!(given.contains(format!("step {step}").as_str()), "life does not take the step {step} alone");
        let line = format!("Command::Step(Step::{})", in_rust(step));
        assert!(shown.contains(&line), "the README does not show {line}");
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{name}")).expect("a file of the repository")
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).expect("a beginning");
    rest.split_once(to).expect("an end").0
}

/// `set_ip` as a variant: `SetIp`.
fn in_rust(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}
