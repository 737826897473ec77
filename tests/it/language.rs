//! The rule language key by key, told as stories to the daemon's own decisions: what each key of a rule does, and which alerts a rule
//! is for.

use autoheal::cli::Exit;
use autoheal::cli::test::{self, TestArgs};
use autoheal::config::{Config, LoadOptions};
use autoheal::domain::Timestamp;
use autoheal::domain::action::Action;
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

use super::config::{load, options, place, told};

const CONFIG: &str = r#"
awx: {address: "https://awx.example.com/api", token: "${T}"}
receivers: [{name: on-call, slack: {webhookUrl: "${T}"}}]
defaultReceivers: [on-call]
timeIntervals: [{name: office, timeIntervals: [{weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}]}]}]
"#;

/// One rule, what is told to it, and what is then expected. The test begins on a Monday at midnight.
fn story(rule: &str, events: &str) {
    let rules = format!("rules:\n- metadata: {{name: it}}\n  labels: {{alertname: ^Down$}}\n{rule}");
    several(&rules, events);
}

fn several(rules: &str, events: &str) {
    let tests = format!(
        "alerts:\n  ui: {{labels: {{alertname: Down, job: ui}}}}\n  post: {{labels: {{alertname: Down, job: post}}}}\ntests:\n- name: it\n  events:\n{events}"
    );
    let directory = place(&[("autoheal.yml", CONFIG), ("rules/a.yml", rules), ("rules/a.test.yml", &tests)]);
    let options = LoadOptions { working_dir: directory.path().to_owned(), ..LoadOptions::default() };
    let args = TestArgs { paths: vec!["rules".into()], ..TestArgs::default() };
    let mut out = Vec::new();
    let exit = test::run(&options, &args, false, &mut out).unwrap();
    assert_eq!(exit, Exit::Success, "{rules}\n{events}\n{}", String::from_utf8_lossy(&out));
}

#[test]
fn a_rule_without_action_tells_that_the_alert_fires_and_that_it_resolved() {
    story(
        "",
        "  - firing: ui\n    expect: {state: verifying, step: 0, messages: [firing], reason: notify_only}\n\
         \x20 - firing: ui\n    expect: {messages: []}\n\
         \x20 - wait: 3d\n    expect: {state: verifying, messages: []}\n\
         \x20 - resolved: ui\n    expect: {state: recovered, messages: [resolved]}\n",
    );
}

#[test]
fn one_value_and_a_list_of_it_are_the_same_to_a_test() {
    let rule = |limit: &str| format!("  awxJob: {{template: x, limit: {limit}, labels: [night]}}\n");
    for written in ["web1", "[web1]", "'{{ $labels.job }}'"] {
        let host = if written.contains('{') { "ui" } else { "web1" };
        for expected in [host.to_owned(), format!("[{host}]")] {
            let expect = format!("  - firing: ui\n    expect: {{rendered: {{limit: {expected}, labels: night}}}}\n");
            story(&rule(written), &expect);
        }
    }
    story(&rule("[a, b]"), "  - firing: ui\n    expect: {rendered: {limit: [a, b]}}\n");
}

#[test]
fn an_action_that_stands_in_the_rule_is_a_ladder_of_one_step() {
    for (action, kind, target) in [
        ("restartContainer: {name: ui}", "restartContainer", "docker:local/name/ui"),
        ("startContainer: {name: ui}", "startContainer", "docker:local/name/ui"),
        ("stopContainer: {name: ui}", "stopContainer", "docker:local/name/ui"),
        ("awxJob: {template: x, limit: web1}", "awxJob", "awx:default/x/web1"),
    ] {
        story(
            &format!("  {action}\n  attempts: 2\n  timeout: 2m\n  backoff: {{initial: 1m, factor: 1}}\n"),
            &format!(
                "  - firing: ui\n    expect: {{state: acting, action: {kind}, target: {target:?}, step: 1, attempt: 1}}\n\
                 \x20 - action: failed\n    expect: {{state: pending, messages: [started, attempt_failed]}}\n\
                 \x20 - wait: 1m\n    expect: {{state: acting, attempt: 2}}\n\
                 \x20 - action: failed\n    expect: {{state: exhausted, messages: [exhausted]}}\n"
            ),
        );
    }
}

#[test]
fn for_waits_and_acts_only_if_the_alert_fires_still() {
    let rule = "  for: 5m\n  restartContainer: {name: ui}\n";
    story(
        rule,
        "  - firing: ui\n    expect: {state: pending, reason: waiting_for}\n\
         \x20 - wait: 4m59s\n    expect: {state: pending, messages: []}\n\
         \x20 - wait: 2s\n    expect: {state: acting, messages: [started]}\n",
    );
    story(
        rule,
        "  - firing: ui\n  - wait: 4m\n  - resolved: ui\n    expect: {state: recovered}\n\
         \x20 - wait: 1h\n    expect: {heals: 1, state: recovered}\n",
    );
}

