//! `autoheal test`: stories told to rules.

use std::path::Path;

use autoheal::cli::Exit;
use autoheal::cli::test::{self, TestArgs};
use autoheal::config::LoadOptions;
use insta::assert_snapshot;

use super::config::place;

const RULES: &str = r#"
rules:
- metadata: {name: restart-ui}
  matchers: [alertname="InstanceDown"]
  steps:
  - restartContainer: {name: "{{ $labels.job }}"}
    verify: {healthyFor: 10s}
  - restartContainer: {name: gateway}
- metadata: {name: never-tested}
  matchers: [alertname="Other"]
  receivers: []
  restartContainer: {name: other}
"#;

const ALERTS: &str = "alerts:\n  ui: {labels: {alertname: InstanceDown, job: ui}}\n  post: {labels: {alertname: InstanceDown, job: post}}\ntests:\n";

fn run(files: &[(&str, &str)], paths: &[&str]) -> (Exit, String) {
    let directory = place(files);
    run_in(directory.path(), paths)
}

fn run_in(directory: &Path, paths: &[&str]) -> (Exit, String) {
    let options = LoadOptions { working_dir: directory.to_owned(), ..LoadOptions::default() };
    let paths: Vec<_> = paths.iter().map(Into::into).collect();
    let mut out = Vec::new();
    let args = TestArgs { paths, ..TestArgs::default() };
    let exit = test::run(&options, &args, false, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

fn tell(events: &str) -> (Exit, String) {
    let tests = format!("{ALERTS}- name: the story\n  events:\n{events}");
    run(&[("rules/a.yml", RULES), ("rules/a.test.yml", &tests)], &["rules"])
}

#[test]
fn every_shipped_rule_has_tests_and_they_pass() {
    let (exit, text) = run_in(Path::new(env!("CARGO_MANIFEST_DIR")), &["rules"]);
    assert_eq!(exit, Exit::Success, "{text}");
    assert!(!text.contains("no test begins a heal of"), "{text}");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/rules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        let beside = name.replace(".yml", ".test.yml");
        assert!(name.ends_with(".test.yml") || Path::new(&beside).exists(), "{name} has no {beside}");
    }
}

#[test]
fn a_story_goes_the_daemons_way_through_guards_ladder_and_relapse() {
    let (exit, text) = tell(
        r"
  - firing: [ui, post]
    expect:
    - {heals: 2}
    - {target: docker:local/name/ui, state: acting, action: restartContainer, rendered: {name: ui, max: 1}}
    - {target: docker:local/name/post, state: acting, messages: [started]}
  - action: {outcome: refused, says: no such container, target: docker:local/name/ui}
    expect: {target: docker:local/name/ui, state: acting, step: 2, attempt: 1, messages: [started, attempt_failed]}
  - action: {outcome: notNeeded, target: docker:local/name/ui}
    expect: {target: docker:local/name/ui, state: verifying, reason: waiting_for_resolve}
  - wait: 1m # nobody ends the other action: it runs into its timeout
    expect:
    - {target: docker:local/name/post, state: acting, step: 2}
  - action: {outcome: unreachable, says: connection refused}
    expect: {target: docker:local/name/post, state: pending, attempt: 0, reason: connection refused}
  - resolved: [ui, post]
    expect:
    - {target: docker:local/name/ui, state: healed}
    - {target: docker:local/name/post, state: healed}
  - wait: 1s
  - firing: ui
    expect: {target: docker:local/name/ui, heals: 3, state: exhausted, reason: relapse}
",
    );
    assert_eq!(exit, Exit::Success, "{text}");
    assert!(text.contains("no test begins a heal of never-tested"), "{text}");
}

#[test]
fn the_rules_are_those_of_the_configuration_and_secrets_are_not_needed() {
    let config = r#"
docker: {hosts: [{name: east, address: "tcp://east:2375"}, {name: west, address: "tcp://west:2375"}]}
receivers: [{name: on-call, slack: {webhookUrl: "${NOT_HERE}"}}]
defaultReceivers: [on-call]
"#;
    let rules =
        RULES.replace("{name: \"", "{host: west, name: \"").replace("{name: gateway}", "{host: east, name: gateway}");
    let rules =
        rules.replace("{name: other}", "{host: east, name: other}").replace("receivers: []", "receivers: [on-call]");
    let tests = format!(
        "ruleFiles: [../rules]\n{ALERTS}- name: west\n  events:\n  - firing: ui\n    expect: {{target: docker:west/name/ui, messages: [started]}}\n"
    );
    let files = [("autoheal.yml", config), ("rules/a.yml", &rules), ("tests/west.test.yml", &tests)];
    let (exit, text) = run(&files, &["tests"]);
    assert_eq!(exit, Exit::Success, "{text}");
}

#[test]
fn a_failure_shows_the_line_the_difference_and_the_story() {
    let (exit, text) = tell(
        "  - firing: ui\n  - action: failed\n    expect: {state: healed, step: 2, attempt: 1, messages: [started]}\n  - action: succeeded\n",
    );
    assert_eq!(exit, Exit::Failure);
    assert_snapshot!(text, @r"
    error: the story: state, messages are not as expected
     --> rules/a.test.yml:9:21
      |
    9 |     expect: {state: healed, step: 2, attempt: 1, messages: [started]}
      |                     ^^^^^^ 0s after the start

        - expected
        + found

        - state: healed
        + state: acting
          step: 2
          attempt: 1
        - messages: [started]
        + messages: [started, attempt_failed]

        what happened:
              0s  firing: alert dc2b4d348ca243b0 fires
              0s  acting: step 1 of 2, attempt 1 of 1: restart container ui on local
              0s  looked: looked in this test
              0s  started: begun in this test
              0s  action failed: failed in this test
              0s  pending: step 2 of 2 follows
              0s  acting: step 2 of 2, attempt 1 of 1: restart container gateway on local

    FAILED  rules/a.test.yml: 1 test, 1 failed
            no test begins a heal of never-tested
    ");
}

#[test]
fn what_cannot_happen_fails_and_says_why() {
    for (events, expected) in [
        ("  - action: failed\n", "no action is under way; there is no heal"),
        ("  - firing: [ui, post]\n  - action: failed\n", "several heals fit, add `rule` or `target`"),
        (
            "  - firing: ui\n    expect: {rule: restart-uj}\n",
            "rule restart-uj heals nothing; there is restart-ui on docker:local/name/ui",
        ),
        ("  - firing: ui\n    expect: {target: docker:local/name/uj}\n", "+ target: docker:local/name/ui"),
        ("  - firing: ui\n    expect: {rendered: {name: post}}\n", "- rendered: {\"name\":\"post\"}"),
        ("  - expect: {heals: 1}\n", "+ heals: 0"),
    ] {
        let (exit, text) = tell(events);
        assert_eq!(exit, Exit::Failure, "{text}");
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn a_wrong_file_is_told_like_any_other_file() {
    let tests = r"
alerts:
  ui: {lables: {alertname: InstanceDown}}
  post: {labels: {alertname: InstanceDown}}
tests:
- name: wrong
  start: yesterday
  events:
  - firing: [ui, pots]
    expect: {state: healed, mesages: [healed], step: one}
  - wait: 10 minutes
    resolved: ui
  - {}
  - action: {outcome: broken}
  - expect: {}
- events: []
";
    let (exit, text) = run(&[("rules/b.test.yml", tests)], &["rules"]);
    assert_eq!(exit, Exit::Usage);
    assert_snapshot!(text, @r#"
    error: nothing says which rules are tested
     --> rules/b.test.yml:2:1
      |
    2 | alerts:
      | ^ add `ruleFiles`, or name this file after its rules: ui.test.yml tests ui.yml

    error: an alert needs `labels`
     --> rules/b.test.yml:3:7
      |
    3 |   ui: {lables: {alertname: InstanceDown}}
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `labels` is missing

    error: unknown key `lables` in an alert
     --> rules/b.test.yml:3:8
      |
    3 |   ui: {lables: {alertname: InstanceDown}}
      |        ^^^^^^ unknown key
      |
      = help: did you mean `labels`?

    error: this is not a time such as 2026-01-05T09:30:00Z
     --> rules/b.test.yml:7:10
      |
    7 |   start: yesterday
      |          ^^^^^^^^^ expected a time such as 2026-01-05T09:30:00Z

    error: there is no alert `pots` under `alerts`
     --> rules/b.test.yml:9:18
      |
    9 |   - firing: [ui, pots]
      |                  ^^^^ unknown alert
      |
      = help: did you mean `post`?

    error: unknown key `mesages` in `expect`
      --> rules/b.test.yml:10:29
       |
    10 |     expect: {state: healed, mesages: [healed], step: one}
       |                             ^^^^^^^ unknown key
       |
       = help: did you mean `messages`?

    error: expected a whole number from 0 to 1000, found a text
      --> rules/b.test.yml:10:54
       |
    10 |     expect: {state: healed, mesages: [healed], step: one}
       |                                                      ^^^ expected a whole number from 0 to 1000

    error: two things happen in one event
      --> rules/b.test.yml:11:5
       |
    11 |   - wait: 10 minutes
       |     ^^^^ make this an event of its own

    error: nothing happens in this event
      --> rules/b.test.yml:13:5
       |
    13 |   - {}
       |     ^^ expected one of firing, resolved, action, verification, approve, deny, cancel, pause, resume, wait, or `expect`

    error: expected succeeded or notNeeded or failed or refused or doubtful or unreachable or timedOut, found "broken"
      --> rules/b.test.yml:14:23
       |
    14 |   - action: {outcome: broken}
       |                       ^^^^^^ unknown word

    error: nothing is expected here
      --> rules/b.test.yml:15:13
       |
    15 |   - expect: {}
       |             ^^ expected for example {state: healed}

    error: a test needs `name`
      --> rules/b.test.yml:16:3
       |
    16 | - events: []
       |   ^^^^^^^^^^ `name` is missing
    "#);
}

#[test]
fn a_path_without_tests_and_a_rule_that_is_wrong_are_errors() {
    let files = [("rules/a.yml", "rules: [{}]\n"), ("other/a.yml", RULES), ("rules/a.test.yml", "tests: []\n")];
    let (exit, text) = run(&files, &["rules/a.test.yml"]);
    assert_eq!(exit, Exit::Usage);
    assert!(text.contains("rules/a.yml:1:9"), "{text}");
    let (exit, text) = run(&files, &["other", "missing"]);
    assert_eq!(exit, Exit::Usage);
    assert!(text.contains("other has no rule tests") && text.contains("missing cannot be read"), "{text}");
}

#[test]
fn evidence_from_outside_is_taken_to_hold_and_must_hold_for_as_long_as_the_rule_says() {
    let rules = RULES.replace("{healthyFor: 10s}", "{healthyFor: 10s, tcp: 'ui:9292', container: healthy}");
    let events = "  - firing: ui\n  - action: succeeded\n  - wait: 1m\n  - expect: {state: verifying}\n  - resolved: ui\n  \
                  - wait: 9s\n  - expect: {state: verifying}\n  - wait: 2s\n  - expect: {state: healed, reason: taken to hold}\n";
    let tests = format!("{ALERTS}- name: the story\n  events:\n{events}");
    let (exit, text) = run(&[("rules/a.yml", &rules), ("rules/a.test.yml", &tests)], &["rules"]);
    assert_eq!(exit, Exit::Success, "{text}");
}

const ASKING: &str = r#"
rules:
- metadata: {name: asks}
  matchers: [alertname="InstanceDown"]
  mode: ask
  approval: {expiresAfter: 30m, approvers: [ann]}
  restartContainer: {name: "{{ $labels.job }}"}
"#;

/// Tells a story to rules of its own.
fn tell_to(rules: &str, events: &str) -> (Exit, String) {
    let tests = format!("{ALERTS}- name: the story\n  events:\n{events}");
    run(&[("rules/a.yml", rules), ("rules/a.test.yml", &tests)], &["rules"])
}

#[test]
fn people_approve_deny_and_cancel_and_are_refused_as_in_the_daemon() {
    let (exit, text) = tell_to(
        ASKING,
        r"
  - firing: ui
    expect: {state: awaiting_approval, step: 1, attempt: 0, messages: [approval_needed]}
  - approve: {by: eve, refused: eve may not approve this}
    expect: {state: awaiting_approval}
  - approve: ann
    expect: {state: acting, attempt: 1, messages: [over, started]}
  - cancel: {by: bob, reason: wrong host}
    expect: {state: acting, reason: cancel_requested}
  - action: failed
    expect: {state: cancelled, reason: 'bob cancelled the heal: wrong host', messages: [cancelled]}
  - firing: post
  - deny: {by: ann, reason: not now, target: docker:local/name/post}
    expect: {target: docker:local/name/post, state: cancelled, reason: 'ann did not approve: not now'}
  - resolved: ui
  - wait: 10m
  - firing: ui
  - wait: 30m
    expect: {target: docker:local/name/ui, state: expired, messages: [approval_needed, expired]}
",
    );
    assert_eq!(exit, Exit::Success, "{text}");
}

#[test]
fn a_pause_holds_what_it_covers_until_it_ends_or_somebody_resumes() {
    let (exit, text) = tell(
        r#"
  - pause: {for: 1h, matchers: 'job="ui"', by: ann, reason: moving the rack}
  - firing: [ui, post]
    expect:
    - {target: docker:local/name/post, state: acting}
    - {target: docker:local/name/ui, state: pending, reason: "ann paused alerts with job=\"ui\"", messages: []}
  - wait: 59m
    expect: {target: docker:local/name/ui, state: pending}
  - wait: 1m
    expect: {target: docker:local/name/ui, state: acting}
  - pause: 2h
  - action: {outcome: refused, target: docker:local/name/ui}
    expect: {target: docker:local/name/ui, state: pending, step: 2, reason: paused}
  - resume: all
    expect: {target: docker:local/name/ui, state: acting, step: 2}
"#,
    );
    assert_eq!(exit, Exit::Success, "{text}");
}

#[test]
fn evidence_says_what_the_test_says_from_then_on() {
    let rules = RULES.replace(
        "{healthyFor: 10s}",
        "{within: 5m, healthyFor: 1m, http: {url: 'http://ui:9292/'}, tcp: 'ui:9292', resolved: false}",
    );
    let (exit, text) = tell_to(
        &rules,
        r"
  - firing: ui
  - verification: {answer: false, probe: tcp, says: connection refused}
  - action: succeeded
    expect: {state: verifying, reason: waiting_for_evidence}
  - wait: 4m
  - verification: true
    expect: {state: verifying, reason: all evidence holds}
  - wait: 30s
  - verification: false
    expect: {state: verifying, reason: does not hold in this test}
  - wait: 30s
    expect: {state: acting, step: 2, messages: [started, attempt_failed]}
",
    );
    assert_eq!(exit, Exit::Success, "{text}");
    let (exit, text) = tell_to(
        &rules,
        "  - firing: [ui, post]\n  - verification: {answer: unknown, target: docker:local/name/ui}\n  \
         - action: {outcome: succeeded, target: docker:local/name/ui}\n  \
         - action: {outcome: succeeded, target: docker:local/name/post}\n  - wait: 5m\n    expect:\n    \
         - {target: docker:local/name/ui, state: exhausted, reason: unverifiable}\n    \
         - {target: docker:local/name/post, state: healed}\n",
    );
    assert_eq!(exit, Exit::Success, "{text}");
}

#[test]
fn what_nobody_waits_for_is_said_where_it_is_told() {
    for (rules, events, words) in [
        (RULES, "  - firing: ui\n  - approve: ann\n", "8:5\n"),
        (
            RULES,
            "  - firing: ui\n  - approve: ann\n",
            "nothing waits for an approval; restart-ui on docker:local/name/ui is acting",
        ),
        (ASKING, "  - firing: ui\n  - approve: eve\n", "the order was refused: eve may not approve this; ann may"),
        (ASKING, "  - firing: ui\n  - approve: {by: ann, refused: may not}\n", "the order was not refused"),
        (ASKING, "  - firing: ui\n  - approve: {by: eve, refused: too late}\n", "but not because of \"too late\""),
        (RULES, "  - cancel: ann\n", "no heal is open; there is no heal"),
        (RULES, "  - firing: ui\n  - verification: true\n", "no open heal asks for such evidence"),
        (RULES, "  - pause: {for: 1h, reason: ' '}\n", "a pause needs a reason"),
    ] {
        let (exit, text) = tell_to(rules, events);
        assert_eq!(exit, Exit::Failure, "{text}");
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    for (events, words) in [
        ("  - verification: maybe\n", "expected true or false or unknown, found \"maybe\""),
        ("  - verification: {answer: true, probe: htp}\n", "did you mean `http`?"),
        ("  - approve: {bye: ann}\n", "did you mean `by`?"),
        ("  - pause: {reason: x}\n", "`pause` needs `for`"),
        ("  - pause: {for: 1h, rule: a, matchers: 'a=\"b\"'}\n", "not both"),
        ("  - pause: {for: 1h, matchers: 'a='}\n", ""),
        ("  - resume: ann\n", "expected all, found \"ann\""),
    ] {
        let (exit, text) = tell(events);
        assert_eq!(exit, if words.is_empty() { Exit::Success } else { Exit::Usage }, "{events}: {text}");
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
}
