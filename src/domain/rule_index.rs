//! Finds the rules that may match an alert without testing every rule.
//!
//! Each condition of a selector says something of one label or annotation: that it is there, that it equals one of a few
//! texts, or that it contains one of a few. A rule cannot match while any one of its conditions fails, so it is enough to
//! file each rule under one condition: the one it shares with the fewest other rules. What the index answers is only a
//! list of candidates; the selector itself decides.

use std::collections::{HashMap, HashSet};

use aho_corasick::AhoCorasick;

use super::alert::{Alert, Labels};
use super::matcher::{Comparison, Matcher};
use super::regex::{Needs, Regex};
use super::rule::AlertSelector;

/// An index over selectors, which are known by their position.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    labels: HashMap<String, ValueIndex>,
    annotations: HashMap<String, ValueIndex>,
    /// Selectors without any condition that could be looked up.
    always: Vec<usize>,
}

/// Where a condition looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Label,
    Annotation,
}

/// What a value must be like; the better to look up, the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Test<'r> {
    Equals(&'r str),
    Contains(&'r str),
    Exists,
}

/// One entry a rule can be filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'r> {
    place: Place,
    name: &'r str,
    test: Test<'r>,
}

impl RuleIndex {
    /// Files every selector under its most telling condition.
    pub(super) fn new<'r>(selectors: impl Iterator<Item = &'r AlertSelector>) -> Self {
        let conditions: Vec<Vec<Vec<Key<'r>>>> = selectors.map(conditions).collect();
        let mut sharers: HashMap<Key<'r>, usize> = HashMap::new();
        for key in conditions.iter().flatten().flatten() {
            *sharers.entry(*key).or_default() += 1;
        }
        let mut always = Vec::new();
        let mut builders: HashMap<(Place, &str), ValueIndexBuilder<'r>> = HashMap::new();
        for (position, conditions) in conditions.iter().enumerate() {
            let most_telling = conditions.iter().min_by_key(|keys| {
                let shared: usize = keys.iter().map(|key| sharers[key]).sum();
                (shared, keys.first().map(|key| key.test))
            });
            match most_telling {
                Some(keys) => {
                    for key in keys {
                        builders.entry((key.place, key.name)).or_default().file(key.test, position);
                    }
                }
                None => always.push(position),
            }
        }
        let mut index = Self { always, ..Self::default() };
        for ((place, name), builder) in builders {
            let values = match place {
                Place::Label => &mut index.labels,
                Place::Annotation => &mut index.annotations,
            };
            values.insert(name.to_owned(), builder.build());
        }
        index
    }

    /// The positions of all selectors that may match, in ascending order.
    pub(super) fn candidates(&self, alert: &Alert) -> Vec<usize> {
        let mut found = self.always.clone();
        look_up(&self.labels, &alert.labels, &mut found);
        look_up(&self.annotations, &alert.annotations, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn look_up(index: &HashMap<String, ValueIndex>, values: &Labels, found: &mut Vec<usize>) {
    if index.is_empty() {
        return;
    }
    for (name, value) in values {
        if let Some(values) = index.get(name) {
            values.look_up(value, found);
        }
    }
}

/// All conditions of a selector that can be looked up. For each the selector can match only if one of its keys holds.
fn conditions(selector: &AlertSelector) -> Vec<Vec<Key<'_>>> {
    let of_labels = selector.labels.iter().map(|(name, pattern)| pattern_keys(Place::Label, name, pattern));
    let of_annotations =
        selector.annotations.iter().map(|(name, pattern)| pattern_keys(Place::Annotation, name, pattern));
    let of_matchers = selector.matchers.iter().filter_map(matcher_keys);
    of_labels.chain(of_annotations).chain(of_matchers).collect()
}

/// Keys for a value that must be there and match a pattern.
fn pattern_keys<'r>(place: Place, name: &'r str, pattern: &'r Regex) -> Vec<Key<'r>> {
    let key = |test| Key { place, name, test };
    match pattern.needs() {
        Needs::Equal(texts) => texts.iter().map(|text| key(Test::Equals(text))).collect(),
        Needs::Contain(texts) => texts.iter().map(|text| key(Test::Contains(text))).collect(),
        Needs::Unknown => vec![key(Test::Exists)],
    }
}

/// Keys for a matcher, unless it holds for a missing label, which nothing could be filed under.
fn matcher_keys(matcher: &Matcher) -> Option<Vec<Key<'_>>> {
    let Matcher { name, comparison } = matcher;
    let key = |test| vec![Key { place: Place::Label, name, test }];
    match comparison {
        Comparison::Equal(value) if !value.is_empty() => Some(key(Test::Equals(value))),
        Comparison::Matches(regex) if !regex.is_match("") => Some(pattern_keys(Place::Label, name, regex)),
        Comparison::NotEqual(value) if value.is_empty() => Some(key(Test::Exists)),
        Comparison::DoesNotMatch(regex) if regex.is_match("") => Some(key(Test::Exists)),
        _ => None,
    }
}

