//! Buttons in Slack that answer by themselves, on the real program: the message that has them, Slack's signed calls, and
//! what becomes of calls that are not Slack's, come again, or come too late.

use std::time::Duration;

use autoheal::clock::{Clock, SystemClock};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::daemon::{Daemon, Home, alert, client, delivery, eventually};
use crate::support::slack_api::{SlackApi, TOKEN};
use crate::support::{install_tls, wait};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const RULES: &str = r#"
rules:
- metadata: {name: asks}
  labels: {alertname: ^Asks$}
  mode: ask
  approval: {expiresAfter: 1h, approvers: ["slack:U2147483697", on-call]}
  restartContainer: {host: gone, name: "{{ $labels.name }}"}
- metadata: {name: strict}
  labels: {alertname: ^Strict$}
  mode: ask
  approval: {expiresAfter: 1h, approvers: ["slack:U2147483697"]}
  restartContainer: {host: gone, name: "{{ $labels.name }}"}
receivers: []
"#;

fn home(slack: &SlackApi) -> Home {
    let config = format!(
        "docker: {{hosts: [{{name: gone, address: 'tcp://127.0.0.1:1'}}]}}\n\
         web: {{bearerTokens: ['${{ANN}}'], externalUrl: 'https://ops.example.com'}}\n\
         receivers:\n\
         - name: on-call\n\
         \x20 slack: {{botToken: '${{BOT}}', channel: '#on-call', signingSecret: '${{SIGN}}', apiUrl: '{}'}}\n\
         defaultReceivers: [on-call]\n",
        slack.url()
    );
    let home = Home::new(&config, &RULES.replace("receivers: []\n", "")).token("ann");
    home.secrets(&format!("ANN=ann\nBOT={TOKEN}\nSIGN={SECRET}\n"));
    home
}

/// Lets an alert fire and waits for the message with its buttons.
fn ask(daemon: &Daemon, slack: &SlackApi, rule: &str, name: &str) -> (Value, Vec<Value>) {
    let known = daemon.heals().len();
    let labels = json!({"alertname": rule, "name": name});
    assert_eq!(daemon.post(delivery(&[alert("firing", &labels, Duration::ZERO)])), Some(202));
    eventually("the heal waits", || daemon.heals().len() > known && daemon.heals()[0]["state"] == "awaiting_approval");
    let heal = daemon.heals().remove(0);
    let id = heal["id"].as_str().unwrap().to_owned();
    let find =
        || slack.posted().into_iter().find(|posted| posted.thread.is_none() && posted.body.to_string().contains(&id));
    eventually("Slack has the message", || find().is_some());
    (heal, buttons(&find().unwrap().body))
}

fn buttons(message: &Value) -> Vec<Value> {
    let blocks = message["attachments"][0]["blocks"].as_array().unwrap();
    let actions = blocks.iter().find(|block| block["type"] == "actions");
    actions.map_or_else(Vec::new, |block| block["elements"].as_array().unwrap().clone())
}

