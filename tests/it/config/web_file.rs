//! `--web-config-file`: what loads, and what a person is told when it does not.

use std::fs;

use autoheal::config::{Config, LoadOptions, WebFile};
use autoheal::tls::server::{ClientAuth, Version};
use insta::assert_snapshot;

use super::{RULE, options, place};
use crate::support::pki::Authority;

/// Loads a web configuration file with `server.pem`, `server.key`, `other.key` and `ca.pem` beside it.
fn load(text: &str) -> Result<WebFile, String> {
    let directory = place(&[("rules/a.yml", RULE), ("tls/web.yml", text)]);
    let authority = Authority::new();
    let beside = directory.path().join("tls");
    authority.sign(&["autoheal.example.com"]).write(&beside, "server");
    authority.sign(&["autoheal.example.com"]).write(&beside, "other");
    fs::write(beside.join("ca.pem"), authority.pem()).unwrap();
    let web_config_file = Some("tls/web.yml".into());
    match Config::load(&LoadOptions { web_config_file, ..options(directory.path()) }) {
        Ok((config, _)) => Ok(config.web_file),
        Err(problems) => Err(problems.to_string()),
    }
}

fn told(text: &str) -> String {
    load(text).map_or_else(|problems| problems, |file| panic!("this is wrong, but was taken: {file:?}"))
}

#[test]
fn everything_that_the_format_has_and_we_support_is_read() {
    let file = load(
        r"
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [am.example.com, 10.0.0.7, 'spiffe://example.com/am']
  min_version: TLS13
http_server_config:
  http2: false
  headers: {X-Frame-Options: sameorigin, X-XSS-Protection: 1; mode=block}
basic_auth_users:
  prom: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
",
    )
    .unwrap();
    let tls = file.tls.unwrap();
    assert_eq!(
        (tls.client_auth, tls.oldest, tls.newest),
        (ClientAuth::RequireAndVerify, Version::Tls13, Version::Tls13)
    );
    assert_eq!(tls.client_allowed_sans.len(), 3);
    assert!(!tls.http2 && !file.http2);
    assert_eq!(file.headers["x-xss-protection"], "1; mode=block");
    assert!(!format!("{:?}", file.users).contains("QOau"));
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let file = load("# nothing yet\n").unwrap();
    assert!(file.tls.is_none() && file.users.is_empty() && file.http2);
}

