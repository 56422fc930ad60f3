//! How files are kept: short, named for what they hold, and without traces of unfinished work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Longer files want a new name, not more lines.
const LONGEST: usize = 450;

fn tracked(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git").args(["-C", ROOT, "ls-files", "-z"]).output().expect("git");
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<PathBuf> = String::from_utf8(output.stdout)
        .expect("UTF-8 file names")
        .split('\0')
        .filter(|path| path.ends_with(ending) && !path.is_empty())
        .map(|path| Path::new(ROOT).join(path))
        .filter(|path| path.exists())
        .collect();
    assert!(!files.is_empty(), "git knows no {ending} files, so that nothing was checked");
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn files_stay_short() {
    for path in tracked(".rs") {
        let lines = read(&path).lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines; split it by what it is about", path.display());
    }
}

#[test]
fn files_are_named_for_what_they_hold() {
    for path in tracked(".rs") {
        let named = path
            .components()
            .filter_map(|part| part.as_os_str().to_str())
            .map(|part| part.trim_end_matches(".rs"));
        for part in named {
            assert!(
                !["util", "utils", "helper", "helpers", "common", "misc", "manager"].contains(&part),
                "{} says nothing about what it holds",
                path.display()
            );
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["to", "do!("].concat(),
        ["unimpl", "emented!("].concat(),
        ["FIX", "ME"].concat(),
        ["#[ign", "ore"].concat(),
    ];
    for path in tracked(".rs") {
        for (number, line) in read(&path).lines().enumerate() {
            for mark in &marks {
                assert!(!line.contains(mark.as_str()), "{}:{}: {mark}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for path in tracked(".md") {
        let folder = path.parent().expect("a folder");
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            assert!(
                elsewhere || folder.join(target).exists(),
                "{} links to {target}, which is not there",
                path.display()
            );
        }
    }
}

#[test]
fn the_map_in_the_architecture_names_every_crate() {
    let map = read(&Path::new(ROOT).join("ARCHITECTURE.md"));
    for manifest in tracked("/Cargo.toml") {
        let folder = manifest
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .expect("a crate's folder");
        assert!(map.contains(&format!("{folder}/")), "ARCHITECTURE.md does not name {folder}/");
    }
}

#[test]
fn the_snippets_in_the_readme_are_the_examples_that_are_compiled() {
    let readme = read(&Path::new(ROOT).join("README.md"));
    let script: &[&str] = &["power", "package", "addresses", "saved", "steps", "queue", "anew", "another"];
    let script: Vec<String> =
        script.iter().map(|part| format!("examples/src/life/script/{part}.rs")).collect();
    for (section, number, examples) in [
        ("## Embed it", 1, vec!["examples/embed.rs".to_owned()]),
        ("## The life of a machine", 2, script),
        ("### A machine that exists already", 1, vec!["examples/tests/pipeline/adopt.rs".to_owned()]),
    ] {
        let (_, text) = readme.split_once(&format!("\n{section}\n")).expect("the section");
        let snippet = text.split("```rust\n").nth(number).and_then(|rest| rest.split("```").next());
        let snippet = snippet.expect("a Rust snippet");
        let source: String = examples.iter().map(|example| read(&Path::new(ROOT).join(example))).collect();
        let mut lines = source.lines().map(str::trim);
        for line in snippet.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(
                lines.any(|compiled| compiled == line),
                "not in {examples:?}, or in another order: {line}"
            );
        }
        assert!(snippet.lines().count() > 10, "the snippet of {section} has shrunk to nothing");
    }
}
