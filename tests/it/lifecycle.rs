//! Starting, stopping, and what a person reads when neither works.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::daemon::{Home, address_in, alert, delivery, eventually};
use crate::support::engine::{BadEngine, Engine, Recipe, unique};
use crate::support::office::Office;
use crate::support::prometheus::free_port;
use crate::support::wait;
use crate::support::watch::Watch;

/// What systemd and Docker wait at most before they kill; the daemon promises to be done by then.
const DEADLINE: Duration = Duration::from_secs(30);

const RULES: &str = r#"
rules:
- metadata: {name: restart}
  labels: {alertname: ^ContainerDown$}
  steps:
  - restartContainer: {host: "{{ $labels.host }}", name: "{{ $labels.container }}", stopTimeout: 3s}
    verify: {within: 2m}
"#;

fn hosts(hosts: &[(&str, &str)]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|(name, address)| format!("{{name: {name}, address: '{address}'}}")).collect();
    format!("docker: {{hosts: [{}]}}\n", hosts.join(", "))
}

fn down(host: &str, container: &str) -> Value {
    let labels = json!({"alertname": "ContainerDown", "host": host, "container": container});
    alert("firing", &labels, Duration::ZERO)
}

/// A start that fails: exit code and what it says.
fn refused(home: &Home, flags: &[&str]) -> (Option<i32>, String) {
    let output = home.command(&["serve"]).args(flags).output().unwrap();
    assert!(output.stdout.is_empty(), "trouble is told on standard error");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// That a start fails with one clear line, apart from what a good start says as well.
fn says_in_one_line(home: &Home, flags: &[&str], words: &[&str]) {
    let (code, said) = refused(home, flags);
    let errors: Vec<_> = said.lines().filter(|line| !line.contains("level=info")).collect();
    assert_eq!((code, errors.len()), (Some(1), 1), "{said}");
    assert!(words.iter().all(|word| errors[0].contains(word)), "{words:?} in {said}");
}

#[test]
fn a_stop_amid_a_restart_hands_it_over_and_the_next_start_does_not_restart_again() {
    let (engine, project) = (Engine::get(), unique("stop"));
    let container = wait(engine.run(Recipe::stubborn().label("stop", &project)));
    let mut watch = wait(Watch::of(&engine, "stop", &project));
    // Longer than the daemon waits for actions under way when it is told to stop.
    let rules = RULES.replace("stopTimeout: 3s", "stopTimeout: 16s");
    let home = Home::new(&hosts(&[("local", &engine.address)]), &rules);
    let daemon = home.start();
    assert_eq!(daemon.post(delivery(&[down("local", &container.name)])), Some(202));
    wait(container.until_told("kill"));

    let asked = Instant::now();
    assert!(daemon.terminate().success());
    assert!(asked.elapsed() < DEADLINE, "took {:?}", asked.elapsed());

    let daemon = home.start();
    let heal = daemon.wait_for_state("verifying");
    let told: Vec<_> =
        heal["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert!(told.contains(&"taken over") && told.contains(&"action done"), "{heal}");
    let starts = wait(watch.news()).into_iter().filter(|(_, action)| action == "start").count();
    assert_eq!((starts, &heal["attempt"]), (1, &json!(1)), "{heal}");
    assert!(daemon.terminate().success());
}

#[test]
fn a_stop_at_rest_is_quick_and_silent() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let asked = Instant::now();
    let (log, status) = daemon.terminate_with_log();
    assert!(status.success() && asked.elapsed() < Duration::from_secs(3), "{:?}\n{log}", asked.elapsed());
    assert!(log.contains("msg=stopping signal=SIGTERM") && log.ends_with("msg=stopped\n"), "{log}");
}

#[test]
fn until_the_store_is_open_the_door_answers_503_and_afterwards_takes_everything() {
    let home = Home::new("", RULES);
    fs::create_dir(home.path().join("data")).unwrap();
    let holder = rusqlite::Connection::open(home.store()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let daemon = home.launch();
    assert_eq!((daemon.status("/-/healthy"), daemon.status("/-/ready")), (Some(200), Some(503)));
    let body = || delivery(&[down("local", "ui")]);
    let answer = daemon.request("POST", "/alerts").body(body()).send().unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    holder.execute_batch("ROLLBACK").unwrap();
    eventually("it is ready", || daemon.status("/-/ready") == Some(200));
    assert_eq!(daemon.post(body()), Some(202));
    assert!(daemon.terminate().success());
}

#[test]
fn a_start_that_cannot_be_says_why_in_one_line() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let taken = daemon.address.to_string();
    let other = Home::new("", RULES);
    let with_address = |address: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(["--config-file", "autoheal.yml", "--secrets-file", "secrets", "--listen-address", address])
            .current_dir(other.path())
            .env_clear()
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = with_address(&taken);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains(&taken) && said.contains("another process has this port"), "{said}");
    assert!(!other.store().exists(), "nothing was touched");

    says_in_one_line(&home, &[], &["autoheal.db is in use by another autoheal process"]);

    other.write("garbage.db", &"this is not a database ".repeat(100));
    says_in_one_line(
        &other,
        &["--store", "sqlite:garbage.db"],
        &["not an SQLite database", "restore it from a backup"],
    );
    assert!(fs::read_to_string(other.path().join("garbage.db")).unwrap().starts_with("this is not"), "left as it was");
    fs::create_dir(other.path().join("folder.db")).unwrap();
    says_in_one_line(&other, &["--store", "sqlite:folder.db"], &["folder.db"]);
    other.write("file", "");
    says_in_one_line(&other, &["--store", "sqlite:file/autoheal.db"], &["file"]);
}

