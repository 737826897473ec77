//! Users and passwords of a `--web-config-file`, end to end.

use std::process::Command;

use autoheal::web::server::Limits;
use base64::Engine;

use super::{Door, matching};
use crate::support::http::{Answer, call};

/// Cheap to compare, so that tests are quick.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn users() -> String {
    let (prom, am) = (hash("p:w ü"), hash("other").replacen("$2b$", "$2a$", 1));
    format!("basic_auth_users:\n  prom: {prom}\n  alert-manager: {am}\n")
}

async fn door(tokens: &[&str]) -> Door {
    let directory = tempfile::tempdir().unwrap();
    Door::by_file(directory.path(), &users(), tokens, Limits::default()).await
}

async fn ask(door: &Door, method: &str, path: &str, authorization: &str) -> Answer {
    let body = if method == "POST" { matching() } else { String::new() };
    call(door.address, method, path, &[("Authorization", authorization)], body).await
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}

#[tokio::test]
async fn every_path_asks_for_a_user() {
    let door = door(&[]).await;
    for (method, path, right) in [
        ("POST", "/alerts", 202),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/api/v1/status", 200),
        ("GET", "/nothing", 404),
    ] {
        for (credentials, expected) in [
            ("prom:p:w ü", right),
            ("alert-manager:other", right),
            ("prom:p", 401),
            ("prom:", 401),
            ("prom", 401),
            ("nobody:p:w ü", 401),
            ("PROM:p:w ü", 401),
        ] {
            let answer = ask(&door, method, path, &basic(credentials)).await;
            assert_eq!(answer.status, expected, "{method} {path} {credentials}");
            if expected == 401 {
                assert_eq!(answer.header("www-authenticate"), Some("Basic"));
                assert_eq!(answer.body.trim_end(), "Unauthorized");
            }
        }
        let body = if method == "POST" { matching() } else { String::new() };
        assert_eq!(call(door.address, method, path, &[], body).await.status, 401, "{path} without credentials");
    }
    assert_eq!(door.store.ingested().len(), 2, "only those with the right password");
    let status = ask(&door, "GET", "/api/v1/status", &basic("prom:p:w ü")).await.json();
    assert_eq!((&status["authentication"], &status["exposed"]), (&"basic".into(), &false.into()));
}

#[tokio::test]
async fn a_token_will_do_where_both_are_configured() {
    let door = door(&["s3cret"]).await;
    for (authorization, expected) in
        [("Bearer s3cret", 200), (basic("prom:p:w ü").as_str(), 200), ("Bearer wrong", 401), ("", 401)]
    {
        for path in ["/api/v1/status", "/metrics"] {
            assert_eq!(ask(&door, "GET", path, authorization).await.status, expected, "{path} {authorization}");
        }
    }
    let refused = ask(&door, "GET", "/metrics", "").await;
    let offers = refused.headers.iter().filter(|(name, _)| name == "www-authenticate").count();
    assert_eq!(offers, 2);
}

#[tokio::test]
async fn many_deliveries_at_once_need_one_comparison() {
    let directory = tempfile::tempdir().unwrap();
    // About as slow as what people use; forty of these would take seconds.
    let file = format!("basic_auth_users: {{prom: {}}}", bcrypt::hash("x", 8).unwrap());
    let door = Door::by_file(directory.path(), &file, &[], Limits::default()).await;
    let authorization = basic("prom:x");
    let all = (0..40).map(|_| ask(&door, "POST", "/alerts", &authorization));
    assert!(futures_util::future::join_all(all).await.iter().all(|answer| answer.status == 202));
}

#[tokio::test]
async fn headers_go_with_every_answer_that_does_not_have_them() {
    let directory = tempfile::tempdir().unwrap();
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n    \
                   Strict-Transport-Security: max-age=31536000\n";
    let door = Door::by_file(directory.path(), &format!("{headers}{}", users()), &[], Limits::default()).await;
    for (credentials, path) in [("prom:p:w ü", "/-/healthy"), ("prom:p:w ü", "/api/v1/status"), ("", "/metrics")] {
        let answer = ask(&door, "GET", path, &basic(credentials)).await;
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "x-content-type-options").count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_the_health_check_get_along_with_it() {
    let door = door(&[]).await;
    let curl = |user: &str| {
        let url = format!("http://{}/alerts", door.address);
        let ran = Command::new("curl")
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "--data-binary", &matching()])
            .args(["-u", user, &url])
            .output()
            .expect("curl runs");
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(curl("prom:p:w ü"), "202");
    assert_eq!(curl("prom:wrong"), "401");
    assert!(super::tls::health_check(door.address), "who asks for a password is alive");
}
