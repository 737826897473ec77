//! Reloads of the real program: asked for by a caller, by a signal, by files that changed; and what a bad file does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};

/// A rule that only notes what fires.
fn rule(name: &str) -> String {
    format!("- metadata: {{name: {name}}}\n  labels: {{alertname: ^Noted$}}\n")
}

fn rules(names: &[&str]) -> String {
    format!("rules:\n{}", names.iter().map(|name| rule(name)).collect::<String>())
}

fn loaded(daemon: &Daemon) -> Vec<String> {
    let rules = daemon.json("/api/v1/rules");
    rules["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

fn reload(daemon: &Daemon) -> (u16, Value) {
    let answer = daemon.request("POST", "/-/reload").send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

/// Whether the last reload was put in place, as the metric says.
fn successful(daemon: &Daemon) -> bool {
    let page = daemon.text("/metrics");
    page.lines().any(|line| line == "autoheal_config_last_reload_successful 1")
}

fn noted(number: usize) -> String {
    delivery(&[alert("firing", &json!({"alertname": "Noted", "number": number.to_string()}), Duration::ZERO)])
}

/// Puts `to` where `name` is, in one step, as Kubernetes does with `..data`.
fn swap(home: &Home, name: &str, to: &str) {
    let next = home.path().join(format!("{name}.next"));
    symlink(to, &next).unwrap();
    fs::rename(&next, home.path().join(name)).unwrap();
}

#[test]
fn a_bad_file_changes_nothing_and_shows_in_answer_log_metric_and_status() {
    let home = Home::new("", &rules(&["first"]));
    let daemon = home.start();
    assert!(successful(&daemon));

    home.write("rules/rules.yml", "rules: [{metadata: {name: hunter2}, labells: {a: b}}]\n");
    let (status, problem) = reload(&daemon);
    assert_eq!((status, &problem["status"]), (500, &json!(500)), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    for words in ["stays in place", "rules/rules.yml:1:", "unknown key `labells`", "did you mean `labels`"] {
        assert!(detail.contains(words), "{words:?} is not in {detail}");
    }
    assert!(!detail.contains("hunter2"), "no text of the file: {detail}");
    assert_eq!(loaded(&daemon), ["first"]);
    assert!(!successful(&daemon));
    let last = &daemon.json("/api/v1/status")["lastReload"];
    assert_eq!(last["successful"], false);
    assert!(last["error"].as_str().unwrap().contains("labells"), "{last}");
    assert!(daemon.log().contains("level=error msg=\"the configuration cannot be used"), "{}", daemon.log());

    home.write("rules/rules.yml", &rules(&["first", "second"]));
    let (status, answer) = reload(&daemon);
    assert_eq!((status, &answer["rules"], &answer["restartNeeded"]), (200, &json!(2), &json!([])));
    let warnings: Vec<_> = answer["warnings"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(warnings.len() == 2 && warnings[1].starts_with("rules/rules.yml:4:3: this rule neither"), "{warnings:?}");
    assert_eq!(loaded(&daemon), ["first", "second"]);
    assert!(successful(&daemon));
    assert_eq!(daemon.json("/api/v1/status")["lastReload"]["successful"], true);
    assert_eq!(daemon.status("/-/reload"), Some(405));
}

#[test]
fn a_signal_reloads_configuration_rules_and_secrets_as_one() {
    let config = "web: {bearerTokens: ['${TOKEN}']}\n";
    let home = Home::new(config, &rules(&["first"])).token("old");
    home.secrets("TOKEN=old\n");
    let daemon = home.start();
    assert_eq!(daemon.post(noted(1)), Some(202));
    home.secrets("TOKEN=new\n");
    home.write("rules/rules.yml", &rules(&["second"]));
    home.write("autoheal.yml", &format!("{config}limits: {{concurrent: 3}}\n"));
    assert!(Command::new("kill").args(["-HUP", &daemon.pid().to_string()]).status().unwrap().success());
    eventually("the old token is refused", || daemon.status("/api/v1/rules") == Some(401));
    let daemon = daemon.with_token("new");
    assert_eq!(loaded(&daemon), ["second"]);
    assert_eq!(daemon.post(noted(2)), Some(202));
    let (log, status) = daemon.terminate_with_log();
    assert!(status.success() && log.contains("signal=SIGHUP") && !log.contains("TOKEN=new"), "{log}");
}

#[test]
fn what_only_a_restart_changes_is_said() {
    let home = Home::new("", &rules(&["first"]));
    let daemon = home.start();
    home.write("autoheal.yml", "store: sqlite:elsewhere.db\n");
    assert_eq!(reload(&daemon).1["restartNeeded"], json!(["store"]));
    assert_eq!(daemon.json("/api/v1/status")["lastReload"]["restartNeeded"], json!(["store"]));
    assert!(!home.path().join("elsewhere.db").exists());
    assert!(daemon.log().contains("needs a restart"), "{}", daemon.log());
}

#[test]
fn files_that_change_are_noticed_however_they_change() {
    let home = Home::new("ruleFiles: [live/, rules/]\n", &rules(&["written"]));
    for set in ["one", "two"] {
        fs::create_dir(home.path().join(set)).unwrap();
        home.write(&format!("{set}/rules.yml"), &rules(&[set]));
    }
    swap(&home, "live", "one");
    let daemon = home.start();
    assert_eq!(loaded(&daemon), ["one", "written"]);

    home.write("rules/rules.yml", &rules(&["rewritten"]));
    eventually("a write is noticed", || loaded(&daemon) == ["one", "rewritten"]);
    home.write("rules/next", &rules(&["renamed"]));
    fs::rename(home.path().join("rules/next"), home.path().join("rules/rules.yml")).unwrap();
    eventually("a rename is noticed", || loaded(&daemon) == ["one", "renamed"]);
    swap(&home, "live", "two");
    eventually("a swapped link is noticed", || loaded(&daemon) == ["two", "renamed"]);
    home.write("rules/added.yml", &rules(&["added"]));
    eventually("a new file is noticed", || loaded(&daemon) == ["two", "added", "renamed"]);

    // Saved half-way: first a piece that is no YAML, then the whole.
    home.write("rules/rules.yml", "rules:\n- metadata: {name: ren");
    eventually("half a file is refused", || !successful(&daemon));
    assert_eq!(loaded(&daemon), ["two", "added", "renamed"]);
    home.write("rules/rules.yml", &rules(&["whole"]));
    eventually("the whole file is read", || loaded(&daemon) == ["two", "added", "whole"] && successful(&daemon));
}

/// A folder with a secrets file, as a mounted Kubernetes secret has it.
fn secrets_in(home: &Home, folder: &str, text: &str) {
    fs::create_dir(home.path().join(folder)).unwrap();
    home.write(&format!("{folder}/secrets"), text);
    fs::set_permissions(home.path().join(folder).join("secrets"), fs::Permissions::from_mode(0o400)).unwrap();
}

#[test]
fn secrets_and_configuration_that_change_are_noticed_too_and_bad_ones_change_nothing() {
    let config = "web: {bearerTokens: ['${TOKEN}']}\n";
    let home = Home::new(config, &rules(&["first"])).token("old");
    secrets_in(&home, "one", "TOKEN=old\n");
    secrets_in(&home, "two", "TOKEN=new\n");
    secrets_in(&home, "three", "OTHER=newest\n");
    swap(&home, "..data", "one");
    fs::remove_file(home.path().join("secrets")).unwrap();
    symlink("..data/secrets", home.path().join("secrets")).unwrap();
    let daemon = home.start();
    assert_eq!(daemon.status("/api/v1/rules"), Some(200));
    swap(&home, "..data", "two");
    eventually("the old token is refused", || daemon.status("/api/v1/rules") == Some(401));
    let daemon = daemon.with_token("new");
    assert_eq!(loaded(&daemon), ["first"]);

    swap(&home, "..data", "three");
    eventually("secrets without a name that is needed are refused", || !successful(&daemon));
    let (status, problem) = reload(&daemon);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        status == 500 && detail.contains("the secrets file has no `TOKEN`") && !detail.contains("newest"),
        "{detail}"
    );
    assert_eq!(daemon.status("/api/v1/rules"), Some(200), "the secret that was read before is good still");

    home.write("next", &config.replace("TOKEN", "OTHER"));
    fs::rename(home.path().join("next"), home.path().join("autoheal.yml")).unwrap();
    let daemon = daemon.with_token("newest");
    eventually("the configuration is read again", || daemon.status("/api/v1/rules") == Some(200));
    let log = daemon.log();
    assert!(successful(&daemon) && ["=old", "=new", "newest"].iter().all(|value| !log.contains(value)), "{log}");
}

#[test]
fn a_directory_of_rules_that_is_gone_changes_nothing() {
    let home = Home::new("", &rules(&["first"]));
    let daemon = home.start();
    let (here, away) = (home.path().join("rules"), home.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let (status, problem) = reload(&daemon);
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 500 && detail.contains("rules cannot be read"), "{problem}");
    assert!(detail.contains("an empty directory says that there are none"), "{detail}");
    assert_eq!(loaded(&daemon), ["first"]);
    fs::rename(&away, &here).unwrap();
    eventually("it is back", || successful(&daemon));

    // On purpose.
    fs::remove_file(here.join("rules.yml")).unwrap();
    assert_eq!((reload(&daemon).0, loaded(&daemon).len()), (200, 0));
    fs::remove_dir(&here).unwrap();
    assert_eq!(reload(&daemon).0, 200);
    // Rules may move elsewhere, too.
    fs::create_dir(&here).unwrap();
    home.write("rules/rules.yml", &rules(&["second"]));
    assert_eq!((reload(&daemon).0, loaded(&daemon)), (200, vec!["second".to_owned()]));
    fs::rename(&here, &away).unwrap();
    home.write("autoheal.yml", "ruleFiles: [away/]\n");
    assert_eq!((reload(&daemon).0, loaded(&daemon)), (200, vec!["second".to_owned()]));
}

#[test]
fn a_running_heal_keeps_the_ladder_it_began_with() {
    let ladder = |container: &str, attempts: u32| {
        format!(
            "rules:\n- metadata: {{name: restart}}\n  labels: {{alertname: ^Noted$}}\n  steps:\n  - restartContainer: {{host: gone, name: {container}}}\n    attempts: {attempts}\n"
        )
    };
    let config = "docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}\n";
    let home = Home::new(config, &ladder("old", 3));
    let daemon = home.start();
    assert_eq!(daemon.post(noted(1)), Some(202));
    let before = daemon.wait_for_state("pending");
    home.write("rules/rules.yml", &ladder("new", 5));
    assert_eq!(reload(&daemon).0, 200);
    assert_eq!(daemon.post(noted(2)), Some(202));
    eventually("both heals are there", || daemon.heals().len() == 2);
    let targets: BTreeMap<_, _> = daemon
        .heals()
        .iter()
        .map(|heal| {
            let heal = daemon.json(&format!("/api/v1/heals/{}", heal["id"].as_str().unwrap()));
            (heal["steps"][0]["rendered"]["name"].to_string(), heal["steps"][0]["maxAttempts"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(targets, BTreeMap::from([("\"old\"".to_owned(), 3), ("\"new\"".to_owned(), 5)]), "{before}");
}

#[test]
fn two_hundred_reloads_under_load_lose_nothing_and_show_nobody_half_a_rule_set() {
    const RELOADS: usize = 200;
    let home = Home::new("ruleFiles: [live/]\n", "");
    for set in ["a", "b"] {
        fs::create_dir(home.path().join(set)).unwrap();
        for number in ["1", "2"] {
            home.write(&format!("{set}/{number}.yml"), &rules(&[&format!("{set}-{number}")]));
        }
    }
    swap(&home, "live", "a");
    let daemon = home.start();
    let (posted, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let number = posted.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(daemon.post(noted(number)), Some(202));
                }
            });
        }
        for round in 0..RELOADS {
            swap(&home, "live", ["b", "a"][round % 2]);
            let (status, answer) = reload(&daemon);
            if status != 200 {
                done.store(true, Ordering::Relaxed);
                panic!("{answer}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut path = "/api/v1/heals?limit=500".to_owned();
    loop {
        let page = daemon.json(&path);
        for heal in page["heals"].as_array().unwrap() {
            let alert = heal["alerts"][0]["labels"]["number"].as_str().unwrap().to_owned();
            asked.entry(alert).or_default().insert(heal["rule"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/heals?limit=500&before={next}");
    }
    assert_eq!(asked.len(), posted.into_inner(), "every accepted alert has its heals");
    let whole = |set: &str| BTreeSet::from([format!("{set}-1"), format!("{set}-2")]);
    let mut seen = BTreeSet::new();
    for (alert, rules) in asked {
        assert!(rules == whole("a") || rules == whole("b"), "alert {alert} saw {rules:?}");
        seen.insert(rules);
    }
    assert_eq!(seen.len(), 2, "both rule sets were at work");
    assert!(daemon.terminate().success());
}