/// What Slack sends when a button is pressed, as its documentation shows it.
fn pressed(button: &Value, user: &str) -> String {
    let payload = json!({
        "type": "block_actions",
        "team": {"id": "T9TK3CUKW", "domain": "example"},
        "user": {"id": user, "username": "bobby", "name": "bobby", "team_id": "T9TK3CUKW"},
        "api_app_id": "AABA1ABCD",
        "token": "9s8d9as89d8as9d8as989",
        "container": {"type": "message_attachment", "message_ts": "1548261231.000200", "attachment_id": 1, "channel_id": "CBR2V3XEX", "is_ephemeral": false},
        "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
        "channel": {"id": "CBR2V3XEX", "name": "review-updates"},
        "message": {"bot_id": "BAH5CA16Z", "type": "message", "text": "x".repeat(20_000), "ts": "1548261231.000200"},
        "response_url": "https://hooks.slack.com/actions/AABA1ABCD/1232321423432/D09sSasdasdAS9091209",
        "actions": [{
            "type": "button", "action_id": button["action_id"], "block_id": "=qXel", "text": button["text"],
            "value": button["value"], "style": button["style"], "action_ts": "1548426417.840180",
        }],
    });
    form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

fn sign(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    format!("v0={:x}", mac.finalize().into_bytes())
}

fn send(daemon: &Daemon, at: i64, signature: &str, body: &str) -> (u16, String) {
    let request = client()
        .post(daemon.url("/hooks/slack"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-slack-request-timestamp", at)
        .header("x-slack-signature", signature);
    let answer = request.body(body.to_owned()).send().unwrap();
    (answer.status().as_u16(), answer.text().unwrap())
}

fn call(daemon: &Daemon, body: &str) -> (u16, String) {
    let at = SystemClock.now().as_second();
    send(daemon, at, &sign(SECRET, at, body), body)
}

#[test]
fn a_button_answers_once_in_the_name_of_who_pressed_it() {
    install_tls();
    let slack = wait(SlackApi::start());
    let home = home(&slack);
    let daemon = home.start();
    let (heal, shown) = ask(&daemon, &slack, "Asks", "ui");
    let ids: Vec<_> = shown.iter().map(|button| button["action_id"].as_str().unwrap()).collect();
    assert_eq!(ids[..3], ["approve", "deny", "heal"], "the link to answer is not needed");
    assert!(shown[0]["confirm"]["text"]["text"].as_str().unwrap().contains("ui"), "{}", shown[0]);

    let body = pressed(&shown[0], "U2147483697");
    let at = SystemClock.now().as_second();
    let signature = sign(SECRET, at, &body);
    assert_eq!(send(&daemon, at, &signature, &body), (200, String::new()));
    // The very same call again, as somebody could who has overheard it, and a colleague a moment later.
    assert_eq!(send(&daemon, at, &signature, &body).0, 200);
    assert_eq!(call(&daemon, &pressed(&shown[1], "U2147483697")).0, 200);
    // Each of them is told that it changed nothing, and nobody else is.
    let whispered = slack.whispered();
    assert_eq!(whispered.len(), 2, "{whispered:?}");
    for ((path, said), verb) in whispered.iter().zip(["approve", "deny"]) {
        assert_eq!(path, "/actions/AABA1ABCD/1232321423432/D09sSasdasdAS9091209");
        assert_eq!((&said["response_type"], &said["replace_original"]), (&json!("ephemeral"), &json!(false)));
        let text = said["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("Your {verb} changed nothing: the heal ")), "{text}");
    }

    let heal = daemon.json(&format!("/api/v1/heals/{}", heal["id"].as_str().unwrap()));
    let story = heal["timeline"].as_array().unwrap();
    let by: Vec<_> = story.iter().filter(|entry| entry["by"] == "slack:U2147483697").collect();
    assert_eq!(by.len(), 1, "{story:#?}");
    eventually("the message has lost its buttons", || {
        let posted = slack.posted();
        let edited = posted.iter().find(|posted| posted.thread.is_none() && posted.edits > 0);
        edited.is_some_and(|posted| buttons(&posted.body).iter().all(|button| button["value"].is_null()))
    });
    assert!(!daemon.log().contains(SECRET));
}

#[test]
fn a_denial_ends_the_heal_and_who_is_no_approver_changes_nothing() {
    install_tls();
    let slack = wait(SlackApi::start());
    let home = home(&slack);
    let daemon = home.start();
    let (heal, shown) = ask(&daemon, &slack, "Strict", "db");
    assert_eq!(call(&daemon, &pressed(&shown[0], "U000000001")), (200, String::new()));
    let why = "Your approve changed nothing: <@U000000001> may not approve this; <@U2147483697> may";
    assert_eq!(slack.whispered()[0].1["text"], why);
    // Where even that cannot be said, Slack's own sign is better than nothing.
    slack.end_calls();
    let (status, said) = call(&daemon, &pressed(&shown[0], "U000000001"));
    assert!(status == 403 && said.contains("slack:U000000001 may not approve this"), "{status} {said}");
    assert!(daemon.log().contains("Slack answered 404"));
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval");
    assert_eq!(call(&daemon, &pressed(&shown[1], "U2147483697")).0, 200);
    assert_eq!(daemon.heals()[0]["state"], "cancelled");
    assert!(heal["id"] == daemon.heals()[0]["id"]);
    // The rule names the receiver itself: whoever sees its messages may answer, and the story says who did.
    let (heal, shown) = ask(&daemon, &slack, "Asks", "ui");
    assert_eq!(call(&daemon, &pressed(&shown[1], "U000000001")).0, 200);
    let story = daemon.json(&format!("/api/v1/heals/{}", heal["id"].as_str().unwrap()))["timeline"].to_string();
    assert!(story.contains("bobby (slack:U000000001) pressed deny in Slack"), "{story}");
}

#[test]
fn what_is_not_slacks_is_refused_and_does_nothing() {
    install_tls();
    let slack = wait(SlackApi::start());
    let home = home(&slack);
    let daemon = home.start();
    let (_, shown) = ask(&daemon, &slack, "Asks", "ui");
    let body = pressed(&shown[0], "U2147483697");
    let now = SystemClock.now().as_second();
    for (at, signature, status) in [
        (now, sign("another secret", now, &body), 401),
        (now, sign(SECRET, now, &format!("{body} ")), 401),
        (now - 301, sign(SECRET, now - 301, &body), 401),
        (now + 600, sign(SECRET, now + 600, &body), 401),
        (now, String::new(), 401),
    ] {
        let (answered, said) = send(&daemon, at, &signature, &body);
        assert_eq!(answered, status, "{said}");
        assert!(!said.contains(SECRET));
    }
    let large = format!("{body}&x={}", "x".repeat(300_000));
    assert_eq!(call(&daemon, &large).0, 413);
    for (body, status) in [
        ("payload=x".to_owned(), 400),
        ("nothing".to_owned(), 400),
        (pressed(&json!({"action_id": "approve", "value": "mine"}), "U2147483697"), 200),
        (
            pressed(
                &json!({"action_id": "approve", "value": "0190fb7c-0000-7000-8000-000000000001 0190fb7c-0000-7000-8000-000000000002 on-call"}),
                "U2147483697",
            ),
            200,
        ),
        // A button that is a link calls too, and Slack wants its 200.
        (pressed(&json!({"action_id": "heal"}), "U2147483697"), 200),
        ("payload=%7B%22type%22%3A%22view_closed%22%7D".to_owned(), 200),
    ] {
        let (answered, said) = call(&daemon, &body);
        assert_eq!(answered, status, "{}: {said}", body.chars().take(80).collect::<String>());
    }
    assert_eq!(daemon.heals()[0]["state"], "awaiting_approval", "nothing of all that did anything");
    let told: Vec<_> = slack.whispered().into_iter().map(|(_, said)| said["text"].clone()).collect();
    let why = ["this button carries no question of ours", "this heal is no longer known"];
    assert_eq!(
        told,
        why.map(|why| json!(format!("Your approve changed nothing: {why}"))),
        "strangers are told nothing"
    );
    assert_eq!(daemon.request("GET", "/hooks/slack").send().unwrap().status(), 405);

    // Without a secret nobody's calls are taken.
    let home = Home::new("web: {bearerTokens: ['${ANN}']}\n", "rules: []\n");
    home.secrets("ANN=ann\n");
    let daemon = home.start();
    assert_eq!(call(&daemon, &body).0, 404);
}
