//! Receivers that are programs: a webhook with signatures, a real Alertmanager, Grafana.

use std::sync::Arc;
use std::time::Duration;

use autoheal::clock::Clock;
use autoheal::domain::Timestamp;
use autoheal::domain::message::MessageKind;
use autoheal::notify::alertmanager::{AlertmanagerNotifier, AlertmanagerSettings};
use autoheal::notify::grafana::{GrafanaNotifier, GrafanaSettings};
use autoheal::notify::message::Pages;
use autoheal::notify::webhook::{WebhookNotifier, WebhookSettings};
use autoheal::notify::{Notifier, NotifyError, Receipt};
use autoheal::secret::Secret;
use autoheal::store::Outgoing;
use autoheal::tls::ClientTls;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::daemon::eventually;
use crate::support::message::{exhausted, now};
use crate::support::prometheus::Alertmanager;
use crate::support::service::Service;
use crate::support::slack::Answer;
use crate::support::{install_tls, wait};

const SECRET: &str = "sh4redS3cr3t";

/// It is always the same time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

fn pages() -> Pages {
    Pages::new(Some("https://autoheal.example.com"))
}

fn webhook(url: &str) -> WebhookNotifier {
    install_tls();
    let settings =
        WebhookSettings { url: Secret::new(url), secret: Some(Secret::new(SECRET)), tls: ClientTls::default() };
    WebhookNotifier::new(&settings, pages(), Arc::new(Still)).unwrap()
}

