//! What keeps a rule from doing harm, as it is written and as it is refused.

use std::time::Duration;

use autoheal::config::{Config, LoadOptions};
use autoheal::domain::guard::Window;
use autoheal::domain::rule::Mode;
use autoheal::domain::rule_policy::{ApprovalPolicy, Flapping, RuleLimits, StormLimit};
use insta::assert_snapshot;

use super::{load, told};

#[test]
fn a_rule_may_ask_named_people() {
    let rules = r"
rules:
- metadata: {name: plain}
  labels: {alertname: X}
  mode: ask
  restartContainer: {name: ui}
- metadata: {name: named}
  labels: {alertname: X}
  mode: ask
  approval: {expiresAfter: 5m, approvers: [ann, bob]}
  restartContainer: {name: ui}
";
    let (config, _) = load(&[("rules/a.yml", rules)]).unwrap();
    let policies = config.rules.policies();
    assert_eq!(config.rules.rules()[0].mode, Mode::Ask);
    assert_eq!(
        policies.get("plain").unwrap().approval,
        ApprovalPolicy { expires_after: Duration::from_mins(30), approvers: vec![] }
    );
    assert_eq!(
        policies.get("named").unwrap().approval,
        ApprovalPolicy { expires_after: Duration::from_mins(5), approvers: vec!["ann".into(), "bob".into()] }
    );
}

