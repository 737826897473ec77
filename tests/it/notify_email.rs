//! Mail through a real server with STARTTLS and AUTH, and what becomes of its refusals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autoheal::notify::email::{EmailNotifier, EmailSettings};
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use autoheal::notify::{Notifier, NotifyError, Receipt};
use autoheal::secret::Secret;
use autoheal::tls::ClientTls;
use uuid::Uuid;

use crate::support::install_tls;
use crate::support::message::exhausted;
use crate::support::smtp::{Pki, SmtpServer, header};

const USER: &str = "postmaster@mg.example.com";
const PASSWORD: &str = "Sm7pS3cr3tPassw0rd";
const LOGIN: [&str; 4] = ["--user", USER, "--password", PASSWORD];

fn settings(pki: &Pki, port: u16, to: &[&str]) -> EmailSettings {
    install_tls();
    EmailSettings {
        to: to.iter().map(|address| address.parse().unwrap()).collect(),
        from: "autoheal <autoheal@mg.example.com>".parse().unwrap(),
        host: "127.0.0.1".to_owned(),
        port,
        username: Some(Secret::new(USER)),
        password: Some(Secret::new(PASSWORD)),
        tls: ClientTls { ca_file: Some(pki.path("ca.pem")), ..ClientTls::default() },
        texts: Texts::default(),
    }
}

fn start(options: &[&str]) -> (Pki, SmtpServer) {
    let pki = Pki::new("127.0.0.1");
    let server = SmtpServer::start(&pki, &[&LOGIN, options].concat());
    (pki, server)
}

fn notifier(pki: &Pki, server: &SmtpServer) -> EmailNotifier {
    EmailNotifier::new(&settings(pki, server.port, &["oncall@example.com"]), Pages::default()).unwrap()
}

/// The error's text; none may hold a secret.
fn text(error: &NotifyError) -> String {
    let (NotifyError::Retryable { error, .. } | NotifyError::Permanent { error }) = error;
    assert!(!error.contains(PASSWORD) && !error.contains(USER), "{error}");
    error.clone()
}

fn retried(result: Result<Receipt, NotifyError>) -> String {
    let error = result.expect_err("the message does not arrive");
    assert!(matches!(error, NotifyError::Retryable { .. }), "{error:?}");
    text(&error)
}

fn given_up(result: Result<Receipt, NotifyError>) -> String {
    let error = result.expect_err("the message does not arrive");
    assert!(matches!(error, NotifyError::Permanent { .. }), "{error:?}");
    text(&error)
}

#[tokio::test]
async fn a_mail_arrives_over_starttls_after_auth_plain_with_both_parts_and_our_headers() {
    let (pki, server) = start(&[]);
    let outgoing = exhausted("on-call/email", "ui");
    let said = notifier(&pki, &server).send(&outgoing).await;
    assert_eq!(said, Ok("250 Great success".into()));
    assert_eq!(server.expect("auth")["mechanism"], "PLAIN");
    let mail = server.expect("message");
    assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &USER.into()));
    assert_eq!(mail["defects"].as_array().map(Vec::len), Some(0), "{mail}");
    assert_eq!(mail["type"], "multipart/alternative");
    let subject = "[FIRING:1] InstanceDown ui (critical) — human needed, 1 attempt did not help";
    let thread = format!("<heal-{}@mg.example.com>", outgoing.message.heal.id);
    for (name, value) in [
        ("Subject", subject),
        ("From", "autoheal <autoheal@mg.example.com>"),
        ("To", "oncall@example.com"),
        ("Message-ID", &format!("<{}@mg.example.com>", outgoing.id)),
        ("References", &thread),
        ("In-Reply-To", &thread),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", "autoheal <autoheal.mg.example.com>"),
        ("X-Mailgun-Track", "no"),
        ("Date", "Sun, 22 Nov 2026 07:04:31 +0000"),
    ] {
        assert_eq!(header(&mail, name), [value], "{name}");
    }
    let first_line = "A human is needed: InstanceDown still fires after 1 attempt on docker:local/name/ui.";
    assert!(mail["plain"].as_str().unwrap().starts_with(first_line), "{mail}");
    assert!(mail["html"].as_str().unwrap().contains(first_line), "{mail}");
}

#[tokio::test]
async fn auth_login_serves_where_plain_is_not_offered() {
    let (pki, server) = start(&["--auth-exclude", "PLAIN"]);
    notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await.unwrap();
    assert_eq!(server.expect("auth")["mechanism"], "LOGIN");
    server.expect("message");
}