/// The rules filed under the values of one label or annotation.
#[derive(Debug, Default)]
struct ValueIndex {
    equal: HashMap<String, Vec<usize>>,
    needles: Option<Needles>,
    exist: Vec<usize>,
}

/// Texts that are all looked for in one pass over the value.
#[derive(Debug)]
struct Needles {
    automaton: AhoCorasick,
    /// The rules of each needle, in the automaton's order.
    rules: Vec<Vec<usize>>,
}

impl ValueIndex {
    fn look_up(&self, value: &str, found: &mut Vec<usize>) {
        found.extend(&self.exist);
        found.extend(self.equal.get(value).into_iter().flatten());
        let Some(needles) = &self.needles else { return };
        // A long value may contain a needle a million times; its rules are wanted once.
        let mut seen = HashSet::new();
        for hit in needles.automaton.find_overlapping_iter(value) {
            if seen.insert(hit.pattern()) {
                found.extend(&needles.rules[hit.pattern().as_usize()]);
            }
        }
    }
}

#[derive(Debug, Default)]
struct ValueIndexBuilder<'r> {
    equal: HashMap<&'r str, Vec<usize>>,
    contain: HashMap<&'r str, Vec<usize>>,
    exist: Vec<usize>,
}

impl<'r> ValueIndexBuilder<'r> {
    fn file(&mut self, test: Test<'r>, position: usize) {
        match test {
            Test::Equals(value) => self.equal.entry(value).or_default().push(position),
            Test::Contains(needle) => self.contain.entry(needle).or_default().push(position),
            Test::Exists => self.exist.push(position),
        }
    }

