//! How long an alert takes to find its rules, how long rules take to be read from files and to be indexed, and how long a text
//! takes to render.

#![allow(missing_docs, reason = "criterion's macros write public items")]

use std::hint::black_box;
use std::time::Duration;

use autoheal::config::{Config, LoadOptions};
use autoheal::domain::Timestamp;
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::matcher::Matcher;
use autoheal::domain::regex::Regex;
use autoheal::domain::rule::{AlertSelector, HealRule, Mode, RuleSet};
use autoheal::domain::rule_policy::RulePolicy;
use autoheal::domain::template::{AlertContext, Template};
use autoheal::domain::time_interval::Schedule;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

fn alert(instance: usize) -> Alert {
    let labels: Labels = [
        ("alertname", "InstanceDown".to_owned()),
        ("cluster", "production".to_owned()),
        ("instance", format!("web-{instance:06}.example.com:9100")),
        ("job", "ui".to_owned()),
        ("severity", "critical".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: [("summary".to_owned(), "web is down".to_owned())].into(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

fn rule(number: usize, selector: AlertSelector) -> HealRule {
    HealRule {
        unsupported: None,
        policy: RulePolicy::default(),
        name: format!("rule-{number}"),
        description: String::new(),
        runbook: None,
        selector,
        continue_matching: true,
        mode: Mode::Act,
        hold_for: Duration::ZERO,
        schedule: Schedule::default(),
        throttle: Duration::ZERO,
        steps: Vec::new(),
        receivers: Vec::new(),
        routes: None,
    }
}

/// Every rule wants the same alert name and an instance of its own, by equality.
fn equality(number: usize) -> AlertSelector {
    let matcher = |text: &str| Matcher::parse(text).expect("a matcher");
    AlertSelector {
        matchers: vec![
            matcher("alertname=\"InstanceDown\""),
            matcher(&format!("instance=\"web-{number:06}.example.com:9100\"")),
        ],
        ..AlertSelector::default()
    }
}

/// The ancestor's maps with plain words, which match anywhere.
fn literal(number: usize) -> AlertSelector {
    let pattern = |text: &str| Regex::search(text).expect("a pattern");
    AlertSelector {
        labels: vec![
            ("alertname".to_owned(), pattern("Instance")),
            ("instance".to_owned(), pattern(&format!("web-{number:06}"))),
        ],
        ..AlertSelector::default()
    }
}

/// Patterns that need an automaton each; every one begins with a word of its own.
fn automaton(number: usize) -> AlertSelector {
    let pattern = Regex::search(&format!("^web-{number:06}\\.[a-z]+\\.(com|net):\\d+$")).expect("a pattern");
    AlertSelector { labels: vec![("instance".to_owned(), pattern)], ..AlertSelector::default() }
}

type Kind = (&'static str, fn(usize) -> AlertSelector);
const KINDS: [Kind; 3] = [("equality", equality), ("literal", literal), ("regex", automaton)];

fn rules(count: usize, selector: fn(usize) -> AlertSelector) -> Vec<HealRule> {
    (0..count).map(|number| rule(number, selector(number))).collect()
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    for (name, selector) in KINDS {
        for count in [1, 100, 10_000] {
            let set = RuleSet::new(rules(count, selector));
            let alert = alert(count / 2);
            assert_eq!(set.matching(&alert).count(), 1);
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| set.matching(black_box(&alert)).count());
            });
        }
    }
    group.finish();
}

fn indexing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("indexing");
    group.sample_size(10);
    for (name, selector) in &KINDS[..2] {
        let rules = rules(100_000, *selector);
        group.bench_function(BenchmarkId::new(*name, rules.len()), |bencher| {
            bencher.iter_batched(|| rules.clone(), RuleSet::new, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// A rule as people write it: a pattern, a matcher, a selection with a template, evidence, a limit.
fn written(number: usize) -> String {
    format!(
        r#"- metadata: {{name: restart-{number:06}, description: A service of web-{number:06} is down.}}
  labels: {{alertname: ^InstanceDown$, job: "ui|post"}}
  matchers: ['instance="web-{number:06}.example.com:9100"']
  throttling: {{interval: 1h}}
  limits: {{perHour: 6}}
  steps:
  - restartContainer: {{compose: {{project: otus, service: "{{{{ $labels.job }}}}"}}}}
    attempts: 2
    verify: {{within: 5m, healthyFor: 30s}}
"#
    )
}

/// 100,000 rules from YAML to a set that matches, problems and all: what a start or a reload waits for.
fn loading(criterion: &mut Criterion) {
    const FILES: usize = 100;
    const RULES: usize = 1000;
    let directory = tempfile::tempdir().expect("a directory for the rules");
    for file in 0..FILES {
        let rules: String = (file * RULES..(file + 1) * RULES).map(written).collect();
        let path = directory.path().join(format!("{file:03}.yml"));
        std::fs::write(path, format!("rules:\n{rules}")).expect("a file of rules");
    }
    let options = LoadOptions {
        rule_files: Some(vec![directory.path().to_owned()]),
        without_secrets: true,
        working_dir: directory.path().to_owned(),
        ..LoadOptions::default()
    };
    let load = || Config::load(&options).unwrap_or_else(|problems| panic!("{problems}")).0;
    let config = load();
    assert_eq!(config.rules.matching(&alert(54_321)).count(), 1);
    assert_eq!(config.rules.rules().len(), FILES * RULES);
    drop(config);
    let mut group = criterion.benchmark_group("loading");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("files", FILES * RULES), |bencher| bencher.iter_with_large_drop(load));
    group.finish();
}

fn rendering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rendering");
    let alert = alert(1);
    for (name, source) in [
        ("text", "restart-me"),
        ("label", "{{ $labels.job }}"),
        ("pipe", "{{ $labels.instance | stripPort }}"),
        ("condition", "{{ if $labels.job }}{{ $labels.job }}{{ end }}"),
    ] {
        let template = Template::parse(source).expect("a template");
        group.bench_function(name, |bencher| {
            bencher.iter(|| template.render(black_box(AlertContext { alert: &alert })));
        });
    }
    group.finish();
}

criterion_group!(benches, matching, indexing, loading, rendering);
criterion_main!(benches);
