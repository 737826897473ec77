//! `http:`, `httpRequest` and `httpJob`.

use autoheal::action::http::HttpAuth;
use autoheal::domain::action::Action;
use insta::assert_snapshot;

use super::{load, told};

const SERVERS: &str = "http:\n  servers:\n  - {name: api, address: 'https://api.example.com/v1', token: '${T}'}\n  - {name: lab, address: 'https://lab'}\n";

fn rule(request: &str) -> String {
    format!("rules:\n- metadata: {{name: a}}\n  labels: {{alertname: X}}\n  httpRequest: {request}\n")
}

/// What a person is told about a rule's request.
fn about(request: &str) -> String {
    told(&[("autoheal.yml", SERVERS), ("rules/a.yml", &rule(request)), ("secrets", "T=t0ken\n")])
}

#[test]
fn a_server_and_a_request_of_one_rule_load() {
    let files = [
        (
            "autoheal.yml",
            "http: {servers: [{name: api, address: 'https://api', credentials: {username: u, password: '${T}'}, timeouts: {request: 3s}}]}\n",
        ),
        (
            "rules/a.yml",
            &rule(
                "{path: /restart, body: '{\"service\": \"{{ $labels.job }}\", \"n\": 1}', status: [200, 3xx, 500-503]}",
            ),
        ),
        ("secrets", "T=t0ken\n"),
    ];
    let (config, warnings) = load(&files).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let [server] = config.http_servers.as_slice() else { panic!("{:?}", config.http_servers) };
    assert!(matches!(&server.auth, HttpAuth::Basic { password, .. } if password.expose() == "t0ken"));
    assert_eq!(server.times.request, std::time::Duration::from_secs(3));
    let Action::HttpRequest(request) = &config.rules.rules()[0].steps[0].action else { panic!() };
    assert_eq!(request.call.statuses(), "200 or 3xx or 500-503");
    let alert = serde_json::from_value(serde_json::json!({
        "fingerprint": "0000000000000000", "status": "firing", "labels": {"alertname": "X", "job": "\", \"n\": 9, \"a\": \""},
        "startsAt": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let steps = config.rules.rules()[0].request(&alert).ladder.unwrap();
    let fields = steps[0].action.fields();
    assert_eq!(
        fields["json"],
        serde_json::json!({"service": "\", \"n\": 9, \"a\": \"", "n": 1}),
        "an alert stays inside its value"
    );
    assert_eq!((fields["method"].as_str(), steps[0].timeout), (Some("POST"), std::time::Duration::from_mins(1)));
}

#[test]
fn every_way_to_get_a_request_wrong_is_told_with_what_to_do() {
    for (request, expected) in [
        ("{path: /a, method: GET}", "`server` may be left out only when there is exactly one HTTP server"),
        ("{server: apy, path: /a, method: GET}", "did you mean `api`?"),
        ("{server: api, method: GET}", "`httpRequest` needs `path`"),
        ("{server: api, path: /a}", "`method` is missing"),
        ("{server: api, path: /a, method: get}", "did you mean `GET`?"),
        ("{server: api, path: /a, method: GET, body: x}", "a look carries no body"),
        ("{server: api, path: a, method: GET}", "a path begins with a slash"),
        ("{server: api, path: '/a b', method: GET}", "must be percent-encoded"),
        ("{server: api, path: '/{{ $job.id }}', method: GET}", "`$job.id` is not known here"),
        ("{server: api, path: '/{{ $job.key | toUpper }}', method: GET}", "without a pipe"),
        ("{server: api, path: '/{{ if $labels.a }}b/c{{ end }}', method: GET}", "between two of the signs"),
        ("{server: api, path: /a, method: POST, body: x, json: {}}", "one of `body`, `json` and `form`"),
        ("{server: api, path: /a, body: '{\"a\": {{ $labels.a }}}'}", "begins like JSON and is none"),
        ("{server: api, path: /a, json: {a: '${T}'}}", "a reference to a secret is not allowed here"),
        ("{server: api, path: /a, json: {a: '{{ $labls.a }}'}}", "bad template"),
        ("{server: api, path: /a, method: GET, headers: {Authorization: x}}", "does not belong into a rule"),
        ("{server: api, path: /a, method: GET, headers: {Host: x}}", "follows from the rest of the request"),
        ("{server: api, path: /a, method: GET, headers: {'a b': x}}", "no header's name"),
        ("{server: api, path: /a, method: GET, status: 2}", "expected 200, 2xx or 200-299"),
        ("{server: api, path: /a, method: GET, status: []}", "no answer could count"),
        ("{server: api, path: /a, method: GET, bodyMatches: '('}", "bad regular expression"),
        ("{server: api, path: /a, method: GET, hosts: [a]}", "`hosts` belongs to a `url`"),
        ("{server: api, url: 'http://a/', method: GET}", "`server` and `url` exclude each other"),
        ("{url: 'http://a/', path: /a, method: GET}", "`path` and `url` exclude each other"),
        ("{url: 'http://{{ $labels.instance }}/', method: GET}", "an alert would choose whom this is sent to"),
        ("{url: '{{ $labels.url }}', method: GET}", "the scheme without a template"),
        ("{url: 'http://u:p@a/', method: GET}", "no host with or without a port"),
        ("{url: 'http://a/', hosts: [a], method: GET}", "this address names its host"),
        ("{url: 'http://{{ $labels.instance }}/', hosts: [], method: GET}", "no host could be named"),
        ("{url: 'http://{{ $labels.instance }}/', hosts: ['*'], method: GET}", "is no host"),
        ("{url: 'https://a/', method: GET, tls: {insecure: true}}", "unknown key `insecure`"),
        ("{server: api, path: /a, method: GET, pth: x}", "unknown key `pth`"),
    ] {
        let said = about(request);
        assert!(said.contains(expected) && said.contains("rules/a.yml:") && said.contains('^'), "{request}:\n{said}");
        assert!(!said.contains("t0ken"), "{said}");
    }
}

#[test]
fn problems_of_a_request_are_shown_at_their_place() {
    assert_snapshot!(about("{server: api, url: x, path: '/jobs/a b?x', method: FETCH}"), @r#"
    error: `path` and `url` exclude each other
     --> rules/a.yml:4:38
      |
    4 |   httpRequest: {server: api, url: x, path: '/jobs/a b?x', method: FETCH}
      |                                      ^^^^ a `url` has its path in it

    error: expected GET or HEAD or POST or PUT or PATCH or DELETE, found "FETCH"
     --> rules/a.yml:4:67
      |
    4 |   httpRequest: {server: api, url: x, path: '/jobs/a b?x', method: FETCH}
      |                                                                   ^^^^^ unknown word
      |
      = help: did you mean `PATCH`?
    "#);
    let config =
        "http: {servers: [{name: a, address: 'https://a', headers: {X-Token: \"a\\nb\", Host: b}}, {name: a}]}\n";
    assert_snapshot!(told(&[("autoheal.yml", config), ("rules/a.yml", super::RULE)]), @r#"
    error: this value has characters that no header can carry
     --> autoheal.yml:1:69
      |
    1 | http: {servers: [{name: a, address: 'https://a', headers: {X-Token: "****", Host: b}}, {name: a}]}
      |                                                                     ^^^^^^ expected plain text

    error: header `Host` follows from the rest of the request
     --> autoheal.yml:1:77
      |
    1 | http: {servers: [{name: a, address: 'https://a', headers: {X-Token: "****", Host: b}}, {name: a}]}
      |                                                                             ^^^^ remove it

    error: an HTTP server needs `address`
     --> autoheal.yml:1:88
      |
    1 | http: {servers: [{name: a, address: 'https://a', headers: {X-Token: "****", Host: b}}, {name: a}]}
      |                                                                                        ^^^^^^^^^ `address` is missing

    error: two HTTP servers are named `a`
     --> autoheal.yml:1:95
      |
    1 | http: {servers: [{name: a, address: 'https://a', headers: {X-Token: "****", Host: b}}, {name: a}]}
      |                                                                                               ^ this name is taken
      |
      = help: the first one is at autoheal.yml:1:25
    "#);
}

fn job(job: &str) -> String {
    rule("{}").replace("httpRequest: {}", &format!("httpJob: {job}"))
}

const POLL: &str = "poll: {path: '/jobs/{{ $job.id }}', state: /s, words: {y: ok, n: failed}}";

#[test]
fn every_way_to_get_a_job_wrong_is_told_with_what_to_do() {
    for (wrong, expected) in [
        ("{server: api, preset: jenkyns, job: a}", "did you mean `jenkins`?"),
        ("{server: api, preset: jenkins}", "this preset needs `job`"),
        ("{server: api, preset: jenkins, job: a, ref: main}", "`ref` is no key of preset jenkins"),
        ("{server: api, preset: jenkins, job: a, parameters: {K: x}, keyIn: K}", "`K` is given already"),
        ("{server: api, preset: rundeck, job: a, apiVersion: 11}", "expected a whole number from 18 to 999"),
        ("{server: api, preset: semaphore, project: x, template: 5}", "a whole number"),
        ("{server: api, preset: gitlab, project: a}", "this preset needs `ref`"),
        ("{server: api, preset: gitlab, project: a, ref: '{{ $job.id }}'}", "nothing is known of a job here"),
        ("{server: api, project: a}", "`project` belongs to a preset"),
        ("{server: api, start: {path: /jobs}, id: {body: /id}}", "`httpJob` needs `poll`"),
        ("{server: api, start: {path: /jobs}, POLL}", "nothing says which job was started"),
        ("{server: api, start: {path: /jobs}, id: {body: id}, POLL}", "is no JSON pointer"),
        ("{server: api, start: {path: /jobs}, id: {}, POLL}", "expected exactly one of `body` and `header`"),
        ("{server: api, start: {path: '/jobs/{{ $job.id }}'}, id: {body: /id}, POLL}", "known here: key"),
        (
            "{server: api, start: {path: /jobs}, id: {body: /id}, find: {path: /jobs, id: /id}, POLL}",
            "put {{ $job.key }} into a variable",
        ),
        (
            "{server: api, start: {path: /jobs}, id: {body: /id}, poll: {path: /jobs, state: /s, words: {y: ok, n: failed}}}",
            "`poll` does not say which job",
        ),
        (
            "{server: api, start: {path: /jobs}, id: {body: /id}, poll: {path: '/{{ $job.id }}', state: /s, words: {y: ok}}}",
            "no word means failed",
        ),
        (
            "{server: api, start: {path: /jobs}, id: {body: /id}, poll: {path: '/{{ $job.id }}', state: /s, words: {y: ok, n: faild}}}",
            "did you mean `failed`?",
        ),
        (
            "{server: api, start: {path: /jobs}, id: {body: /id}, POLL, cancel: {path: /stop}}",
            "`cancel` does not say which job",
        ),
        ("{server: api, start: {path: /jobs}, id: {body: /id}, POLL, cancelQueued: {path: /stop}}", "needs `queue`"),
        ("{server: api, start: {pth: /jobs}, id: {body: /id}, POLL}", "did you mean `path`?"),
    ] {
        let said = told(&[
            ("autoheal.yml", SERVERS),
            ("rules/a.yml", &job(&wrong.replace("POLL", POLL))),
            ("secrets", "T=t0ken\n"),
        ]);
        assert!(said.contains(expected) && said.contains("rules/a.yml:") && said.contains('^'), "{wrong}:\n{said}");
    }
}

#[test]
fn a_job_of_a_preset_is_shown_as_it_will_be_started_and_is_refused_where_an_alert_would_widen_it() {
    let rules = job(
        "{server: lab, preset: rundeck, job: 'a b', options: {s: '{{ $labels.job }}'}, filter: '{{ $labels.instance }}'}",
    );
    let (config, _) = load(&[("autoheal.yml", SERVERS), ("rules/a.yml", &rules), ("secrets", "T=t0ken\n")]).unwrap();
    let rule = &config.rules.rules()[0];
    let request = |instance: &str| {
        let alert = serde_json::from_value(serde_json::json!({
            "fingerprint": "0000000000000000", "status": "firing", "startsAt": "2026-01-01T00:00:00Z",
            "labels": {"alertname": "X", "job": "ui", "instance": instance},
        }));
        rule.request(&alert.unwrap())
    };
    let steps = request("web1").ladder.unwrap();
    let fields = steps[0].action.fields();
    assert_eq!(
        fields["start"],
        serde_json::json!({"method": "POST", "path": "/api/18/job/a%20b/run", "json": {"options": {"s": "ui"}, "filter": "web1"}})
    );
    assert_eq!(steps[0].action.summary(), "run Rundeck job a b on lab");
    assert_eq!(steps[0].timeout, std::time::Duration::from_mins(30));
    let stored = serde_json::to_string(&steps[0].action).unwrap();
    assert_eq!(serde_json::from_str::<autoheal::domain::action::RenderedAction>(&stored).unwrap(), steps[0].action);
    assert!(stored.len() < 1500, "{} bytes", stored.len());
    assert!(request(" ").ladder.unwrap_err().to_string().contains("json.filter is empty"));
}

#[test]
fn the_documents_examples_load() {
    let text = include_str!("../../../docs/http-jobs.md");
    let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mut steps = 0;
    for block in blocks.filter(|block| block.starts_with("- ")) {
        let lines = block.lines().filter(|line| !line.trim_start().starts_with("server:"));
        let ladder: Vec<_> = lines.collect();
        let rules = format!(
            "rules:\n- metadata: {{name: a}}\n  labels: {{alertname: X}}\n  steps:\n  {}\n",
            ladder.join("\n  ")
        );
        let config = "http: {servers: [{name: a, address: 'https://a'}]}\n";
        let (config, warnings) =
            load(&[("autoheal.yml", config), ("rules/a.yml", &rules)]).unwrap_or_else(|told| panic!("{told}"));
        assert!(warnings.is_empty(), "{warnings}");
        steps += config.rules.rules()[0].steps.len();
    }
    assert_eq!(steps, 6);
}
