//! `autoheal notify test` and `autoheal notify preview`.

use std::process::Output;

use crate::support::daemon::Home;
use crate::support::office::Office;
use crate::support::service::Service;
use crate::support::slack::Answer;
use crate::support::slack_api::{CHANNEL, SlackApi, TOKEN};
use crate::support::smtp::header;
use crate::support::{install_tls, wait};

const PAYLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/alert.json");

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn home(office: &Office) -> Home {
    let home = Home::new(&office.receivers(), "rules: []\n");
    home.secrets(&Office::secrets());
    home
}

#[test]
fn a_test_sends_one_message_by_every_way_and_says_what_was_answered() {
    install_tls();
    let office = Office::open();
    let home = home(&office);
    let (code, out, err) = said(&home.command(&["notify", "test", "on-call"]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(0), "on-call/slack: 200 ok\non-call/email: 250 Great success\n"), "{err}");
    let (mails, posts) = office.close();
    assert_eq!((mails.len(), posts.len()), (1, 1));
    assert!(posts[0].to_string().contains("Nothing is wrong"), "{}", posts[0]);
    assert!(mails[0]["plain"].as_str().unwrap().contains("Nothing is wrong"), "{}", mails[0]);
}

#[test]
fn a_test_that_fails_says_why_and_tries_the_other_ways_too() {
    install_tls();
    let office = Office::with([Answer::say(404, "no_service")], &["--user", "nobody", "--password", "at all"]);
    let home = home(&office);
    let (code, out, _) = said(&home.command(&["notify", "test", "on-call"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(out.starts_with("on-call/slack: FAILED: Slack answered 404 Not Found: no_service\n"), "{out}");
    assert!(out.contains("\non-call/email: FAILED: ") && out.contains("refused the login: 535"), "{out}");
}

#[test]
fn a_receivers_own_words_are_previewed_and_sent() {
    install_tls();
    let office = Office::open();
    let own = office
        .receivers()
        .replace(
            "apiUrl:",
            "title: '{{ template \"ops.title\" . }}', text: '<!here> {{ .CommonAnnotations.summary }}', apiUrl:",
        )
        .replace(
            "    to: [",
            "    subject: '{{ .Heal.Event }} {{ .Heal.Nope }}'\n    html: '<h1>{{ .Heal.Rule }}</h1>'\n    to: [",
        );
    let home = Home::new(&format!("templates: ops.tmpl\n{own}"), "rules: []\n");
    home.secrets(&Office::secrets());
    home.write("ops.tmpl", "{{ define \"ops.title\" }}{{ .Status | toUpper }} {{ .CommonLabels.alertname }}{{ end }}");
    let (code, out, err) = said(&home.command(&["check"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
    let warned = "this template fails for a message about nothing: the data has no field .Nope";
    assert!(format!("{out}{err}").contains(warned), "{out}{err}");
    let (code, out, err) = said(&home.command(&["notify", "preview", "on-call", PAYLOAD]).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("\"title\": \"FIRING ") && out.contains("<h1>notify-test</h1>"), "{out}");
    let (code, out, err) = said(&home.command(&["notify", "test", "on-call"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
    let (mails, posts) = office.close();
    let attachment = &posts[0]["attachments"][0];
    assert_eq!(attachment["title"], "FIRING AutohealTest");
    assert_eq!(attachment["text"], "<!here> A test of this receiver. Nothing is wrong.");
    assert!(
        mails[0]["html"].as_str().unwrap().starts_with("<h1>notify-test</h1><p>This receiver&#39;s own text"),
        "{}",
        mails[0]
    );
    // What fails gives way to the default, and the mail says so.
    assert!(header(&mails[0], "Subject")[0].starts_with("[FIRING:1] AutohealTest"), "{}", mails[0]);
    assert!(mails[0]["plain"].as_str().unwrap().contains("(subject: the data has no field .Nope)"), "{}", mails[0]);
}

#[test]
fn every_kind_of_receiver_can_be_tried_and_previewed() {
    install_tls();
    let slack = wait(SlackApi::start());
    let others = wait(Service::start(|sent| match sent.path.as_str() {
        "/v3/mg.example.com/messages" => {
            Answer::say(200, r#"{"id":"<1@mg.example.com>","message":"Queued. Thank you."}"#)
        }
        "/api/annotations" => Answer::say(200, r#"{"id":7,"message":"Annotation added"}"#),
        _ => Answer::say(200, "taken"),
    }));
    let (api, url) = (slack.url(), others.url());
    let config = format!(
        "receivers:\n\
         - name: all\n\
         \x20 slack: {{botToken: '${{BOT}}', channel: '#on-call', signingSecret: '${{SIGN}}', apiUrl: '{api}'}}\n\
         \x20 mailgun: {{domain: mg.example.com, apiKey: '${{KEY}}', from: a@mg.example.com, to: b@example.com, apiUrl: '{url}'}}\n\
         \x20 webhook: {{url: '{url}/hook', secret: '${{KEY}}'}}\n\
         \x20 alertmanager: {{address: '{url}'}}\n\
         \x20 grafana: {{address: '{url}', token: '${{KEY}}'}}\n"
    );
    let home = Home::new(&config, "rules: []\n");
    home.secrets(&format!("BOT={TOKEN}\nSIGN=0123456789abcdef\nKEY=key-0123456789abcdef\n"));
    let (code, out, err) = said(&home.command(&["notify", "test", "all"]).output().unwrap());
    assert_eq!(code, Some(0), "{out}{err}");
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with(&format!("all/slack: posted to {CHANNEL} at ")), "{out}");
    assert_eq!(
        lines[1..],
        [
            "all/mailgun: 200 queued as <1@mg.example.com>",
            "all/webhook: 200 taken",
            "all/alertmanager: 200: AutohealNeedsHuman fires",
            "all/grafana: annotation 7",
        ]
    );
    assert_eq!((slack.posted().len(), others.received().len()), (1, 4));

    let preview = ["notify", "preview", "all", PAYLOAD, "--event", "approval_needed"];
    let (code, out, err) = said(&home.command(&preview).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    for part in [
        "== all/slack\n",
        "\"action_id\": \"approve\"",
        "== all/mailgun\nSubject: [FIRING:1] ",
        "\"event\": \"approval_needed\"",
        "\"alertname\": \"AutohealNeedsHuman\"",
        "nothing: no action was taken, so there is nothing to show",
    ] {
        assert!(out.contains(part), "{part:?} is not in {out}");
    }
    assert_eq!((slack.posted().len(), others.received().len()), (1, 4), "a preview sends nothing");
}

#[test]
fn nothing_is_sent_by_a_preview_in_a_dry_run_or_to_nobody() {
    install_tls();
    let office = Office::open();
    let home = home(&office);
    let (code, _, err) = said(&home.command(&["notify", "test", "oncall"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("there is no receiver `oncall`; known receivers: on-call"), "{err}");
    let (code, _, err) = said(&home.command(&["--dry-run", "notify", "test", "on-call"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("a dry run sends nothing"), "{err}");

    let preview = ["notify", "preview", "on-call", PAYLOAD, "--event", "exhausted"];
    let (code, out, err) = said(&home.command(&preview).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.starts_with("== on-call/slack\n{\n") && out.contains("\n== on-call/email\nSubject: [FIRING:1] "),
        "{out}"
    );
    assert!(out.contains("<!DOCTYPE html>"), "{out}");
    let (code, out, _) =
        said(&home.command(&["notify", "preview", "on-call", PAYLOAD, "--event", "started"]).output().unwrap());
    assert_eq!(code, Some(0));
    assert!(out.contains("== on-call/email (not told of this by its events)"), "{out}");
    let (mails, posts) = office.close();
    assert_eq!((mails.len(), posts.len()), (0, 0));
}
