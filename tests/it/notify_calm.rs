//! Who was called, and how calm the others are left: through the real program, with real mail.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Home, alert, delivery, eventually};
use crate::support::office::Office;
use crate::support::slack::Answer;
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

#[test]
fn a_receiver_that_takes_nothing_is_shown_and_its_messages_wait_for_somebody_to_send_them_again() {
    let office = Office::with([Answer::say(404, "no_service")], &[]);
    let config = office.receivers().split("  email:").next().unwrap().to_owned() + "defaultReceivers: [on-call]\n";
    let home = Home::new(&config, RULES);
    home.secrets(&Office::secrets());
    let daemon = home.start();
    let says = |arguments: &[&str]| {
        let url = daemon.url("");
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_autoheal"))
            .args(arguments)
            .env_clear()
            .env("AUTOHEAL_URL", url)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (command.status.code(), text(command.stdout) + &text(command.stderr))
    };
    assert_eq!(says(&["notify", "dead", "list"]), (Some(0), "no message was given up\n".to_owned()));
    tells(&daemon, "firing", "a");
    let receiver = || daemon.json("/api/v1/status")["receivers"]["on-call/slack"].clone();
    eventually("the message is given up", || receiver()["dead"] == 1);
    let shown = receiver();
    assert_eq!(
        (&shown["up"], shown["error"].as_str().unwrap().contains("no_service")),
        (&json!(false), true),
        "{shown}"
    );
    assert!(daemon.text("/metrics").contains("autoheal_receiver_up{channel=\"on-call/slack\"} 0"));
    assert!(daemon.text("/").contains("Receiver on-call/slack fails"), "{}", daemon.text("/"));
    let (_, status) = says(&["status"]);
    assert!(
        status.contains("RECEIVER on-call/slack FAILS") && status.contains("autoheal notify dead list"),
        "{status}"
    );

    let (code, list) = says(&["notify", "dead", "list"]);
    assert!(
        code == Some(0) && list.contains("on-call/slack  suppressed  restart") && list.contains("no_service"),
        "{list}"
    );
    let (code, told) = says(&["notify", "dead", "discard", "00000000-0000-0000-0000-000000000000"]);
    assert!(code == Some(1) && told.contains("no message that was given up has this id"), "{told}");
    assert_eq!(says(&["notify", "dead", "retry"]).0, Some(2), "nothing is meant by nothing");
    assert_eq!(daemon.request("POST", "/api/v1/dead-letters/retry").body("{}").send().unwrap().status(), 400);
    let (code, told) = says(&["notify", "dead", "retry", "--all"]);
    assert_eq!((code, told.starts_with("1 to be sent again")), (Some(0), true), "{told}");
    eventually("it arrives", || receiver()["up"] == true);
    assert_eq!(daemon.json("/api/v1/dead-letters"), json!({"deadLetters": []}));
    assert!(daemon.text("/metrics").contains("autoheal_receiver_up{channel=\"on-call/slack\"} 1"));
    drop(daemon);
    assert_eq!(office.close().1.len(), 2);
}
