//! `autoheal check --online`: whoever is needed at night is asked by day, and nobody is told anything by it.

use serde_json::{Value, json};

use crate::support::daemon::Home;
use crate::support::office::Office;
use crate::support::service::{Answer, Sent, Service};
use crate::support::slack_api::{SlackApi, TOKEN};
use crate::support::{install_tls, wait};

const RULES: &str = "
rules:
- metadata: {name: tells}
  labels: {alertname: ^Tells$}
- metadata: {name: acts}
  labels: {alertname: ^Acts$}
  restartContainer: {host: used, name: ui}
";
const KEY: &str = "key-0123456789abcdef";

/// Exit code and the lines about others than rules and runners.
fn check(home: &Home) -> (Option<i32>, String) {
    let output = home.command(&["check", "--online"]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains(KEY) && !text.contains(TOKEN), "{text}");
    (output.status.code(), text)
}

/// An engine, Prometheus, Alertmanager and Mailgun; the last one knows the key or not.
fn services(status_of_mailgun: u16) -> Service {
    wait(Service::start(move |sent| match (sent.method.as_str(), sent.path.as_str()) {
        ("GET" | "HEAD", "/_ping") => Answer::Say(200, vec![("api-version", "1.45".into())], "OK".into()),
        ("GET", "/api/v1/query") => Answer::say(
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
        ),
        ("GET", "/api/v2/status") => Answer::say(200, r#"{"uptime":"2026-11-22T07:00:00.000Z"}"#),
        ("GET", "/api/v2/alerts") => Answer::say(200, "[]"),
        ("POST", "/v3/mg.example.com/messages") if sent.body.is_empty() => {
            Answer::say(status_of_mailgun, r#"{"message":"'from' parameter is not a valid address"}"#)
        }
        _ => Answer::say(404, "nothing"),
    }))
}

fn config(others: &Service, slack: &SlackApi) -> String {
    let (url, docker) = (others.url(), others.url().replace("http", "tcp"));
    format!(
        "docker: {{hosts: [{{name: used, address: '{docker}'}}, {{name: unused, address: 'tcp://127.0.0.1:1'}}]}}\n\
         prometheus: {{address: '{url}'}}\n\
         alertmanager: {{address: '{url}'}}\n\
         receivers:\n\
         - name: all\n\
         \x20 slack: {{botToken: '${{BOT}}', channel: '#on-call', apiUrl: '{}'}}\n\
         \x20 mailgun: {{domain: mg.example.com, apiKey: '${{KEY}}', from: a@mg.example.com, to: b@example.com, apiUrl: '{url}'}}\n\
         \x20 webhook: {{url: '{url}/hook', secret: '${{KEY}}'}}\n\
         \x20 alertmanager: {{address: '{url}'}}\n\
         defaultReceivers: [all]\n",
        slack.url()
    )
}

#[test]
fn everybody_who_is_needed_is_asked_and_nobody_is_told_anything() {
    install_tls();
    let (slack, others) = (wait(SlackApi::start()), services(400));
    let home = Home::new(&config(&others, &slack), RULES);
    home.secrets(&format!("BOT={TOKEN}\nKEY={KEY}\n"));
    let (code, said) = check(&home);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "docker host used: answers",
        "prometheus: answers and lets us ask",
        "alertmanager: answers and has 0 alerts",
        "receiver all/slack: Slack answers, we are autoheal of Example and may write",
        "receiver all/mailgun: Mailgun takes mail for mg.example.com from us",
        "receiver all/webhook: cannot be asked without a message; `autoheal notify test all` sends one",
        "receiver all/alertmanager: Alertmanager answers and lets us in",
    ] {
        assert!(said.lines().any(|told| told == line), "{line}\n{said}");
    }
    assert!(!said.contains("unused"), "who is not needed need not be there: {said}");
    assert!(slack.posted().is_empty());
    let changing = |sent: &&Sent| sent.method != "GET" && !sent.body.is_empty();
    assert_eq!(others.received().iter().filter(changing).count(), 0);
}

#[test]
fn whatever_is_wrong_on_the_other_side_is_said_with_what_to_do() {
    install_tls();
    let (slack, others) = (wait(SlackApi::start()), services(401));
    let home = Home::new(&config(&others, &slack).replace("#on-call", "#nowhere"), RULES);
    home.secrets(&format!("BOT={TOKEN}\nKEY={KEY}\n"));
    let (code, said) = check(&home);
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "error: receiver all/slack: Slack refused: channel_not_found; is there a channel #nowhere, and has the app been invited to it?",
        "error: receiver all/mailgun: Mailgun answered 401 Unauthorized: 'from' parameter is not a valid address; check apiKey (not the SMTP password), region and domain",
    ] {
        assert!(said.lines().any(|told| told == line), "{line}\n{said}");
    }

    let scopes = vec![("x-oauth-scopes", "channels:read".to_owned())];
    slack.order("auth.test", Answer::Say(200, scopes, r#"{"ok":true}"#.to_owned()));
    let nowhere = config(&others, &slack).replace(others.url().trim_start_matches("http://"), "127.0.0.1:1");
    home.write("autoheal.yml", &nowhere);
    let (code, said) = check(&home);
    assert_eq!(code, Some(1), "{said}");
    for start in [
        "error: docker host used: could not reach the engine",
        "error: prometheus: promql \"vector(1)\" could not be asked: Prometheus at 127.0.0.1:1 cannot be reached",
        "error: alertmanager: Alertmanager at 127.0.0.1:1 cannot be reached",
        "error: receiver all/slack: Slack refused: missing_scope; give the app the scope chat:write and install it again",
        "error: receiver all/mailgun: Mailgun could not be reached",
        "error: receiver all/alertmanager: Alertmanager could not be reached",
    ] {
        assert!(said.lines().any(|told| told.starts_with(start)), "{start}\n{said}");
    }
}

#[test]
fn what_is_wrong_on_the_other_side_counts_and_the_verdict_stands_last() {
    install_tls();
    let (slack, others) = (wait(SlackApi::start()), services(401));
    let home = Home::new(&config(&others, &slack).replace("#on-call", "#nowhere"), RULES);
    home.secrets(&format!("BOT={TOKEN}\nKEY={KEY}\n"));
    let (_, said) = check(&home);
    assert!(said.trim_end().lines().last().unwrap().starts_with("check failed; 2 errors"), "{said}");
    assert!(!said.contains("all good"), "{said}");
    let output = home.command(&["check", "--online", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["errors"]), (Some(1), &json!(2)), "{report:#}");
    let problems = report["problems"].as_array().unwrap();
    let messages: Vec<_> = problems.iter().filter_map(|problem| problem["message"].as_str()).collect();
    for start in ["receiver all/slack: Slack refused", "receiver all/mailgun: Mailgun answered 401"] {
        assert!(messages.iter().any(|message| message.starts_with(start)), "{start}\n{messages:?}");
    }

    let others = services(400);
    home.write("autoheal.yml", &config(&others, &slack));
    let (code, said) = check(&home);
    assert!(code == Some(0) && said.trim_end().lines().last().unwrap().starts_with("all good: 2 rules"), "{said}");
}

#[test]
fn a_mail_server_is_asked_to_let_us_in_and_gets_no_mail() {
    install_tls();
    let office = Office::open();
    let home = Home::new(&office.receivers(), "rules: []\n");
    home.secrets(&Office::secrets());
    let (code, said) = check(&home);
    assert_eq!(code, Some(0), "{said}");
    let mail = format!("receiver on-call/email: mail server 127.0.0.1:{} lets us in, encrypted", office.smtp.port);
    assert!(said.lines().any(|told| told == mail), "{said}");
    home.secrets(&Office::secrets().replace("Sm7pS3cr3t", "Wr0ng"));
    let (code, said) = check(&home);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: receiver on-call/email: mail server 127.0.0.1:")
            && said.contains("refused the login: 535"),
        "{said}"
    );
    let (mails, posts) = office.close();
    assert_eq!((mails.len(), posts.len()), (0, 0));
}