#[test]
fn a_wrong_configuration_is_shown_with_carets_and_nothing_starts() {
    let home =
        Home::new("limits: {concurent: 3}\nreceivers: [{name: a}]\n", "rules: [{metadata: {name: a}, color: red}]\n");
    let (code, said) = refused(&home, &[]);
    assert_eq!(code, Some(2), "{said}");
    for words in ["autoheal.yml:1:10", "`concurent`", "concurrent", "autoheal.yml:2:13", "rules/rules.yml:1:", "^^^"] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    assert_eq!(said.lines().last(), Some("autoheal: the configuration is wrong, see above; nothing was started"));
    assert!(!home.path().join("data").exists());
}

#[test]
fn logs_can_be_read_line_by_line_in_both_formats_and_prometheus_spellings_work() {
    for format in ["logfmt", "json"] {
        let home = Home::new("", RULES);
        let listen = format!("127.0.0.1:{}", free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(["--config.file=autoheal.yml", "--secrets-file=secrets", "--log.level=debug"])
            .args([&format!("--web.listen-address={listen}"), &format!("--log.format={format}")])
            .current_dir(home.path())
            .env_clear()
            .stdin(Stdio::null())
            .stderr(fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let daemon = home.adopt(child, listen.parse().unwrap(), "log");
        eventually("it is ready", || daemon.status("/-/ready") == Some(200));
        let nasty = json!({"alertname": "ContainerDown", "container": "a \"b\"\n=c", "host": "\u{2028}\u{1b}[31m"});
        assert_eq!(daemon.post(delivery(&[alert("firing", &nasty, Duration::ZERO)])), Some(202));
        let (log, status) = daemon.terminate_with_log();
        assert!(status.success() && log.contains("decided on an alert") && log.lines().count() > 4, "{log}");
        for line in log.lines() {
            match format {
                "json" => {
                    assert!(
                        serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"].is_string()),
                        "{line}"
                    );
                }
                _ => assert!(is_logfmt(line), "{line}"),
            }
        }
    }
}

/// `key=value` pairs, values bare or quoted, as a strict reader takes them.
fn is_logfmt(line: &str) -> bool {
    let mut rest = line;
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else { return false };
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')) {
            return false;
        }
        let length = match after.strip_prefix('"') {
            None => after.find(' ').unwrap_or(after.len()),
            Some(text) => {
                let mut escaped = false;
                let end = text.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                let Some(end) = end else { return false };
                end + 2
            }
        };
        let value = &after[..length];
        if value.chars().any(char::is_control) || (!value.starts_with('"') && value.contains('"')) {
            return false;
        }
        rest = after[length..].strip_prefix(' ').unwrap_or(&after[length..]);
    }
    line.starts_with("ts=") && line.contains(" level=") && line.contains(" msg=")
}

#[test]
fn a_log_that_nobody_takes_ends_nothing() {
    let home = Home::new("", RULES).flag("--log-level=debug");
    home.write("log", "");
    let (log, errors) = std::io::pipe().unwrap();
    let child = home.command(&["serve"]).stderr(errors).spawn().unwrap();
    let mut log = BufReader::new(log);
    let mut lines = String::new();
    while address_in(&lines).is_none() {
        assert_ne!(log.read_line(&mut lines).unwrap(), 0, "{lines}");
    }
    let daemon = home.adopt(child, address_in(&lines).unwrap(), "log");
    drop(log);
    eventually("it is ready", || daemon.status("/-/ready") == Some(200));
    assert_eq!(daemon.post(delivery(&[down("nowhere", "a")])), Some(202));
    eventually("its heal has ended", || daemon.heals().iter().any(|heal| heal["endedAt"].is_string()));
    assert!(daemon.terminate().success());
}

