//! What a person is told when files are wrong: everything, each with its place.

use autoheal::config::{Config, Severity};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::{load, options, place, told};

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn ten_mistakes_in_one_file_are_all_shown() {
    let config = "docker: {hosts: [{name: local, address: unix:///run/docker.sock}]}\n\
                  receivers: [{name: on-call, slack: {webhookUrl: \"https://hooks.example.com/x\"}}]\n";
    let rules = r"
rules:
- metadata: {name: broken}
  lables: {alertname: InstanceDown}
  mode: sahdow
  for: 10 minutes
  continue: maybe
  steps:
  - restartContainer: {host: lokal, name: ui, max: 0}
    attempts: [1]
    backoff: {initial: 10m, max: 1m}
    verify: {healthyfor: 30s}
  - restartContaner: {name: ui}
  receivers: [oncall]
- metadata: {name: broken}
  labels: {alertname: InstanceDown}
  labels: {alertname: Other}
  restartContainer: {name: ui, labels: {a: b}}
  verify: {within: 1m, healthyFor: 2m}
- labels: {alertname: InstanceDown}
  receivers: on-call
";
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", rules)]), @r#"
    warning: a secret is written into the configuration
     --> autoheal.yml:2:49
      |
    2 | receivers: [{name: on-call, slack: {webhookUrl: "***************************"}}]
      |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ use ${NAME} and the secrets file

    error: unknown key `lables` in a rule
     --> rules/a.yml:4:3
      |
    4 |   lables: {alertname: InstanceDown}
      |   ^^^^^^ unknown key
      |
      = help: did you mean `labels`?

    error: expected act or ask or shadow, found "sahdow"
     --> rules/a.yml:5:9
      |
    5 |   mode: sahdow
      |         ^^^^^^ unknown word
      |
      = help: did you mean `shadow`?

    error: "10 minutes" is no duration: a unit is missing after the number (y, w, d, h, m, s or ms)
     --> rules/a.yml:6:8
      |
    6 |   for: 10 minutes
      |        ^^^^^^^^^^ expected a duration such as 90s, 1h30m or 1d

    error: expected true or false, found a text
     --> rules/a.yml:7:13
      |
    7 |   continue: maybe
      |             ^^^^^ expected true or false

    error: there is no docker host `lokal`
     --> rules/a.yml:9:30
      |
    9 |   - restartContainer: {host: lokal, name: ui, max: 0}
      |                              ^^^^^ unknown docker host
      |
      = help: did you mean `local`?

    error: this number is out of range
     --> rules/a.yml:9:52
      |
    9 |   - restartContainer: {host: lokal, name: ui, max: 0}
      |                                                    ^ expected a whole number from 1 to 100

    error: expected a whole number from 1 to 100, found a list
      --> rules/a.yml:10:15
       |
    10 |     attempts: [1]
       |               ^^^ expected a whole number from 1 to 100

    error: the longest wait is shorter than the first one
      --> rules/a.yml:11:29
       |
    11 |     backoff: {initial: 10m, max: 1m}
       |                             ^^^ `max` must not be below `initial`

    error: unknown key `healthyfor` in `verify`
      --> rules/a.yml:12:14
       |
    12 |     verify: {healthyfor: 30s}
       |              ^^^^^^^^^^ unknown key
       |
       = help: did you mean `healthyFor`?

    error: unknown key `restartContaner` in a step
      --> rules/a.yml:13:5
       |
    13 |   - restartContaner: {name: ui}
       |     ^^^^^^^^^^^^^^^ unknown key
       |
       = help: did you mean `restartContainer`?

    error: there is no receiver `oncall`
      --> rules/a.yml:14:15
       |
    14 |   receivers: [oncall]
       |               ^^^^^^ unknown receiver
       |
       = help: did you mean `on-call`?

    error: two rules are named `broken`
      --> rules/a.yml:15:20
       |
    15 | - metadata: {name: broken}
       |                    ^^^^^^ this name is taken
       |
       = help: the first one is at rules/a.yml:3:20

    error: key `labels` stands here twice
      --> rules/a.yml:17:3
       |
    17 |   labels: {alertname: Other}
       |   ^^^^^^ repeated key
       |
       = help: the first one is at rules/a.yml:16:3

    error: expected exactly one of `name`, `labels` and `compose`
      --> rules/a.yml:18:21
       |
    18 |   restartContainer: {name: ui, labels: {a: b}}
       |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^ says it more than once

    error: a heal cannot hold that long before its time runs out
      --> rules/a.yml:19:24
       |
    19 |   verify: {within: 1m, healthyFor: 2m}
       |                        ^^^^^^^^^^ must not be longer than `within`

    error: a rule needs `metadata`
      --> rules/a.yml:20:3
       |
    20 | - labels: {alertname: InstanceDown}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `metadata` is missing

    error: expected a list of receiver names, found a text
      --> rules/a.yml:21:14
       |
    21 |   receivers: on-call
       |              ^^^^^^^ expected a list of receiver names
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn a_configuration_shows_all_its_mistakes_and_no_secret() {
    let config = r#"
recievers: []
store: postgres://user:${DB}@db/autoheal
docker:
  hosts:
  - {name: local, address: "ssh://elsewhere"}
  - {name: local, address: "tcp://engine:2376", tls: {caFile: none.pem}}
limits: {perHour: 0, storm: {targets: 5}}
web: {maxBodyBytes: lots, bearerTokens: ["hunter2", "${EMPTY}"]}
receivers:
- name: on-call
  slack: {webhookUrl: "https://hooks.example.com/hunter2/${SLACK_TOKEM}", botToken: hunter2}
  email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: hunter2, username: me}
- {name: on/call}
- {name: mail, mailgun: {apiKey: hunter2, region: asia}}
defaultReceivers: [oncall]
history: 0
timeIntervals: {}
"#;
    let secrets = "DB=hunter2\nSLACK_TOKEN=hunter2\nEMPTY=\nFROM=hunter2\n";
    let text = told(&[("autoheal.yml", config), ("secrets", secrets)]);
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(text, @r#"
    warning: rules cannot be read: No such file or directory (os error 2)

    error: unknown key `recievers` in the configuration
     --> autoheal.yml:2:1
      |
    2 | recievers: []
      | ^^^^^^^^^ unknown key
      |
      = help: did you mean `receivers`?

    error: PostgreSQL is not supported by this version
     --> autoheal.yml:3:8
      |
    3 | store: postgres://user:${DB}@db/autoheal
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected sqlite:PATH

    error: autoheal cannot reach an engine there
     --> autoheal.yml:6:28
      |
    6 |   - {name: local, address: "ssh://elsewhere"}
      |                            ^^^^^^^^^^^^^^^^^ expected an address such as unix:///var/run/docker.sock or tcp://host:2376

    error: two docker hosts are named `local`
     --> autoheal.yml:7:12
      |
    7 |   - {name: local, address: "tcp://engine:2376", tls: {caFile: none.pem}}
      |            ^^^^^ this name is taken
      |
      = help: the first one is at autoheal.yml:6:12

    error: `tls` of a docker host needs `certFile`
     --> autoheal.yml:7:54
      |
    7 |   - {name: local, address: "tcp://engine:2376", tls: {caFile: none.pem}}
      |                                                      ^^^^^^^^^^^^^^^^^^ `certFile` is missing

    error: `tls` of a docker host needs `keyFile`
     --> autoheal.yml:7:54
      |
    7 |   - {name: local, address: "tcp://engine:2376", tls: {caFile: none.pem}}
      |                                                      ^^^^^^^^^^^^^^^^^^ `keyFile` is missing

    error: this file cannot be read: No such file or directory (os error 2)
     --> autoheal.yml:7:63
      |
    7 |   - {name: local, address: "tcp://engine:2376", tls: {caFile: none.pem}}
      |                                                               ^^^^^^^^ expected a readable file

    error: this number is out of range
     --> autoheal.yml:8:19
      |
    8 | limits: {perHour: 0, storm: {targets: 5}}
      |                   ^ expected a whole number from 1 to 1000000

    error: `storm` is not supported by this version
     --> autoheal.yml:8:22
      |
    8 | limits: {perHour: 0, storm: {targets: 5}}
      |                      ^^^^^ leaving it out silently would change what happens

    error: expected a whole number from 1 to 1073741824, found a text
     --> autoheal.yml:9:21
      |
    9 | web: {maxBodyBytes: lots, bearerTokens: ["*******", "${EMPTY}"]}
      |                     ^^^^ expected a whole number from 1 to 1073741824

    warning: a secret is written into the configuration
     --> autoheal.yml:9:42
      |
    9 | web: {maxBodyBytes: lots, bearerTokens: ["*******", "${EMPTY}"]}
      |                                          ^^^^^^^^^ use ${NAME} and the secrets file

    error: this value is empty
     --> autoheal.yml:9:53
      |
    9 | web: {maxBodyBytes: lots, bearerTokens: ["*******", "${EMPTY}"]}
      |                                                     ^^^^^^^^^^ must not be empty

    error: `slack` with `botToken` needs `channel`
      --> autoheal.yml:12:10
       |
    12 |   slack: {webhookUrl: "**********************************${SLACK_TOKEM}", botToken: *******}
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `channel` is missing

    error: `webhookUrl` and `botToken` are two ways to the same
      --> autoheal.yml:12:75
       |
    12 |   slack: {webhookUrl: "**********************************${SLACK_TOKEM}", botToken: *******}
       |                                                                           ^^^^^^^^ keep one of them

    warning: a secret is written into the configuration
      --> autoheal.yml:12:85
       |
    12 |   slack: {webhookUrl: "**********************************${SLACK_TOKEM}", botToken: *******}
       |                                                                                     ^^^^^^^ use ${NAME} and the secrets file

    error: this is not a mail address such as oncall@example.com or On Call <oncall@example.com>
      --> autoheal.yml:13:16
       |
    13 |   email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: *******, username: me}
       |                ^^^^^^ expected a mail address such as oncall@example.com or On Call <oncall@example.com>

    error: this is not a mail address such as oncall@example.com or On Call <oncall@example.com>
      --> autoheal.yml:13:31
       |
    13 |   email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: *******, username: me}
       |                               ^^^^^^^^^^^ expected a mail address such as oncall@example.com or On Call <oncall@example.com>

    error: this is not a mail server
      --> autoheal.yml:13:55
       |
    13 |   email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: *******, username: me}
       |                                                       ^^^^^^^^^^^ expected host:port, for example smtp.mailgun.org:587

    error: unknown key `pasword` in `email`
      --> autoheal.yml:13:68
       |
    13 |   email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: *******, username: me}
       |                                                                    ^^^^^^^ unknown key
       |
       = help: did you mean `password`?

    error: `username` and `password` belong together
      --> autoheal.yml:13:86
       |
    13 |   email: {to: [nobody], from: "é ${FROM}", smarthost: "mail:smtp", pasword: *******, username: me}
       |                                                                                      ^^^^^^^^ the other one is missing

    error: a receiver's name has no `/`
      --> autoheal.yml:14:10
       |
    14 | - {name: on/call}
       |          ^^^^^^^ expected another name

    error: `mailgun` needs `domain`
      --> autoheal.yml:15:25
       |
    15 | - {name: mail, mailgun: {apiKey: *******, region: asia}}
       |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `domain` is missing

    error: `mailgun` needs `from`
      --> autoheal.yml:15:25
       |
    15 | - {name: mail, mailgun: {apiKey: *******, region: asia}}
       |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `from` is missing

    error: `mailgun` needs `to`
      --> autoheal.yml:15:25
       |
    15 | - {name: mail, mailgun: {apiKey: *******, region: asia}}
       |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `to` is missing

    warning: a secret is written into the configuration
      --> autoheal.yml:15:34
       |
    15 | - {name: mail, mailgun: {apiKey: *******, region: asia}}
       |                                  ^^^^^^^ use ${NAME} and the secrets file

    error: expected us or eu, found "asia"
      --> autoheal.yml:15:51
       |
    15 | - {name: mail, mailgun: {apiKey: *******, region: asia}}
       |                                                   ^^^^ unknown word

    error: there is no receiver `oncall`
      --> autoheal.yml:16:20
       |
    16 | defaultReceivers: [oncall]
       |                    ^^^^^^ unknown receiver
       |
       = help: did you mean `on-call`?

    error: this duration is out of range
      --> autoheal.yml:17:10
       |
    17 | history: 0
       |          ^ expected 1d to 36500d

    error: expected a list of time intervals, found a mapping
      --> autoheal.yml:18:16
       |
    18 | timeIntervals: {}
       |                ^^ expected a list of time intervals
    "#);
}

