//! The command line as it talks to a running daemon.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};

const CONFIG: &str = r#"
docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}
web:
  tokens:
  - {name: ann, token: "${ANN}", scopes: [admin]}
  - {name: viewer, token: "${VIEWER}", scopes: [read]}
"#;
const RULES: &str = r#"
rules:
- metadata: {name: asks, description: A service is down., runbook: 'https://wiki.example.com/down'}
  labels: {alertname: ^Asks$}
  mode: ask
  steps:
  - restartContainer: {host: gone, name: "{{ $labels.name }}"}
    attempts: 2
"#;

struct Desk<'a> {
    home: &'a Home,
    daemon: &'a Daemon,
}

impl Desk<'_> {
    /// A command of ann's: exit code, output, errors.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.run_with(arguments, &[("AUTOHEAL_TOKEN", "ann")])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("AUTOHEAL_URL", self.daemon.url(""))
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// What a command that must succeed prints.
    fn says(&self, arguments: &[&str]) -> String {
        let (code, said, errors) = self.run(arguments);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{arguments:?}: {said}");
        said
    }
}

fn home() -> Home {
    let home = Home::new(CONFIG, RULES).token("ann");
    home.secrets("ANN=ann\nVIEWER=viewer\n");
    home
}

fn fire(daemon: &Daemon, target: &str) {
    let labels = json!({"alertname": "Asks", "name": target, "nasty": "\u{1b}[31m"});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
}

