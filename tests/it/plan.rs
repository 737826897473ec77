//! `autoheal plan`: each matcher's own word, and what a store's memory makes of an alert, read beside a running daemon.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use autoheal::clock::{Clock, SystemClock};
use autoheal::domain::Timestamp;
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::decide::{ActionOutcome, Event, Policy};
use autoheal::domain::pause::{Pause, PauseId, PauseScope};
use autoheal::domain::rule::HealRequest;
use autoheal::store::Store;
use autoheal::store::sqlite::{Options, SqliteStore};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::daemon::{Home, alert, delivery};
use crate::support::sighting::{request, sighting};
use crate::support::wait;

const CONFIG: &str = "docker: {hosts: [{name: local, address: 'tcp://127.0.0.1:1'}]}\nlimits: {perHour: 1}\n";
const RULES: &str = r#"
rules:
- metadata: {name: restart}
  matchers: [alertname="Down", 'name=~"ui|post"']
  throttling: {interval: 1h}
  steps:
  - restartContainer: {name: "{{ $labels.name }}"}
    attempts: 2
- metadata: {name: asks}
  labels: {alertname: ^Asks$}
  mode: ask
  steps:
  - restartContainer: {name: "{{ $labels.name }}"}
"#;
const STORE: [&str; 2] = ["--store", "sqlite:data/autoheal.db"];

fn payload(home: &Home, alertname: &str, name: &str, status: &str) {
    let labels = json!({"alertname": alertname, "name": name});
    home.write("payload.json", &delivery(&[alert(status, &labels, Duration::from_secs(1))]));
}

