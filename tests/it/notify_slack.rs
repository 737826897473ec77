//! Slack: what its answers mean, and that the webhook's address never comes out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoheal::clock::{Clock, SystemClock};
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use autoheal::notify::slack::{SlackNotifier, SlackSettings};
use autoheal::notify::{Notifier, NotifierSettings, NotifyError, Receipt, ReceiverSettings, build};
use autoheal::secret::Secret;
use autoheal::tls::ClientTls;

use crate::support::install_tls;
use crate::support::message::exhausted;
use crate::support::slack::{Answer, SECRET, SlackServer};

fn settings(url: &str) -> SlackSettings {
    install_tls();
    SlackSettings { webhook_url: Secret::new(url), tls: ClientTls::default(), texts: Texts::default() }
}

async fn answered(answer: Answer) -> Result<Receipt, NotifyError> {
    let server = SlackServer::start([answer]).await;
    let notifier = SlackNotifier::new(&settings(&server.url()), Pages::default()).unwrap();
    let result = notifier.send(&exhausted("on-call/slack", "ui")).await;
    assert_eq!(server.requests(), 1, "one delivery, one request");
    result
}

fn retry(error: &str, after: Option<u64>) -> Result<Receipt, NotifyError> {
    Err(NotifyError::Retryable { error: error.to_owned(), after: after.map(Duration::from_secs) })
}

fn never(error: &str) -> Result<Receipt, NotifyError> {
    Err(NotifyError::Permanent { error: error.to_owned() })
}

#[tokio::test]
async fn a_message_arrives_as_one_attachment_in_which_no_label_can_ping() {
    let server = SlackServer::start([]).await;
    let notifier = SlackNotifier::new(&settings(&server.url()), Pages::default()).unwrap();
    assert_eq!(notifier.send(&exhausted("on-call/slack", "<!channel> <@U1>")).await, Ok("200 ok".into()));
    let received = server.received();
    let attachment = &received[0]["attachments"][0];
    assert_eq!(
        attachment["title"],
        "[FIRING:1] InstanceDown &lt;!channel&gt; &lt;@U1&gt; (critical) — human needed, 1 attempt did not help"
    );
    assert_eq!(attachment["color"], "danger");
    assert!(!received[0].to_string().contains("<!") && !received[0].to_string().contains("<@"));
}