    fn build(self) -> ValueIndex {
        let Self { equal, contain, mut exist } = self;
        let (texts, rules): (Vec<&str>, Vec<Vec<usize>>) = contain.into_iter().unzip();
        let needles = if texts.is_empty() {
            None
        } else if let Ok(automaton) = AhoCorasick::new(&texts) {
            Some(Needles { automaton, rules })
        } else {
            // Gigabytes of needles do not fit one automaton; then these rules are tried whenever the value is there.
            exist.extend(rules.into_iter().flatten());
            None
        };
        ValueIndex { equal: equal.into_iter().map(|(text, rules)| (text.to_owned(), rules)).collect(), needles, exist }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::alert::{AlertStatus, Fingerprint};

    fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Alert {
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let labels: Labels = own(labels);
        Alert {
            fingerprint: Fingerprint::of(&labels),
            status: AlertStatus::Firing,
            labels,
            annotations: own(annotations),
            starts_at: crate::domain::Timestamp::UNIX_EPOCH,
            ends_at: None,
            generator_url: String::new(),
        }
    }

    fn selector(labels: &[(&str, &str)], annotations: &[(&str, &str)], matchers: &[&str]) -> AlertSelector {
        let patterns = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, pattern)| ((*name).to_owned(), Regex::search(pattern).expect("a pattern")))
                .collect()
        };
        AlertSelector {
            labels: patterns(labels),
            annotations: patterns(annotations),
            matchers: matchers.iter().map(|text| Matcher::parse(text).expect("a matcher")).collect(),
        }
    }

    #[test]
    fn a_rule_is_filed_under_what_tells_it_from_the_others() {
        let selectors: Vec<_> = (0..100)
            .map(|host| selector(&[("alertname", "Down")], &[], &[&format!("instance=\"host{host}\"")]))
            .collect();
        let index = RuleIndex::new(selectors.iter());
        let alert = alert(&[("alertname", "InstanceDown"), ("instance", "host42")], &[]);
        assert_eq!(index.candidates(&alert), [42]);
    }

    #[test]
    fn a_selector_without_conditions_is_always_a_candidate() {
        let selectors = [selector(&[], &[], &[]), selector(&[], &[], &["a!=b"]), selector(&[], &[], &["a=\"\""])];
        let index = RuleIndex::new(selectors.iter());
        assert_eq!(index.candidates(&alert(&[], &[])), [0, 1, 2]);
    }

    #[test]
    fn a_rule_that_wants_a_label_to_be_there_is_not_tried_without_it() {
        let wanting = ["a=\"x\"", "a=~\"x.*\"", "a!=\"\"", "a!~\"|y\""];
        let selectors = wanting.map(|matcher| selector(&[], &[], &[matcher]));
        let index = RuleIndex::new(selectors.iter());
        assert_eq!(index.candidates(&alert(&[("b", "x")], &[("a", "x")])), [0; 0]);
        assert_eq!(index.candidates(&alert(&[("a", "x")], &[])), [0, 1, 2, 3]);
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];
    const VALUES: [&str; 8] = ["", "x", "xy", "ui", "post", "uipost", "xyz-1", "\u{e9}xy"];
    const PATTERNS: [&str; 14] = [
        "",
        "x",
        "xy",
        "^xy$",
        "^(ui|post)$",
        "ui|post",
        "x.*",
        "[a-z]+",
        ".*st",
        "^$",
        "z-\\d",
        "(?i)XY",
        "(|ui)",
        "y$",
    ];

    fn pairs(values: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
        proptest::collection::vec((select(&NAMES[..]), select(values)), 0..3)
    }

    fn any_selector() -> impl Strategy<Value = AlertSelector> {
        let matcher = prop_oneof![
            (select(&NAMES[..]), select(vec!["=", "!="]), select(&VALUES[..])),
            (select(&NAMES[..]), select(vec!["=~", "!~"]), select(&PATTERNS[..])),
        ]
        .prop_map(|(name, operator, value)| format!("{name}{operator}\"{}\"", value.replace('\\', "\\\\")));
        (pairs(&PATTERNS), pairs(&PATTERNS), proptest::collection::vec(matcher, 0..3)).prop_map(
            |(labels, annotations, matchers)| {
                selector(&labels, &annotations, &matchers.iter().map(String::as_str).collect::<Vec<_>>())
            },
        )
    }

    proptest! {
        // Each case compiles dozens of patterns.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_matching_rule_is_missed(
            selectors in proptest::collection::vec(any_selector(), 0..30),
            labels in pairs(&VALUES),
            annotations in pairs(&VALUES),
        ) {
            let alert = alert(&labels, &annotations);
            let naive: Vec<usize> =
                (0..selectors.len()).filter(|position| selectors[*position].matches(&alert)).collect();
            let mut indexed = RuleIndex::new(selectors.iter()).candidates(&alert);
            prop_assert!(indexed.is_sorted());
            indexed.retain(|position| selectors[*position].matches(&alert));
            prop_assert_eq!(indexed, naive);
        }
    }
}