#[test]
fn every_matching_rule_applies_in_file_order_up_to_one_that_says_stop() {
    let rule = |name: &str, rest: &str| {
        format!(
            "- metadata: {{name: {name}}}\n  labels: {{alertname: ^Down$}}\n  restartContainer: {{name: {name}}}\n{rest}"
        )
    };
    let rules = format!(
        "rules:\n{}{}{}{}",
        rule("first", ""),
        rule("second", "  continue: true\n"),
        rule("third", "  continue: false\n"),
        rule("fourth", ""),
    );
    several(
        &rules,
        "  - firing: ui\n    expect: [{heals: 3}, {rule: first}, {rule: second}, {rule: third, state: acting}]\n",
    );
}

#[test]
fn mode_acts_asks_or_only_records() {
    story("  mode: act\n  restartContainer: {name: ui}\n", "  - firing: ui\n    expect: {state: acting}\n");
    story(
        "  mode: ask\n  approval: {expiresAfter: 30m}\n  restartContainer: {name: ui}\n",
        "  - firing: ui\n    expect: {state: awaiting_approval, messages: [approval_needed]}\n\
         \x20 - wait: 31m\n    expect: {state: expired, messages: [expired]}\n",
    );
    story(
        "  mode: shadow\n  restartContainer: {name: ui}\n",
        "  - firing: ui\n    expect: {state: shadowed, messages: [], reason: would_act}\n",
    );
}

#[test]
fn a_pause_between_attempts_grows_by_its_factor_up_to_its_longest() {
    story(
        "  restartContainer: {name: ui}\n  attempts: 5\n  backoff: {initial: 10s, factor: 3, max: 1m}\n",
        "  - firing: ui\n  - action: failed\n  - wait: 9s\n    expect: {state: pending}\n  - wait: 1s\n    expect: {state: acting, attempt: 2}\n\
         \x20 - action: failed\n  - wait: 29s\n    expect: {state: pending}\n  - wait: 1s\n    expect: {state: acting, attempt: 3}\n\
         \x20 - action: failed\n  - wait: 59s\n    expect: {state: pending}\n  - wait: 1s\n    expect: {state: acting, attempt: 4}\n\
         \x20 - action: failed\n  - wait: 59s\n    expect: {state: pending}\n  - wait: 1s\n    expect: {state: acting, attempt: 5}\n",
    );
}

#[test]
fn throttling_remembers_the_ladder_for_as_long_as_the_rule_says() {
    let rule = "  throttling: {interval: 1d}\n  steps: [{restartContainer: {name: ui}}, {restartContainer: {name: gateway}}]\n";
    let healed = "  - firing: ui\n  - action: succeeded\n  - resolved: ui\n    expect: {state: healed}\n";
    story(rule, &format!("{healed}  - wait: 23h\n  - firing: ui\n    expect: {{heals: 2, step: 2, state: acting}}\n"));
    story(rule, &format!("{healed}  - wait: 25h\n  - firing: ui\n    expect: {{heals: 2, step: 1, state: acting}}\n"));
}

