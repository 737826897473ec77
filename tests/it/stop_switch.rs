//! The stop switch as people who are told of heals see it: with the real program, a Slack, a mail server and a program.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::office::Office;

/// Nobody listens at the host; nothing may get that far.
const RULES: &str = "rules:\n\
    - metadata: {name: tells}\n  labels: {alertname: ^Tells$}\n\
    - metadata: {name: acts}\n  labels: {alertname: ^Acts$}\n\
    \x20 restartContainer: {host: gone, name: '{{ $labels.name }}'}\n";

fn home(office: &Office, config: &str) -> Home {
    let hosts = "docker: {hosts: [{name: gone, address: 'tcp://127.0.0.1:1'}]}\n";
    let home = Home::new(&format!("{hosts}{config}{}", office.receivers()), RULES);
    home.secrets(&Office::secrets());
    home
}

fn fire(daemon: &Daemon, name: &str, target: &str) {
    let labels = json!({"alertname": name, "name": target});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
}

fn pause(daemon: &Daemon, body: &Value) {
    let answer = daemon.request("POST", "/api/v1/pause").json(body).send().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

#[test]
fn whoever_is_told_anything_while_a_pause_lasts_is_told_of_the_pause() {
    let office = Office::open();
    let home = home(&office, "");
    let daemon = home.start();
    pause(&daemon, &json!({"for": "2h", "reason": "moving the rack"}));
    pause(&daemon, &json!({"for": "3h", "reason": "not about this one", "rule": "acts"}));
    fire(&daemon, "Tells", "ui");
    let mail = office.smtp.expect("message");
    for part in ["plain", "html"] {
        let text = mail[part].as_str().unwrap();
        assert!(text.contains("Paused") && text.contains("nothing new starts: moving the rack"), "{part}: {text}");
        assert!(text.contains("everything until 2") && !text.contains("not about this one"), "{part}: {text}");
    }
    eventually("Slack is told", || office.slack.requests() == 1);
    let fields = office.slack.received()[0]["attachments"][0]["fields"].clone();
    assert_eq!(fields[0]["title"], "Paused", "before anything else: {fields}");
    assert!(fields[0]["value"].as_str().unwrap().ends_with("nothing new starts: moving the rack"), "{fields}");

    assert_eq!(daemon.request("POST", "/api/v1/resume").send().unwrap().status().as_u16(), 200);
    fire(&daemon, "Tells", "post");
    eventually("Slack is told again", || office.slack.requests() == 2);
    assert!(!office.slack.received()[1].to_string().contains("Paused"), "it is over");
}

#[test]
fn a_pause_that_holds_repairs_back_for_too_long_pages_once() {
    let office = Office::open();
    let home = home(&office, "pause: {pageAfter: 1s}\n");
    let daemon = home.start();
    pause(&daemon, &json!({"for": "2h", "reason": "moving the rack"}));
    fire(&daemon, "Acts", "ui");
    fire(&daemon, "Acts", "post");
    let mail = office.smtp.expect("message");
    for words in ["A human is needed for Acts", "that has held back 2 heals", "end the pause, or repair it yourself"] {
        assert!(mail["plain"].as_str().unwrap().contains(words), "{words:?} is not in {}", mail["plain"]);
    }
    eventually("Slack is told", || office.slack.requests() == 1);
    let title = office.slack.received()[0]["attachments"][0]["title"].clone();
    assert!(title.as_str().unwrap().ends_with("human needed, a pause holds repairs back"), "{title}");
    assert!(daemon.heals().iter().all(|heal| heal["state"] == "pending" && heal["attempt"] == 0), "they stay held");
    // Stopping drains the outbox's courier: whatever else was to be sent has been sent then.
    assert!(daemon.terminate().success());
    let (mails, posts) = office.close();
    assert_eq!((mails.len(), posts.len()), (0, 1), "once, not for every heal");
}
