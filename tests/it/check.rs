//! `autoheal check`.

use autoheal::cli::check::{self, CheckArgs};
use autoheal::cli::output::Format;
use insta::assert_snapshot;

use super::config::{RULE, options, place};

#[test]
fn check_prints_every_problem_and_counts_them() {
    let directory = place(&[
        ("rules/good.yml", &RULE.replace("InstanceDown", "^InstanceDown$")),
        ("rules/good.test.yml", "not for us"),
        ("bad.yml", "rules: [{metadata: {}}]\n"),
        ("other/autoheal.yml", "receivers: [{name: a}]\n"),
    ]);
    let check = |paths: &[&str]| {
        let paths: Vec<_> = paths.iter().map(Into::into).collect();
        let mut out = Vec::new();
        let args = CheckArgs { paths, ..CheckArgs::default() };
        let good = check::run(options(directory.path()), &args, false, &mut out).unwrap();
        (good, String::from_utf8(out).unwrap())
    };
    assert_eq!(check(&[]), (true, "all good: 1 rule, 1 docker host, 0 receivers\n".to_owned()));
    assert!(check(&["rules"]).0);
    let (good, text) = check(&["bad.yml", "other"]);
    assert!(!good);
    assert_snapshot!(text, @r"
    error: this receiver reaches nobody
     --> other/autoheal.yml:1:13
      |
    1 | receivers: [{name: a}]
      |             ^^^^^^^^^ give it a way, such as `slack` or `email`

    warning: this rule tells of every alert
     --> bad.yml:1:9
      |
    1 | rules: [{metadata: {}}]
      |         ^^^^^^^^^^^^^^ selects nothing in particular

    warning: this rule neither acts nor tells anybody
     --> bad.yml:1:9
      |
    1 | rules: [{metadata: {}}]
      |         ^^^^^^^^^^^^^^ give it `steps` or `receivers`, or give the configuration `defaultReceivers`

    error: `metadata` needs `name`
     --> bad.yml:1:20
      |
    1 | rules: [{metadata: {}}]
      |                    ^^ `name` is missing

    check failed; 2 errors, 2 warnings
    ");
}

/// What `check` prints for a file of rules.
fn checked(rules: &str, format: Format, strict: bool) -> (bool, String) {
    let directory = place(&[("rules/a.yml", rules)]);
    let args = CheckArgs { output: format, strict, ..CheckArgs::default() };
    let mut out = Vec::new();
    let good = check::run(options(directory.path()), &args, false, &mut out).unwrap();
    (good, String::from_utf8(out).unwrap())
}

/// The codes of what `check` finds, with the lines.
fn codes(rules: &str) -> Vec<String> {
    let (_, text) = checked(rules, Format::Json, false);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let problems = report["problems"].as_array().unwrap();
    problems.iter().map(|problem| format!("{} {}", problem["line"], problem["code"].as_str().unwrap_or("-"))).collect()
}

#[test]
fn every_lint_finds_its_own_and_leaves_good_rules_alone() {
    let rule = |name: &str, rest: &str| format!("- metadata: {{name: {name}}}\n{rest}");
    let good = rule(
        "good",
        "  matchers: [alertname=\"Down\", job=~\"ui|post\"]\n  restartContainer: {name: \"{{ $labels.job }}\"}\n",
    );
    let table = [
        ("never-matches", rule("a", "  matchers: [alertname=\"A\", alertname=\"B\"]\n  restartContainer: {name: a}\n")),
        (
            "never-matches",
            rule(
                "a",
                "  labels: {job: ui}\n  matchers: [alertname=\"A\", job=\"post\"]\n  restartContainer: {name: a}\n",
            ),
        ),
        (
            "shadowed-rule",
            rule("a", "  matchers: [alertname=~\"A|B\"]\n  continue: false\n  restartContainer: {name: a}\n")
                + &rule("b", "  matchers: [alertname=\"A\", job=\"ui\"]\n  restartContainer: {name: b}\n"),
        ),
        ("unanchored-name", rule("a", "  labels: {alertname: InstanceDown}\n  restartContainer: {name: a}\n")),
        ("no-limit", rule("a", "  matchers: [severity=\"page\"]\n  restartContainer: {name: a}\n")),
        ("no-limit", rule("a", "  matchers: [alertname=\"A\"]\n  restartContainer: {labels: {tier: web}, max: 3}\n")),
        (
            "literal-secret",
            rule("a", "  matchers: [alertname=\"A\"]\n  restartContainer: {labels: {token: hunter2}}\n"),
        ),
        (
            "idle-window",
            rule(
                "a",
                "  matchers: [alertname=\"A\"]\n  limits: {windows: [{actions: 9, within: 10m}, {actions: 8, within: 1d}]}\n  restartContainer: {name: a}\n",
            ),
        ),
        (
            "same-target",
            rule(
                "a",
                "  matchers: [alertname=\"A\", job=~\"ui|post\"]\n  restartContainer: {name: \"{{ $labels.job }}\"}\n",
            ) + &rule("b", "  matchers: [alertname=\"B\"]\n  restartContainer: {name: post}\n"),
        ),
        (
            "cannot-fit",
            rule("a", "  matchers: [alertname=\"A\"]\n  restartContainer: {name: a}\n  verify: {within: 30s}\n"),
        ),
        ("cannot-fit", rule("a", "  matchers: [alertname=\"A\"]\n  restartContainer: {name: a, stopTimeout: 1m}\n")),
    ];
    assert_eq!(codes(&format!("rules:\n{good}")), Vec::<String>::new());
    for (code, rules) in table {
        let found = codes(&format!("rules:\n{rules}"));
        let [found] = &found[..] else { panic!("{code}: {found:?}") };
        assert!(found.ends_with(code), "{code}: {found}");
        let (line, _) = found.split_once(' ').unwrap();
        let text = format!("rules:\n{rules}");
        let allowed: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(index, text)| {
                if line == (index + 1).to_string() {
                    format!("{text} # autoheal: allow {code}")
                } else {
                    text.to_owned()
                }
            })
            .collect();
        assert_eq!(codes(&allowed.join("\n")), Vec::<String>::new(), "{code} is allowed by a comment");
    }
}

