//! What people tell the real program to do: approve, deny, cancel, reset, pause, resume.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};

/// Nobody listens there: a heal that may act tells that it cannot.
const CONFIG: &str = r#"
docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}
web:
  tokens:
  - {name: ann, token: "${ANN}", scopes: [approve, webhook]}
  - {name: bob, token: "${BOB}", scopes: [approve]}
  - {name: viewer, token: "${VIEWER}", scopes: [read]}
  - {name: boss, token: "${BOSS}", scopes: [admin]}
"#;
const RULES: &str = r#"
rules:
- metadata: {name: asks}
  labels: {alertname: ^Asks$}
  mode: ask
  approval: {expiresAfter: 1h, approvers: [ann]}
  restartContainer: {host: gone, name: "{{ $labels.name }}"}
- metadata: {name: acts}
  labels: {alertname: ^Acts$}
  restartContainer: {host: gone, name: "{{ $labels.name }}"}
"#;

fn home() -> Home {
    let home = Home::new(CONFIG, RULES).token("ann");
    home.secrets("ANN=ann\nBOB=bob\nVIEWER=viewer\nBOSS=boss\n");
    home
}

fn fire(daemon: &Daemon, name: &str, target: &str) {
    let labels = json!({"alertname": name, "name": target});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
}

/// A write call in somebody's name; status and answer.
fn tell(daemon: &Daemon, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = crate::support::daemon::client().post(daemon.url(path)).bearer_auth(token).json(body);
    let answer = request.send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

fn order(daemon: &Daemon, token: &str, heal: &Value, verb: &str, body: &Value) -> (u16, Value) {
    tell(daemon, token, &format!("/api/v1/heals/{}/{verb}", heal["id"].as_str().unwrap()), body)
}

/// What happened and who did it, in order.
fn story(heal: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    heal["timeline"].as_array().unwrap().iter().map(|entry| (text(&entry["what"]), text(&entry["by"]))).collect()
}

#[test]
fn an_approver_approves_exactly_what_waits_and_only_once() {
    let home = home();
    let daemon = home.start();
    fire(&daemon, "Asks", "ui");
    let heal = daemon.wait_for_state("awaiting_approval");
    assert_eq!(heal["steps"][0]["rendered"]["name"], "ui");
    assert_eq!(heal["awaiting"]["approvers"], json!(["ann"]));
    let attempt = &heal["awaiting"]["attempt"];

    let (status, problem) = order(&daemon, "viewer", &heal, "approve", &json!({}));
    assert_eq!(status, 403, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("scope `approve`"), "{problem}");
    let (status, problem) = order(&daemon, "bob", &heal, "approve", &json!({}));
    assert_eq!((status, &problem["detail"]), (403, &json!("bob may not approve this; ann may")));
    let other = json!({"attempt": "00000000-0000-0000-0000-000000000001"});
    assert_eq!(order(&daemon, "ann", &heal, "approve", &other).0, 409, "meant for another attempt");
    for bad in [json!({"attempt": "x"}), json!({"resaon": "typo"}), json!([1])] {
        assert_eq!(order(&daemon, "ann", &heal, "approve", &bad).0, 400, "{bad}");
    }
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval", "nothing of all that did anything");

    let (status, approved) = order(&daemon, "ann", &heal, "approve", &json!({"attempt": attempt}));
    assert_eq!(status, 200, "{approved}");
    assert_eq!(story(&approved).last().map(|(_, by)| by.as_str()), Some("ann"), "{approved}");
    assert!(approved["reason"].as_str().unwrap().starts_with("ann approved"), "{approved}");
    let (status, problem) = order(&daemon, "ann", &heal, "approve", &json!({"attempt": attempt}));
    assert_eq!(status, 409, "{problem}");
    eventually("it tries to act", || daemon.heals()[0]["reason"].as_str().unwrap().contains("127.0.0.1:1"));
}

#[test]
fn a_heal_can_be_denied_cancelled_and_only_when_exhausted_reset() {
    let home = home();
    let daemon = home.start();
    fire(&daemon, "Asks", "ui");
    let heal = daemon.wait_for_state("awaiting_approval");
    let (status, denied) = order(&daemon, "ann", &heal, "deny", &json!({"reason": "we are deploying"}));
    assert_eq!((status, &denied["state"]), (200, &json!("cancelled")), "{denied}");
    assert!(denied["reason"].as_str().unwrap().contains("ann did not approve: we are deploying"), "{denied}");

    fire(&daemon, "Acts", "post");
    let heal = daemon.wait_for_state("pending");
    assert_eq!(order(&daemon, "ann", &heal, "cancel", &json!({})).0, 403, "an approver is no admin");
    let (status, problem) = order(&daemon, "boss", &heal, "reset", &json!({}));
    assert_eq!((status, problem["title"].as_str()), (409, Some("Conflict")), "{problem}");
    let (status, cancelled) = order(&daemon, "boss", &heal, "cancel", &json!({"reason": "wrong host"}));
    assert_eq!((status, cancelled["state"].as_str()), (200, Some("cancelled")), "{cancelled}");
    let nobody = json!({"id": "00000000-0000-0000-0000-000000000001"});
    assert_eq!(order(&daemon, "boss", &nobody, "cancel", &json!({})).0, 404);
    assert_eq!(order(&daemon, "boss", &nobody, "explode", &json!({})).0, 404);
}

#[test]
fn a_pause_holds_what_it_covers_until_it_ends_or_is_ended() {
    let home = home();
    let daemon = home.start();
    let pause = |body: Value| tell(&daemon, "boss", "/api/v1/pause", &body);
    for (bad, words) in [
        (json!({}), "for"),
        (json!({"for": "1h"}), "reason"),
        (json!({"for": "1h", "reason": ""}), "reason"),
        (json!({"for": "soon", "reason": "x"}), "for"),
        (json!({"for": "0", "reason": "x"}), "lasts"),
        (json!({"for": "1h", "reason": "x", "rule": "act"}), "there is no rule \"act\""),
        (json!({"for": "1h", "reason": "x", "matchers": []}), "matchers"),
        (json!({"for": "1h", "reason": "x", "matchers": ["{"]}), "matchers"),
        (json!({"for": "1h", "reason": "x", "matchers": ["a=b"], "rule": "acts"}), "not both"),
        (json!({"for": "1h", "reason": "x", "fro": "1h"}), "fro"),
    ] {
        let (status, problem) = pause(bad.clone());
        assert!(status == 400 && problem["detail"].as_str().unwrap().contains(words), "{bad}: {problem}");
    }
    assert_eq!(tell(&daemon, "ann", "/api/v1/pause", &json!({"for": "1h", "reason": "x"})).0, 403);

    let (status, all) = pause(json!({"for": "2h", "reason": "moving the rack"}));
    assert_eq!((status, &all["covers"], &all["by"]), (200, &json!("everything"), &json!("boss")), "{all}");
    let shown = daemon.json("/api/v1/status");
    assert_eq!((&shown["paused"]["reason"], &shown["paused"]["until"]), (&all["reason"], &all["until"]));
    fire(&daemon, "Acts", "ui");
    eventually("it is held", || daemon.heals()[0]["reason"].as_str().unwrap().contains("boss paused everything until"));
    assert_eq!(daemon.heals()[0]["attempt"], 0);

    let (status, resumed) = tell(&daemon, "boss", "/api/v1/resume", &json!({}));
    assert_eq!((status, &resumed["resumed"][0]["id"]), (200, &all["id"]));
    eventually("it goes on", || daemon.heals()[0]["reason"].as_str().unwrap().contains("127.0.0.1:1"));
    assert_eq!(daemon.json("/api/v1/status")["paused"], json!(null));

    let (_, rule) = pause(json!({"for": "1h", "reason": "x", "rule": "acts"}));
    let (_, some) = pause(json!({"for": "1h", "reason": "x", "matchers": ["name=~\"db.*\""]}));
    assert_eq!((&rule["rule"], &some["matchers"]), (&json!("acts"), &json!(["name=~\"db.*\""])));
    let shown = daemon.json("/api/v1/status");
    assert_eq!((&shown["paused"], shown["pauses"].as_array().map(Vec::len)), (&json!(null), Some(2)));
    assert_eq!(tell(&daemon, "boss", "/api/v1/resume", &json!({"id": rule["id"]})).0, 200);
    assert_eq!(tell(&daemon, "boss", "/api/v1/resume", &json!({"id": rule["id"]})).0, 404);
    fire(&daemon, "Asks", "db-1");
    eventually("alerts that match are held", || {
        daemon.heals()[0]["reason"].as_str().unwrap().contains("paused alerts with name=~\"db.*\"")
    });
}

#[test]
fn a_foreign_page_may_not_give_orders() {
    let home = Home::new("", RULES);
    let home = {
        home.write("autoheal.yml", "docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}\n");
        home
    };
    let daemon = home.start();
    let pause = |name: &'static str, value: &str| {
        let request =
            daemon.request("POST", "/api/v1/pause").header(name, value).body(r#"{"for": "1h", "reason": "x"}"#);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(pause("origin", "https://evil.example"), 403);
    assert_eq!(pause("origin", "null"), 403);
    assert_eq!(pause("sec-fetch-site", "cross-site"), 403);
    assert_eq!(pause("sec-fetch-site", "same-site"), 403);
    assert_eq!(pause("origin", &daemon.url("")), 200);
    assert_eq!(pause("sec-fetch-site", "same-origin"), 200);
}

#[test]
fn heals_are_found_by_target_and_time() {
    let home = home();
    let daemon = home.start();
    fire(&daemon, "Acts", "ui");
    fire(&daemon, "Acts", "post");
    eventually("both are there", || daemon.heals().len() == 2);
    let count = |query: &str| daemon.json(&format!("/api/v1/heals?{query}"))["heals"].as_array().map(Vec::len);
    assert_eq!(count("target=docker:gone/name/ui"), Some(1));
    assert_eq!(count("target=docker:gone/name/db"), Some(0));
    let newest = daemon.heals()[0]["createdAt"].as_str().unwrap().to_owned();
    assert_eq!(count(&format!("since={newest}")), Some(1));
    assert_eq!(count(&format!("until={newest}")), Some(1));
    assert_eq!(count("since=2100-01-01T00:00:00Z"), Some(0));
    assert_eq!(daemon.status("/api/v1/heals?since=yesterday"), Some(400));
}
