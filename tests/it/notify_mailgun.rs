//! Mailgun's HTTP API: what is sent, and what its answers mean.

use std::time::Duration;

use autoheal::notify::mailgun::{MailgunNotifier, MailgunSettings};
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use autoheal::notify::{Notifier, NotifyError, Receipt};
use autoheal::secret::Secret;
use autoheal::store::Outgoing;
use autoheal::tls::ClientTls;

use crate::support::install_tls;
use crate::support::message::exhausted;
use crate::support::service::Service;
use crate::support::slack::Answer;

const KEY: &str = "key-M41lgunS3cr3t";
const QUEUED: &str = r#"{"id":"<1@mg.example.com>","message":"Queued. Thank you."}"#;

fn settings(api: &str) -> MailgunSettings {
    install_tls();
    MailgunSettings {
        api_url: api.parse().unwrap(),
        domain: "mg.example.com".to_owned(),
        api_key: Secret::new(KEY),
        from: "autoheal <autoheal@mg.example.com>".parse().unwrap(),
        to: vec!["oncall@example.com".parse().unwrap(), "Second One <second@example.com>".parse().unwrap()],
        tags: vec!["autoheal".to_owned()],
        test_mode: false,
        tls: ClientTls::default(),
        texts: Texts::default(),
    }
}

async fn answered(answer: Answer, outgoing: &Outgoing) -> Result<Receipt, NotifyError> {
    let service = Service::start(move |_| answer.clone()).await;
    let result = MailgunNotifier::new(&settings(&service.url()), Pages::default()).unwrap().send(outgoing).await;
    assert!(!format!("{result:?}").contains("S3cr3t"), "{result:?}");
    assert_eq!(service.received().len(), 1, "one delivery, one request");
    result
}

#[tokio::test]
async fn a_mail_is_posted_as_mailgun_documents_it_and_the_same_at_every_try() {
    let service = Service::start(|_| Answer::say(200, QUEUED)).await;
    let outgoing = exhausted("on-call/mailgun", "ui & ü");
    let notifier = MailgunNotifier::new(&settings(&format!("{}/proxy/", service.url())), Pages::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(notifier.send(&outgoing).await, Ok("200 queued as <1@mg.example.com>".into()));
    }
    let received = service.received();
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].method, "POST");
    assert_eq!(received[0].path, "/proxy/v3/mg.example.com/messages");
    // The base64 of `api:key-M41lgunS3cr3t`.
    assert_eq!(received[0].header("authorization"), "Basic YXBpOmtleS1NNDFsZ3VuUzNjcjN0");
    assert_eq!(received[0].header("content-type"), "application/x-www-form-urlencoded");
    let form = received[0].form();
    let values = |name: &str| -> Vec<&str> {
        form.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    };
    let thread = format!("<heal-{}@mg.example.com>", outgoing.message.heal.id);
    for (name, value) in [
        ("from", "autoheal <autoheal@mg.example.com>"),
        ("subject", "[FIRING:1] InstanceDown ui & ü (critical) — human needed, 1 attempt did not help"),
        ("o:tag", "autoheal"),
        ("o:tracking", "no"),
        ("o:tracking-clicks", "no"),
        ("o:tracking-opens", "no"),
        ("h:Message-Id", &format!("<{}@mg.example.com>", outgoing.id)),
        ("h:In-Reply-To", &thread),
        ("h:References", &thread),
        ("h:List-Id", "autoheal <autoheal.mg.example.com>"),
        ("h:Auto-Submitted", "auto-generated"),
        ("h:X-Auto-Response-Suppress", "All"),
    ] {
        assert_eq!(values(name), [value], "{name}");
    }
    assert_eq!(values("to"), ["oncall@example.com", "Second One <second@example.com>"]);
    assert!(values("text")[0].starts_with("A human is needed: InstanceDown"), "{form:?}");
    assert!(values("html")[0].starts_with("<!DOCTYPE html>"), "{form:?}");
    assert!(values("o:testmode").is_empty() && values("h:X-Mailgun-Track").is_empty());
    let options: usize = form.iter().filter(|(name, _)| name.contains(':')).map(|(n, v)| n.len() + v.len()).sum();
    assert!(options < 16 * 1024, "Mailgun's limit for all options and headers together");
}

