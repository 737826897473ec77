//! `autoheal schema [KIND]`: JSON Schema of the files, for editors.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::{Exit, fail};

/// Every mapping of every file. What the loader knows and this does not, or the other way round, fails a test.
const DEFINITIONS: &str = include_str!("schema.json");

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Kind {
    /// The configuration, autoheal.yml
    #[default]
    Config,
    /// Heal rules
    Rules,
    /// Rule tests, *.test.yml
    Tests,
    /// What `autoheal awx bootstrap` sets up
    AwxBootstrap,
}

/// Prints the schema of one kind of file.
pub fn run(kind: Kind) -> Exit {
    let printed = document(kind).and_then(|text| io::stdout().lock().write_all(text.as_bytes()));
    printed.map_or_else(|error| fail(&error), |()| Exit::Success)
}

fn document(kind: Kind) -> io::Result<String> {
    let definitions: Map<String, Value> = serde_json::from_str(DEFINITIONS)?;
    let (title, root) = match kind {
        Kind::Config => ("The configuration of autoheal", "configuration"),
        Kind::Rules => ("Heal rules of autoheal", "ruleFile"),
        Kind::Tests => ("Rule tests of autoheal", "testFile"),
        Kind::AwxBootstrap => ("What autoheal sets up in AWX", "bootstrapFile"),
    };
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": format!("#/$defs/{root}"),
        "$defs": definitions,
    });
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}
