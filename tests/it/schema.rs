//! `autoheal schema`: says the same as the loader.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use autoheal::config::{Config, Diagnostics, LoadOptions, read_awx_bootstrap, read_rule_tests};
use autoheal::domain::heal::STATES;
use autoheal::domain::message::MessageKind;
use serde_json::{Value, json};

use super::config::{options, place};

/// A key that no mapping knows and that is near to none.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqq";
const KINDS: [&str; 4] = ["config", "rules", "tests", "awx-bootstrap"];

fn schema(kind: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_autoheal")).args(["schema", kind]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the loader says of a file of this kind.
fn told(kind: &str, text: &str) -> Diagnostics {
    let file = match kind {
        "config" => "autoheal.yml",
        "rules" => "rules/a.yml",
        "awx-bootstrap" => "awx-bootstrap.yml",
        _ => "rules/a.test.yml",
    };
    let directory = place(&[(file, text)]);
    if kind == "tests" {
        fs::write(directory.path().join("rules/a.yml"), "").unwrap();
        return read_rule_tests(&directory.path().join(file), directory.path()).err().unwrap_or_default();
    }
    let options = LoadOptions { without_secrets: true, ..options(directory.path()) };
    if kind == "awx-bootstrap" {
        let read = read_awx_bootstrap(file.into(), &options, &[]);
        return read.map_or_else(|problems| problems, |(_, warnings)| warnings);
    }
    Config::load(&options).map_or_else(|problems| problems, |(_, warnings)| warnings)
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}")),
        None => schema,
    }
}

/// Every mapping with fixed keys: its path (`*` for a list's item or a free key), and its schema.
fn mappings<'s>(root: &'s Value, schema: &'s Value, path: &[String], found: &mut Vec<(Vec<String>, &'s Value)>) {
    let schema = resolve(root, schema);
    let below = |step: &str| [path, &[step.to_owned()]].concat();
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        mappings(root, choice, path, found);
    }
    if let Some(properties) = schema["properties"].as_object() {
        found.push((path.to_vec(), schema));
        for (key, value) in properties {
            mappings(root, value, &below(key), found);
        }
    }
    if schema["items"].is_object() {
        mappings(root, &schema["items"], &below("[]"), found);
    }
    if schema["additionalProperties"].is_object() {
        mappings(root, &schema["additionalProperties"], &below("*"), found);
    }
}

/// A file with one key at a path.
fn file_with(path: &[String], key: &str) -> String {
    let innermost = json!({ key: 1 });
    let wrapped = path.iter().rev().fold(innermost, |inner, step| match step.as_str() {
        "[]" => json!([inner]),
        "*" => json!({ "free": inner }),
        // How an action is carried out is read only beside one.
        "backoff" | "verify" => json!({ step: inner, "restartContainer": { "name": "a" } }),
        key => json!({ key: inner }),
    });
    wrapped.to_string()
}

/// The keys the loader knows at a path, unsupported ones among them.
fn known_keys(kind: &str, path: &[String]) -> Result<BTreeSet<String>, String> {
    let text = file_with(path, UNKNOWN);
    let problems = told(kind, &text);
    let about = problems.iter().find(|problem| problem.message.contains(UNKNOWN));
    let help = about.and_then(|problem| problem.help.as_deref());
    let keys = help.and_then(|help| help.strip_prefix("known keys: "));
    let keys = keys.ok_or_else(|| format!("the loader of {kind} does not look at the keys in {text}:\n{problems}"))?;
    Ok(keys.split(", ").map(str::to_owned).collect())
}

fn is_supported(kind: &str, path: &[String], key: &str) -> bool {
    let refused = format!("`{key}` is not supported");
    !told(kind, &file_with(path, key)).iter().any(|problem| problem.message.starts_with(&refused))
}

