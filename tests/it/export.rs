//! `autoheal heals export`: a heal that really happened becomes a rule test that passes, until the rules change.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use autoheal::domain::heal::Heal;
use autoheal::retell;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::engine::{Engine, Recipe};
use crate::support::site::{Answer, Site};
use crate::support::wait;

/// A command against the daemon, and what it prints; it must succeed.
fn says(home: &Home, daemon: &Daemon, arguments: &[&str]) -> String {
    let output = home.command(&[arguments, &["--url", &daemon.url("")]].concat()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `autoheal test` over the rules: exit code and what it says.
fn test(home: &Home) -> (Option<i32>, String) {
    let output = home.command(&["test", "rules"]).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Exports a heal beside the rules and runs it: it must pass, and fail as soon as another end is expected.
fn export_and_test(home: &Home, daemon: &Daemon, heal: &Value, end: &str) -> String {
    let id = heal["id"].as_str().unwrap();
    let exported = says(home, daemon, &["heals", "export", id, "--as-test"]);
    home.write("rules/exported.test.yml", &exported);
    let (code, said) = test(home);
    assert_eq!(code, Some(0), "{said}\n{exported}");
    let last = exported.rfind(&format!("state: {end}")).unwrap_or_else(|| panic!("{end} is not in:\n{exported}"));
    let other = format!("{}state: expired{}", &exported[..last], &exported[last + "state: ".len() + end.len()..]);
    home.write("rules/exported.test.yml", &other);
    let (code, said) = test(home);
    assert!(
        code == Some(1) && said.contains("- state: expired") && said.contains(&format!("+ state: {end}")),
        "{said}"
    );
    fs::remove_file(home.path().join("rules/exported.test.yml")).unwrap();
    exported
}

#[test]
fn a_real_heal_with_failing_evidence_and_its_relapse_become_tests_that_pass() {
    let (engine, site) = (Engine::get(), wait(Site::start(Answer::Say(500, "broken".into()))));
    let config = format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}\n", engine.address);
    let rules = format!(
        r#"
rules:
- metadata: {{name: restart}}
  labels: {{alertname: ^ServiceDown$}}
  steps:
  - restartContainer: {{name: "{{{{ $labels.container }}}}"}}
    attempts: 2
    backoff: {{initial: 100ms}}
    verify: {{within: 2s, http: {{url: 'http://{}/'}}}}
  - restartContainer: {{name: "{{{{ $labels.container }}}}"}}
    attempts: 2
    verify: {{within: 1m, healthyFor: 200ms, http: {{url: 'http://{0}/'}}}}
"#,
        site.address
    );
    let home = Home::new(&config, &rules);
    let daemon = home.start();
    let container = wait(engine.run(Recipe::idle()));
    let labels = json!({"alertname": "ServiceDown", "container": container.name, "odd": "\"${HOME}\": # \\ \n{{ü}}"});
    let post = |status: &str| assert_eq!(daemon.post(delivery(&[alert(status, &labels, Duration::ZERO)])), Some(202));
    post("firing");
    let mut asked = 0;
    eventually("the second step is verified", || {
        let heals = daemon.heals();
        asked = site.requests().len();
        heals[0]["state"] == "verifying" && heals[0]["step"] == 2 && asked > 2
    });
    eventually("it was asked there", || site.requests().len() > asked);
    site.answer(Answer::Say(200, String::new()));
    post("resolved");
    let healed = daemon.wait_for_state("healed");
    let exported = export_and_test(&home, &daemon, &healed, "healed");
    assert!(exported.contains("- verification: {answer: false") && exported.contains("- resolved: \"ServiceDown\""));
    assert!(exported.contains(r#""odd": "\"${HOME}\": # \\ \n{{ü}}""#), "{exported}");

    post("firing");
    eventually("the relapse is verified", || daemon.heals()[0]["state"] == "verifying");
    post("resolved");
    eventually("it is healed again", || daemon.heals()[0]["state"] == "healed");
    let relapse = daemon.heals()[0].clone();
    assert_eq!(
        (&relapse["step"], &relapse["attempt"]),
        (&json!(2), &json!(2)),
        "it went on where the first one stopped"
    );
    let exported = export_and_test(&home, &daemon, &relapse, "healed");
    assert_eq!(exported.matches("- firing:").count(), 2, "the first heal is told before:\n{exported}");

    let whole: Value =
        serde_json::from_str(&says(&home, &daemon, &["heals", "export", relapse["id"].as_str().unwrap()])).unwrap();
    assert_eq!(
        (&whole["id"], &whole["timeline"].is_array()),
        (&relapse["id"], &true),
        "without --as-test it is the JSON"
    );
}

#[test]
fn what_people_said_and_what_held_a_heal_back_is_told_too() {
    let rules = r#"
rules:
- metadata: {name: asks}
  labels: {alertname: ^Asks$}
  mode: ask
  steps:
  - restartContainer: {name: "{{ $labels.name }}"}
- metadata: {name: tries}
  labels: {alertname: ^Tries$}
  steps:
  - restartContainer: {name: "{{ $labels.name }}"}
"#;
    let home = Home::new("docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}\n", rules);
    let daemon = home.start();
    let post = |status: &str, alertname: &str| {
        let labels = json!({"alertname": alertname, "name": "ui"});
        assert_eq!(daemon.post(delivery(&[alert(status, &labels, Duration::ZERO)])), Some(202));
    };
    says(&home, &daemon, &["pause", "--for", "2s", "--reason", "moving: \"the rack\""]);
    post("firing", "Asks");
    let asking = daemon.wait_for_state("awaiting_approval");
    let exported = export_and_test(&home, &daemon, &asking, "awaiting_approval");
    assert!(exported.contains("moving: \"the rack\"") && exported.contains("- pause: {for: "), "{exported}");
    says(&home, &daemon, &["heals", "deny", asking["id"].as_str().unwrap(), "--reason", "not now"]);
    let denied = daemon.wait_for_state("cancelled");
    let exported = export_and_test(&home, &daemon, &denied, "cancelled");
    assert!(exported.contains("reason: \"not now\"") && exported.contains("reason: denied"), "{exported}");

    post("firing", "Tries");
    eventually("it could not be tried", || {
        daemon.heals()[0]["reason"].as_str().unwrap().starts_with("could not be tried")
    });
    post("resolved", "Tries");
    let recovered = daemon.wait_for_state("recovered");
    let exported = export_and_test(&home, &daemon, &recovered, "recovered");
    assert!(exported.contains("outcome: unreachable"), "{exported}");
    let path = format!("/api/v1/heals/{}/test", recovered["id"].as_str().unwrap());
    let answer = daemon.request("GET", &path).send().unwrap();
    assert_eq!(answer.headers()["content-type"], "application/yaml");
    assert_eq!(daemon.status("/api/v1/heals/00000000-0000-0000-0000-000000000007/test"), Some(404));
    assert_eq!(daemon.request("POST", &path).send().unwrap().status(), 405);
}

/// A heal of one alert with this label and this story.
fn heal(label: &str, story: &[(&str, Value)]) -> Heal {
    let at = |second: usize| format!("2026-11-22T03:00:{second:02}Z");
    let alert = json!({
        "fingerprint": "00000000000000aa", "status": "resolved", "labels": {"alertname": "Down", "odd": label},
        "annotations": {}, "startsAt": at(0), "endsAt": at(3), "generatorUrl": "",
    });
    let entry = |(second, (what, reason)): (usize, &(&str, Value))| json!({"at": at(second), "what": what, "reason": reason, "by": "ann"});
    let (last, reason) = story.last().unwrap();
    let heal = json!({
        "id": "00000000-0000-0000-0000-000000000001", "rule": "restart", "target": "docker:local/name/ui", "mode": "act",
        "phase": {"state": "ended", "outcome": last, "at": at(story.len() - 1)}, "reason": reason, "steps": [], "step": 0,
        "alerts": [alert], "throttle": 0, "createdAt": at(0), "updatedAt": at(story.len() - 1),
        "timeline": story.iter().enumerate().map(entry).collect::<Vec<_>>(),
    });
    serde_json::from_value(heal).unwrap()
}

#[test]
fn an_action_whose_end_has_no_entry_of_its_own_ends_in_the_test_as_well() {
    let firing = ("firing", json!({"code": "alert_firing", "alert": "00000000000000aa"}));
    let acting = json!({"code": "attempt", "step": 0, "steps": 1, "attempt": 1, "attempts": 1, "action": "restart ui"});
    let acting = ("acting", acting);
    let resolved = ("resolved", json!({"code": "alert_resolved", "alert": "00000000000000aa"}));
    let recovered = ("recovered", json!({"code": "resolved_without_success", "failure": "nobody listens"}));
    let told = retell::as_test(&[heal("x", &[firing.clone(), acting.clone(), resolved, recovered])]);
    assert!(told.contains("- action: {outcome: unreachable,") && told.contains("says: \"nobody listens\""), "{told}");

    let cancelling = json!({"code": "cancel_requested", "by": "ann", "because": "", "stage": "under way"});
    let ended = ("action ended", json!({"code": "action_started", "what": "stopped half-way"}));
    let cancelled = ("cancelled", json!({"code": "cancelled", "by": "ann", "because": ""}));
    let told = retell::as_test(&[heal("x", &[firing, acting, ("cancelling", cancelling), ended, cancelled])]);
    assert_eq!(told.matches("- cancel: {by: \"ann\", rule: ").count(), 1, "{told}");
    assert!(told.contains("- action: {outcome: failed,") && told.contains("state: cancelled"), "{told}");
}

proptest! {
    /// Whatever an alert brings comes back from YAML as the same text and as nothing else.
    #[test]
    fn a_label_stays_the_text_it_was(label in "(?s).{0,20}|yes|null|1[.]10|[$][{]TOKEN[}]|[\u{0}-\u{a0}\u{2028}\u{feff}\u{fffe}]{1,8}") {
        let firing = ("firing", json!({"code": "alert_firing", "alert": "00000000000000aa"}));
        let ended = ("shadowed", json!({"code": "not_rendered", "error": label}));
        let told = retell::as_test(&[heal(&label, &[firing, ended])]);
        let read: serde_yaml::Value = serde_yaml::from_str(&told).unwrap();
        prop_assert_eq!(read["alerts"]["Down"]["labels"]["odd"].as_str(), Some(label.as_str()));
        prop_assert_eq!(read["tests"][0]["events"].as_sequence().map(Vec::len), Some(3), "{}", told);
    }
}
