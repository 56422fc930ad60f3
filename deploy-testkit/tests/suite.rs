//! The suite is complete: a case that is written is also run.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use std::{collections::BTreeSet, fs, path::Path};

/// The cases of a file, by the shape of their declaration.
fn written(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
}

#[test]
fn every_case_that_is_written_is_run() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let listed = fs::read_to_string(directory.join("mod.rs")).unwrap();
    let listed: BTreeSet<&str> = listed.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let mut cases = 0;
    for file in fs::read_dir(&directory).unwrap() {
        let path = file.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        for case in written(&source) {
            assert!(listed.contains(case), "{case} of {} is not listed in mod.rs", path.display());
            cases += 1;
        }
    }
    assert!(cases > 80, "only {cases} cases were found");
}
