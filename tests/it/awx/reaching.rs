//! How a server is reached: TLS and whom we trust, proxies, users with passwords and tokens, new secrets.

use autoheal::action::awx::{AwxAuth, AwxServer as Settings, AwxTls};
use autoheal::domain::decide::ActionOutcome;
use autoheal::secret::Secret;
use autoheal::tls::ClientTls;
use serde_json::json;

use super::stories::{RULE, Scene, body, heal, story};
use super::{TOKEN, action_for, assign, carry_out, settings};
use crate::support::awx::{AwxServer, PASSWORD};
use crate::support::daemon::eventually;
use crate::support::pki::Authority;
use crate::support::proxy::Proxy;

async fn launch(settings: Settings) -> ActionOutcome {
    carry_out(&action_for(settings), &assign(json!({"template": "Restart anywhere", "limit": ["web1"]}))).await
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_by_nothing_else() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let server = AwxServer::start_with(Some(authority.acceptor(false))).await;
    let with = |tls| Settings { tls, ..settings(&server.url(), TOKEN) };
    let by_file =
        AwxTls { files: ClientTls { ca_file: Some(file.clone()), ..ClientTls::default() }, ..AwxTls::default() };
    let by_text = AwxTls { ca_certs: Some(authority.pem()), ..AwxTls::default() };
    let by_both = AwxTls { ca_certs: Some(other.pem()), ..by_file.clone() };
    let anybody = AwxTls { insecure: true, ..AwxTls::default() };
    for (index, tls) in [by_file, by_text, by_both, anybody].into_iter().enumerate() {
        let outcome = launch(with(tls)).await;
        assert!(matches!(outcome, ActionOutcome::Done { .. }), "{index}: {outcome:?}");
    }
    let wrong = AwxTls { ca_certs: Some(other.pem()), ..AwxTls::default() };
    for tls in [wrong, AwxTls::default()] {
        let outcome = launch(with(tls)).await;
        let ActionOutcome::Unreachable { error } = outcome else { panic!("{outcome:?}") };
        assert!(error.contains("no connection: ") && error.contains("certificate"), "{error}");
    }
    assert_eq!(server.world().jobs.len(), 4);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    authority.sign(&["autoheal"]).write(files.path(), "me");
    let server = AwxServer::start_with(Some(authority.acceptor(true))).await;
    let mine = ClientTls {
        cert_file: Some(files.path().join("me.pem")),
        key_file: Some(files.path().join("me.key")),
        ..ClientTls::default()
    };
    let with = |files| {
        let tls = AwxTls { files, ca_certs: Some(authority.pem()), ..AwxTls::default() };
        Settings { tls, ..settings(&server.url(), TOKEN) }
    };
    let outcome = launch(with(ClientTls::default())).await;
    assert!(matches!(outcome, ActionOutcome::Unreachable { .. }), "{outcome:?}");
    let outcome = launch(with(mine)).await;
    assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
}

#[tokio::test]
async fn everything_goes_through_the_proxy_with_and_without_tls() {
    let authority = Authority::new();
    for tls in [None, Some(authority.acceptor(false))] {
        let is_tls = tls.is_some();
        let server = AwxServer::start_with(tls).await;
        let proxy = Proxy::start("pia", "pr0xy-passw0rd").await;
        let through = |password: &str| Settings {
            proxy: Some(Secret::new(format!("http://pia:{password}@{}", proxy.address))),
            tls: AwxTls { ca_certs: Some(authority.pem()), ..AwxTls::default() },
            ..settings(&server.url(), TOKEN)
        };
        let outcome = launch(through("pr0xy-passw0rd")).await;
        assert!(matches!(outcome, ActionOutcome::Done { .. }), "{outcome:?}");
        let asked = proxy.requests();
        let expected = if is_tls { "CONNECT 127.0.0.1:" } else { "GET http://127.0.0.1:" };
        assert!(!asked.is_empty() && asked.iter().all(|line| line.starts_with(expected) || !is_tls), "{asked:?}");
        assert!(asked[0].starts_with(expected), "{asked:?}");
        let calls = server.world().calls.len();
        let outcome = launch(through("wr0ng-passw0rd")).await;
        let told = format!("{outcome:?}");
        assert!(!matches!(outcome, ActionOutcome::Done { .. }) && !told.contains("wr0ng-passw0rd"), "{told}");
        assert_eq!(server.world().calls.len(), calls, "nothing goes around the proxy");
    }
}

#[tokio::test]
async fn a_user_with_a_password_is_as_good_as_a_token() {
    let server = AwxServer::start().await;
    let basic = |password: &str| Settings {
        auth: AwxAuth::Basic { username: Secret::new("alertbot"), password: Secret::new(password) },
        ..settings(&server.url(), TOKEN)
    };
    assert!(matches!(launch(basic(PASSWORD)).await, ActionOutcome::Done { .. }));
    let outcome = launch(basic("wr0ng-passw0rd")).await;
    let ActionOutcome::Unreachable { error } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("HTTP 401") && error.contains("check awx.token or awx.credentials"), "{error}");
    assert!(error.contains("(request 39d23f5b0f9a409191c5e45c18b32ff1 in its log)"), "{error}");
}

#[test]
fn a_token_that_was_replaced_is_read_again_and_the_waiting_launch_goes_on() {
    let scene = Scene::set();
    let home = scene.home(RULE);
    let secrets = |token: &str| format!("AWX_TOKEN={token}\nSLACK={}\n", scene.slack.url());
    home.secrets(&secrets("revoked-t0ken"));
    let daemon = home.start();
    assert_eq!(daemon.post(body("firing", "web1")), Some(202));
    eventually("it is not believed", || story(&heal(&daemon)).iter().any(|(_, reason)| reason.contains("HTTP 401")));
    assert_eq!(scene.awx.world().jobs.len(), 0);
    home.secrets(&secrets(TOKEN));
    let verifying = daemon.wait_for_state("verifying");
    assert_eq!((verifying["attempt"].as_u64(), scene.awx.world().jobs.len()), (Some(1), 1), "{verifying}");
    let everything = format!("{}{verifying}{:?}", daemon.log(), scene.slack.received());
    for secret in [TOKEN, "revoked-t0ken"] {
        assert!(!everything.contains(secret), "{secret} is told");
    }
    let store = std::fs::read(home.store()).unwrap();
    assert!(!store.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    assert!(daemon.text("/metrics").contains("autoheal_service_up{service=\"awx/default\"} 1"));
}
