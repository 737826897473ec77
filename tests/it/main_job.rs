//! The main job on real parts: a container dies, Prometheus notices, Alertmanager calls, the container comes back, the
//! alert resolves, and people read one mail and one story.

use serde_json::{Value, json};

use crate::support::daemon::{Home, eventually};
use crate::support::engine::{Container, Engine, Recipe, unique};
use crate::support::office::{Office, SMTP_USER};
use crate::support::prometheus::{Alertmanager, Prometheus, answers, free_port};
use crate::support::smtp::header;
use crate::support::wait;
use crate::support::watch::Watch;

fn rules(project: &str) -> String {
    format!(
        r#"
rules:
- metadata: {{name: restart-service, description: A service is down., runbook: "https://wiki.example.com/down"}}
  labels: {{alertname: ^InstanceDown$}}
  matchers: ['job=~"ui|post|comment"']
  steps:
  - restartContainer: {{compose: {{project: {project}, service: "{{{{ $labels.job }}}}"}}}}
    verify: {{within: 1m, healthyFor: 1s}}
"#
    )
}

/// The three services of one compose project, each on a port of its own.
fn services(engine: &Engine, project: &str) -> Vec<(&'static str, u16, Container)> {
    let start = |service| {
        let port = free_port();
        let container = wait(engine.run(Recipe::web(port).compose(project, service)));
        eventually("the service answers", || answers(&format!("http://127.0.0.1:{port}/metrics.txt")));
        (service, port, container)
    };
    ["ui", "post", "comment"].map(start).into()
}

#[test]
fn a_killed_container_is_restarted_verified_and_told_and_nothing_else_is_touched() {
    let (engine, office, project) = (Engine::get(), Office::open(), unique("otus"));
    let services = services(&engine, &project);
    let config = format!("docker: {{hosts: [{{name: local, address: '{}'}}]}}\n{}", engine.address, office.receivers());
    let home = Home::new(&config, &rules(&project));
    home.secrets(&Office::secrets());
    let daemon = home.start();
    let alertmanager = Alertmanager::start(home.path(), &daemon.url("/alerts"));
    let scraped: Vec<_> = services.iter().map(|(job, port, _)| (*job, *port)).collect();
    let _prometheus = Prometheus::start(home.path(), alertmanager.port, &scraped);
    let lives = || services.iter().map(|(_, _, container)| wait(container.life())).collect::<Vec<_>>();
    let before = lives();
    let mut watch = wait(Watch::of(&engine, "com.docker.compose.project", &project));

    wait(services[0].2.kill());
    let heal = daemon.wait_for_state("healed");

    let after = lives();
    assert_eq!(before[1..], after[1..], "post and comment are as they were");
    assert_ne!(before[0], after[0], "ui lives anew");
    let ui = &services[0].2.name;
    assert_eq!(wait(watch.news()), ["kill", "die", "start"].map(|action| (ui.clone(), action.to_owned())));

    assert_eq!(daemon.heals().len(), 1);
    assert_eq!(heal["target"], format!("docker:local/compose/{project}/ui"));
    assert_eq!((&heal["rule"], &heal["attempt"]), (&json!("restart-service"), &json!(1)));
    assert_eq!(heal["alerts"][0]["status"], "resolved");
    assert_eq!(heal["alerts"][0]["labels"]["instance"], format!("127.0.0.1:{}", services[0].1));
    // Whether the resolve comes before the action has ended is the scrape's luck.
    let told = heal["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap());
    let (resolved, told): (Vec<_>, Vec<_>) = told.partition(|what| *what == "resolved");
    assert_eq!(resolved.len(), 1, "{heal}");
    let own: Vec<_> = told.into_iter().filter(|what| *what != "verifying").collect();
    assert_eq!(own, ["firing", "acting", "looked", "started", "action done", "healed"], "{heal}");

    let mail = office.smtp.expect("message");
    reads_as_healed(&mail, &project);
    eventually("the story is whole", || office.slack.requests() >= 2);
    // Stopping drains the outbox's courier: whatever else was to be sent has been sent then.
    assert!(daemon.terminate().success());
    let (mails, posts) = office.close();
    assert_eq!(mails, Vec::<Value>::new(), "one mail, not more");
    let titles: Vec<_> = posts.iter().map(|post| post["attachments"][0]["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].starts_with("[FIRING:1] InstanceDown ui (") && titles[0].ends_with("restarting, attempt 1 of 1"));
    assert!(titles[1].starts_with("[RESOLVED] InstanceDown ui (") && titles[1].contains("— healed after "));
}

/// The mail as an independent parser read it.
fn reads_as_healed(mail: &Value, project: &str) {
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!(SMTP_USER)));
    assert_eq!(mail["sender"], "autoheal@mg.example.com");
    assert_eq!(mail["recipients"], json!(["oncall@example.com", "second@example.com"]));
    assert_eq!((&mail["type"], &mail["defects"]), (&json!("multipart/alternative"), &json!([])));
    let subject = header(mail, "Subject");
    assert!(subject[0].starts_with("[RESOLVED] InstanceDown ui (") && subject[0].contains("— healed after "), "{mail}");
    for part in ["plain", "html"] {
        let text = mail[part].as_str().unwrap();
        for words in ["InstanceDown", "summary", &format!("{project}/ui"), "healed", "https://wiki.example.com/down"] {
            assert!(text.contains(words), "the {part} part lacks {words:?}: {text}");
        }
    }
}
