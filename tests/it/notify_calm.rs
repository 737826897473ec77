//! Who was called, and how calm the others are left: through the real program, with real mail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::office::Office;
use crate::support::smtp::header;

/// Its action cannot be rendered for an alert without the label, so that a human is called at once.
const RULES: &str = r#"
rules:
- metadata: {name: restart}
  matchers: ['alertname="ContainerDown"']
  steps:
  - restartContainer: {name: "{{ $labels.container }}"}
"#;

fn tells(daemon: &Daemon, status: &str, host: &str) {
    let labels = json!({"alertname": "ContainerDown", "host": host});
    assert_eq!(daemon.post(delivery(&[alert(status, &labels, Duration::from_secs(30))])), Some(202));
}

fn delivered(daemon: &Daemon) {
    eventually("everything is delivered", || daemon.json("/api/v1/status")["outbox"]["waiting"] == 0);
}

#[test]
fn who_was_mailed_that_a_human_is_needed_is_mailed_in_the_same_thread_that_it_is_over_once() {
    let office = Office::open();
    let home = Home::new(&office.receivers(), RULES);
    home.secrets(&Office::secrets());
    let daemon = home.start();
    tells(&daemon, "firing", "a");
    daemon.wait_for_state("suppressed");
    delivered(&daemon);
    let daemon = {
        daemon.kill();
        home.start()
    };
    tells(&daemon, "resolved", "a");
    tells(&daemon, "resolved", "a");
    delivered(&daemon);
    let heal = daemon.heals().remove(0);
    assert_eq!((&heal["state"], &heal["alerts"][0]["status"]), (&json!("suppressed"), &json!("resolved")));
    let ended = daemon.text("/metrics");
    let counted = |line: &&str| line.starts_with("autoheal_heals_total") && line.contains("suppressed");
    assert!(ended.lines().filter(counted).all(|line| line.ends_with(" 0")), "its end was counted before: {ended}");
    drop(daemon);

    let (mails, chat) = office.close();
    let [called, over] = mails.as_slice() else { panic!("{mails:#?}") };
    let subject = |mail: &Value| header(mail, "Subject").join("").replace('\n', "");
    assert!(subject(called).contains("human needed"), "{called}");
    assert!(
        subject(over).starts_with("[RESOLVED] ContainerDown") && subject(over).ends_with("no human is needed any more")
    );
    assert!(over["plain"].as_str().unwrap().starts_with("No human is needed any more"), "{over}");
    let thread = header(over, "References").join(" ");
    assert!(
        header(called, "References").iter().chain(&header(called, "Message-ID")).any(|id| thread.contains(*id)),
        "{thread}"
    );
    assert_eq!(chat.len(), 2, "{chat:#?}");
}
