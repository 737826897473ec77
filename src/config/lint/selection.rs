//! What can be said about which alerts a rule selects, without seeing an alert.

use crate::domain::alert::Labels;
use crate::domain::matcher::{Comparison, Matcher};
use crate::domain::rule::AlertSelector;

/// Values of a label beyond this many are not told apart.
const MAX_VALUES: usize = 64;

/// Every value a label can have in an alert that is selected; `None` when they cannot be counted.
pub fn values(selector: &AlertSelector, label: &str) -> Option<Vec<String>> {
    let of_map = selector.labels.iter().filter(|(name, _)| name == label).filter_map(|(_, pattern)| {
        let inner = pattern.source().strip_prefix('^')?.strip_suffix('$')?;
        // ^a|b$ is (^a)|(b$).
        if inner.contains('|') && !inner.starts_with('(') { None } else { alternatives(inner) }
    });
    let of_matchers = selector.matchers.iter().filter(|matcher| matcher.name == label).filter_map(finite);
    let mut values = of_map.chain(of_matchers).min_by_key(Vec::len)?;
    values.retain(|value| allows(selector, label, value));
    Some(values)
}

fn finite(matcher: &Matcher) -> Option<Vec<String>> {
    match &matcher.comparison {
        Comparison::Equal(value) => Some(vec![value.clone()]),
        Comparison::Matches(pattern) => alternatives(pattern.source()),
        Comparison::NotEqual(_) | Comparison::DoesNotMatch(_) => None,
    }
}

/// The texts that a pattern such as `ui|post` or `(ui|post)` stands for.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern
        .strip_prefix("(?:")
        .or_else(|| pattern.strip_prefix('('))
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(pattern);
    let texts: Option<Vec<_>> = inner.split('|').map(literal).collect();
    texts.filter(|texts| texts.len() <= MAX_VALUES)
}

fn literal(pattern: &str) -> Option<String> {
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(letters.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|' => return None,
            _ => text.push(letter),
        }
    }
    Some(text)
}

/// Whether nothing the selector says about a label forbids this value.
pub fn allows(selector: &AlertSelector, label: &str, value: &str) -> bool {
    let in_map = selector.labels.iter().filter(|(name, _)| name == label);
    let mut in_matchers = selector.matchers.iter().filter(|matcher| matcher.name == label);
    in_map.into_iter().all(|(_, pattern)| !value.is_empty() && pattern.is_match(value))
        && in_matchers.all(|matcher| holds(matcher, value))
}

fn holds(matcher: &Matcher, value: &str) -> bool {
    let mut labels = Labels::new();
    if !value.is_empty() {
        labels.insert(matcher.name.clone(), value.to_owned());
    }
    matcher.matches(&labels)
}

/// Whether every alert that `narrow` selects is surely selected by `wide`, too. `false` means that nobody can tell.
pub fn is_within(narrow: &AlertSelector, wide: &AlertSelector) -> bool {
    let labels = wide.labels.iter().all(|(name, pattern)| {
        let same = narrow.labels.iter().any(|(other, own)| other == name && own.source() == pattern.source());
        let matches = |value: &String| !value.is_empty() && pattern.is_match(value);
        same || values(narrow, name).is_some_and(|values| values.iter().all(matches))
    });
    let annotations = wide.annotations.iter().all(|(name, pattern)| {
        narrow.annotations.iter().any(|(other, own)| other == name && own.source() == pattern.source())
    });
    let matchers = wide.matchers.iter().all(|matcher| {
        narrow.matchers.iter().any(|own| is_same(own, matcher))
            || values(narrow, &matcher.name).is_some_and(|values| values.iter().all(|value| holds(matcher, value)))
    });
    labels && annotations && matchers
}

fn is_same(a: &Matcher, b: &Matcher) -> bool {
    let text = |matcher: &Matcher| match &matcher.comparison {
        Comparison::Equal(value) => ("=", value.clone()),
        Comparison::NotEqual(value) => ("!=", value.clone()),
        Comparison::Matches(pattern) => ("=~", pattern.source().to_owned()),
        Comparison::DoesNotMatch(pattern) => ("!~", pattern.source().to_owned()),
    };
    a.name == b.name && text(a) == text(b)
}

/// The labels a selector says something about.
pub fn labels(selector: &AlertSelector) -> Vec<&str> {
    let in_map = selector.labels.iter().map(|(name, _)| name.as_str());
    let mut names: Vec<_> = in_map.chain(selector.matchers.iter().map(|matcher| matcher.name.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::regex::Regex;

    fn selector(labels: &[(&str, &str)], matchers: &str) -> AlertSelector {
        AlertSelector {
            labels: labels.iter().map(|(name, text)| ((*name).to_owned(), Regex::search(text).unwrap())).collect(),
            annotations: Vec::new(),
            matchers: if matchers.is_empty() { Vec::new() } else { Matcher::parse_list(matchers).unwrap() },
        }
    }

    #[test]
    fn the_values_of_a_label_are_counted_where_they_can_be() {
        for (labels, matchers, expected) in [
            (&[][..], r#"job="ui""#, Some(vec!["ui"])),
            (&[], r#"job=~"ui|post""#, Some(vec!["ui", "post"])),
            (&[], r#"job=~"(?:ui|po\\.st)",job!="ui""#, Some(vec!["po.st"])),
            (&[("job", "^(ui|post)$")], r#"job!~"u.*""#, Some(vec!["post"])),
            (&[("job", "^ui$")], "", Some(vec!["ui"])),
            (&[("job", "^ui|post$")], "", None),
            (&[("job", "ui")], "", None),
            (&[("job", "ui")], r#"job="post""#, Some(vec![])),
            (&[("job", ".*")], r#"job="""#, Some(vec![])),
            (&[], r#"job=~"ui.*""#, None),
            (&[], r#"job!="ui""#, None),
        ] {
            let found = values(&selector(labels, matchers), "job");
            let expected = expected.map(|values| values.into_iter().map(str::to_owned).collect());
            assert_eq!(found, expected, "{labels:?} {matchers}");
        }
    }

    #[test]
    fn one_selector_is_within_another_only_where_that_is_sure() {
        for (narrow, wide, expected) in [
            (r#"job="ui""#, r#"job=~"ui|post""#, true),
            (r#"job=~"ui|post""#, r#"job=~"ui|post|comment""#, true),
            (r#"job=~"ui|other""#, r#"job=~"ui|post""#, false),
            (r#"job="ui",severity="page""#, r#"job="ui""#, true),
            (r#"job="ui""#, r#"job="ui",severity="page""#, false),
            (r#"job=~"u.*""#, r#"job=~"u.*""#, true),
            (r#"job=~"ui.*""#, r#"job=~"u.*""#, false),
            (r#"job="ui""#, r#"job!="post""#, true),
            (r#"alertname="A""#, r#"job!="post""#, false),
            (r#"job="ui""#, "", true),
        ] {
            let found = is_within(&selector(&[], narrow), &selector(&[], wide));
            assert_eq!(found, expected, "{narrow} in {wide}");
        }
        assert!(is_within(&selector(&[], r#"alertname="InstanceDown""#), &selector(&[("alertname", "Down")], "")));
    }
}