#[test]
fn a_closed_pipe_ends_every_verb_quietly() {
    let home = Home::new("limits: {concurent: 3}\n", RULES);
    home.write("payload.json", &delivery(&[down("local", "a")]));
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    let run = |verb: &[&str], out: Stdio, errors: Stdio| {
        let output = home.command(verb).stdout(out).stderr(errors).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for verb in [&["check"][..], &["schema"], &["man"], &["completions", "bash"]] {
        assert_eq!(run(verb, closed(), Stdio::piped()), (Some(1), String::new()), "{verb:?}");
        assert_eq!(run(verb, closed(), closed()).0, Some(1), "{verb:?}");
    }
    for verb in [&["serve"][..], &["plan", "payload.json"]] {
        assert_eq!(run(verb, Stdio::piped(), closed()).0, Some(2), "{verb:?}");
    }
    home.write("autoheal.yml", "");
    assert_eq!(run(&["plan", "payload.json"], closed(), Stdio::piped()), (Some(1), String::new()));
}

#[test]
fn the_health_check_asks_the_daemon_that_the_same_flags_start() {
    let home = Home::new("", RULES);
    let daemon = home.start();
    let check = |address: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(["healthcheck", "--listen-address", address])
            .env_clear()
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check(&daemon.address.to_string()), (Some(0), String::new()));
    assert_eq!(check(&format!("0.0.0.0:{}", daemon.address.port())), (Some(0), String::new()));
    for spelling in [":", "localhost:"] {
        assert_eq!(check(&format!("{spelling}{}", daemon.address.port())), (Some(0), String::new()), "{spelling}");
    }
    let (code, said) = check("nowhere");
    assert_eq!(code, Some(2));
    assert!(said.contains("127.0.0.1:9099, [::1]:9099 or :9099"), "{said}");
    let address = daemon.address.to_string();
    daemon.kill();
    let (code, said) = check(&address);
    assert_eq!((code, said.lines().count()), (Some(1), 1));
    assert!(said.contains(&address), "{said}");
}

#[test]
fn a_hung_engine_holds_up_no_other_host_and_no_stop() {
    let engine = Engine::get();
    let container = wait(engine.run(Recipe::idle().not_started()));
    let hung = wait(async { BadEngine::that_hangs() });
    let home = Home::new(&hosts(&[("local", &engine.address), ("hung", &hung.address)]), RULES);
    let daemon = home.start();
    let stuck: Vec<_> = (0..5).map(|number| down("hung", &format!("c{number}"))).collect();
    assert_eq!(daemon.post(delivery(&stuck)), Some(202));
    eventually("five hang", || daemon.heals().iter().filter(|heal| heal["state"] == "acting").count() == 5);
    let began = Instant::now();
    assert_eq!(daemon.post(delivery(&[down("local", &container.name)])), Some(202));
    let heal = daemon.wait_for_state("verifying");
    assert_eq!(heal["target"], format!("docker:local/name/{}", container.name));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let asked = Instant::now();
    assert!(daemon.terminate().success());
    assert!(asked.elapsed() < DEADLINE);
}

#[test]
fn a_heal_that_gives_up_calls_a_human_exactly_once() {
    let (engine, office) = (Engine::get(), Office::open());
    let container = wait(engine.run(Recipe::idle().broken_entrypoint()));
    let rules =
        RULES.replace("    verify:", "    attempts: 2\n    backoff: {initial: 100ms, factor: 1, max: 1s}\n    verify:");
    let home = Home::new(&format!("{}{}", hosts(&[("local", &engine.address)]), office.receivers()), &rules);
    home.secrets(&Office::secrets());
    let daemon = home.start();
    let body = delivery(&[down("local", &container.name)]);
    assert_eq!(daemon.post(body.clone()), Some(202));
    let heal = daemon.wait_for_state("exhausted");
    let reason = heal["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("every step has been tried (1 step, 2 attempts), at last: "), "{reason}");
    assert!(reason.ends_with("; a human is needed"), "{reason}");
    assert_eq!(daemon.post(body), Some(202), "Alertmanager repeats while the alert fires");

    let mail = office.smtp.expect("message");
    let subject = crate::support::smtp::header(&mail, "Subject")[0].to_owned();
    assert!(subject.ends_with("human needed, 2 attempts did not help"), "{subject}");
    assert!(mail["plain"].as_str().is_some_and(|text| text.starts_with("A human is needed: ")), "{mail}");
    eventually("the story is whole", || office.slack.requests() >= 3);
    assert_eq!(daemon.heals().len(), 1);
    assert!(daemon.terminate().success());
    let (mails, posts) = office.close();
    assert_eq!(mails, Vec::<Value>::new(), "one call, not more");
    let titles: Vec<_> = posts.iter().map(|post| post["attachments"][0]["title"].as_str().unwrap()).collect();
    let ends = ["restarting, attempt 1 of 2", "did not help, next in", "human needed, 2 attempts did not help"];
    assert_eq!(titles.len(), ends.len(), "{titles:?}");
    assert!(titles.iter().zip(ends).all(|(title, end)| title.contains(end)), "{titles:?}");
}