#[test]
fn times_limits_and_evidence_hold_an_action_back_and_let_it_go() {
    story(
        "  activeTimes: [office]\n  restartContainer: {name: ui}\n",
        "  - firing: ui\n    expect: {state: pending, reason: inactive}\n  - wait: 9h\n    expect: {state: acting}\n",
    );
    story(
        "  muteTimes: [office]\n  for: 10h\n  restartContainer: {name: ui}\n",
        "  - firing: ui\n  - wait: 10h1m\n    expect: {state: pending, reason: muted}\n  - wait: 6h59m30s\n    expect: {state: acting}\n",
    );
    story(
        "  limits: {concurrent: 1}\n  restartContainer: {name: \"{{ $labels.job }}\"}\n",
        "  - firing: [ui, post]\n    expect: [{target: docker:local/name/ui, state: acting}, {target: docker:local/name/post, state: pending}]\n\
         \x20 - action: succeeded\n  - wait: 30s\n    expect: {target: docker:local/name/post, state: acting}\n",
    );
    story(
        "  restartContainer: {name: ui}\n  verify: {within: 1d, healthyFor: 2m}\n",
        "  - firing: ui\n  - action: succeeded\n  - wait: 23h\n    expect: {state: verifying}\n\
         \x20 - resolved: ui\n    expect: {state: verifying}\n  - wait: 2m\n    expect: {state: healed}\n",
    );
}

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Alert {
    let own = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Alert {
        fingerprint: Fingerprint::of(&own(labels)),
        status: AlertStatus::Firing,
        labels: own(labels),
        annotations: own(annotations),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

#[test]
fn which_alerts_a_rule_is_for() {
    let (name, host) = (("alertname", "NodeDownHard"), ("instance", "web-1:9100"));
    for (selector, annotations, expected) in [
        // The ancestor's maps: anywhere, every key there, case counts.
        ("labels: {alertname: Down}", &[][..], true),
        ("labels: {alertname: ^Down}", &[], false),
        ("labels: {alertname: down}", &[], false),
        ("labels: {alertname: '(?i)down'}", &[], true),
        ("labels: {alertname: Down, job: ''}", &[], false),
        ("labels: {alertname: Down, instance: ''}", &[], true),
        ("labels: {instance: '\\d:9100$'}", &[], true),
        ("labels: {alertname: Down}\n  annotations: {summary: full}", &[("summary", "disk is full")], true),
        ("labels: {alertname: Down}\n  annotations: {summary: full}", &[], false),
        ("annotations: {summary: '^disk'}", &[("summary", "disk is full")], true),
        // Alertmanager's matchers: anchored; an absent label is an empty one.
        ("matchers: ['alertname=NodeDownHard']", &[], true),
        ("matchers: ['alertname=~\"Down\"']", &[], false),
        ("matchers: ['alertname=~\".*Down.*\"']", &[], true),
        ("matchers: ['job=\"\"', 'alertname=~\".+\"']", &[], true),
        ("matchers: ['job!=\"\"', 'alertname=~\".+\"']", &[], false),
        ("matchers: ['job!~\"ui|post\"', 'alertname=~\".+\"']", &[], true),
        ("matchers: ['{alertname=~\"Node.*\",instance!=\"x\"}']", &[], true),
        ("matchers: ['{\"alertname\"=~\"Node.*\"}']", &[], true),
        ("matchers: ['alertname = NodeDownHard']", &[], true),
        // Both kinds together: all must hold.
        ("labels: {alertname: Down}\n  matchers: ['instance=~\"web-[0-9]+:9100\"']", &[], true),
        ("labels: {alertname: Down}\n  matchers: ['instance=\"db\"']", &[], false),
    ] {
        let rules = format!("rules:\n- metadata: {{name: it}}\n  {selector}\n  restartContainer: {{name: ui}}\n");
        let (config, _) = load(&[("rules/a.yml", &rules)]).unwrap_or_else(|problems| panic!("{selector}: {problems}"));
        let alert = alert(&[name, host], annotations);
        assert_eq!(config.rules.matching(&alert).count() == 1, expected, "{selector}");
    }
}

#[test]
fn durations_are_written_as_in_go_and_prometheus_with_days() {
    for (written, seconds) in [
        ("90s", 90),
        ("1h30m", 5400),
        ("1d", 86_400),
        ("1d12h", 129_600),
        ("1w", 604_800),
        ("1.5h", 5400),
        ("0", 0),
        ("0s", 0),
    ] {
        let rules = format!(
            "rules: [{{metadata: {{name: a}}, labels: {{a: b}}, for: {written}, restartContainer: {{name: a}}}}]"
        );
        let (config, _) = load(&[("rules/a.yml", &rules)]).unwrap_or_else(|problems| panic!("{written}: {problems}"));
        assert_eq!(config.rules.rules()[0].hold_for.as_secs(), seconds, "{written}");
    }
    for wrong in ["soon", "10", "-1s", "1x", "1h 30m", "''", "1dd", "true"] {
        let rules = format!(
            "rules: [{{metadata: {{name: a}}, labels: {{a: b}}, for: {wrong}, restartContainer: {{name: a}}}}]"
        );
        assert!(load(&[("rules/a.yml", &rules)]).is_err(), "{wrong}");
    }
}

#[test]
fn every_text_of_an_action_is_a_template_at_every_depth() {
    let rules = r#"
rules:
- metadata: {name: it}
  labels: {a: b}
  awxJob:
    template: "{{ $labels.job | toUpper }}"
    limit: ["{{ $labels.instance | stripPort }}"]
    extraVars: {deep: [{list: ["{{ $labels.job }}", {"x": "{{ if eq $labels.job `ui` }}yes{{ else }}no{{ end }}"}]}], count: 3}
"#;
    let files =
        [("autoheal.yml", CONFIG), ("rules/a.yml", rules), ("secrets", "T=https://hooks.slack.com/services/T0/B0/x\n")];
    let (config, _) = load(&files).unwrap_or_else(|problems| panic!("{problems}"));
    let steps =
        config.rules.rules()[0].request(&alert(&[("job", "ui"), ("instance", "web-1:80")], &[])).ladder.unwrap();
    let Action::AwxJob(job) = &steps[0].action else { panic!("{steps:?}") };
    assert_eq!((job.template.as_str(), job.limit.as_slice()), ("UI", ["web-1".to_owned()].as_slice()));
    assert_eq!(
        serde_json::json!(job.variables()),
        serde_json::json!({"deep": [{"list": ["ui", {"x": "yes"}]}], "count": 3})
    );
    // A label that is not there refuses the whole action, by name.
    let refused = config.rules.rules()[0].request(&alert(&[("job", "ui")], &[])).ladder.unwrap_err();
    assert!(refused.to_string().contains("instance"), "{refused}");
}

#[test]
fn whatever_a_file_is_made_of_it_loads_or_says_why_not() {
    let good = "rules:\n- metadata: {name: a}\n  labels: {alertname: X}\n  restartContainer: {name: a}\n";
    let huge = format!("{good}# {}\n", "x".repeat(8 << 20));
    for (bytes, expected) in [
        (good.as_bytes().to_vec(), None),
        (format!("\u{feff}{good}").into_bytes(), None),
        (good.replace('\n', "\r\n").into_bytes(), None),
        (format!("---\n{good}...\n").into_bytes(), None),
        (format!("%YAML 1.2\n---\n{good}").into_bytes(), None),
        (format!("# only\n\n{good}").into_bytes(), None),
        (Vec::new(), Some("this file has no rules")),
        (b"# nothing\n".to_vec(), Some("this file has no rules")),
        (b"---\n".to_vec(), Some("this file has no rules")),
        (b"\xef\xbb\xbf".to_vec(), Some("this file has no rules")),
        (b"rules: []\n".to_vec(), Some("there are no rules")),
        (b"just words\n".to_vec(), Some("expected a file of rules (a mapping), found a text")),
        (b"- a\n".to_vec(), Some("expected a file of rules (a mapping), found a list")),
        (format!("{good}---\n{good}").into_bytes(), Some("this is not valid YAML")),
        (good.replace("  labels", "\tlabels").into_bytes(), Some("this is not valid YAML")),
        (format!("{good}\0").into_bytes(), Some("this is not valid YAML")),
        (b"rules: \xff\xfe\n".to_vec(), Some("cannot be read: stream did not contain valid UTF-8")),
        (b"\xff\xfer\0u\0l\0e\0s\0".to_vec(), Some("cannot be read: stream did not contain valid UTF-8")),
        (huge.into_bytes(), Some("larger than")),
        (good.replace("  restart", "  labels: {b: c}\n  restart").into_bytes(), Some("key `labels` stands here twice")),
        (format!("{good}rules: []\n").into_bytes(), Some("key `rules` stands here twice")),
        (b"rules: &r\n- *r\n".to_vec(), Some("this is not valid YAML")),
    ] {
        let directory = place(&[("rules/a.yml", "")]);
        std::fs::write(directory.path().join("rules/a.yml"), &bytes).unwrap();
        let loaded = Config::load(&options(directory.path()));
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        match (expected, loaded) {
            (None, Ok((config, warnings))) => {
                assert_eq!(config.rules.rules().len(), 1, "{shown:?}: {warnings}");
                assert!(warnings.is_empty(), "{shown:?}: {warnings}");
            }
            (Some(expected), Ok((_, problems)) | Err(problems)) => {
                assert!(problems.to_string().contains(expected), "{shown:?}: {problems}");
            }
            (None, Err(problems)) => panic!("{shown:?}: {problems}"),
        }
    }
}

#[test]
fn a_pattern_or_a_template_that_is_too_large_is_refused_in_words() {
    for (rest, expected) in [
        (
            "labels: {a: '((\\pL{100}){10}x|\\pL{900})'}",
            "the pattern is too large once its repetitions are written out",
        ),
        (
            "matchers: ['a=~\"((\\\\pL{100}){10}x|\\\\pL{900})\"']",
            "the pattern is too large once its repetitions are written out",
        ),
        ("labels: {a: 'x{1001}'}", "repetition {1001} is out of order or above 1000"),
    ] {
        let rules = format!("rules:\n- metadata: {{name: a}}\n  {rest}\n  restartContainer: {{name: a}}\n");
        let told = told(&[("rules/a.yml", &rules)]);
        assert!(told.contains(expected), "{rest}: {told}");
    }
}