#[test]
fn lints_are_warnings_that_only_fail_a_strict_check_and_read_like_a_compilers() {
    let rules = r#"rules:
- metadata: {name: first}
  matchers: ['alertname=~"InstanceDown|DiskFull"']
  continue: false
  restartContainer: {name: ui}
- metadata: {name: second}
  labels: {alertname: "^InstanceDown$"}
  restartContainer: {name: "{{ $labels.job }}"}
- metadata: {name: third}
  labels: {alertname: Full}
  restartContainer:
    labels: {hook: "https://hooks.slack.com/services/T0/B0/hunter2"}
"#;
    let (good, text) = checked(rules, Format::Text, false);
    assert!(good);
    assert!(!text.contains("hunter2"));
    assert_snapshot!(text, @r#"
    warning[shadowed-rule]: this rule is never tried: rule `first` takes all its alerts and has `continue: false`
     --> rules/a.yml:6:20
      |
    6 | - metadata: {name: second}
      |                    ^^^^^^ shadowed
      |
      = help: `first` is at rules/a.yml:2:20; move this rule before it

    warning[unanchored-name]: `Full` is looked for anywhere in the alert's name
      --> rules/a.yml:10:23
       |
    10 |   labels: {alertname: Full}
       |                       ^^^^ also matches DiskFull, which rule `first` is for
       |
       = help: anchor it: "^Full$"; or use matchers: ['alertname="Full"']

    warning[literal-secret]: this looks like a secret written into the file
      --> rules/a.yml:12:20
       |
    12 |     labels: {hook: "**********************************************"}
       |                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ anybody who reads the file has it
       |
       = help: use ${NAME} and the secrets file where secrets are meant; what rules hold is logged and shown

    all good: 3 rules, 1 docker host, 0 receivers; 3 warnings
    "#);
    assert!(!checked(rules, Format::Text, true).0);
    let (_, annotations) = checked(rules, Format::Github, false);
    assert_snapshot!(annotations, @r#"
    ::warning file=rules/a.yml,line=6,col=20,endColumn=26,title=shadowed-rule::this rule is never tried: rule `first` takes all its alerts and has `continue: false`%0Ashadowed%0A`first` is at rules/a.yml:2:20; move this rule before it
    ::warning file=rules/a.yml,line=10,col=23,endColumn=27,title=unanchored-name::`Full` is looked for anywhere in the alert's name%0Aalso matches DiskFull, which rule `first` is for%0Aanchor it: "^Full$"; or use matchers: ['alertname="Full"']
    ::warning file=rules/a.yml,line=12,col=20,endColumn=68,title=literal-secret::this looks like a secret written into the file%0Aanybody who reads the file has it%0Ause ${NAME} and the secrets file where secrets are meant; what rules hold is logged and shown
    "#);
}

#[test]
fn shipped_files_pass_a_strict_check() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = place(&[(
        "secrets",
        &std::fs::read_to_string(root.join("secrets.example"))
            .unwrap()
            .replace('=', "=https://example.com/")
            .replace("BOT_TOKEN=https://example.com/", "BOT_TOKEN=xoxb-"),
    )]);
    let mut options = options(directory.path());
    options.working_dir = root.to_owned();
    let args =
        CheckArgs { paths: vec!["rules".into(), "autoheal.example.yml".into()], strict: true, ..CheckArgs::default() };
    let mut out = Vec::new();
    let good = check::run(options, &args, false, &mut out).unwrap();
    assert!(good, "{}", String::from_utf8(out).unwrap());
}

#[test]
fn a_mistyped_name_of_any_kind_finds_its_nearest() {
    let config = r#"
docker: {hosts: [{name: local, address: "tcp://127.0.0.1:1"}, {name: remote, address: "tcp://127.0.0.1:2"}]}
awx: {address: "http://127.0.0.1:1/api", token: "${AWX_TOKN}", projet: p}
receivers: [{name: on-call, slak: {}}, {name: backup, email: {tos: [a@example.com]}}]
defaultReceivers: [on-cal]
fallbackReceiver: bakup
timeIntervals: [{name: business-hours, timeIntervals: [{weekdys: [monday]}]}]
web: {tokens: [{name: ann, token: "${ANN}", scopes: [amdin]}]}
limts: {concurrent: 3}
"#;
    let rules = r#"
rules:
- metadata: {name: a, runbok: x}
  matchers: [alertname="A"]
  receivers: [oncall]
  activeTimes: [busines-hours]
  muteTimes: [bussiness-hours]
  mode: aks
  whenSilenced: hael
  blokedBy: [alertname="B"]
  limits: {concurent: 1, storm: {targts: 3, within: 1m}}
  throtling: {interval: 1h}
  steps:
  - restartContainer: {host: locl, name: "{{ $lables.job }}", maxx: 1}
    verfy: {within: 5m}
  - restartContiner: {name: a}
  - awxJob: {template: t, limt: x, extraVars: {a: "{{ $labels.a | stripPrt }}"}}
    verify: {withn: 1m}
    backoff: {inital: 1s}
"#;
    let directory = place(&[("autoheal.yml", config), ("rules/a.yml", rules), ("secrets", "AWX_TOKEN=abc\nANN=abc\n")]);
    let mut out = Vec::new();
    let args = CheckArgs { output: Format::Json, ..CheckArgs::default() };
    assert!(!check::run(options(directory.path()), &args, false, &mut out).unwrap());
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let help = |problem: &serde_json::Value| problem["help"].as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = report["problems"].as_array().unwrap().iter().map(help).collect();
    for near in [
        "AWX_TOKEN",
        "project",
        "slack",
        "to",
        "on-call",
        "backup",
        "weekdays",
        "admin",
        "limits",
        "runbook",
        "business-hours",
        "ask",
        "heal",
        "blockedBy",
        "concurrent",
        "targets",
        "throttling",
        "local",
        "$labels",
        "max",
        "verify",
        "restartContainer",
        "limit",
        "stripPort",
        "within",
        "initial",
    ] {
        assert!(told.iter().any(|help| *help == format!("did you mean `{near}`?")), "{near} is not in {told:#?}");
    }
}

#[test]
fn the_exit_code_is_0_for_clean_1_for_problems_2_for_a_wrong_command_line() {
    let directory = place(&[("rules/a.yml", RULE), ("bad.yml", "rules: [{}]\n")]);
    let exit = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_autoheal"));
        let output = command.arg("check").args(arguments).current_dir(directory.path()).env_clear().output().unwrap();
        output.status.code()
    };
    for (arguments, code) in [
        (&["rules"][..], 0),
        (&["rules", "--strict"], 1),
        (&["bad.yml"], 1),
        (&["bad.yml", "--output", "json"], 1),
        (&["bad.yml", "--output", "github"], 1),
        (&["missing"], 1),
        (&["--output", "xml"], 2),
        (&["--strickt"], 2),
    ] {
        assert_eq!(exit(arguments), Some(code), "{arguments:?}");
    }
}

#[test]
fn attempts_that_never_come_or_come_an_hour_late_are_found() {
    let rule =
        |rest: &str| format!("rules:\n- metadata: {name}\n  matchers: [alertname=\"A\"]\n{rest}", name = "{name: a}");
    let restart = "  restartContainer: {name: a}\n";
    for (rest, found) in [
        (format!("{restart}  maxAge: 10m\n  for: 11m\n"), &["6 cannot-fit"][..]),
        (format!("{restart}  maxAge: 10m\n  for: 10m\n"), &[]),
        (format!("{restart}  limits: {{perHour: 2}}\n  attempts: 3\n"), &["5 cannot-fit"]),
        (format!("{restart}  limits: {{perHour: 3}}\n  attempts: 3\n"), &[]),
    ] {
        assert_eq!(codes(&rule(&rest)), found, "{rest}");
    }
}