#[tokio::test]
async fn tls_may_begin_with_the_first_byte_and_may_ask_for_our_certificate() {
    let pki = Pki::new("127.0.0.1");
    let authority = pki.path("ca.pem");
    let options = ["--implicit-tls", "--client-ca", authority.to_str().unwrap()];
    let server = SmtpServer::start(&pki, &[&LOGIN[..], &options].concat());
    let mut settings = settings(&pki, server.port, &["oncall@example.com"]);
    let without = EmailNotifier::new(&settings, Pages::default()).unwrap().with_implicit_tls();
    retried(without.send(&exhausted("on-call/email", "ui")).await);

    settings.tls.cert_file = Some(pki.path("client.pem"));
    settings.tls.key_file = Some(pki.path("client.key"));
    let with = EmailNotifier::new(&settings, Pages::default()).unwrap().with_implicit_tls();
    with.send(&exhausted("on-call/email", "ui")).await.unwrap();
    assert_eq!(server.expect("message")["tls"], true);
}

#[tokio::test]
async fn no_label_can_add_a_header_or_run_a_script() {
    let (pki, server) = start(&[]);
    let evil = "x\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>";
    notifier(&pki, &server).send(&exhausted("on-call/email", evil)).await.unwrap();
    let mail = server.expect("message");
    assert!(header(&mail, "Bcc").is_empty(), "{mail}");
    assert_eq!(header(&mail, "Subject").len(), 1);
    assert!(header(&mail, "Subject")[0].contains("Bcc: all@example.com"), "{mail}");
    assert_eq!(mail["recipients"], serde_json::json!(["oncall@example.com"]));
    assert!(!mail["html"].as_str().unwrap().contains("<script>"));
    assert!(mail["size"].as_u64().unwrap() < 100 * 1024);
}

