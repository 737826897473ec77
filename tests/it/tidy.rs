//! The law of the house: imports point one way, `domain` is pure, files stay small, documents name what exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A room may import only rooms of a lower rank, and itself.
const RANKS: &[(&str, u32)] = &[
    ("domain", 0),
    ("causes", 1),
    ("clock", 1),
    ("secret", 1),
    ("stamp", 1),
    ("ids", 2),
    ("links", 2),
    ("tls", 2),
    ("token", 2),
    ("telemetry", 2),
    ("slack_call", 3),
    ("store", 3),
    ("action", 3),
    ("rehearse", 4),
    ("retell", 1),
    ("notify", 4),
    ("verify", 4),
    ("config", 5),
    ("web", 5),
    ("engine", 5),
    ("rule_test", 6),
    ("app", 6),
    ("cli", 7),
    ("main", 8),
];

/// What deciding must never touch: runtimes, networks, databases, logs, clocks, files, the environment.
const IMPURE: &[&str] = &[
    "tokio",
    "warp",
    "hyper",
    "reqwest",
    "lettre",
    "bollard",
    "rusqlite",
    "tracing",
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "now_v7",
    "rand",
];

/// Lines a source file may have, in-file tests not counted.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file without comments and without its in-file tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn room(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms a piece of code names after `crate::`, also inside `use crate::{a::…, b::…}`.
fn named_rooms(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start..];
        let rest = &rest[rest.find("::").unwrap() + 2..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(character),
                    _ => {}
                }
            }
            rooms.push(word);
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
        .iter()
        .map(|word| word.trim().split("::").next().unwrap().trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn imports_point_one_way() {
    let ranks: BTreeMap<&str, u32> = RANKS.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let room = room(&path);
        if room == "lib" {
            continue;
        }
        let rank = *ranks
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{} has no rank: give the new room one", path.display()));
        for named in named_rooms(&code(&path)) {
            match ranks.get(named.as_str()) {
                Some(_) if named == room => {}
                Some(other) if *other < rank => {}
                Some(_) => wrong.push(format!("{}: {room} must not import {named}", path.display())),
                // Not a room: a name from the crate's root, of which there are none but rooms.
                None => wrong.push(format!("{}: unknown room {named:?}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn deciding_is_pure() {
    for path in sources(&root().join("src/domain")) {
        let code = code(&path);
        for word in IMPURE {
            let named = code.match_indices(word).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                let after = code[at + word.len()..].chars().next();
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                !is_word(before) && !is_word(after)
            });
            assert!(!named, "{} names {word}: domain decides, engine does", path.display());
        }
    }
}

#[test]
fn files_stay_small() {
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        if path.ends_with("tests.rs") {
            continue;
        }
        let lines = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines: split it", path.display());
    }
}

#[test]
fn every_file_says_what_lives_there() {
    for path in sources(&root().join("src")) {
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no module doc", path.display());
    }
}

#[test]
fn documents_name_only_what_exists() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path =
                ["src/", "tests/", "docs/", "demo/", "scripts/", "rules/", "benches/", "bench/", "migrations/"]
                    .iter()
                    .any(|folder| quoted.starts_with(folder));
            // A recipe writes NAME where the reader fills in a name.
            let is_plain =
                !quoted.contains("NAME") && quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if is_path && is_plain {
                assert!(root().join(quoted).exists(), "{document} names {quoted}, which does not exist");
            }
        }
    }
}