#[test]
fn a_person_at_night_learns_why_and_what_next_and_answers() {
    let home = home();
    let daemon = home.start();
    let desk = Desk { home: &home, daemon: &daemon };
    assert_eq!(desk.says(&["heals"]), "no heals\n");
    fire(&daemon, "ui");
    let heal = daemon.wait_for_state("awaiting_approval");
    let id = heal["id"].as_str().unwrap();

    let list = desk.says(&["heals", "list", "--state", "awaiting_approval", "--since", "1h"]);
    assert!(list.contains(id) && list.contains("asks") && list.lines().count() == 1, "{list}");
    let shown = desk.says(&["heals", "show", id]);
    for words in [
        "rule      asks (mode ask)",
        "about     A service is down.",
        "state     awaiting_approval since",
        "why       waits until",
        "next      a person must approve; without an answer it ends at",
        "approve   autoheal heals approve",
        "runbook   https://wiki.example.com/down",
        "alert     firing",
        "step 1    awaiting_approval: restartContainer docker:gone/name/ui",
        "what happened",
        "(alertmanager)",
    ] {
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "what came from outside cannot steer the terminal: {shown:?}");
    let whole: Value = serde_json::from_str(&desk.says(&["heals", "show", id, "--output", "json"])).unwrap();
    assert_eq!(whole["id"], heal["id"]);

    let (code, said, error) = desk.run_with(&["heals", "approve", id], &[("AUTOHEAL_TOKEN", "viewer")]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(error, "autoheal: the token \"viewer\" has not the scope `approve` that this needs; see web.tokens\n");
    let attempt = heal["awaiting"]["attempt"].as_str().unwrap();
    let approved = desk.says(&["heals", "approve", id, "--attempt", attempt]);
    assert!(approved.contains("why       ann approved"), "{approved}");
    let (code, _, error) = desk.run(&["heals", "approve", id]);
    assert!(code == Some(1) && error.contains("does not wait for an approval"), "{error}");
    let cancelled = desk.says(&["heals", "cancel", id, "--reason", "false alarm"]);
    assert!(cancelled.contains("ann cancelled the heal: false alarm"), "{cancelled}");
    fire(&daemon, "post");
    let other = daemon.wait_for_state("awaiting_approval");
    let denied = desk.says(&["heals", "deny", other["id"].as_str().unwrap()]);
    assert!(denied.contains("cancelled since") && denied.contains("next      nothing"), "{denied}");
    assert_eq!(desk.run(&["heals", "reset", id]).0, Some(1), "it is not exhausted");
}

#[test]
fn the_stop_switch_is_one_command_and_shows_in_status() {
    let home = home();
    let daemon = home.start();
    let desk = Desk { home: &home, daemon: &daemon };
    assert_eq!(desk.run(&["pause", "--for", "1h"]).0, Some(2), "a pause has a reason");
    assert_eq!(desk.run(&["pause", "--reason", "x"]).0, Some(2), "and an end");
    let paused = desk.says(&["pause", "--for", "2h", "--reason", "moving the rack"]);
    assert!(paused.starts_with("ann paused everything until "), "{paused}");
    desk.says(&["pause", "--for", "2h", "--reason", "noisy", "--matcher", "job=\"ui\""]);
    let status = desk.says(&["status"]);
    for words in [
        "ready",
        "1 rules",
        "PAUSED: ann paused everything until",
        "PAUSED: ann paused alerts with job=\"ui\"",
        "heals: none",
    ] {
        assert!(status.contains(words), "{words:?} is not in:\n{status}");
    }
    let (code, _, errors) = desk.run(&["resume", "nope"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("\"nope\" is no id, which looks like ") && !errors.contains("UUID"), "{errors}");
    let resumed = desk.says(&["resume"]);
    assert_eq!(resumed.matches("ended: ann paused").count(), 2, "{resumed}");
    assert_eq!(desk.says(&["resume"]), "nothing was paused\n");
    let status: Value = serde_json::from_str(&desk.says(&["status", "--output", "json"])).unwrap();
    assert_eq!(status["paused"], Value::Null);
}

#[test]
fn a_shadow_is_reported_beside_what_happened_without_it() {
    let rules = "rules:\n- metadata: {name: restart-service}\n  labels: {alertname: ^Asks$}\n  mode: shadow\n  \
                 restartContainer: {host: gone, name: '{{ $labels.name }}'}\n\
                 - metadata: {name: waits}\n  labels: {alertname: ^Waits$}\n  for: 1h\n  \
                 restartContainer: {host: gone, name: web}\n";
    let home = Home::new(CONFIG, rules).token("ann");
    home.secrets("ANN=ann\nVIEWER=viewer\n");
    let daemon = home.start();
    let desk = Desk { home: &home, daemon: &daemon };
    assert_eq!(desk.says(&["heals", "report"]), "no heal has ended\n");
    for target in ["ui", "post", "comment"] {
        fire(&daemon, target);
    }
    let shadowed = || daemon.heals().iter().filter(|heal| heal["state"] == "shadowed").count();
    eventually("three shadows", || shadowed() == 3);
    let resolve = |labels: Value| {
        assert_eq!(daemon.post(delivery(&[alert("resolved", &labels, Duration::ZERO)])), Some(202));
    };
    for target in ["ui", "post"] {
        resolve(json!({"alertname": "Asks", "name": target, "nasty": "\u{1b}[31m"}));
    }
    let waits = json!({"alertname": "Waits"});
    assert_eq!(daemon.post(delivery(&[alert("firing", &waits, Duration::ZERO)])), Some(202));
    resolve(waits);

    let report = desk.says(&["heals", "report", "--since", "7d"]);
    let lines: Vec<_> = report.lines().collect();
    assert!(
        lines[0].starts_with("restart-service: would have acted 3 times; 2 resolved on their own within "),
        "{report}"
    );
    assert!(lines[0].ends_with("; 1 fires still or was never heard of again"), "{report}");
    assert_eq!(lines[1..], ["waits: 1 recovered"]);
    assert_eq!(desk.says(&["heals", "report", "--rule", "waits"]), "waits: 1 recovered\n");
    assert_eq!(desk.says(&["heals", "report", "--until", "1h"]), "no heal has ended\n");
    let json: Value = serde_json::from_str(&desk.says(&["heals", "report", "--output", "json"])).unwrap();
    assert_eq!((&json["rules"][0]["wouldHaveActed"], &json["rules"][0]["resolvedOnTheirOwn"]), (&json!(3), &json!(2)));
    assert_eq!(json["rules"][1]["ended"], json!({"recovered": 1}));
    assert_eq!(desk.run(&["heals", "report", "--since", "yesterday"]).0, Some(2));
}

#[test]
fn tokens_come_from_a_file_and_trouble_is_told_in_one_line() {
    let home = home();
    let daemon = home.start();
    let desk = Desk { home: &home, daemon: &daemon };
    home.write("token", "viewer\n");
    let file = [("AUTOHEAL_TOKEN_FILE", "token"), ("AUTOHEAL_TOKEN", "wrong")];
    assert_eq!(desk.run_with(&["status"], &file).0, Some(0));
    assert_eq!(desk.run_with(&["status", "--token-file", "token"], &[]).0, Some(0));
    for (arguments, code, words) in [
        (vec!["status"], 1, "give a token with --token-file"),
        (vec!["status", "--token-file", "none"], 2, "token file none cannot be read"),
        (vec!["status", "--url", "ftp://x"], 2, "must begin with http"),
        (vec!["status", "--url", "http://127.0.0.1:1"], 1, "is the daemon running there?"),
        (vec!["heals", "--since", "yesterday"], 2, "expected a time"),
    ] {
        let (got, said, error) = desk.run_with(&arguments, &[]);
        assert_eq!((got, said.as_str(), error.lines().count()), (Some(code), "", 1), "{arguments:?}: {error}");
        assert!(error.contains(words), "{words:?} is not in {error}");
    }
    let (code, _, error) = desk.run(&["heals", "show", "../../../-/healthy"]);
    assert!(code == Some(1) && error.contains("no heal has this id"), "{error}");
    eventually("nothing else was asked", || daemon.heals().is_empty());
}
