//! `*.test.yml` — what is told to rules, and what they are expected to make of it.

mod happenings;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};
use super::files;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{self, Kind, Node};
use crate::domain::Timestamp;
use crate::domain::alert::Labels;
use crate::domain::heal::STATES;
use crate::domain::message::MessageKind;

pub use self::happenings::{ActionEnd, Happening, HealChoice, Testimony};

const FILE: Schema =
    Schema { what: "a file of rule tests", keys: &["ruleFiles", "alerts", "tests"], unsupported: &[], strict: true };
const ALERT: Schema =
    Schema { what: "an alert", keys: &["labels", "annotations", "generatorURL"], unsupported: &[], strict: true };
const TEST: Schema = Schema { what: "a test", keys: &["name", "start", "events"], unsupported: &[], strict: true };
const EVENT: Schema = Schema {
    what: "an event",
    keys: &[
        "firing",
        "resolved",
        "action",
        "verification",
        "approve",
        "deny",
        "cancel",
        "pause",
        "resume",
        "wait",
        "expect",
    ],
    unsupported: &[],
    strict: true,
};
const EXPECT: Schema = Schema {
    what: "`expect`",
    keys: &["rule", "target", "heals", "state", "step", "attempt", "action", "rendered", "messages", "reason"],
    unsupported: &[],
    strict: true,
};

/// A Monday, so that a test of working hours begins in a week that is easy to count in.
const DEFAULT_START: &str = "2026-01-05T00:00:00Z";

/// One file of tests.
#[derive(Debug)]
pub struct RuleTests {
    /// The file, for drawing failures in it.
    pub file: Arc<SourceFile>,
    /// The rules under test: files or directories.
    pub rule_files: Vec<PathBuf>,
    /// The tests, in file order.
    pub tests: Vec<RuleTest>,
}

/// One test: a story of its own, told to rules that remember nothing.
#[derive(Debug)]
pub struct RuleTest {
    /// What it shows, in words.
    pub name: String,
    /// When it begins.
    pub start: Timestamp,
    /// What happens and what is then expected, in order.
    pub events: Vec<TestEvent>,
}

/// One thing that happens, and what is then expected.
#[derive(Debug)]
pub struct TestEvent {
    /// Where it stands.
    pub place: Place,
    /// What happens; `None` when the entry only expects.
    pub happening: Option<Happening>,
    /// What is expected after it.
    pub expectations: Vec<Expectation>,
}

/// An alert by name.
#[derive(Debug)]
pub struct TestAlert {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// The link to its expression; may be empty.
    pub generator_url: String,
}

/// What is expected of one heal, or of all.
#[derive(Debug)]
pub struct Expectation {
    /// Where it stands.
    pub place: Place,
    /// Of which heal.
    pub of: HealChoice,
    /// What, in the order it is written.
    pub wanted: Vec<(Wanted, Place)>,
}

/// One expected value.
#[derive(Debug)]
pub enum Wanted {
    /// How many heals the test has begun so far.
    Heals(u32),
    /// The state's name in the API.
    State(String),
    /// Number of the current step, from 1.
    Step(u32),
    /// Attempts of the current step so far.
    Attempt(u32),
    /// The key of the current step's action.
    Action(String),
    /// Fields of the current step's action as rendered; others are not looked at.
    Rendered(Value),
    /// Messages since the last time somebody expected messages of this heal.
    Messages(Vec<String>),
    /// A part of the reason's sentence, or its code.
    Reason(String),
}

