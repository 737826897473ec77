//! `web.tokens`.

use autoheal::token::Scope;
use insta::assert_snapshot;

use super::{load, told};

#[test]
fn tokens_have_names_and_scopes_and_stand_beside_bearer_tokens() {
    let config = r#"
web:
  bearerTokens: ["${A}"]
  tokens:
  - {name: on-call, token: "${B}", scopes: [approve, webhook]}
"#;
    let (config, warnings) =
        load(&[("autoheal.yml", config), ("secrets", "A=1\nB=2\n"), ("rules/a.yml", super::RULE)]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let tokens: Vec<_> = config
        .web
        .all_tokens()
        .into_iter()
        .map(|token| (token.name.to_string(), token.value.expose().to_owned(), token.scopes))
        .collect();
    let expected = [
        ("bearer token 1".to_owned(), "1".to_owned(), vec![Scope::Admin]),
        ("on-call".to_owned(), "2".to_owned(), vec![Scope::Approve, Scope::Webhook]),
    ];
    assert_eq!(tokens, expected);
}

#[test]
fn tokens_must_be_told_apart_and_be_good_for_something() {
    let config = r#"
web:
  bearerTokens: ["${SAME}"]
  tokens:
  - {name: a, token: "${SAME}", scopes: [read]}
  - {name: a, token: "${OTHER}", scopes: [reed]}
  - {name: autoheal, token: "${OTHER}", scopes: []}
  - {name: b, scopes: [admin]}
"#;
    let told =
        told(&[("autoheal.yml", config), ("secrets", "SAME=hunter2\nOTHER=hunter3\n"), ("rules/a.yml", super::RULE)]);
    assert!(!told.contains("hunter"), "{told}");
    assert_snapshot!(told, @r#"
    error: token `a` has the same value as `bearer token 1`
     --> autoheal.yml:5:5
      |
    5 |   - {name: *, token: "${SAME}", scopes: [****]}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ callers could not be told apart

    error: two tokens are named `a`
     --> autoheal.yml:6:12
      |
    6 |   - {name: *, token: "${OTHER}", scopes: [****]}
      |            ^ this name is taken
      |
      = help: the first one is at autoheal.yml:5:12

    error: expected webhook or read or approve or admin, found "reed"
     --> autoheal.yml:6:43
      |
    6 |   - {name: *, token: "${OTHER}", scopes: [****]}
      |                                           ^^^^ unknown word
      |
      = help: did you mean `read`?

    error: "autoheal" is who acts without a token
     --> autoheal.yml:7:12
      |
    7 |   - {name: ********, token: "${OTHER}", scopes: []}
      |            ^^^^^^^^ stories could not tell the two apart

    error: this token is good for nothing
     --> autoheal.yml:7:49
      |
    7 |   - {name: ********, token: "${OTHER}", scopes: []}
      |                                                 ^^ expected webhook, read, approve, admin

    error: a token needs `token`
     --> autoheal.yml:8:5
      |
    8 |   - {name: *, scopes: [*****]}
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^ `token` is missing
    "#);
}

#[test]
fn links_need_an_address_people_can_open_and_a_key_nobody_can_guess() {
    let with = |url: &str, key: &str| {
        let config = format!("web: {{externalUrl: '{url}', linkKey: '${{KEY}}'}}\n");
        let secrets = format!("KEY={key}\n");
        load(&[("autoheal.yml", &config), ("secrets", &secrets), ("rules/a.yml", super::RULE)])
    };
    let (config, _) = with("https://ops.example.com/autoheal", "0123456789abcdef").unwrap();
    assert!(config.web.links().is_some());
    for (url, key) in [
        ("ops.example.com", "0123456789abcdef"),
        ("ftp://ops.example.com", "0123456789abcdef"),
        ("https://ops.example.com/?a=b", "0123456789abcdef"),
        ("https://me@ops.example.com", "0123456789abcdef"),
        ("https://ops.example.com", "hunter2"),
    ] {
        let problems = with(url, key).unwrap_err().to_string();
        assert!(!problems.contains("hunter2") && problems.matches("error").count() == 1, "{url}: {problems}");
    }
    let (config, _) =
        load(&[("autoheal.yml", "web: {externalUrl: 'https://a'}\n"), ("rules/a.yml", super::RULE)]).unwrap();
    assert!(config.web.links().is_none(), "no key, no links");
}