#[test]
fn an_approval_that_nobody_could_give_is_refused() {
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  mode: ask
  approval: {expiresAfter: 0s, aprovers: [ann]}
  restartContainer: {name: ui}
- metadata: {name: b}
  labels: {alertname: X}
  mode: ask
  approval: {approvers: []}
  restartContainer: {name: ui}
- metadata: {name: c}
  labels: {alertname: X}
  approval: {approvers: [ann]}
  restartContainer: {name: ui}
";
    assert_snapshot!(told(&[("rules/a.yml", rules)]), @r"
    error: this duration is out of range
     --> rules/a.yml:6:28
      |
    6 |   approval: {expiresAfter: 0s, aprovers: [ann]}
      |                            ^^ expected 1s to 7d

    error: unknown key `aprovers` in `approval`
     --> rules/a.yml:6:32
      |
    6 |   approval: {expiresAfter: 0s, aprovers: [ann]}
      |                                ^^^^^^^^ unknown key
      |
      = help: did you mean `approvers`?

    error: `approvers` names nobody
      --> rules/a.yml:11:25
       |
    11 |   approval: {approvers: []}
       |                         ^^ remove the key to let everybody approve who may at all

    error: `approval` stands in a rule that asks nobody
      --> rules/a.yml:15:13
       |
    15 |   approval: {approvers: [ann]}
       |             ^^^^^^^^^^^^^^^^^^ needs `mode: ask`
    ");
}

#[test]
fn an_approver_whom_nobody_is_gets_a_warning() {
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  mode: ask
  approval: {approvers: [ann, anne, ro, boss, bert, on-call, 'slack:U0123456789', 'slack:bob', bearer token 1, local]}
  restartContainer: {name: ui}
";
    let config = r"
web:
  bearerTokens: ['${T}']
  tokens:
  - {name: ann, token: '${T1}', scopes: [approve]}
  - {name: ro, token: '${T2}', scopes: [read, webhook]}
  - {name: boss, token: '${T3}', scopes: [admin]}
receivers: [{name: on-call, slack: {botToken: '${T}', channel: '#a'}}]
";
    let secrets = "T=tttttttttttttttttttttttt\nT1=ttttttttttttttttttttttt1\nT2=ttttttttttttttttttttttt2\nT3=ttttttttttttttttttttttt3\n";
    let users = "basic_auth_users: {bert: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n";
    let directory =
        super::place(&[("autoheal.yml", config), ("secrets", secrets), ("rules/a.yml", rules), ("web.yml", users)]);
    let options = LoadOptions { web_config_file: Some("web.yml".into()), ..super::options(directory.path()) };
    let (_, warnings) = Config::load(&options).unwrap();
    assert_snapshot!(warnings.to_string(), @r"
    warning: nobody who may approve is called `anne`
     --> rules/a.yml:6:31
      |
    6 |   approval: {approvers: [ann, anne, ro, boss, bert, on-call, 'slack:U0123456789', 'slack:bob', bearer token 1, local]}
      |                               ^^^^ no token with `approve` or `admin`, no user of --web-config-file, no receiver
      |
      = help: did you mean `ann`?

    warning: nobody who may approve is called `ro`
     --> rules/a.yml:6:37
      |
    6 |   approval: {approvers: [ann, anne, ro, boss, bert, on-call, 'slack:U0123456789', 'slack:bob', bearer token 1, local]}
      |                                     ^^ no token with `approve` or `admin`, no user of --web-config-file, no receiver
      |
      = help: known approvers: ann, bearer token 1, bert, boss, on-call

    warning: nobody who may approve is called `slack:bob`
     --> rules/a.yml:6:83
      |
    6 |   approval: {approvers: [ann, anne, ro, boss, bert, on-call, 'slack:U0123456789', 'slack:bob', bearer token 1, local]}
      |                                                                                   ^^^^^^^^^^^ no token with `approve` or `admin`, no user of --web-config-file, no receiver
      |
      = help: people in Slack are named by their member ID, such as slack:U0123456789

    warning: nobody who may approve is called `local`
     --> rules/a.yml:6:112
      |
    6 |   approval: {approvers: [ann, anne, ro, boss, bert, on-call, 'slack:U0123456789', 'slack:bob', bearer token 1, local]}
      |                                                                                                                ^^^^^ no token with `approve` or `admin`, no user of --web-config-file, no receiver
      |
      = help: known approvers: ann, bearer token 1, bert, boss, on-call
    ");
    let without = LoadOptions { without_secrets: true, ..options };
    assert_eq!(Config::load(&without).unwrap().1.to_string(), "", "who may approve is out of sight without secrets");
}

#[test]
fn limits_times_and_blocking_alerts_arrive() {
    let rules = r#"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  limits: {concurrent: 1, perHour: 6, windows: [{actions: 2, within: 10m}], storm: {targets: 5, within: 2m, hold: 15m}}
  activeTimes: [business-hours]
  blockedBy: ['alertname="NodeDown", severity="critical"', alertname=Maintenance]
  restartContainer: {name: ui}
- metadata: {name: b}
  labels: {alertname: X}
  restartContainer: {name: ui}
"#;
    let config = "timeIntervals: [{name: business-hours, timeIntervals: [{}]}]\n";
    let (config, _) = load(&[("autoheal.yml", config), ("rules/a.yml", rules)]).unwrap();
    let policies = config.rules.policies();
    let policy = policies.get("a").unwrap();
    let storm = StormLimit { targets: 5, within: Duration::from_mins(2), hold: Duration::from_mins(15) };
    let windows = vec![Window { actions: 2, within: Duration::from_mins(10) }];
    assert_eq!(policy.limits, RuleLimits { concurrent: Some(1), per_hour: Some(6), windows, storm: Some(storm) });
    assert_eq!((policy.schedule.active.len(), policy.blocked_by.len()), (1, 2));
    assert_eq!(policies.get("b").unwrap().limits, RuleLimits::default());
    assert!(policies.has_blockers());
}

#[test]
fn flapping_is_inherited_unless_nothing_is_remembered() {
    let rule = |name: &str, throttling: &str| {
        format!("- {{metadata: {{name: {name}}}, labels: {{a: b}}, restartContainer: {{name: ui}}{throttling}}}\n")
    };
    let rules = format!(
        "rules:\n{}{}{}{}",
        rule("plain", ""),
        rule("own", ", throttling: {interval: 5m, flapping: {relapses: 2, within: 1h}}"),
        rule("none", ", throttling: {interval: 0s}"),
        rule("inherits", ", throttling: {interval: 5m}"),
    );
    let flapping = |config: &str, rule: &str| {
        let (config, _) = load(&[("autoheal.yml", config), ("rules/a.yml", &rules)]).unwrap();
        config.rules.policies().get(rule).unwrap().flapping
    };
    let own = Some(Flapping { relapses: 2, within: Duration::from_hours(1) });
    assert_eq!(flapping("", "plain"), Some(Flapping::default()));
    assert_eq!((flapping("", "own"), flapping("", "none")), (own, None));
    let global = "throttling: {interval: 1h, flapping: {relapses: 9, within: 1d}}\n";
    let of_all = Some(Flapping { relapses: 9, within: Duration::from_hours(24) });
    assert_eq!((flapping(global, "plain"), flapping(global, "inherits")), (of_all, of_all));
    assert_eq!((flapping(global, "own"), flapping(global, "none")), (own, None));
}

#[test]
fn limits_that_limit_nothing_are_refused() {
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  limits: {concurrent: 0, perhour: 6, storm: {targets: 0, within: 2m}}
  restartContainer: {name: ui}
- metadata: {name: b}
  labels: {alertname: X}
  limits: {storm: {hold: 1m}}
  blockedBy: ['{}', '=x']
  restartContainer: {name: ui}
";
    assert_snapshot!(told(&[("rules/a.yml", rules)]), @r#"
    error: this number is out of range
     --> rules/a.yml:5:24
      |
    5 |   limits: {concurrent: 0, perhour: 6, storm: {targets: 0, within: 2m}}
      |                        ^ expected a whole number from 1 to 1000

    error: unknown key `perhour` in `limits`
     --> rules/a.yml:5:27
      |
    5 |   limits: {concurrent: 0, perhour: 6, storm: {targets: 0, within: 2m}}
      |                           ^^^^^^^ unknown key
      |
      = help: did you mean `perHour`?

    error: this number is out of range
     --> rules/a.yml:5:56
      |
    5 |   limits: {concurrent: 0, perhour: 6, storm: {targets: 0, within: 2m}}
      |                                                        ^ expected a whole number from 1 to 500

    error: `storm` needs `targets`
     --> rules/a.yml:9:19
      |
    9 |   limits: {storm: {hold: 1m}}
      |                   ^^^^^^^^^^ `targets` is missing

    error: `storm` needs `within`
     --> rules/a.yml:9:19
      |
    9 |   limits: {storm: {hold: 1m}}
      |                   ^^^^^^^^^^ `within` is missing

    error: bad matcher: no matcher is given
      --> rules/a.yml:10:16
       |
    10 |   blockedBy: ['{}', '=x']
       |                ^ expected for example alertname="NodeDown"

    error: bad matcher: a matcher begins with a label name
      --> rules/a.yml:10:22
       |
    10 |   blockedBy: ['{}', '=x']
       |                      ^ expected for example alertname="NodeDown"
    "#);
}

#[test]
fn windows_that_limit_nothing_or_twice_are_refused() {
    let config = "limits: {windows: [{actions: 3, within: 10m}, {actions: 9, within: 600s}, {actions: 0, within: 8d}, {actions: 1}]}\n";
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  limits: {windows: []}
  restartContainer: {name: ui}
";
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", rules)]), @r"
    error: two windows last equally long
     --> autoheal.yml:1:47
      |
    1 | limits: {windows: [{actions: 3, within: 10m}, {actions: 9, within: 600s}, {actions: 0, within: 8d}, {actions: 1}]}
      |                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^ only the narrower of them would ever hold

    error: this number is out of range
     --> autoheal.yml:1:85
      |
    1 | limits: {windows: [{actions: 3, within: 10m}, {actions: 9, within: 600s}, {actions: 0, within: 8d}, {actions: 1}]}
      |                                                                                     ^ expected a whole number from 1 to 10000

    error: this duration is out of range
     --> autoheal.yml:1:96
      |
    1 | limits: {windows: [{actions: 3, within: 10m}, {actions: 9, within: 600s}, {actions: 0, within: 8d}, {actions: 1}]}
      |                                                                                                ^^ expected 1s to 7d

    error: a window of `limits` needs `within`
     --> autoheal.yml:1:101
      |
    1 | limits: {windows: [{actions: 3, within: 10m}, {actions: 9, within: 600s}, {actions: 0, within: 8d}, {actions: 1}]}
      |                                                                                                     ^^^^^^^^^^^^ `within` is missing

    error: `windows` limits nothing
     --> rules/a.yml:5:21
      |
    5 |   limits: {windows: []}
      |                     ^^ remove the key, or name one: {actions: 3, within: 10m}
    ");
}

#[test]
fn a_command_is_a_list_that_no_shell_takes_apart() {
    let rule = |action: &str| format!("rules:\n- metadata: {{name: a}}\n  labels: {{alertname: X}}\n  {action}\n");
    let command = |command: &str| rule(&format!("execInContainer: {{name: ui, command: {command}}}"));
    for good in [
        "[nginx, -s, reload]",
        r#"["sh", "-c", "touch \"$1\"", "sh", "{{ $labels.file }}"]"#,
        r#"["{{ $labels.program }}"]"#,
        r#"["kill", "-{{ $labels.signal }}", "1"]"#,
    ] {
        let (config, _) = load(&[("rules/a.yml", &command(good))]).unwrap();
        assert_eq!(config.rules.rules()[0].steps[0].action.kind(), "execInContainer", "{good}");
    }
    for (bad, problem) in [
        ("nginx -s reload", "expected a list of arguments"),
        ("[]", "names no program"),
        (r#"[""]"#, "names no program"),
        (r#"["/bin/sh", "-ec", "touch {{ $labels.file }}"]"#, "lets whoever sets an alert's label run what he likes"),
        (r#"["env", "bash", "-c", "{{ $labels.x }}"]"#, "lets whoever sets an alert's label run what he likes"),
    ] {
        let told = told(&[("rules/a.yml", &command(bad))]);
        assert!(told.contains(problem), "{bad}: {told}");
    }
    let told = told(&[("rules/a.yml", &rule("execInContainer: {name: ui}"))]);
    assert!(told.contains("`execInContainer` needs `command`"), "{told}");
}

#[test]
fn dependents_are_known_of_compose_services_only() {
    let rule = |selector: &str, word: &str| {
        format!(
            "rules:\n- metadata: {{name: a}}\n  labels: {{alertname: X}}\n  restartContainer: {{{selector}, dependents: {word}}}\n"
        )
    };
    let compose = "compose: {project: otus, service: db}";
    let (config, _) = load(&[("rules/a.yml", &rule(compose, "restart"))]).unwrap();
    let dependents = config.rules.rules()[0].steps[0].action.selection().unwrap().dependents;
    assert_eq!(dependents, Some(autoheal::domain::action::Dependents::Restart));
    let on_a_name = told(&[("rules/a.yml", &rule("name: db", "all"))]);
    assert!(on_a_name.contains("only Compose notes down") && on_a_name.contains("name them in `then`"), "{on_a_name}");
    assert!(told(&[("rules/a.yml", &rule(compose, "some"))]).contains("all"));
}
