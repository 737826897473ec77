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
       |     ^^ expected one of firing, resolved, action, wait, or `expect`

    error: expected succeeded or notNeeded or failed or refused or unreachable or timedOut, found "broken"
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
