//! `autoheal notify test` and `autoheal notify preview`.

use std::process::Output;

use crate::support::daemon::Home;
use crate::support::install_tls;
use crate::support::office::Office;
use crate::support::slack::Answer;

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
