//! `awx:` and `awxJob`.

use autoheal::action::awx::AwxAuth;
use autoheal::domain::action::Action;
use insta::assert_snapshot;
use serde_json::json;

use super::{load, told};

const ANCESTOR: &str = r#"
awx:
  address: http://127.0.0.1:8080/api
  credentials: {username: my-user, password: "${AWX_PASSWORD}"}
  project: "My project"
  jobStatusCheckInterval: 5m
throttling: {interval: 5s}
rules:
- metadata: {name: start-node}
  labels: {alertname: "NodeDown"}
  awxJob:
    template: "Start node"
    extraVars: |-
      {
        "node": "{{ $labels.instance }}"
      }
"#;

#[test]
fn the_ancestors_file_with_a_job_loads_unchanged() {
    let (config, _) = load(&[("autoheal.yml", ANCESTOR), ("secrets", "AWX_PASSWORD=p\n")]).unwrap();
    let [server] = config.awx_servers.as_slice() else { panic!("{:?}", config.awx_servers) };
    assert!(matches!(&server.auth, AwxAuth::Basic { password, .. } if password.expose() == "p"));
    assert_eq!(server.times.longest_poll, std::time::Duration::from_mins(5));
    let [rule] = config.rules.rules() else { panic!("{:?}", config.rules) };
    let Action::AwxJob(job) = &rule.steps[0].action else { panic!("{:?}", rule.steps) };
    assert_eq!(job.project.as_ref().unwrap().source(), "My project");
    let labels = json!({"alertname": "NodeDown", "instance": "a\", \"node\": \"b"});
    let alert: autoheal::domain::alert::Alert = serde_json::from_value(json!({
        "fingerprint": "0000000000000000", "status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let steps = rule.request(&alert).ladder.unwrap();
    assert_eq!(steps[0].timeout, std::time::Duration::from_mins(30));
    let Action::AwxJob(job) = &steps[0].action else { panic!("{steps:?}") };
    assert_eq!(json!(job.variables()), json!({"node": "a\", \"node\": \"b"}), "an alert stays inside its value");
}

#[test]
fn servers_of_several_files_add_up_and_later_keys_win() {
    let files = [
        (
            "a.yml",
            "awx: {address: 'https://one/api', token: '${T}', servers: [{name: lab, address: 'https://lab', token: '${T}'}]}\n",
        ),
        ("b.yml", "awx: {address: 'https://two/api/controller'}\nrules: []\n"),
        ("autoheal.yml", ""),
        ("secrets", "T=t\n"),
    ];
    let directory = super::place(&files);
    let options = autoheal::config::LoadOptions {
        config_files: vec!["a.yml".into(), "b.yml".into()],
        ..super::options(directory.path())
    };
    let (config, _) = autoheal::config::Config::load(&options).unwrap();
    let roots: Vec<_> = config.awx_servers.iter().map(|server| format!("{} {}", server.name, server.root)).collect();
    assert_eq!(roots, ["default https://two/api/controller", "lab https://lab/api"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most lines are the expected text")]
fn every_problem_of_a_server_and_a_job_is_told_at_its_place() {
    let config =
        "awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}\n";
    let rules = r#"
rules:
- metadata: {name: a}
  labels: {alertname: X}
  awxJob:
    server: nowhere
    template: ""
    limit: ["web1", "~web", "all"]
    extraVars: {alert: x, ok: "{{ nope }}"}
    jobType: walk
    tags: x
- metadata: {name: b}
  labels: {alertname: X}
  awxJob: {server: default, template: x, limit: ""}
- metadata: {name: c}
  labels: {alertname: X}
  awxJob: {server: default, template: x, extraVars: "not a mapping", limit: "web1,web2"}
"#;
    let text = told(&[("autoheal.yml", config), ("rules/a.yml", rules)]);
    assert_snapshot!(text, @r##"
    error: this is not the address of an AWX API
     --> autoheal.yml:1:16
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                ^^^ expected an address such as https://awx.example.com/api

    error: expected true or false, found a text
     --> autoheal.yml:1:31
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                               ^^^ expected true or false

    error: this duration is out of range
     --> autoheal.yml:1:60
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                                                            ^^ expected 10ms to 10m

    error: `caCerts` holds no certificate
     --> autoheal.yml:1:79
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                                                                               ^^^^ expected certificates in PEM form

    error: a reference to a Kubernetes secret needs `namespace`
     --> autoheal.yml:1:102
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                                                                                                      ^^ `namespace` is missing

    error: a reference to a Kubernetes secret needs `name`
     --> autoheal.yml:1:102
      |
    1 | awx: {address: awx, insecure: yes, jobStatusCheckInterval: 0s, tls: {caCerts: none}, credentialsRef: {}}
      |                                                                                                      ^^ `name` is missing

    error: there is no AWX server `nowhere`
     --> rules/a.yml:6:13
      |
    6 |     server: nowhere
      |             ^^^^^^^ unknown AWX server
      |
      = help: known AWX servers: default

    error: `template` is empty
     --> rules/a.yml:7:15
      |
    7 |     template: ""
      |               ^^ must say something

    error: this limit has '~' in it; a limit takes plain host names and groups
     --> rules/a.yml:8:21
      |
    8 |     limit: ["web1", "~web", "all"]
      |                     ^^^^^^ expected host names or groups

    error: the variable `alert` is autoheal's own
     --> rules/a.yml:9:17
      |
    9 |     extraVars: {alert: x, ok: "{{ nope }}"}
      |                 ^^^^^ choose another name
      |
      = help: `alert` always brings the alert, `autoheal_key` tells runs apart

    error: bad template: function "nope" not defined; there are and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, println, printf, html, js, urlquery, toUpper, toLower, title, trimSpace, stripPort, stripDomain, match, reReplaceAll, join, stringSlice
     --> rules/a.yml:9:35
      |
    9 |     extraVars: {alert: x, ok: "{{ nope }}"}
      |                                   ^^^^ expected a Go template

    error: expected run or check, found "walk"
      --> rules/a.yml:10:14
       |
    10 |     jobType: walk
       |              ^^^^ unknown word

    error: unknown key `tags` in `awxJob`
      --> rules/a.yml:11:5
       |
    11 |     tags: x
       |     ^^^^ unknown key
       |
       = help: known keys: server, template, workflow, organization, project, inventory, limit, extraVars, jobTags, skipTags, credentials, labels, jobType

    error: `limit` is empty
      --> rules/a.yml:14:49
       |
    14 |   awxJob: {server: default, template: x, limit: ""}
       |                                                 ^^ an empty limit would mean every host

    error: this text is neither JSON nor YAML with names and values
      --> rules/a.yml:17:53
       |
    17 |   awxJob: {server: default, template: x, extraVars: "not a mapping", limit: "web1,web2"}
       |                                                     ^^^^^^^^^^^^^^^ expected a mapping
    "##);
}

#[test]
fn a_server_without_address_or_credentials_and_a_job_without_server_are_refused() {
    let rule = "rules: [{metadata: {name: a}, labels: {x: y}, awxJob: {template: x}}]\n";
    for (config, expected) in [
        ("", "no AWX server is configured"),
        ("awx: {address: 'https://awx/api'}\n", "needs `token`, or `credentials`"),
        ("awx: {token: abc}\n", "an AWX server needs `address`"),
        (
            "awx: {address: 'https://awx/api', token: abc, credentials: {username: u, password: p}}\n",
            "either `token` or `credentials`",
        ),
        (
            "awx: {servers: [{name: a, address: 'https://a', token: t}, {name: b, address: 'https://b', token: t}]}\n",
            "`server` may be left out only when there is exactly one AWX server",
        ),
    ] {
        let text = told(&[("autoheal.yml", config), ("rules/a.yml", rule)]);
        assert!(text.contains(expected), "{config}: {text}");
    }
}