#[test]
fn every_key_the_loader_knows_is_in_the_schema_and_the_other_way_round() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        let root = schema(kind);
        let mut found = Vec::new();
        mappings(&root, &root, &[], &mut found);
        assert!(found.len() > 3, "{kind}");
        for (path, mapping) in found {
            let described: BTreeSet<String> = mapping["properties"].as_object().unwrap().keys().cloned().collect();
            let known = match known_keys(kind, &path) {
                Ok(known) => known,
                Err(error) => {
                    wrong.push(error);
                    continue;
                }
            };
            let place = if path.is_empty() { "the file".to_owned() } else { path.join(".") };
            for key in known.difference(&described).filter(|key| is_supported(kind, &path, key)) {
                wrong.push(format!("the loader of {kind} knows `{key}` in {place}: add it to src/cli/schema.json"));
            }
            for key in described.difference(&known) {
                wrong.push(format!(
                    "src/cli/schema.json has `{key}` in {place}, which the loader of {kind} does not know"
                ));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{}\nthen: for kind in config rules tests awx-bootstrap; do autoheal schema $kind > docs/schema/$kind.schema.json; done",
        wrong.join("\n")
    );
}

#[test]
fn the_words_of_rule_tests_are_the_daemons() {
    let schema = schema("tests");
    let words = |at: &str| schema.pointer(at).unwrap().clone();
    assert_eq!(words("/$defs/expect/properties/state/enum"), json!(STATES), "in src/cli/schema.json");
    let kinds = MessageKind::ALL.map(MessageKind::as_str);
    assert_eq!(words("/$defs/expect/properties/messages/items/enum"), json!(kinds), "in src/cli/schema.json");
}

#[test]
fn the_schemas_for_editors_are_the_printed_ones_and_shipped_files_name_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for kind in KINDS {
        let file = root.join(format!("docs/schema/{kind}.schema.json"));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let same = serde_json::from_str::<Value>(&text).is_ok_and(|written| written == schema(kind));
        assert!(same, "{} is old; run: autoheal schema {kind} > {0}", file.display());
    }
    let rules = fs::read_dir(root.join("rules")).unwrap().map(|entry| entry.unwrap().path());
    for file in rules.chain([root.join("autoheal.example.yml"), root.join("docs/awx-bootstrap.example.yml")]) {
        let text = fs::read_to_string(&file).unwrap();
        let named = text.lines().find_map(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let named = named.unwrap_or_else(|| panic!("{} names no schema", file.display()));
        assert!(file.parent().unwrap().join(named).exists(), "{} names {named}", file.display());
    }
}

#[test]
fn the_schema_takes_the_shipped_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = fs::read_dir(root.join("rules")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["autoheal.example.yml", "demo/templates/autoheal.yml", "docs/awx-bootstrap.example.yml"];
    for file in rules.chain(others.map(|file| root.join(file))) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let kind = match name {
            _ if name.ends_with(".test.yml") => "tests",
            "autoheal.yml" | "autoheal.example.yml" => "config",
            "awx-bootstrap.example.yml" => "awx-bootstrap",
            _ => "rules",
        };
        let text = fs::read_to_string(&file).unwrap();
        let schema = schema(kind);
        check(&schema, &schema, &serde_yaml::from_str(&text).unwrap(), name).unwrap();
    }
}

