//! `rules:` — heal rules, checked and compiled.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::ancestor;
use super::awx::AwxSection;
use super::http_servers::HttpSection;
use super::names::Names;
use super::precautions;
use super::reader::{Mapping, Reader, Schema};
use super::steps;
use super::suggest;
use super::time_intervals::TimeIntervals;
use super::yaml::{Kind, Node};
use crate::domain::matcher::Matcher;
use crate::domain::regex::Regex;
use crate::domain::route::Routes;
use crate::domain::rule::{AlertSelector, HealRule, Mode, Step};
use crate::domain::rule_policy::Flapping;
use crate::domain::template::{self, Template};

const RULE: Schema = Schema {
    what: "a rule",
    keys: &[
        "apiVersion",
        "kind",
        "metadata",
        "labels",
        "annotations",
        "matchers",
        "continue",
        "mode",
        "approval",
        "limits",
        "activeTimes",
        "muteTimes",
        "blockedBy",
        "for",
        "throttling",
        "steps",
        "receivers",
        "restartContainer",
        "awxJob",
        "httpRequest",
        "batchJob",
        "httpJob",
        "startContainer",
        "stopContainer",
        "execInContainer",
        "attempts",
        "backoff",
        "timeout",
        "verify",
        "whenSilenced",
        "maxAge",
    ],
    unsupported: &[],
    strict: true,
};
const METADATA: Schema = Schema {
    what: "`metadata`",
    keys: &[
        "name",
        "description",
        "runbook",
        "namespace",
        "resourceVersion",
        "labels",
        "annotations",
        "uid",
        "generation",
        "creationTimestamp",
        "selfLink",
    ],
    unsupported: &[],
    strict: true,
};
const THROTTLING: Schema =
    Schema { what: "`throttling`", keys: &["interval", "flapping"], unsupported: &[], strict: true };

/// The ancestor's type line.
const API_VERSION: &str = "autoheal.openshift.io/v1alpha2";
const KIND: &str = "HealingRule";

/// Longer waits than this are slips of the pen.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// What rules may refer to, and what they inherit.
pub(super) struct Surroundings<'a> {
    /// Docker hosts.
    pub hosts: &'a Names,
    /// AWX servers.
    pub awx: &'a AwxSection,
    /// Servers that actions speak to by HTTP.
    pub http: &'a HttpSection,
    /// Receivers.
    pub receivers: &'a Names,
    /// Who may approve.
    pub approvers: &'a Names,
    /// Who is told when a rule does not say.
    pub default_receivers: &'a [String],
    /// Who is told of an alert when its rule does not say.
    pub routes: &'a Arc<Routes>,
    /// Named times.
    pub times: &'a TimeIntervals,
    /// How long ladders are remembered when a rule does not say.
    pub throttling: Throttling,
    /// Whether `PromQL` can be asked.
    pub has_prometheus: bool,
}

/// What a list of rules comes to.
#[derive(Default)]
pub(super) struct RuleList {
    /// Those that are right.
    pub rules: Vec<HealRule>,
    /// The names of all that have one, and where they stand. They must be unique over all files.
    pub names: Vec<(String, Range<usize>)>,
    /// Whether a rule is written as for the ancestor.
    pub has_ancestors_rules: bool,
}

/// Reads a list of rules.
pub(super) fn read(reader: &Reader<'_>, node: &Node, around: &Surroundings<'_>) -> RuleList {
    let mut list = RuleList::default();
    for node in reader.list(node, "rules") {
        let rule = read_rule(reader, node, around, &mut list);
        list.rules.extend(rule);
    }
    list
}

/// The rules of a list as written.
pub(super) fn nodes(list: &Node) -> impl Iterator<Item = &Node> {
    let items = if let Kind::List(items) = &list.kind { items.as_slice() } else { &[] };
    items.iter()
}