/// A plan for the payload: exit code, output, errors.
fn plan(home: &Home, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = home.command(&[&["plan", "payload.json"], arguments].concat()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What the plan says of one rule for the first alert.
fn planned(home: &Home, arguments: &[&str], rule: &str) -> Value {
    let (code, said, errors) = plan(home, &[arguments, &["--output", "json"]].concat());
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{said}");
    let plan: Value = serde_json::from_str(&said).unwrap();
    let rules = plan["alerts"][0]["rules"].as_array().unwrap();
    rules.iter().find(|planned| planned["rule"] == rule).unwrap().clone()
}

/// Every file of the store with its bytes.
fn files(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(home.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    names.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

#[test]
fn each_matcher_says_for_itself_whether_it_holds() {
    let home = Home::new(CONFIG, RULES);
    payload(&home, "Down", "db", "firing");
    let (code, said, errors) = plan(&home, &["--explain"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for line in [
        "  no-match   restart: matcher name=~\"ui|post\" does not hold: name is \"db\"",
        "             yes matchers alertname=\"Down\", it is \"Down\"",
        "             no  matchers name=~\"ui|post\", it is \"db\"",
        "             no  labels alertname: \"^Asks$\", it is \"Down\"",
    ] {
        assert!(said.lines().any(|told| told == line), "{line:?} is not in:\n{said}");
    }
    let restart = planned(&home, &["--explain"], "restart");
    let holds = |index: usize| restart["conditions"][index]["holds"].as_bool();
    assert_eq!((holds(0), holds(1), holds(2)), (Some(true), Some(false), None));
    assert_eq!(planned(&home, &[], "restart").get("conditions"), None, "it is told only when asked for");
    let daemon = home.start();
    let ask = |path: &str| {
        let body = fs::read(home.path().join("payload.json")).unwrap();
        daemon.request("POST", path).header("content-type", "application/json").body(body).send().unwrap()
    };
    let told: Value = ask("/api/v1/plan?explain=true").json().unwrap();
    assert_eq!(told["alerts"][0]["rules"][0]["conditions"], restart["conditions"]);
    assert_eq!(ask("/api/v1/plan?explain=perhaps").status(), 400);
    assert_eq!(ask("/api/v1/plan?explian=true").status(), 400);
}

#[test]
fn an_alert_forges_no_line_of_a_plan() {
    let home = Home::new(CONFIG, RULES);
    let forged = "ui\u{1b}[2K\r\n  act        everything: is fine";
    for (alertname, arguments) in [("Down", &[][..]), ("Down", &["--explain"]), ("Asks", &[])] {
        payload(&home, alertname, forged, "firing");
        let (_, said, _) = plan(&home, arguments);
        assert!(said.contains("is fine") && !said.contains(['\u{1b}', '\r']), "{said:?}");
        assert!(!said.lines().any(|line| line.trim_start().starts_with("act        everything")), "{said}");
    }
}

/// The alert of [`payload`], as a store was told of it earlier.
fn told(name: &str, status: AlertStatus, starts_at: Timestamp, ends_at: Option<Timestamp>) -> Alert {
    let labels = Labels::from([("alertname".to_owned(), "Down".to_owned()), ("name".to_owned(), name.to_owned())]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status,
        labels,
        annotations: Labels::new(),
        starts_at,
        ends_at,
        generator_url: String::new(),
    }
}

fn asked(name: &str) -> HealRequest {
    let mut request = request("restart", name);
    if let Ok([step]) = request.ladder.as_deref_mut() {
        step.attempts = 2;
    }
    request
}

/// Ten minutes ago `ui` was restarted and healed five minutes later; `post` fell ill just now and nothing was done yet.
async fn remember(path: &Path) {
    let store = SqliteStore::open(path, Options::default()).unwrap();
    let policy = Arc::new(Policy::default());
    let minutes_ago = |minutes: i64| SystemClock.now() - Duration::from_secs(60 * minutes.unsigned_abs());
    let begun = minutes_ago(10);
    let firing = told("ui", AlertStatus::Firing, begun, None);
    store.ingest(Arc::clone(&policy), vec![sighting(firing, [asked("ui")])], begun).await.unwrap();
    let advanced = store.advance_due(Arc::clone(&policy), 10, begun).await.unwrap();
    let heal = &advanced.to_start[0];
    let done = Event::Finished {
        attempt: heal.attempt().unwrap().id,
        outcome: ActionOutcome::Done { what: "restarted ui".to_owned() },
    };
    store.record(Arc::clone(&policy), heal.id, done, begun).await.unwrap();
    let healed = minutes_ago(5);
    let resolved = told("ui", AlertStatus::Resolved, begun, Some(healed));
    store.ingest(Arc::clone(&policy), vec![sighting(resolved, [asked("ui")])], healed).await.unwrap();
    let firing = told("post", AlertStatus::Firing, healed, None);
    store.ingest(Arc::clone(&policy), vec![sighting(firing, [asked("post")])], healed).await.unwrap();
    store.close().await;
}

async fn pause(path: &Path) {
    let store = SqliteStore::open(path, Options::default()).unwrap();
    let now = SystemClock.now();
    let pause = Pause {
        id: PauseId(Uuid::now_v7()),
        scope: PauseScope::Rule { rule: "restart".to_owned() },
        reason: "moving the rack".to_owned(),
        by: "ann".to_owned(),
        since: now,
        until: now + Duration::from_hours(1),
    };
    assert!(store.pause(pause, now).await.unwrap());
    store.close().await;
}

#[test]
fn a_store_says_which_rung_comes_what_is_remembered_and_what_its_guards_say() {
    let home = Home::new(CONFIG, RULES);
    wait(remember(&home.store()));
    let before = files(&home);

    payload(&home, "Down", "ui", "firing");
    let restart = planned(&home, &STORE, "restart");
    assert_eq!((&restart["verdict"], &restart["ladder"]["heal"]), (&json!("act"), &json!(null)), "{restart:#}");
    assert_eq!((&restart["ladder"]["step"], &restart["ladder"]["attempt"]), (&json!(1), &json!(2)), "it goes on");
    let remembered = &restart["ladder"]["remembered"];
    assert_eq!((&remembered["outcome"], &remembered["attempts"]), (&json!("healed"), &json!(1)));
    let guards = &restart["ladder"]["guards"];
    assert_eq!(guards["verdict"], "hold");
    assert!(guards["reason"].as_str().unwrap().contains("limits.perHour is 1"), "{guards}");
    let first = planned(&home, &[], "restart");
    assert_eq!(first.get("ladder"), None, "without a store nothing is remembered");

    payload(&home, "Down", "post", "firing");
    let (_, said, _) = plan(&home, &STORE);
    assert!(said.contains(" is open, pending: step 1, attempt 1\n"), "{said}");
    assert!(said.contains("the guards hold: 1 actions began within the last hour"), "{said}");
    payload(&home, "Down", "post", "resolved");
    let resolved = planned(&home, &STORE, "restart");
    let reason = resolved["reason"].as_str().unwrap();
    assert_eq!((&resolved["verdict"], reason), (&json!("suppressed"), "resolved before anything was done"));
    assert_eq!(files(&home), before, "nothing was written, not even beside the file");

    wait(pause(&home.store()));
    payload(&home, "Down", "ui", "firing");
    let guards = &planned(&home, &STORE, "restart")["ladder"]["guards"];
    assert!(guards["reason"].as_str().unwrap().contains("ann paused rule restart"), "{guards}");
}

#[test]
fn a_daemon_is_not_kept_waiting_and_what_it_left_behind_is_read_as_it_is() {
    let home = Home::new(CONFIG, RULES);
    let daemon = home.start();
    payload(&home, "Asks", "ui", "firing");
    let body = fs::read(home.path().join("payload.json")).unwrap();
    assert_eq!(daemon.post(body), Some(202));
    let waiting = daemon.wait_for_state("awaiting_approval");
    let open = |ladder: &Value| {
        assert_eq!((&ladder["heal"], &ladder["state"]), (&waiting["id"], &json!("awaiting_approval")), "{ladder}");
        assert_eq!((&ladder["step"], &ladder["attempt"]), (&json!(1), &json!(1)));
    };
    open(&planned(&home, &STORE, "asks")["ladder"]);
    payload(&home, "Asks", "post", "firing");
    let body = fs::read(home.path().join("payload.json")).unwrap();
    assert_eq!(daemon.post(body), Some(202), "it goes on as if nobody had looked");

    daemon.kill();
    let killed = files(&home);
    assert!(killed.contains_key("autoheal.db-wal"), "the log of a process that was killed is there");
    payload(&home, "Asks", "ui", "firing");
    open(&planned(&home, &STORE, "asks")["ladder"]);
    assert_eq!(files(&home), killed, "nothing is recovered, folded or migrated");

    fs::remove_file(home.path().join("data/autoheal.db-shm")).unwrap();
    let (code, _, error) = plan(&home, &STORE);
    assert!(code == Some(2) && error.contains("copy the files of a store together"), "{error}");
    assert!(!home.path().join("data/autoheal.db-shm").exists());

    home.start().terminate();
    let stopped = files(&home);
    assert!(!stopped.contains_key("autoheal.db-wal"));
    open(&planned(&home, &STORE, "asks")["ladder"]);
    assert_eq!(files(&home), stopped);
}

#[test]
fn a_file_that_is_no_store_of_this_version_is_refused_by_name() {
    let home = Home::new(CONFIG, RULES);
    payload(&home, "Down", "ui", "firing");
    let refused = |words: &str| {
        let (code, said, error) = plan(&home, &STORE);
        assert_eq!((code, said.as_str(), error.lines().count()), (Some(2), "", 1), "{error}");
        assert!(error.contains("data/autoheal.db") && error.contains(words), "{words:?} is not in {error}");
    };
    refused("there is no store yet");
    refused("a daemon makes it when it starts; without --store the plan assumes that nothing happened before");
    assert!(!home.path().join("data").exists(), "it is not made");
    fs::create_dir_all(home.store()).unwrap();
    refused("is a directory");
    fs::remove_dir(home.store()).unwrap();
    home.write("data/autoheal.db", &"not a database ".repeat(100));
    refused("not an SQLite database");
    fs::remove_file(home.store()).unwrap();
    rusqlite::Connection::open(home.store()).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    refused("not made by autoheal");
    fs::remove_file(home.store()).unwrap();
    wait(remember(&home.store()));
    for (version, words) in [(99, "run the newer autoheal"), (0, "start autoheal with it once")] {
        let connection = rusqlite::Connection::open(home.store()).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        connection.close().unwrap();
        let before = files(&home);
        refused(words);
        assert_eq!(files(&home), before);
    }
}
