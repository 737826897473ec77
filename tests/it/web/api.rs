//! `/api/v1`: shapes and refusals.

use std::time::{Duration, Instant};

use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer, Target};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::heal::{Heal, HealId, HealStep, Outcome, Phase};
use autoheal::domain::reason::Reason;
use autoheal::domain::rule::{Mode, VerifyPolicy};
use serde_json::json;
use uuid::Uuid;

use super::{Door, matching};
use crate::support::http::{call, get, post};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

fn heal(number: u128, phase: Phase) -> Heal {
    let labels = Labels::from([("alertname".to_owned(), "InstanceDown".to_owned())]);
    let fingerprint = Fingerprint::of(&labels);
    let alert = Alert {
        fingerprint,
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: at(0),
        ends_at: None,
        generator_url: String::new(),
    };
    let selector = ContainerSelector::Compose { project: "otus".to_owned(), service: "ui".to_owned() };
    let restart = RestartContainer {
        host: "local".to_owned(),
        selector,
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    };
    let step = HealStep {
        action: Action::RestartContainer(restart),
        attempts: 2,
        attempts_used: 1,
        backoff: Backoff::default(),
        timeout: std::time::Duration::from_mins(1),
        verify: VerifyPolicy::default(),
    };
    let mut heal = Heal {
        id: HealId(Uuid::from_u128(number)),
        rule: "restart-ui".to_owned(),
        target: Target::new("docker:local/compose/otus/ui"),
        mode: Mode::Act,
        phase,
        reason: Reason::AlertFiring { alert: fingerprint },
        steps: vec![step],
        step: 0,
        alerts: vec![alert.into()],
        external_url: String::new(),
        throttle: std::time::Duration::from_hours(1),
        receivers: vec![],
        description: String::new(),
        runbook: String::new(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(0),
        updated_at: at(1),
        timeline: vec![],
        timeline_dropped: 0,
    };
    heal.tell(at(0), "planned", Reason::AlertFiring { alert: fingerprint }, "alertmanager");
    heal
}

fn pending(number: u128) -> Heal {
    heal(number, Phase::Pending { due_at: at(30), unreachable_since: None })
}

fn healed(number: u128) -> Heal {
    heal(number, Phase::Ended { outcome: Outcome::Healed, at: at(60) })
}

#[tokio::test]
async fn a_listed_heal_has_exactly_the_promised_keys() {
    let door = Door::open().await;
    door.store.hold(vec![pending(7)]);
    let answer = get(door.address, "/api/v1/heals").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let fingerprint = pending(7).alerts[0].fingerprint.to_string();
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000007",
        "rule": "restart-ui",
        "state": "pending",
        "reason": format!("alert {fingerprint} fires"),
        "target": "docker:local/compose/otus/ui",
        "mode": "act",
        "step": 1,
        "attempt": 1,
        "alerts": [{ "fingerprint": fingerprint, "status": "firing", "labels": { "alertname": "InstanceDown" } }],
        "createdAt": "2026-11-18T11:06:40Z",
        "updatedAt": "2026-11-18T11:06:41Z",
        "dueAt": "2026-11-18T11:07:10Z",
        "endedAt": null,
    });
    assert_eq!(answer.json(), json!({ "heals": [expected], "next": null }));
}

#[tokio::test]
async fn one_heal_adds_its_ladder_and_its_story() {
    let door = Door::open().await;
    door.store.hold(vec![healed(7)]);
    let heal = get(door.address, "/api/v1/heals/00000000-0000-0000-0000-000000000007").await.json();
    assert_eq!(heal["endedAt"], "2026-11-18T11:07:40Z");
    assert_eq!(heal["dueAt"], json!(null));
    let step = json!({
        "action": "restartContainer",
        "target": "docker:local/compose/otus/ui",
        "state": "healed",
        "attempts": 1,
        "maxAttempts": 2,
        "evidence": [],
        "rendered": { "host": "local", "compose": { "project": "otus", "service": "ui" }, "max": 1 },
    });
    assert_eq!(heal["steps"], json!([step]));
    assert_eq!(heal["timeline"][0]["what"], "planned");
    assert_eq!(heal["timeline"][0]["by"], "alertmanager");
    assert_eq!(heal["timeline"][0]["at"], "2026-11-18T11:06:40Z");
    for unknown in ["00000000-0000-0000-0000-000000000008", "x", "..%2f"] {
        let answer = get(door.address, &format!("/api/v1/heals/{unknown}")).await;
        assert_eq!((answer.status, answer.json()["status"].as_u64()), (404, Some(404)), "{unknown}");
    }
}