fn read_rule(reader: &Reader<'_>, node: &Node, around: &Surroundings<'_>, list: &mut RuleList) -> Option<HealRule> {
    let before = reader.error_count();
    let rule = reader.mapping(node, &RULE)?;
    let selector = read_selector(reader, &rule);
    // A mistyped key or pattern may be the very part that seems to be missing.
    let is_whole = reader.error_count() == before;
    list.has_ancestors_rules |= ancestor::MARKS.iter().any(|key| rule.key_span(key).is_some());
    check_type(reader, &rule);
    let metadata = read_metadata(reader, &rule, &mut list.names);
    let continue_matching = rule.get("continue").and_then(|node| reader.boolean(node)).unwrap_or(true);
    let mode = rule.get("mode").and_then(|node| read_mode(reader, node)).unwrap_or_default();
    let mut policy = precautions::read(reader, &rule, mode, around.approvers);
    let hold_for = rule.get("for").and_then(|node| reader.duration(node, Duration::ZERO..=LONGEST)).unwrap_or_default();
    let throttling = rule.get("throttling").and_then(|node| read_throttling(reader, node));
    let Throttling { interval: throttle, flapping } = throttling.unwrap_or(around.throttling);
    // Whoever wants nothing remembered does not want relapses counted either, unless he says so.
    policy.flapping = flapping.or(around.throttling.flapping.filter(|_| !throttle.is_zero()));
    let schedule = around.times.schedule(reader, &rule);
    let (steps, acts) = steps::read_ladder(reader, &rule, around);
    let unsupported = ancestor::unsupported(reader, &rule, around.awx);
    let receivers = rule.get("receivers").map(|node| around.receivers.known_list(reader, node));
    let receivers = receivers.filter(|names| !names.is_empty());
    // A rule's own receivers win over the routes, and these over the default ones.
    let routes = receivers.is_none().then(|| Arc::clone(around.routes)).filter(|routes| !routes.all().is_empty());
    let receivers = receivers.unwrap_or_else(|| around.default_receivers.to_vec());

    if is_whole {
        check_breadth(reader, &rule, &selector, acts);
        let tells = !receivers.is_empty() || routes.is_some() || around.receivers.is_incomplete();
        check_purpose(reader, &rule, acts || tells);
    }
    let metadata = metadata?;
    Some(HealRule {
        name: metadata.name,
        description: metadata.description,
        runbook: metadata.runbook,
        selector,
        continue_matching,
        mode,
        hold_for,
        schedule,
        throttle,
        steps: steps.into_iter().collect::<Option<Vec<Step>>>()?,
        unsupported,
        receivers,
        routes,
        policy,
    })
}

fn check_type(reader: &Reader<'_>, rule: &Mapping<'_>) {
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if let Some(node) = rule.get(key)
            && let Some(found) = reader.plain(node)
            && found != expected
        {
            reader.error(
                &node.span,
                format!("`{key}` must be {expected}, found {found:?}"),
                format!("expected {expected}"),
            );
        }
    }
}

struct Metadata {
    name: String,
    description: String,
    runbook: Option<Template>,
}

fn read_metadata(reader: &Reader<'_>, rule: &Mapping<'_>, names: &mut Vec<(String, Range<usize>)>) -> Option<Metadata> {
    let metadata = reader.require(rule, "metadata", RULE.what)?;
    let metadata = reader.mapping(metadata, &METADATA)?;
    // What Kubernetes keeps beside a name; the ancestor reads it, and only two of its own keys ever mattered.
    for key in metadata.keys().filter(|key| !["name", "description", "runbook"].contains(key)) {
        if let Some(span) = metadata.key_span(key).filter(|_| METADATA.keys.contains(&key)) {
            reader.warning(
                span,
                format!("`{key}` is not used by this version"),
                "it means something to Kubernetes only",
            );
        }
    }
    let node = reader.require(&metadata, "name", METADATA.what);
    let name = node.and_then(|node| Some((reader.word(node, "the name of a rule")?.to_owned(), node.span.clone())));
    names.extend(name.clone());
    let description = metadata.get("description").and_then(|node| reader.plain(node)).unwrap_or_default();
    let runbook = metadata.get("runbook").and_then(|node| template(reader, node));
    Some(Metadata { name: name?.0, description: description.to_owned(), runbook })
}

fn read_mode(reader: &Reader<'_>, node: &Node) -> Option<Mode> {
    reader.choice(node, &["act", "ask", "shadow"]).map(|mode| match mode {
        "act" => Mode::Act,
        "ask" => Mode::Ask,
        _ => Mode::Shadow,
    })
}

/// How long a ladder is remembered, and when relapses are too many; `flapping` is `None` where nothing is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throttling {
    pub interval: Duration,
    pub flapping: Option<Flapping>,
}

