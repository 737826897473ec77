//! The fuzz targets' corpus replayed, with the tables and payloads we have anyway as seeds.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/checks.rs"]
mod checks;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The contents of all files in a directory.
fn files(directory: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(repository(directory)).unwrap();
    let read: Vec<_> = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(!read.is_empty(), "{directory} holds nothing");
    read
}

/// Each row of the tables whose names begin so.
fn rows(prefix: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(repository("tests/data/conformance")).unwrap().map(|entry| entry.unwrap());
    let tables = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(prefix));
    let rows: Vec<_> = tables
        .flat_map(|table| fs::read_to_string(table.path()).unwrap().lines().map(Into::into).collect::<Vec<_>>())
        .collect();
    assert!(rows.len() > 10, "{prefix}");
    rows
}

/// Runs a check on inputs and on the beginnings of each, because half a message is what a broken connection leaves.
fn replay(check: fn(&[u8]), inputs: &[Vec<u8>], cuts: usize) {
    for input in inputs {
        check(input);
        for cut in 1..=cuts {
            check(&input[..input.len() * cut / (cuts + 1)]);
        }
    }
}

#[test]
fn payloads() {
    replay(checks::payload, &files("fuzz/corpus/payload"), 8);
    replay(checks::payload, &files("tests/data/payloads"), 8);
}

#[test]
fn matchers() {
    replay(checks::matcher, &files("fuzz/corpus/matcher"), 4);
    replay(checks::matcher, &rows("matchers"), 4);
}

#[test]
fn templates() {
    replay(checks::template, &files("fuzz/corpus/template"), 4);
    replay(checks::template, &rows("templates"), 2);
}

#[test]
fn secrets() {
    replay(checks::secrets, &files("fuzz/corpus/secrets"), 8);
}

#[test]
fn rule_files() {
    replay(checks::rules, &files("fuzz/corpus/rules"), 4);
    replay(checks::rules, &files("rules"), 4);
}