#[tokio::test]
async fn slacks_answers_mean_what_slack_says_they_mean() {
    let with_pause =
        |seconds: &str| Answer::Say(429, vec![("retry-after", seconds.to_owned())], "rate_limited".to_owned());
    for (answer, expected) in [
        (with_pause("30"), retry("Slack asks for a pause (429): rate_limited", Some(30))),
        (with_pause("999999"), retry("Slack asks for a pause (429): rate_limited", Some(3600))),
        (with_pause("soon"), retry("Slack asks for a pause (429): rate_limited", None)),
        (Answer::say(500, "rollup_error"), retry("Slack answered 500 Internal Server Error: rollup_error", None)),
        (Answer::say(503, ""), retry("Slack answered 503 Service Unavailable: ", None)),
        (Answer::say(400, "invalid_payload"), never("Slack answered 400 Bad Request: invalid_payload")),
        (Answer::say(403, "action_prohibited"), never("Slack answered 403 Forbidden: action_prohibited")),
        (Answer::say(404, "no_service\r\nx"), never("Slack answered 404 Not Found: no_service  x")),
        (Answer::say(410, "channel_is_archived"), never("Slack answered 410 Gone: channel_is_archived")),
        (
            Answer::Say(302, vec![("location", "http://127.0.0.1:1/".to_owned())], String::new()),
            never("Slack answered 302 Found; redirects are not followed, check the address"),
        ),
        (Answer::say(200, "ok"), Ok("200 ok".into())),
        (Answer::say(200, r#"{"ok":true}"#), Ok("200 ok".into())),
        (
            Answer::say(200, r#"{"ok":false,"error":"channel_not_found"}"#),
            never("Slack answered 200 but refused: channel_not_found"),
        ),
        (
            Answer::say(200, r#"{"ok":false,"error":"ratelimited"}"#),
            retry("Slack answered 200 but refused: ratelimited", None),
        ),
        (
            Answer::say(200, "<html>welcome"),
            never("the answer was 200 but not Slack's \"ok\", check the webhook's address: <html>welcome"),
        ),
    ] {
        assert_eq!(answered(answer.clone()).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn the_address_never_comes_out_even_when_the_other_side_quotes_it() {
    let quoting = Answer::say(404, &format!("/services/{SECRET} was not found; {SECRET}; sWebhookS3cr3tTok3n"));
    let said = format!("{:?}", answered(quoting).await.unwrap_err());
    assert!(!said.contains("S3cr3t"), "{said}");

    let gone = format!("http://127.0.0.1:1/services/{SECRET}");
    let unreachable =
        SlackNotifier::new(&settings(&gone), Pages::default()).unwrap().send(&exhausted("on-call/slack", "ui")).await;
    let Err(error @ NotifyError::Retryable { .. }) = unreachable else { panic!("{unreachable:?}") };
    assert!(error.to_string().starts_with("Slack could not be reached: "), "{error}");
    assert!(!format!("{error:?}").contains("S3cr3t"), "{error:?}");

    let wrong = SlackNotifier::new(&settings(&format!("gopher://{SECRET}")), Pages::default()).err().unwrap();
    assert_eq!(wrong.to_string(), "webhookUrl is no http or https address");
    assert!(!format!("{wrong:?}").contains("S3cr3t"));
}

#[tokio::test]
async fn a_hanging_server_costs_no_more_than_the_time_limit() {
    let server = SlackServer::start([Answer::Hang]).await;
    let notifier =
        SlackNotifier::new(&settings(&server.url()), Pages::default()).unwrap().with_limit(Duration::from_millis(300));
    let begun = Instant::now();
    let result = notifier.send(&exhausted("on-call/slack", "ui")).await;
    assert!(matches!(result, Err(NotifyError::Retryable { .. })), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let result = answered(Answer::say(500, &"x".repeat(10_000_000))).await;
    let Err(NotifyError::Retryable { error, .. }) = result else { panic!("{result:?}") };
    assert!(error.len() < 300, "{}", error.len());
}

/// Where there are no certificate authorities at all, plain HTTP still works and HTTPS says what is missing. The
/// authorities come from the environment, so the test runs itself in an environment of its own.
#[test]
fn a_machine_without_authorities_gets_a_clear_error_and_only_where_it_matters() {
    const INNER: &str = "AUTOHEAL_TEST_WITHOUT_AUTHORITIES";
    #[expect(clippy::disallowed_methods, reason = "a test that runs itself must know which side it is on")]
    let is_inner = std::env::var_os(INNER).is_some();
    if is_inner {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let receiver = |url: &str| ReceiverSettings {
            name: "on-call".to_owned(),
            events: None,
            remind: None,
            calm: autoheal::domain::calm::Calm::default(),
            integrations: vec![NotifierSettings::Slack(settings(url))],
        };
        assert!(build(&[receiver("http://127.0.0.1:1/services/x")], &Pages::default(), &clock).is_ok());
        let errors = build(&[receiver("https://127.0.0.1:1/services/x")], &Pages::default(), &clock).err().unwrap();
        assert_eq!(
            errors[0].to_string(),
            "on-call/slack: this machine has no certificate authorities to trust: install ca-certificates, \
             point SSL_CERT_FILE at a bundle, or set tls.caFile"
        );
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let bundle = empty.path().join("none.pem");
    std::fs::write(&bundle, "").unwrap();
    let name = "notify_slack::a_machine_without_authorities_gets_a_clear_error_and_only_where_it_matters";
    let inner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INNER, "1")
        .env("SSL_CERT_FILE", &bundle)
        .env("SSL_CERT_DIR", empty.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(inner.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&inner.stderr));
}