/// Every file of rule tests among `paths`: files as they are, directories at any depth.
///
/// # Errors
/// Paths that cannot be read.
pub fn rule_test_files(paths: &[PathBuf], working_dir: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut found = Vec::new();
    for path in paths {
        match files::test_files(&working_dir.join(path), &RefCell::default()) {
            Ok(files) if files.is_empty() => {
                let message = format!("{} has no rule tests", path.display());
                problems.push(Diagnostic::error(message).help("rule tests are files that end in .test.yml"));
            }
            Ok(files) => found.extend(files),
            Err((path, error)) => {
                problems.push(Diagnostic::error(format!("{} cannot be read: {error}", path.display())));
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Reads one file of tests.
///
/// # Errors
/// Every problem of the file.
pub fn read_rule_tests(path: &Path, working_dir: &Path) -> Result<RuleTests, Diagnostics> {
    let name = path.strip_prefix(working_dir).unwrap_or(path).display().to_string();
    let mut problems = Diagnostics::default();
    let read = files::read(path)
        .map_err(|error| Diagnostic::error(format!("{name} cannot be read: {error}")))
        .and_then(|text| yaml::read(path.to_owned(), name, text));
    let (file, root) = match read {
        Ok(read) => read,
        Err(problem) => {
            problems.push(problem);
            return Err(problems);
        }
    };
    let problems = RefCell::new(problems);
    let sources = RefCell::default();
    let reader = Reader::new(&file, None, &problems, &sources);
    let tests = read_file(&reader, &root);
    let mut problems = problems.into_inner();
    problems.sort();
    match tests {
        Some((rule_files, tests)) if problems.is_empty() => Ok(RuleTests { file, rule_files, tests }),
        _ => Err(problems),
    }
}

/// Alerts by name; `None` for one with errors, whose name is known all the same.
type Alerts = BTreeMap<String, Option<Arc<TestAlert>>>;

fn read_file(reader: &Reader<'_>, root: &Node) -> Option<(Vec<PathBuf>, Vec<RuleTest>)> {
    let file = reader.mapping(root, &FILE)?;
    let rule_files = match file.get("ruleFiles") {
        Some(node) => read_rule_files(reader, node),
        None => namesake(reader, &file),
    };
    let alerts = file.get("alerts").map_or_else(Alerts::new, |node| read_alerts(reader, node));
    let tests = reader.require(&file, "tests", FILE.what)?;
    let tests = reader.list(tests, "tests").iter();
    Some((rule_files, tests.filter_map(|test| read_test(reader, test, &alerts)).collect()))
}

fn read_rule_files(reader: &Reader<'_>, node: &Node) -> Vec<PathBuf> {
    let directory = reader.file.path().parent().unwrap_or(Path::new(""));
    let paths = reader.list_or_one(node, "path").iter();
    paths
        .filter_map(|node| {
            let path = directory.join(reader.word(node, "this path")?);
            if let Err(error) = std::fs::metadata(&path) {
                reader.error(&node.span, format!("these rules cannot be read: {error}"), "expected a file of rules");
            }
            Some(path)
        })
        .collect()
}

/// The file of rules that a file of tests is named after: `ui.yml` for `ui.test.yml`.
fn namesake(reader: &Reader<'_>, file: &Mapping<'_>) -> Vec<PathBuf> {
    let path = reader.file.path();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".test.yml").or_else(|| name.strip_suffix(".test.yaml"));
    let found = stem.and_then(|stem| {
        let names = [format!("{stem}.yml"), format!("{stem}.yaml")];
        names.into_iter().map(|name| path.with_file_name(name)).find(|path| path.is_file())
    });
    if found.is_none() {
        let label = "add `ruleFiles`, or name this file after its rules: ui.test.yml tests ui.yml";
        reader.error(&(file.span.start..file.span.start), "nothing says which rules are tested", label);
    }
    found.into_iter().collect()
}

fn read_alerts(reader: &Reader<'_>, node: &Node) -> Alerts {
    let Some(alerts) = reader.any_mapping(node, "`alerts`") else { return Alerts::new() };
    alerts.iter().map(|(name, _, node)| (name.to_owned(), read_alert(reader, node))).collect()
}

fn read_alert(reader: &Reader<'_>, node: &Node) -> Option<Arc<TestAlert>> {
    let alert = reader.mapping(node, &ALERT)?;
    let mut labels = read_labels(reader, reader.require(&alert, "labels", ALERT.what)?);
    // As Alertmanager has it: a label without a value is no label.
    labels.retain(|_, value| !value.is_empty());
    let annotations = alert.get("annotations").map_or_else(Labels::new, |node| read_labels(reader, node));
    let generator_url = alert.get("generatorURL").and_then(|node| reader.verbatim(node)).unwrap_or_default().to_owned();
    Some(Arc::new(TestAlert { labels, annotations, generator_url }))
}

fn read_labels(reader: &Reader<'_>, node: &Node) -> Labels {
    let Some(labels) = reader.any_mapping(node, "labels") else { return Labels::new() };
    labels.iter().filter_map(|(name, _, value)| Some((name.to_owned(), reader.verbatim(value)?.to_owned()))).collect()
}

fn read_test(reader: &Reader<'_>, node: &Node, alerts: &Alerts) -> Option<RuleTest> {
    let test = reader.mapping(node, &TEST)?;
    let name = reader.require(&test, "name", TEST.what).and_then(|node| reader.word(node, "the name of a test"));
    let start = match test.get("start") {
        Some(node) => reader.parsed(node, "a time such as 2026-01-05T09:30:00Z"),
        None => DEFAULT_START.parse().ok(),
    };
    let events = reader.require(&test, "events", TEST.what).map_or(&[][..], |node| reader.list(node, "events"));
    let events: Vec<_> = events.iter().map(|node| read_event(reader, node, alerts)).collect();
    Some(RuleTest { name: name?.to_owned(), start: start?, events: events.into_iter().collect::<Option<_>>()? })
}

fn read_event(reader: &Reader<'_>, node: &Node, alerts: &Alerts) -> Option<TestEvent> {
    let event = reader.mapping(node, &EVENT)?;
    let expectations = match event.get("expect") {
        None => Some(Vec::new()),
        // All are read before any is missed, so that each problem shows.
        Some(Node { kind: Kind::List(items), .. }) => {
            let read: Vec<_> = items.iter().map(|item| read_expectation(reader, item)).collect();
            read.into_iter().collect()
        }
        Some(node) => read_expectation(reader, node).map(|expectation| vec![expectation]),
    };
    let told: Vec<_> = happenings::HAPPENINGS.into_iter().filter_map(|key| Some((key, event.get(key)?))).collect();
    let happening = match told[..] {
        [] if event.get("expect").is_some() => None,
        [] => {
            let label = format!("expected one of {}, or `expect`", happenings::HAPPENINGS.join(", "));
            reader.error(&node.span, "nothing happens in this event", label);
            return None;
        }
        [(key, node)] => Some(happenings::read(reader, key, node, alerts)?),
        [_, (second, node), ..] => {
            let span = event.key_span(second).unwrap_or(&node.span);
            reader.error(span, "two things happen in one event", "make this an event of its own");
            return None;
        }
    };
    Some(TestEvent { place: reader.place(&node.span), happening, expectations: expectations? })
}

fn read_expectation(reader: &Reader<'_>, node: &Node) -> Option<Expectation> {
    let before = reader.error_count();
    let expect = reader.mapping(node, &EXPECT)?;
    let of = happenings::read_choice(reader, &expect);
    let wanted: Vec<_> = expect
        .iter()
        .filter(|(key, _, _)| EXPECT.keys.contains(key) && !matches!(*key, "rule" | "target"))
        .filter_map(|(key, _, node)| Some((read_wanted(reader, key, node)?, reader.place(&node.span))))
        .collect();
    if expect.keys().next().is_none() {
        reader.error(&node.span, "nothing is expected here", "expected for example {state: healed}");
    }
    (reader.error_count() == before).then(|| Expectation { place: reader.place(&node.span), of, wanted })
}

fn read_wanted(reader: &Reader<'_>, key: &str, node: &Node) -> Option<Wanted> {
    let number = |range| reader.integer(node, &range);
    match key {
        "heals" => number(0..=10_000).map(Wanted::Heals),
        "state" => reader.choice(node, &STATES).map(|state| Wanted::State(state.to_owned())),
        "step" => number(0..=1000).map(Wanted::Step),
        "attempt" => number(0..=1000).map(Wanted::Attempt),
        "action" => reader.word(node, "the action").map(|action| Wanted::Action(action.to_owned())),
        "rendered" => {
            reader.any_mapping(node, "`rendered`")?;
            Some(Wanted::Rendered(json(node)))
        }
        "messages" => read_messages(reader, node).map(Wanted::Messages),
        _ => reader.word(node, "the reason").map(|reason| Wanted::Reason(reason.to_owned())),
    }
}

fn read_messages(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let kinds: Vec<_> = MessageKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let read = |node| reader.choice(node, &kinds).map(str::to_owned);
    reader.list(node, "messages").iter().map(read).collect()
}

/// A YAML value as JSON has it.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Nothing => Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Integer(value) => (*value).into(),
        Kind::Float(value) => (*value).into(),
        Kind::Text => node.written.as_str().into(),
        Kind::List(items) => items.iter().map(json).collect(),
        Kind::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect(),
    }
}