#[tokio::test]
async fn every_heal_that_gave_up_offers_to_forget_that() {
    let door = Door::open().await;
    let ended = |number, outcome| heal(number, Phase::Ended { outcome, at: at(60) });
    let outcomes = [
        Outcome::Healed,
        Outcome::Cancelled,
        Outcome::Shadowed,
        Outcome::Exhausted,
        Outcome::Expired,
        Outcome::Suppressed,
    ];
    door.store.hold((1..).zip(outcomes).map(|(number, outcome)| ended(number, outcome)).collect());
    for (number, outcome) in (1..).zip(outcomes) {
        let page = get(door.address, &format!("/heals/{}", Uuid::from_u128(number))).await.body;
        let reset = format!("{}/reset", Uuid::from_u128(number));
        assert_eq!(page.contains(&reset), outcome.needs_human(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_newest_first() {
    let door = Door::open().await;
    door.store.hold((1..=5).map(pending).collect());
    let mut path = "/api/v1/heals?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = get(door.address, &path).await.json();
        seen.extend(page["heals"].as_array().unwrap().iter().map(|heal| heal["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/heals?limit=2&before={next}");
    }
    let expected: Vec<_> = (1..=5).rev().map(|n| Uuid::from_u128(n).to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn filters_filter_and_anything_unknown_is_refused() {
    let door = Door::open().await;
    door.store.hold(vec![pending(1), healed(2)]);
    let count = async |query: &str| {
        let page = get(door.address, &format!("/api/v1/heals?{query}")).await.json();
        page["heals"].as_array().map(Vec::len)
    };
    assert_eq!(count("state=healed").await, Some(1));
    assert_eq!(count("rule=restart-ui&state=pending").await, Some(1));
    assert_eq!(count("rule=restart%2Dui").await, Some(2));
    assert_eq!(count("rule=other").await, Some(0));
    for bad in ["state=broken", "sort=id", "limit=0", "limit=501", "limit=x", "before=x", "limit=1&limit=2"] {
        let answer = get(door.address, &format!("/api/v1/heals?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!((problem["type"].as_str(), problem["title"].as_str()), (Some("about:blank"), Some("Bad Request")));
        assert_eq!(problem["status"], 400);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    }
}

#[tokio::test]
async fn a_report_is_filtered_by_what_it_knows_and_nothing_else() {
    let door = Door::open().await;
    let report = get(door.address, "/api/v1/report?rule=a&since=2026-11-22T07:00:00Z&until=2026-11-23T07:00:00Z").await;
    assert_eq!(report.json(), json!({ "rules": [], "onlyLatestShadows": null }));
    for bad in ["state=healed", "rule=a&rule=b", "since=yesterday", "until="] {
        assert_eq!(get(door.address, &format!("/api/v1/report?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn status_says_what_runs_and_counts_every_state() {
    let door = Door::open().await;
    door.store.hold(vec![pending(1), healed(2), healed(3)]);
    let status = get(door.address, "/api/v1/status").await.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["store"], "sqlite:data/autoheal.db");
    assert_eq!((&status["dryRun"], &status["paused"]), (&json!(false), &json!(null)));
    assert!(status["uptimeSeconds"].is_u64());
    assert_eq!((&status["heals"]["healed"], &status["heals"]["acting"]), (&json!(2), &json!(0)));
    assert_eq!(status["outbox"], json!({ "waiting": 3, "dead": 1 }));
}

#[tokio::test]
async fn rules_are_shown_in_file_order() {
    let door = Door::open().await;
    let rules = get(door.address, "/api/v1/rules").await.json();
    assert_eq!(rules["rules"][0]["name"], "restart-ui");
    assert_eq!(rules["rules"][0]["labels"], json!({ "alertname": "InstanceDown" }));
    assert_eq!(rules["rules"][0]["steps"][0]["action"], "restartContainer");
    assert_eq!(rules["rules"][1]["steps"], json!([]));
}

#[tokio::test]
async fn a_plan_says_what_every_rule_would_do_and_commits_nothing() {
    let door = Door::open().await;
    let plan = post(door.address, "/api/v1/plan", matching()).await;
    assert_eq!(plan.status, 200);
    let alert = &plan.json()["alerts"][0];
    assert_eq!(alert["status"], "firing");
    assert_eq!(alert["rules"][0]["verdict"], "act");
    assert_eq!(alert["rules"][0]["steps"][0]["rendered"], json!({ "host": "local", "name": "ui", "max": 1 }));
    assert_eq!((&alert["rules"][1]["verdict"], &alert["rules"][1]["target"]), (&json!("no-match"), &json!(null)));
    assert_eq!(post(door.address, "/api/v1/plan", "[]").await.status, 400);
    assert!(door.store.ingested().is_empty());
}

/// As short as alerts can be.
fn delivery_of(alerts: usize) -> String {
    let alerts = vec![r#"{"status":"firing","labels":{"a":"b"}}"#; alerts];
    format!(r#"{{"alerts":[{}]}}"#, alerts.join(","))
}

#[tokio::test]
async fn a_plan_that_would_fill_the_memory_is_refused_with_what_to_do() {
    let door = Door::open().await;
    let plan = post(door.address, "/api/v1/plan", delivery_of(25_001)).await;
    assert_eq!((plan.status, plan.header("content-type")), (413, Some("application/problem+json")));
    let detail = plan.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("25001 alerts are too many to rehearse at once with 2 rules"), "{detail}");
    assert!(
        detail.ends_with("send at most 25000 alerts at a time, or give the payload to `autoheal plan`"),
        "{detail}"
    );
}

#[tokio::test]
async fn long_work_on_one_request_lets_the_others_pass() {
    let door = Door::open().await;
    let pushed = format!("[{}]", vec![r#"{"labels":{"a":"b"}}"#; 45_000].join(","));
    for (path, body) in [("/api/v1/plan", delivery_of(20_000)), ("/api/v2/alerts", pushed)] {
        let begun = Instant::now();
        let work = post(door.address, path, body);
        tokio::pin!(work);
        // This runtime has one thread, so that whatever keeps it busy keeps us from looking.
        let (mut looked, mut longest) = (begun, Duration::ZERO);
        let answer = loop {
            tokio::select! {
                answer = &mut work => break answer,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            longest = longest.max(looked.elapsed());
            looked = Instant::now();
        };
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let whole = begun.elapsed();
        assert!(longest.max(looked.elapsed()) < whole / 2, "{path}: {longest:?} of {whole:?}");
    }
}

#[tokio::test]
async fn the_document_of_the_interface_names_only_what_is_there() {
    let door = Door::open().await;
    let document = get(door.address, "/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15, "{}", paths.len());
    for (path, methods) in paths {
        let path = path.replace("{id}", "00000000-0000-0000-0000-000000000007");
        for method in methods.as_object().unwrap().keys() {
            let answer = call(door.address, &method.to_uppercase(), &path, &[], "").await;
            assert!(answer.status != 405, "{method} {path}");
            assert!(!answer.body.contains("there is nothing at this path"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn each_path_says_which_methods_it_takes() {
    let door = Door::open().await;
    let table = [
        ("POST", "/api/v1/heals", "GET, HEAD"),
        ("DELETE", "/api/v1/heals/00000000-0000-0000-0000-000000000007", "GET, HEAD"),
        ("POST", "/api/v1/report", "GET, HEAD"),
        ("POST", "/api/v1/rules", "GET, HEAD"),
        ("PUT", "/api/v1/status", "GET, HEAD"),
        ("GET", "/api/v1/plan", "POST"),
    ];
    for (method, path, allow) in table {
        let answer = call(door.address, method, path, &[], "").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    assert_eq!(get(door.address, "/api/v1/nothing").await.status, 404);
}