#[test]
fn what_later_versions_bring_is_refused_by_name() {
    let rules = r"
rules:
- metadata: {name: later}
  labels: {alertname: X}
  steps:
  - restartContainer: {name: x}
- metadata: {name: old}
  labels: {alertname: X}
  steps: [{batchJob: {}}]
";
    let text = told(&[("rules/a.yml", rules)]);
    let refused = ["batchJob"];
    for key in refused {
        assert!(text.contains(&format!("`{key}` is not supported by this version")), "{key}: {text}");
    }
    assert_eq!(text.matches("error").count(), refused.len(), "{text}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "most lines are the expected text")]
fn an_empty_selection_never_widens() {
    let rules = r#"
rules:
- metadata: {name: everything}
  restartContainer: {name: ui}
- metadata: {name: nothing-left}
  labels: {}
  matchers: []
  restartContainer: {name: ui}
- metadata: {name: empty-label}
  labels: {alertname: X}
  restartContainer: {labels: {role: }}
- metadata: {name: empty-labels}
  labels: {alertname: X, job: }
  restartContainer: {labels: {}}
- metadata: {name: empty-name}
  labels:
  restartContainer: {compose: {project: " ", service: }}
- metadata: {name: empty-matcher}
  matchers: ['{}', '']
  restartContainer: {name: ui}
- metadata: {name: merged-nothing}
  labels: {<<: {}}
  restartContainer: {name: ui}
"#;
    assert_snapshot!(told(&[("rules/a.yml", rules)]), @r#"
    error: this rule would act on every alert
     --> rules/a.yml:3:3
      |
    3 | - metadata: {name: everything}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ selects nothing in particular
      |
      = help: name the alerts by `labels`, `annotations` or `matchers`

    error: this rule would act on every alert
     --> rules/a.yml:5:3
      |
    5 | - metadata: {name: nothing-left}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ selects nothing in particular
      |
      = help: name the alerts by `labels`, `annotations` or `matchers`

    error: label `role` has no value
      --> rules/a.yml:11:31
       |
    11 |   restartContainer: {labels: {role: }}
       |                               ^^^^ empty never widens

    error: `job` has no pattern
      --> rules/a.yml:13:26
       |
    13 |   labels: {alertname: X, job: }
       |                          ^^^ give it a regular expression or remove the key

    error: `labels` is empty and would select every container
      --> rules/a.yml:14:30
       |
    14 |   restartContainer: {labels: {}}
       |                              ^^ expected at least one label

    error: `labels` has no value
      --> rules/a.yml:16:3
       |
    16 |   labels:
       |   ^^^^^^ give it a value or remove the key

    error: `project` is empty
      --> rules/a.yml:17:41
       |
    17 |   restartContainer: {compose: {project: " ", service: }}
       |                                         ^^^ must say something

    error: `service` has no value
      --> rules/a.yml:17:46
       |
    17 |   restartContainer: {compose: {project: " ", service: }}
       |                                              ^^^^^^^ give it a value or remove the key

    error: bad matcher: it is empty
      --> rules/a.yml:19:15
       |
    19 |   matchers: ['{}', '']
       |               ^ expected for example job=~"ui|post"

    error: bad matcher: it is empty
      --> rules/a.yml:19:21
       |
    19 |   matchers: ['{}', '']
       |                     ^ expected for example job=~"ui|post"

    error: this rule would act on every alert
      --> rules/a.yml:21:3
       |
    21 | - metadata: {name: merged-nothing}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ selects nothing in particular
       |
       = help: name the alerts by `labels`, `annotations` or `matchers`
    "#);
}

#[test]
fn a_rule_that_only_tells_may_tell_of_everything() {
    let config = "receivers: [{name: all, email: {to: a@example.com, from: b@example.com, smarthost: mail}}]\n\
                  rules: [{metadata: {name: tell}, receivers: [all]}, {metadata: {name: idle}, labels: {a: b}, steps: []}]\n";
    assert_snapshot!(told(&[("autoheal.yml", config)]), @r"
    warning: this rule tells of every alert
     --> autoheal.yml:2:9
      |
    2 | rules: [{metadata: {name: tell}, receivers: [all]}, {metadata: {name: idle}, labels: {a: b}, steps: []}]
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ selects nothing in particular

    warning: this rule neither acts nor tells anybody
     --> autoheal.yml:2:53
      |
    2 | rules: [{metadata: {name: tell}, receivers: [all]}, {metadata: {name: idle}, labels: {a: b}, steps: []}]
      |                                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ give it `steps` or `receivers`, or give the configuration `defaultReceivers`
    ");
}

#[test]
#[expect(clippy::too_many_lines, reason = "most lines are the expected text")]
fn carets_stand_under_the_exact_spot() {
    let rules = r#"
rules:
- metadata: {name: patterns}
  labels: {alertname: 'Instance(Down', job: "é[b-a]"}
  matchers: ["job=~\"ui(\"", 'job=~"ui("', 'job~ui', "é"]
  restartContainer: {name: "{{ $labels.job"}
- metadata: {name: spots, runbook: 'https://wiki/${NAME}'}
  labels: {é: "éé", b: "q\"${B}"}
  restartContainer:
    name: >
      folded ${C}
- metadata: {name: plain}
  labels:
    alertname: plain é ${A}
  restartContainer: {name: ui}
"#;
    assert_snapshot!(told(&[("rules/a.yml", rules)]), @r#"
    error: bad regular expression: missing closing )
     --> rules/a.yml:4:32
      |
    4 |   labels: {alertname: 'Instance(Down', job: "é[b-a]"}
      |                                ^ expected RE2 syntax

    error: bad regular expression: invalid character range b-a
     --> rules/a.yml:4:48
      |
    4 |   labels: {alertname: 'Instance(Down', job: "é[b-a]"}
      |                                                ^ expected RE2 syntax

    error: bad matcher: bad regular expression: missing closing )
     --> rules/a.yml:5:24
      |
    5 |   matchers: ["job=~\"ui(\"", 'job=~"ui("', 'job~ui', "é"]
      |                        ^ expected for example job=~"ui|post"

    error: bad matcher: bad regular expression: missing closing )
     --> rules/a.yml:5:39
      |
    5 |   matchers: ["job=~\"ui(\"", 'job=~"ui("', 'job~ui', "é"]
      |                                       ^ expected for example job=~"ui|post"

    error: bad matcher: after the label name "job" one of =, !=, =~, !~ is expected
     --> rules/a.yml:5:48
      |
    5 |   matchers: ["job=~\"ui(\"", 'job=~"ui("', 'job~ui', "é"]
      |                                                ^ expected for example job=~"ui|post"

    error: bad matcher: after the label name "é" one of =, !=, =~, !~ is expected
     --> rules/a.yml:5:56
      |
    5 |   matchers: ["job=~\"ui(\"", 'job=~"ui("', 'job~ui', "é"]
      |                                                        ^ expected for example job=~"ui|post"

    error: bad template: unclosed action
     --> rules/a.yml:6:29
      |
    6 |   restartContainer: {name: "{{ $labels.job"}
      |                             ^^ expected a Go template

    error: a reference to a secret is not allowed here
     --> rules/a.yml:7:50
      |
    7 | - metadata: {name: spots, runbook: 'https://wiki/${NAME}'}
      |                                                  ^^^^^^^ taken as it stands, never replaced
      |
      = help: rules, names and numbers are logged and shown; secrets belong into receivers and connections; write $${NAME} for the text ${NAME}

    error: a reference to a secret is not allowed here
     --> rules/a.yml:8:28
      |
    8 |   labels: {é: "éé", b: "q\"${B}"}
      |                            ^^^^ taken as it stands, never replaced
      |
      = help: rules, names and numbers are logged and shown; secrets belong into receivers and connections; write $${B} for the text ${B}

    error: a reference to a secret is not allowed here
      --> rules/a.yml:11:14
       |
    11 |       folded ${C}
       |              ^^^^ taken as it stands, never replaced
       |
       = help: rules, names and numbers are logged and shown; secrets belong into receivers and connections; write $${C} for the text ${C}

    error: a reference to a secret is not allowed here
      --> rules/a.yml:14:24
       |
    14 |     alertname: plain é ${A}
       |                        ^^^^ taken as it stands, never replaced
       |
       = help: rules, names and numbers are logged and shown; secrets belong into receivers and connections; write $${A} for the text ${A}
    "#);
}

#[test]
fn text_that_is_not_yaml_is_shown_where_it_breaks() {
    for (text, place) in [
        ("web:\n  bearerTokens: [hunter2\nx: y\n", "3:2"),
        ("a: password: hunter2\n", "1:12"),
        ("web: *nowhere\n", "1:6"),
        ("web: {}\n---\nweb: {}\n", "2:1"),
        ("web: !tag {}\n", "1:6"),
        ("a: &a [*a]\n", "1:8"),
        ("- ? [a]\n  : b\n", "1:5"),
    ] {
        let told = told(&[("autoheal.yml", text)]);
        assert!(told.contains(&format!("autoheal.yml:{place}\n")), "{text:?}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(told.matches("error").count(), 1, "{told}");
    }
}

#[test]
fn an_attack_is_refused_quickly() {
    let deep = format!("a: {}", "[".repeat(20_000));
    let indented: Vec<_> = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='j').zip('a'..) {
        let many = format!("*{before}, ").repeat(8);
        bomb.extend([&name.to_string(), ": &", &name.to_string(), " [", &many, "*", &before.to_string(), "]\n"]);
    }
    for text in [deep, indented.concat(), bomb] {
        let told = told(&[("autoheal.yml", &text)]);
        assert!(told.contains("this is not valid YAML"), "{told}");
    }
    let labels: Vec<_> = (0..100_000).map(|number| format!("    l{number}: v\n")).collect();
    let rule = "rules:\n- metadata: {name: wide}\n  restartContainer: {name: x}\n  labels:\n";
    let told = told(&[("rules/a.yml", &format!("{rule}{}    l0: w\n", labels.concat()))]);
    assert!(told.contains("key `l0` stands here twice") && told.contains("at rules/a.yml:5:5"), "{told}");
}

#[test]
fn what_is_missing_outside_of_files_is_said_plainly() {
    let directory =
        place(&[("autoheal.yml", "ruleFiles: [none/]\nreceivers: [{name: a, slack: {webhookUrl: \"${URL}\"}}]\n")]);
    let mut options = options(directory.path());
    options.secrets_file = Some("no-secrets".into());
    options.config_files = vec!["autoheal.yml".into(), "gone.yml".into()];
    options.store = Some("heals.db".to_owned());
    options.listen_address = Some("everywhere".to_owned());
    options.environment.insert("DOCKER_HOST".to_owned(), "ssh://engine".to_owned());
    let told = Config::load(&options).unwrap_err().to_string();
    assert_snapshot!(told.replace(&directory.path().display().to_string(), "DIR"), @r"
    error: secrets file DIR/no-secrets: cannot be read: No such file or directory (os error 2)

    error: gone.yml cannot be read: No such file or directory (os error 2)

    error: DOCKER_HOST: autoheal cannot reach an engine there
     |
     = help: expected an address such as unix:///var/run/docker.sock or tcp://host:2376; docker.hosts in the configuration takes its place

    error: --store: this is not a store
     |
     = help: expected sqlite:PATH

    error: --listen-address: nobody can listen there
     |
     = help: expected an address and a port such as 127.0.0.1:9099, [::1]:9099 or :9099

    error: none cannot be read: No such file or directory (os error 2)
     --> autoheal.yml:1:13
      |
    1 | ruleFiles: [none/]
      |             ^^^^^ named here
    ");
}

#[test]
fn two_thousand_rules_load_with_all_their_problems() {
    let rules: Vec<_> = (0..2_000)
        .map(|n| {
            format!("- metadata: {{name: r{n}}}\n  labels: {{alertname: A{n}}}\n  restartContainer: {{name: c{n}}}\n")
        })
        .collect();
    let rules = format!("rules:\n{}", rules.concat());
    let (config, _) = load(&[("rules/a.yml", &rules)]).unwrap();
    assert_eq!(config.rules.rules().len(), 2_000);
    let problems = load(&[("rules/a.yml", &rules.replace("labels", "lables"))]).unwrap_err();
    assert_eq!(problems.count(Severity::Error), 2_000);
    // Each is drawn with its line, which is looked up and not counted from the start of the file.
    assert_eq!(problems.render(false).matches("did you mean `labels`?").count(), 2_000);
}

/// Scraps that a file may be torn into; put together at random they hit every corner of both parsers.
const SCRAPS: [&str; 36] = [
    "\n",
    "\n  ",
    "\n- ",
    "\r\n",
    "\t",
    ": ",
    ":",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "\"",
    "'",
    "é",
    "\u{feff}",
    "${A}",
    "${",
    "$${",
    "&a ",
    "*a",
    "|\n  ",
    ">-\n  ",
    "!x ",
    "<<: ",
    "# ",
    "---\n",
    "rules:\n- ",
    "labels: ",
    "metadata: {name: a}",
    "steps: ",
    "password: ",
    "receivers: ",
    "restartContainer: ",
    "matchers: ",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(scraps in prop::collection::vec(prop::sample::select(&SCRAPS[..]), 0..40)) {
        let text = scraps.concat();
        let told = told(&[("autoheal.yml", &text), ("rules/a.yml", &text), ("secrets", "A=hunter2")]);
        prop_assert!(!told.contains("hunter2"), "{text:?}: {told}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn evidence_that_could_never_come_is_refused_where_it_is_named() {
    let config = "prometheus: {address: 'http://me:hunter2@prometheus:9090', token: t, credentials: {username: u}}\n";
    let rules = r#"
rules:
- metadata: {name: broken}
  labels: {alertname: X}
  steps:
  - restartContainer: {name: ui}
    verify:
      http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      tcp: {adress: "redis"}
      container: well
- metadata: {name: idle}
  labels: {alertname: X}
  restartContainer: {name: ui}
  verify: {resolved: false}
"#;
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", rules)]), @r#"
    error: an address has no user and no password
     --> autoheal.yml:1:23
      |
    1 | prometheus: {address: 'http://me:*******@prometheus:9090', token: *, credentials: {username: *}}
      |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ use `credentials`

    warning: a secret is written into the configuration
     --> autoheal.yml:1:67
      |
    1 | prometheus: {address: 'http://me:*******@prometheus:9090', token: *, credentials: {username: *}}
      |                                                                   ^ use ${NAME} and the secrets file

    error: `token` and `credentials` exclude each other
     --> autoheal.yml:1:70
      |
    1 | prometheus: {address: 'http://me:*******@prometheus:9090', token: *, credentials: {username: *}}
      |                                                                      ^^^^^^^^^^^ remove one of them

    error: `credentials` needs `password`
     --> autoheal.yml:1:83
      |
    1 | prometheus: {address: 'http://me:*******@prometheus:9090', token: *, credentials: {username: *}}
      |                                                                                   ^^^^^^^^^^^^^ `password` is missing

    error: nothing can be asked there
     --> rules/a.yml:8:19
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                   ^^^^^^^^^ expected http://… or https://… without user and password

    error: `status` is empty and no answer could count
     --> rules/a.yml:8:38
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                      ^^ expected for example 200

    error: bad regular expression: missing closing )
     --> rules/a.yml:8:50
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                                  ^ expected RE2 syntax

    error: `x y` is no header's name
     --> rules/a.yml:8:64
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                                                ^^^^^ expected for example X-Probe

    error: `certFile` and `keyFile` belong together
     --> rules/a.yml:8:81
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                                                                 ^^^^^^^^ the other one is missing

    error: this file cannot be read: No such file or directory (os error 2)
     --> rules/a.yml:8:91
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                                                                           ^^^^^ expected a readable file

    error: this duration is out of range
     --> rules/a.yml:8:108
      |
    8 |       http: {url: "ui:9292", status: [], body: "a(", headers: {"x y": z}, tls: {certFile: a.pem}, timeout: 5m}
      |                                                                                                            ^^ expected 1ms to 1m

    error: `tcp` needs `address`
     --> rules/a.yml:9:12
      |
    9 |       tcp: {adress: "redis"}
      |            ^^^^^^^^^^^^^^^^^ `address` is missing

    error: unknown key `adress` in `tcp`
     --> rules/a.yml:9:13
      |
    9 |       tcp: {adress: "redis"}
      |             ^^^^^^ unknown key
      |
      = help: did you mean `address`?

    error: expected healthy, found "well"
      --> rules/a.yml:10:18
       |
    10 |       container: well
       |                  ^^^^ unknown word

    warning: without evidence every action that ends counts as healed
      --> rules/a.yml:14:12
       |
    14 |   verify: {resolved: false}
       |            ^^^^^^^^ name other evidence: `http`, `tcp`, `promql` or `container: healthy`
    "#);
    let promql = "rules:\n- metadata: {name: asks}\n  labels: {alertname: X}\n  restartContainer: {name: ui}\n  verify: {promql: up}\n";
    assert_snapshot!(told(&[("rules/a.yml", promql)]), @r#"
    error: there is no Prometheus to ask
     --> rules/a.yml:5:20
      |
    5 |   verify: {promql: up}
      |                    ^^ needs `prometheus.address`
      |
      = help: add `prometheus: {address: http://prometheus:9090}` to the configuration
    "#);
}

#[test]
fn actions_on_containers_take_only_what_means_something_to_them() {
    let rules = r"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  steps:
  - startContainer: {name: ui, stopTimeout: 1s}
  - stopContainer: {name: ui, minHealthy: 1}
    verify: {container: healthy}
  - restartContainer: {compose: {project: a, service: b}, minHealthy: 1, then: [{name: c}, {}]}
";
    let text = told(&[("rules/a.yml", rules)]);
    for words in [
        "unknown key `stopTimeout` in `startContainer`",
        "a name selects one container, which has no peers",
        "this step acts on no container",
        "expected exactly one of `name`, `labels` and `compose`",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(text.matches("error: ").count(), 4, "{text}");
}
