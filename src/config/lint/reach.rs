//! Rules that are for fewer alerts, or for more, than they seem.

use std::collections::BTreeMap;

use super::selection::{allows, is_within, labels, values};
use super::{Findings, Linted};
use crate::domain::matcher::Comparison;
use crate::domain::rule::{AlertSelector, Mode};

const NAME: &str = "alertname";

/// Rules that stop the search and are for no alert name in particular; further ones are not compared with others.
const MAX_GENERAL: usize = 200;

pub fn look(rules: &[Linted<'_>], findings: &Findings<'_>) {
    let mut stoppers = Stoppers::default();
    let names = known_names(rules);
    for linted in rules {
        if never_matches(linted, findings) {
            continue;
        }
        shadowed(linted, &stoppers, findings);
        unanchored(linted, &names, findings);
        unlimited(linted, findings);
        if !linted.rule.continue_matching {
            stoppers.add(linted);
        }
    }
}

fn never_matches(linted: &Linted<'_>, findings: &Findings<'_>) -> bool {
    let selector = &linted.rule.selector;
    let impossible = labels(selector).into_iter().find(|label| values(selector, label).is_some_and(|v| v.is_empty()));
    if let Some(label) = impossible {
        let message = format!("this rule can never match: no value of `{label}` meets all it asks for");
        findings.add(
            "never-matches",
            (linted.file, linted.label_span(label)),
            message,
            "contradicts another condition",
            None,
        );
    }
    impossible.is_some()
}

/// Earlier rules with `continue: false`, found by the alert names they are for.
#[derive(Default)]
struct Stoppers<'a> {
    by_name: BTreeMap<String, Vec<&'a Linted<'a>>>,
    general: Vec<&'a Linted<'a>>,
}

impl<'a> Stoppers<'a> {
    fn add(&mut self, linted: &'a Linted<'a>) {
        match values(&linted.rule.selector, NAME) {
            Some(names) => names.into_iter().for_each(|name| self.by_name.entry(name).or_default().push(linted)),
            None if self.general.len() < MAX_GENERAL => self.general.push(linted),
            None => {}
        }
    }

    fn before(&self, selector: &AlertSelector) -> impl Iterator<Item = &&'a Linted<'a>> {
        // A rule that stops every alert of this one stops those of its first name, too.
        let first = values(selector, NAME).and_then(|names| names.into_iter().next());
        first.and_then(|name| self.by_name.get(&name)).into_iter().flatten().chain(&self.general)
    }
}

fn shadowed(linted: &Linted<'_>, stoppers: &Stoppers<'_>, findings: &Findings<'_>) {
    let selector = &linted.rule.selector;
    let Some(stopper) = stoppers.before(selector).find(|stopper| is_within(selector, &stopper.rule.selector)) else {
        return;
    };
    let name = &stopper.rule.name;
    let message = format!("this rule is never tried: rule `{name}` takes all its alerts and has `continue: false`");
    let place = super::Place::new(stopper.file, stopper.name_span());
    let help = Some(format!("`{name}` is at {place}; move this rule before it"));
    findings.add("shadowed-rule", (linted.file, linted.name_span()), message, "shadowed", help);
}

/// The alert names that rules are for, each with a rule that says so.
fn known_names<'a>(rules: &'a [Linted<'a>]) -> BTreeMap<String, &'a str> {
    let of = |linted: &'a Linted<'a>| {
        let names = values(&linted.rule.selector, NAME).unwrap_or_default();
        let plain = linted.rule.selector.labels.iter().filter(|(name, _)| name == NAME);
        let plain = plain.map(|(_, pattern)| pattern.source().to_owned()).filter(|text| is_word(text));
        names.into_iter().chain(plain).map(|name| (name, linted.rule.name.as_str())).collect::<Vec<_>>()
    };
    rules.iter().flat_map(of).collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The ancestor's maps match anywhere in a value, which few people expect of what looks like a name.
fn unanchored(linted: &Linted<'_>, names: &BTreeMap<String, &str>, findings: &Findings<'_>) {
    let selector = &linted.rule.selector;
    let Some((_, pattern)) = selector.labels.iter().find(|(name, _)| name == NAME) else { return };
    let text = pattern.source();
    let bare = text.trim_start_matches("(?i)");
    let begins = ["^", "\\A", ".*", ".+"].iter().any(|mark| bare.starts_with(mark));
    let ends = ["$", "\\z", ".*", ".+"].iter().any(|mark| bare.ends_with(mark));
    if (begins && ends) || values(selector, NAME).is_some() {
        return;
    }
    let also =
        names.iter().find(|(name, _)| name.as_str() != text && pattern.is_match(name) && allows(selector, NAME, name));
    let label = match also {
        Some((name, rule)) => format!("also matches {name}, which rule `{rule}` is for"),
        None => {
            format!("also matches names that only contain it, such as Not{}Yet", if is_word(text) { text } else { "…" })
        }
    };
    let help = is_word(text).then(|| format!("anchor it: \"^{text}$\"; or use matchers: ['alertname=\"{text}\"']"));
    let message = format!("`{text}` is looked for anywhere in the alert's name");
    findings.add("unanchored-name", (linted.file, linted.label_span(NAME)), message, label, help);
}

/// Rules that may do much at once and have no limit of their own.
fn unlimited(linted: &Linted<'_>, findings: &Findings<'_>) {
    let has_limits = linted.node.value("limits").is_some();
    for step in linted.step_nodes() {
        if let Some(job) = step.value("awxJob")
            && job.value("limit").is_none()
        {
            let help = Some("add for example limit: \"{{ $labels.instance | stripPort }}\"".to_owned());
            let message = "this job has no `limit`";
            let label = "runs on every host of the template's inventory";
            findings.add("no-limit", (linted.file, &job.span), message, label, help);
        }
        if let Some(max) = step.value("restartContainer").and_then(|restart| restart.value("max"))
            && max.written != "1"
            && !has_limits
        {
            let message =
                format!("this step may touch {} containers at once, and its rule has no `limits`", max.written);
            findings.add("no-limit", (linted.file, &max.span), message, "add `limits` to the rule", None);
        }
    }
    let rule = linted.rule;
    if rule.mode != Mode::Shadow && !rule.steps.is_empty() && !has_limits && !narrows_names(&rule.selector) {
        let message = "this rule acts on alerts of any name and has no `limits`";
        let help = Some("name the alerts, or add limits: {concurrent: 1, perHour: 6}".to_owned());
        findings.add("no-limit", (linted.file, linted.name_span()), message, "selects widely", help);
    }
}

fn narrows_names(selector: &AlertSelector) -> bool {
    let is_wide = |text: &str| matches!(text, ".*" | ".+" | "");
    selector.labels.iter().any(|(name, pattern)| name == NAME && !is_wide(pattern.source()))
        || selector.matchers.iter().filter(|matcher| matcher.name == NAME).any(|matcher| match &matcher.comparison {
            Comparison::Equal(_) => true,
            Comparison::Matches(pattern) => !is_wide(pattern.source()),
            Comparison::NotEqual(_) | Comparison::DoesNotMatch(_) => false,
        })
}