/// Reads a `throttling:` mapping.
pub(super) fn read_throttling(reader: &Reader<'_>, node: &Node) -> Option<Throttling> {
    let throttling = reader.mapping(node, &THROTTLING)?;
    let flapping = throttling.get("flapping").map(|node| precautions::read_flapping(reader, node));
    let interval = reader.require(&throttling, "interval", THROTTLING.what)?;
    Some(Throttling { interval: reader.duration(interval, Duration::ZERO..=LONGEST)?, flapping: flapping.flatten() })
}

fn read_selector(reader: &Reader<'_>, rule: &Mapping<'_>) -> AlertSelector {
    let patterns = |key: &str| rule.get(key).map_or_else(Vec::new, |node| read_patterns(reader, node, key));
    let matchers = rule.get("matchers").map_or(&[][..], |node| reader.list(node, "matchers"));
    AlertSelector {
        labels: patterns("labels"),
        annotations: patterns("annotations"),
        matchers: matchers.iter().flat_map(|node| read_matchers(reader, node)).collect(),
    }
}

fn read_patterns(reader: &Reader<'_>, node: &Node, key: &str) -> Vec<(String, Regex)> {
    let Some(patterns) = reader.any_mapping(node, &format!("`{key}`")) else { return Vec::new() };
    // Unlike other mappings this one shows its entries without a value, because each narrows the rule.
    let nothing = node.entries().iter().filter(|entry| entry.key != "<<" && matches!(entry.value.kind, Kind::Nothing));
    for entry in nothing {
        let message = format!("`{}` has no pattern", entry.key);
        reader.error(&entry.key_span, message, "give it a regular expression or remove the key");
    }
    patterns.iter().filter_map(|(name, _, pattern)| Some((name.to_owned(), read_pattern(reader, pattern)?))).collect()
}

/// A regular expression that may match anywhere.
pub(super) fn read_pattern(reader: &Reader<'_>, node: &Node) -> Option<Regex> {
    match reader.patterns.search(reader.plain(node)?) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let place = error.offset.map_or_else(|| node.span.clone(), |offset| reader.within(node, offset, 1));
            reader.error(&place, format!("bad regular expression: {}", error.message), "expected RE2 syntax");
            None
        }
    }
}

/// An entry may hold several matchers, as it may in Alertmanager's own configuration.
pub(super) fn read_matchers(reader: &Reader<'_>, node: &Node) -> Vec<Matcher> {
    let Some(text) = reader.plain(node) else { return Vec::new() };
    let (message, offset) = match reader.patterns.matchers(text) {
        Ok(matchers) if !matchers.is_empty() => return matchers,
        Ok(_) => ("it is empty".to_owned(), 0),
        Err(error) => (error.message, error.offset),
    };
    let place = reader.within(node, offset, 1);
    reader.error(&place, format!("bad matcher: {message}"), "expected for example job=~\"ui|post\"");
    Vec::new()
}

/// A Go template.
pub(super) fn template(reader: &Reader<'_>, node: &Node) -> Option<Template> {
    let text = reader.plain(node)?;
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(error) => {
            let place = reader.within(node, error.offset, error.length.max(1));
            let word = text.get(error.offset..error.offset + error.length).unwrap_or_default();
            let is_known = template::names().any(|name| name == word);
            let help = suggest::guess(word, template::names()).filter(|_| !is_known);
            let message = format!("bad template: {}", error.message);
            reader.error_with_help(&place, message, "expected a Go template", help);
            None
        }
    }
}

/// Empty never widens: a rule that selects nothing in particular would act on every alert there is.
fn check_breadth(reader: &Reader<'_>, rule: &Mapping<'_>, selector: &AlertSelector, acts: bool) {
    if !(selector.labels.is_empty() && selector.annotations.is_empty() && selector.matchers.is_empty()) {
        return;
    }
    if acts {
        let help = "name the alerts by `labels`, `annotations` or `matchers`";
        let message = "this rule would act on every alert";
        reader.error_with_help(rule.span, message, "selects nothing in particular", Some(help.into()));
    } else {
        reader.warning(rule.span, "this rule tells of every alert", "selects nothing in particular");
    }
}

/// A rule that neither acts nor tells is legal, so that shipped rules load before anybody has configured a receiver.
fn check_purpose(reader: &Reader<'_>, rule: &Mapping<'_>, has_purpose: bool) {
    let names_receivers = rule.get("receivers").is_some_and(|node| node.len() > 0);
    if !has_purpose && !names_receivers {
        let label = "give it `steps` or `receivers`, or give the configuration `defaultReceivers`";
        reader.warning(rule.span, "this rule neither acts nor tells anybody", label);
    }
}