#[tokio::test]
async fn a_huge_message_stays_below_a_hundred_kibibytes_on_the_wire() {
    let (pki, server) = start(&[]);
    for unit in ["ä\"<", "\u{1F600}", "a"] {
        let mut outgoing = exhausted("on-call/email", "ui");
        let alert = Arc::make_mut(&mut outgoing.message.heal.alerts[0]);
        for number in 0..40 {
            alert.annotations.insert(format!("annotation{number}"), unit.repeat(5000));
        }
        outgoing.message.heal.alerts = vec![alert.clone().into(); 100];
        notifier(&pki, &server).send(&outgoing).await.unwrap();
        let mail = server.expect("message");
        assert!(mail["size"].as_u64().unwrap() < 100 * 1024, "{unit}: {}", mail["size"]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_final_and_never_shown() {
    let pki = Pki::new("127.0.0.1");
    let server = SmtpServer::start(&pki, &["--user", USER, "--password", "another"]);
    let said = given_up(notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await);
    assert!(said.contains("refused the login: 535"), "{said}");
    assert!(!format!("{:?}", settings(&pki, 1, &["a@b.example"])).contains(PASSWORD));
}

#[tokio::test]
async fn nothing_is_sent_without_encryption_or_to_a_server_whose_certificate_does_not_fit() {
    let (pki, server) = start(&["--no-starttls"]);
    let said = retried(notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await);
    assert!(said.ends_with("offers no STARTTLS; nothing is sent unencrypted"), "{said}");
    assert_eq!(server.events().iter().filter(|event| event["event"] != "connected").count(), 0);

    let elsewhere = Pki::new("mail.elsewhere.example");
    let server = SmtpServer::start(&elsewhere, &LOGIN);
    let said = retried(notifier(&elsewhere, &server).send(&exhausted("on-call/email", "ui")).await);
    assert!(said.contains("could not begin TLS") && said.contains("certificate"), "{said}");

    let (_, server) = start(&[]);
    let said = retried(notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await);
    assert!(said.contains("could not begin TLS") && said.contains("certificate"), "{said}");
}

#[tokio::test]
async fn greylisting_is_retried_under_the_same_identity() {
    let (pki, server) = start(&["--greylist", "1"]);
    let outgoing = exhausted("on-call/email", "ui");
    let notifier = notifier(&pki, &server);
    let said = retried(notifier.send(&outgoing).await);
    assert!(said.contains("451 4.7.1 Greylisted"), "{said}");
    notifier.send(&outgoing).await.unwrap();
    let mail = server.expect("message");
    assert_eq!(header(&mail, "Message-ID"), [format!("<{}@mg.example.com>", outgoing.id)]);
}

#[tokio::test]
async fn a_refused_recipient_does_not_keep_the_others_from_their_mail() {
    let (pki, server) = start(&["--refuse", "gone@example.com", "--defer", "later@example.com"]);
    let to = ["oncall@example.com", "gone@example.com", "later@example.com"];
    let notifier = EmailNotifier::new(&settings(&pki, server.port, &to), Pages::default()).unwrap();
    let outgoing = exhausted("on-call/email", "ui");
    let said = retried(notifier.send(&outgoing).await);
    assert!(said.contains("took the mail for 1 of 3: later@example.com: 451"), "{said}");
    assert_eq!(server.expect("message")["recipients"], serde_json::json!(["oncall@example.com"]));

    let said = notifier.send(&outgoing).await.unwrap().said;
    assert!(said.starts_with("250 Great success, but refused gone@example.com: 550"), "{said}");
    assert_eq!(server.expect("message")["recipients"], serde_json::json!(["later@example.com"]), "nobody twice");

    let lonely = EmailNotifier::new(&settings(&pki, server.port, &["gone@example.com"]), Pages::default()).unwrap();
    let said = given_up(lonely.send(&exhausted("on-call/email", "ui")).await);
    assert!(said.contains("refused every recipient: gone@example.com: 550 5.1.1 No such mailbox"), "{said}");
}

#[tokio::test]
async fn the_answer_to_the_message_itself_decides() {
    let (pki, server) = start(&["--data", "552 5.3.4 Message too big"]);
    let said = given_up(notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await);
    assert!(said.contains("refused the message: 552 5.3.4 Message too big"), "{said}");
    let (pki, server) = start(&["--data", "452 4.3.1 Disk full"]);
    retried(notifier(&pki, &server).send(&exhausted("on-call/email", "ui")).await);
}

#[tokio::test]
async fn a_hanging_server_costs_no_more_than_the_time_limit_and_leaves_nothing_behind() {
    for hang in ["connect", "data"] {
        let (pki, server) = start(&["--hang", hang]);
        let notifier = notifier(&pki, &server).with_limit(Duration::from_secs(2));
        let begun = Instant::now();
        let said = retried(notifier.send(&exhausted("on-call/email", "ui")).await);
        assert!(said.ends_with("did not finish within 2s"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        // A second mail does not meet the first one's connection.
        retried(notifier.send(&exhausted("on-call/email", "ui")).await);
        assert_eq!(server.events().iter().filter(|event| event["event"] == "connected").count(), 2);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_retried() {
    let pki = Pki::new("127.0.0.1");
    let notifier = EmailNotifier::new(&settings(&pki, 1, &["oncall@example.com"]), Pages::default()).unwrap();
    let mut outgoing = exhausted("on-call/email", "ui");
    outgoing.id = Uuid::nil();
    let said = retried(notifier.send(&outgoing).await);
    assert!(said.starts_with("mail server 127.0.0.1:1 could not be reached: "), "{said}");
}

#[tokio::test]
async fn many_messages_go_as_one_mail_that_counts_them_and_is_the_same_at_every_try() {
    let (pki, server) = start(&[]);
    let notifier = notifier(&pki, &server);
    assert!(notifier.pace().bundle_from <= 10, "a storm is one mail");
    let bundle: Vec<_> = (0..12)
        .map(|number| {
            let mut outgoing = exhausted("on-call/email", "ui<script>");
            outgoing.message.heal.rule = format!("restart-{}<b>", number % 2);
            outgoing
        })
        .collect();
    for _ in 0..2 {
        notifier.send_bundle(&bundle).await.unwrap();
    }
    let (first, second) = (server.expect("message"), server.expect("message"));
    assert_eq!(
        header(&first, "Subject").join("").replace('\n', ""),
        "12 heals at once: 12 in need of a human: every step was tried"
    );
    assert_eq!(header(&first, "Message-ID"), header(&second, "Message-ID"));
    assert_eq!((&first["type"], &first["defects"]), (&"multipart/alternative".into(), &serde_json::json!([])));
    let plain = first["plain"].as_str().unwrap();
    assert!(plain.contains("6 × in need of a human: every step was tried — rule restart-0"), "{plain}");
    assert!(plain.contains("InstanceDown on docker:local/name/ui (6 times, last at 2026-11-22T07:04:31Z)"), "{plain}");
    let html = first["html"].as_str().unwrap();
    assert!(html.contains("6 × in need of a human") && !html.contains("<b>") && !html.contains("<script"), "{html}");
    assert_eq!(header(&first, "Auto-Submitted"), ["auto-generated"]);
}