#[test]
fn the_schema_and_the_loader_agree_on_good_and_bad_files() {
    let rule = |rest: &str| format!("rules: [{{metadata: {{name: a}}, matchers: ['a=\"b\"'], {rest}}}]");
    let test = |rest: &str| format!("{{alerts: {{a: {{labels: {{a: b}}}}}}, tests: [{{name: a, events: [{rest}]}}]}}");
    let table = [
        ("rules", rule("restartContainer: {name: a}"), true),
        (
            "rules",
            rule("restartContainer: {name: 1.10, max: 2}, attempts: 3, for: 90s, mode: shadow, continue: false"),
            true,
        ),
        (
            "rules",
            rule(
                "steps: [{restartContainer: {compose: {project: a, service: b}}, verify: {within: 1d, http: {url: 'http://a/', status: [200, 204]}}}]",
            ),
            true,
        ),
        ("rules", rule("steps: {restartContainer: {name: a}}"), false),
        ("rules", rule("restartContainer: {nme: a}"), false),
        ("rules", rule("restartContainer: {name: a}, attempts: 0"), false),
        ("rules", rule("restartContainer: {name: a}, attempts: three"), false),
        ("rules", rule("restartContainer: {name: a}, for: soon"), false),
        ("rules", rule("restartContainer: {name: a}, mode: sahdow"), false),
        ("rules", rule("restartContainer: {name: a}, continue: maybe"), false),
        ("rules", rule("restartContainer: {compose: {project: a}}"), false),
        ("rules", rule("restartContainer: {name: a}, matchers: 'a=\"b\"'"), false),
        ("rules", "rules: [{receivers: []}]".to_owned(), false),
        ("rules", rule("restartContainer: {name: a}, verify: {tcp: {timeout: 1s}}"), false),
        ("config", "{}".to_owned(), true),
        ("config", "store: sqlite:a.db\nlimits: {perHour: 6}\nhistory: 30d".to_owned(), true),
        ("config", "docker: {hosts: [{name: a, address: 'unix:///a'}]}".to_owned(), true),
        ("config", "docker: {hosts: [{name: a}]}".to_owned(), false),
        ("config", "limits: {perHour: 0}".to_owned(), false),
        ("config", "limits: {windows: [{actions: 3, within: 10m}, {actions: 20, within: 1d}]}".to_owned(), true),
        ("config", "limits: {windows: [{actions: 3}]}".to_owned(), false),
        ("config", "limits: {windows: []}".to_owned(), false),
        ("rules", rule("restartContainer: {name: a}, limits: {windows: [{actions: 3, within: 10m}]}"), true),
        ("rules", rule("restartContainer: {name: a}, limits: {windows: [{max: 3, within: 10m}]}"), false),
        ("config", "recievers: []".to_owned(), false),
        ("config", "receivers: [{name: a, slack: {webhokUrl: a}}]".to_owned(), false),
        ("config", "receivers: {name: a}".to_owned(), false),
        ("tests", test("{firing: a, expect: {state: healed}}, {wait: 5m}, {action: {outcome: failed}}"), true),
        ("tests", test("{firing: [a, a], expect: [{heals: 1}, {messages: [started]}]}"), true),
        ("tests", test("{verification: false}, {verification: {answer: unknown, probe: tcp}}, {resume: all}"), true),
        ("tests", test("{approve: ann}, {deny: {by: ann, reason: no}}, {cancel: {rule: a}}, {pause: {for: 1h}}"), true),
        ("tests", test("{verification: perhaps}"), false),
        ("tests", test("{pause: {reason: no end}}"), false),
        ("tests", test("{approve: {because: so}}"), false),
        ("tests", test("{firing: a, expect: {state: heeled}}"), false),
        ("tests", test("{action: exploded}"), false),
        ("tests", test("{expect: {step: one}}"), false),
        ("tests", test("{fires: a}"), false),
        ("tests", "{tests: [{name: a}]}".to_owned(), false),
    ];
    for (kind, text, good) in table {
        let schema = schema(kind);
        let found = check(&schema, &schema, &serde_yaml::from_str(&text).unwrap(), "");
        assert_eq!(found.is_ok(), good, "the schema on {text}: {found:?}");
        let problems = told(kind, &text);
        assert_eq!(!problems.has_errors(), good, "the loader on {text}: {problems}");
    }
}

/// The part of JSON Schema our schemas are written in; a word it does not know is a defect of the schema or of this.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (word, wanted) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => return check(root, resolve(root, schema), value, at),
            "type" => {
                let types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                types.iter().any(|kind| is_of_type(value, kind.as_str().unwrap()))
            }
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minItems" => value.as_array().is_none_or(|items| wanted.as_u64().unwrap() <= items.len() as u64),
            "maxItems" => value.as_array().is_none_or(|items| wanted.as_u64().unwrap() >= items.len() as u64),
            "required" => wanted.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "anyOf" => wanted.as_array().unwrap().iter().any(|choice| check(root, choice, value, at).is_ok()),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(root, wanted, item, &format!("{at}[]"))?;
                }
                true
            }
            "properties" | "additionalProperties" => {
                for (key, item) in value.as_object().into_iter().flatten() {
                    match schema["properties"].get(key) {
                        Some(known) => check(root, known, item, &format!("{at}.{key}"))?,
                        None if schema["additionalProperties"] == false => {
                            return Err(format!("{at}.{key} is unknown"));
                        }
                        None => check(root, &schema["additionalProperties"], item, &format!("{at}.{key}"))?,
                    }
                }
                true
            }
            unknown => panic!("{unknown} at {at}"),
        };
        if !fits {
            return Err(format!("{at}: {value} is not {word} {wanted}"));
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{other}"),
    }
}