#[tokio::test]
async fn in_test_mode_mailgun_is_asked_to_deliver_to_nobody() {
    let service = Service::start(|_| Answer::say(200, QUEUED)).await;
    let settings = MailgunSettings { test_mode: true, tags: Vec::new(), ..settings(&service.url()) };
    MailgunNotifier::new(&settings, Pages::default()).unwrap().send(&exhausted("on-call/mailgun", "ui")).await.unwrap();
    let form = service.received()[0].form();
    assert!(form.contains(&("o:testmode".to_owned(), "yes".to_owned())), "{form:?}");
    assert!(!form.iter().any(|(name, _)| name == "o:tag"));
}

#[tokio::test]
async fn mailguns_answers_mean_what_mailgun_says_they_mean() {
    let retry = |error: &str, after: Option<u64>| {
        Err(NotifyError::Retryable { error: error.to_owned(), after: after.map(Duration::from_secs) })
    };
    let never = |error: &str| Err(NotifyError::Permanent { error: error.to_owned() });
    let outgoing = exhausted("on-call/mailgun", "ui");
    for (answer, expected) in [
        (
            Answer::say(400, r#"{"message":"'to' parameter is not a valid address. please check documentation"}"#),
            never(
                "Mailgun answered 400 Bad Request: 'to' parameter is not a valid address. please check documentation",
            ),
        ),
        (
            Answer::say(401, &format!("Invalid private key {KEY}")),
            never(
                "Mailgun answered 401 Unauthorized: Invalid private key [secret]; \
                 check apiKey (not the SMTP password), region and domain",
            ),
        ),
        (
            Answer::say(403, r#"{"message":"Domain mg.example.com is not allowed to send: disabled"}"#),
            never(
                "Mailgun answered 403 Forbidden: Domain mg.example.com is not allowed to send: disabled; \
                 check apiKey (not the SMTP password), region and domain",
            ),
        ),
        (
            Answer::say(404, r#"{"message":"Domain not found: mg.example.com"}"#),
            retry(
                "Mailgun knows no domain mg.example.com here: Domain not found: mg.example.com; \
                 check domain and region",
                None,
            ),
        ),
        (
            Answer::Say(429, vec![("retry-after", "17".to_owned())], r#"{"message":"Too many requests"}"#.to_owned()),
            retry("Mailgun asks for a pause (429): Too many requests", Some(17)),
        ),
        (Answer::say(500, "oops"), retry("Mailgun answered 500 Internal Server Error: oops", None)),
        (Answer::say(200, "<html>welcome"), never("the answer was 200 but not Mailgun's, check apiUrl: <html>welcome")),
    ] {
        assert_eq!(answered(answer.clone(), &outgoing).await, expected, "{answer:?}");
    }
    // A domain that stays unknown is a mistake in the configuration.
    let later = Outgoing { tries: 5, ..outgoing };
    let unknown = answered(Answer::say(404, "{}"), &later).await;
    assert!(matches!(unknown, Err(NotifyError::Permanent { .. })), "{unknown:?}");
}

#[tokio::test]
async fn a_hanging_mailgun_costs_no_more_than_the_time_limit() {
    let service = Service::start(|_| Answer::Hang).await;
    let notifier = MailgunNotifier::new(&settings(&service.url()), Pages::default())
        .unwrap()
        .with_limit(Duration::from_millis(300));
    let result = notifier.send(&exhausted("on-call/mailgun", "ui")).await;
    assert!(matches!(result, Err(NotifyError::Retryable { .. })), "{result:?}");
}

#[tokio::test]
async fn many_messages_are_posted_as_one_mail() {
    let service = Service::start(|_| Answer::say(200, QUEUED)).await;
    let notifier = MailgunNotifier::new(&settings(&service.url()), Pages::default()).unwrap();
    let bundle: Vec<_> = (0..12).map(|_| exhausted("on-call/mailgun", "ui")).collect();
    notifier.send_bundle(&bundle).await.unwrap();
    let received = service.received();
    assert_eq!((received.len(), notifier.pace().bundle_from), (1, 10));
    let form = received[0].form();
    let subject = form.iter().find(|(name, _)| name == "subject").map(|(_, value)| value.as_str());
    assert_eq!(subject, Some("12 heals at once: 12 in need of a human: every step was tried"));
    assert!(form.iter().any(|(name, value)| name == "text" && value.contains("(12 times, last at ")), "{form:?}");
}