#[test]
fn certificates_may_stand_in_the_file_itself() {
    let identity = Authority::new().sign(&["autoheal.example.com"]);
    let indented = |pem: &str| pem.trim().replace('\n', "\n    ");
    let (cert, key) = (indented(&identity.certificate_pem), indented(&identity.key_pem()));
    let text = format!("tls_server_config:\n  cert: |\n    {cert}\n  key: |\n    {key}\n");
    assert!(load(&text).unwrap().tls.is_some());
    // Not YAML any more: what is drawn must not show the key.
    let broken = told(&text.replace("-----END PRIVATE", "\t: -----END PRIVATE").replace("key: |", "key:"));
    for line in identity.key_pem().lines().filter(|line| !line.starts_with('-')) {
        assert!(!broken.contains(line), "{broken}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is what is printed")]
fn every_mistake_is_shown_where_it_stands() {
    let file = r"
tls_server_config:
  cert_file: server.pem
  key_fil: server.key
  cipher_suites: [TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519]
  client_auth_type: RequireAndVerify
  client_allowed_sans: [me@example.com]
  min_version: TLS10
rate_limit: {interval: 1s, burst: 2}
http_server_config:
  http2: on
  headers: {X-Frame-Options: DENY, Server: autoheal}
basic_auth_users:
  prom: hunter2
  a:b: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
";
    assert_snapshot!(told(file), @r#"
    error: `tls_server_config` needs `key_file`
     --> tls/web.yml:3:3
      |
    3 |   cert_file: server.pem
      |   ^^^^^^^^^^^^^^^^^^^^^ `key_file` is missing

    error: unknown key `key_fil` in `tls_server_config`
     --> tls/web.yml:4:3
      |
    4 |   key_fil: server.key
      |   ^^^^^^^ unknown key
      |
      = help: did you mean `key_file`?

    error: `cipher_suites` is not supported by this version
     --> tls/web.yml:5:3
      |
    5 |   cipher_suites: [TLS_AES_128_GCM_SHA256]
      |   ^^^^^^^^^^^^^ leaving it out silently would change what happens

    error: `prefer_server_cipher_suites` is not supported by this version
     --> tls/web.yml:6:3
      |
    6 |   prefer_server_cipher_suites: true
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ leaving it out silently would change what happens

    error: `curve_preferences` is not supported by this version
     --> tls/web.yml:7:3
      |
    7 |   curve_preferences: [X25519]
      |   ^^^^^^^^^^^^^^^^^ leaving it out silently would change what happens

    error: expected NoClientCert or RequestClientCert or RequireAnyClientCert or VerifyClientCertIfGiven or RequireAndVerifyClientCert, found "RequireAndVerify"
     --> tls/web.yml:8:21
      |
    8 |   client_auth_type: RequireAndVerify
      |                     ^^^^^^^^^^^^^^^^ unknown word

    error: e-mail addresses in `client_allowed_sans` are not supported by this version
     --> tls/web.yml:9:25
      |
    9 |   client_allowed_sans: [me@example.com]
      |                         ^^^^^^^^^^^^^^ expected a host name, an IP address or a URI

    error: expected TLS12 or TLS13, found "TLS10"
      --> tls/web.yml:10:16
       |
    10 |   min_version: TLS10
       |                ^^^^^ unknown word
       |
       = help: did you mean `TLS12`?

    error: `rate_limit` is not supported by this version
      --> tls/web.yml:11:1
       |
    11 | rate_limit: {interval: 1s, burst: 2}
       | ^^^^^^^^^^ leaving it out silently would change what happens

    error: expected true or false, found a text
      --> tls/web.yml:13:10
       |
    13 |   http2: on
       |          ^^ expected true or false

    error: expected deny or sameorigin, found "DENY"
      --> tls/web.yml:14:30
       |
    14 |   headers: {X-Frame-Options: DENY, Server: autoheal}
       |                              ^^^^ unknown word
       |
       = help: did you mean `deny`?

    error: unknown key `Server` in `headers`
      --> tls/web.yml:14:36
       |
    14 |   headers: {X-Frame-Options: DENY, Server: autoheal}
       |                                    ^^^^^^ unknown key
       |
       = help: known keys: Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection

    error: this is not a bcrypt hash
      --> tls/web.yml:16:9
       |
    16 |   prom: *******
       |         ^^^^^^^ expected $2y$10$…
       |
       = help: make one with: htpasswd -nBC 10 "" | tr -d ':\n'

    error: a user's name cannot contain a colon
      --> tls/web.yml:17:3
       |
    17 |   a:b: ************************************************************
       |   ^^^ it ends at the colon when it is sent
    "#);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let tls = |more: &str| told(&format!("tls_server_config:\n  cert_file: server.pem\n{more}"));
    for (more, expected) in [
        ("  key_file: other.key\n", "does not belong to the certificate"),
        ("  key_file: server.pem\n", "holds no private key in PEM form"),
        ("  key_file: missing.key\n", "this file cannot be read"),
        ("  key_file: server.key\n  key: x\n", "`key` and `key_file` exclude each other"),
        ("  key_file: server.key\n  client_ca_file: ca.pem\n", "means nothing without a `client_auth_type`"),
        (
            "  key_file: server.key\n  client_auth_type: VerifyClientCertIfGiven\n",
            "certificates are verified against `client_ca_file`, which is missing",
        ),
        (
            "  key_file: server.key\n  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]\n",
            "means nothing for certificates that nobody verifies",
        ),
        (
            "  key_file: server.key\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key\n",
            "holds no certificate in PEM form",
        ),
        ("  key_file: server.key\n  min_version: TLS13\n  max_version: TLS12\n", "older than `min_version`"),
    ] {
        let said = tls(more);
        assert!(said.contains(expected), "{more}\n{said}");
        assert!(said.contains("tls/web.yml:"), "it has a place: {said}");
    }
    assert!(told("tls_server_config: {}").contains("needs `key_file`"));
    assert!(told("basic_auth_users: {}").contains("names nobody"));
    assert!(told("basic_auth_users:").contains("has no value"));
}

#[test]
fn a_missing_file_is_an_error() {
    let directory = place(&[("rules/a.yml", RULE)]);
    let web_config_file = Some("web.yml".into());
    let problems = Config::load(&LoadOptions { web_config_file, ..options(directory.path()) }).unwrap_err();
    assert!(problems.to_string().contains("web.yml cannot be read"), "{problems}");
}