#[tokio::test]
async fn a_document_is_signed_so_that_its_receiver_knows_who_sent_it_and_when() {
    let service = Service::start(|_| Answer::say(202, "taken")).await;
    let outgoing = exhausted("on-call/webhook", "ui");
    let receipt = webhook(&format!("{}/hook", service.url())).send(&outgoing).await.unwrap();
    assert_eq!(receipt, Receipt::from("202 taken"));
    let sent = service.received().remove(0);
    assert_eq!((sent.path.as_str(), sent.header("content-type")), ("/hook", "application/json"));
    assert_eq!(sent.header("x-autoheal-delivery"), outgoing.id.to_string());
    let timestamp = sent.header("x-autoheal-timestamp");
    assert_eq!(timestamp, now().as_second().to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(&sent.body);
    let digits = sent.header("x-autoheal-signature").strip_prefix("sha256=").unwrap();
    let bytes: Vec<_> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    mac.verify_slice(&bytes).unwrap();

    let document = sent.json();
    let heal = &document["heal"];
    assert_eq!(
        (&document["version"], &document["event"], &document["needsHuman"]),
        (&json!("1"), &json!("exhausted"), &json!(true))
    );
    assert_eq!(document["url"], format!("https://autoheal.example.com/heals/{}", outgoing.message.heal.id));
    assert_eq!((&heal["state"], &heal["target"]), (&json!("exhausted"), &json!("docker:local/name/ui")));
    assert_eq!(heal["alerts"][0]["labels"]["alertname"], "InstanceDown");
    assert!(document["headline"].as_str().unwrap().starts_with("A human is needed"), "{document}");
}

#[tokio::test]
async fn a_webhooks_status_decides_and_its_secrets_stay_in() {
    for (status, is_final) in
        [(200, None), (204, None), (400, Some(true)), (410, Some(true)), (429, Some(false)), (500, Some(false))]
    {
        let service = Service::start(move |sent| Answer::say(status, &format!("you sent {}", sent.path))).await;
        let result = webhook(&format!("{}/?token={SECRET}", service.url())).send(&exhausted("a/webhook", "ui")).await;
        assert!(!format!("{result:?}").contains(SECRET), "{result:?}");
        let in_path = webhook(&format!("{}/{SECRET}/in", service.url())).send(&exhausted("a/webhook", "ui")).await;
        assert!(!format!("{in_path:?}").contains(SECRET), "{in_path:?}");
        let found = match &result {
            Ok(_) => None,
            Err(NotifyError::Permanent { .. }) => Some(true),
            Err(NotifyError::Retryable { .. }) => Some(false),
        };
        assert_eq!(found, is_final, "{status}: {result:?}");
    }
    let hanging = Service::start(|_| Answer::Hang).await;
    let result =
        webhook(&hanging.url()).with_limit(Duration::from_millis(300)).send(&exhausted("a/webhook", "ui")).await;
    assert!(matches!(result, Err(NotifyError::Retryable { .. })), "{result:?}");
}

fn after(before: &Outgoing, kind: MessageKind, memory: Option<Value>) -> Outgoing {
    let mut next = before.clone();
    next.message.kind = kind;
    next.memory = memory;
    next
}

#[test]
fn a_real_alertmanager_fires_while_a_human_is_needed_and_no_longer() {
    install_tls();
    let directory = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(directory.path(), "http://127.0.0.1:1/");
    let address = format!("http://127.0.0.1:{}", alertmanager.port);
    let settings = AlertmanagerSettings {
        address: address.parse().unwrap(),
        credentials: None,
        labels: [("team".to_owned(), "sre".to_owned())].into(),
        tls: ClientTls::default(),
    };
    let notifier = AlertmanagerNotifier::new(&settings, pages()).unwrap();
    let mut called = exhausted("on-call/alertmanager", "ui");
    // Alertmanager compares with its own clock.
    called.message.at = autoheal::clock::SystemClock.now();
    called.message.heal.created_at = called.message.at;
    let firing = || -> Vec<Value> {
        let body = reqwest::blocking::get(format!("{address}/api/v2/alerts")).unwrap().text().unwrap();
        serde_json::from_str(&body).unwrap()
    };
    let quiet = wait(notifier.send(&after(&called, MessageKind::Healed, None))).unwrap();
    assert_eq!((quiet.memory, firing().len()), (None, 0), "nobody was called");

    let receipt = wait(notifier.send(&called)).unwrap();
    assert_eq!(receipt.said, "200: AutohealNeedsHuman fires");
    eventually("the alert fires", || firing().len() == 1);
    let alert = firing().remove(0);
    assert_eq!(
        alert["labels"],
        json!({"alertname": "AutohealNeedsHuman", "rule": "restart-service", "severity": "critical",
               "target": "docker:local/name/ui", "team": "sre"})
    );
    assert!(alert["annotations"]["summary"].as_str().unwrap().starts_with("A human is needed"), "{alert}");
    assert_eq!(alert["annotations"]["runbook_url"], "https://wiki.example.com/service-down");

    // A human is still needed: it must not expire meanwhile.
    let ends = alert["endsAt"].as_str().unwrap().to_owned();
    let mut still = after(&called, MessageKind::Reminder, receipt.memory.clone());
    still.message.at = called.message.at + Duration::from_hours(1);
    assert_eq!(wait(notifier.send(&still)).unwrap().said, "200: AutohealNeedsHuman fires");
    eventually("it lasts longer", || firing()[0]["endsAt"].as_str() > Some(ends.as_str()));

    let mut over = after(&called, MessageKind::Over, receipt.memory);
    over.message.at = autoheal::clock::SystemClock.now();
    let receipt = wait(notifier.send(&over)).unwrap();
    assert_eq!(receipt.said, "200: AutohealNeedsHuman resolves");
    eventually("the alert is over", || firing().is_empty());
    let again = wait(notifier.send(&after(&over, MessageKind::Over, receipt.memory))).unwrap();
    assert!(again.said.starts_with("nobody was called"), "{again:?}");
    // The call was that of an earlier heal, whose message was not out yet when this one began.
    let unknown = wait(notifier.send(&after(&over, MessageKind::Over, None))).unwrap();
    assert_eq!(unknown.said, "200: AutohealNeedsHuman resolves");
}

#[tokio::test]
async fn a_dashboard_shows_from_when_to_when_autoheal_was_at_work() {
    install_tls();
    let service = Service::start(|sent| match sent.method.as_str() {
        "POST" => Answer::say(200, r#"{"message":"Annotation added","id":7}"#),
        _ => Answer::say(200, r#"{"message":"Annotation patched"}"#),
    })
    .await;
    let settings = GrafanaSettings {
        address: format!("{}/grafana/", service.url()).parse().unwrap(),
        token: Secret::new("glsa_S3cr3t"),
        tags: vec!["production".to_owned()],
        tls: ClientTls::default(),
    };
    let notifier = GrafanaNotifier::new(&settings, pages()).unwrap();
    let mut started = exhausted("on-call/grafana", "ui");
    started.message.kind = MessageKind::Started;
    started.message.heal.first_attempt_at = Some(now());
    let receipt = notifier.send(&started).await.unwrap();
    let mut ended = after(&started, MessageKind::Healed, receipt.memory);
    ended.message.at = now() + Duration::from_secs(42);
    assert_eq!(notifier.send(&ended).await.unwrap().said, "annotation 7");
    for kind in [MessageKind::Reminder, MessageKind::Over] {
        notifier.send(&after(&ended, kind, None)).await.unwrap();
    }
    started.message.heal.first_attempt_at = None;
    notifier.send(&after(&started, MessageKind::Recovered, None)).await.unwrap();

    let received = service.received();
    let calls: Vec<_> = received.iter().map(|sent| (sent.method.as_str(), sent.path.as_str())).collect();
    assert_eq!(calls, [("POST", "/grafana/api/annotations"), ("PATCH", "/grafana/api/annotations/7")]);
    assert_eq!(received[0].header("authorization"), "Bearer glsa_S3cr3t");
    let (began, over) = (received[0].json(), received[1].json());
    assert_eq!((&began["time"], began.get("timeEnd")), (&json!(1_795_331_071_000_i64), None));
    assert_eq!(over["timeEnd"], json!(1_795_331_113_000_i64));
    assert_eq!(began["tags"], json!(["autoheal", "restart-service", "production"]));
}
