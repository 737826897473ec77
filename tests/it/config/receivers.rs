//! `receivers:` — every key arrives, every mistake is shown.

use autoheal::notify::NotifierSettings;
use insta::assert_snapshot;

use super::{load, told};

const RECEIVERS: &str = r#"
receivers:
- name: mail
  mailgun:
    domain: mg.example.com
    apiKey: "${MAILGUN_API_KEY}"
    region: eu
    from: autoheal <autoheal@mg.example.com>
    to: [oncall@example.com, second@example.com]
    tags: [autoheal, production]
    testMode: true
rules: []
"#;

#[test]
fn every_key_of_a_receiver_arrives() {
    let (config, _) = load(&[("autoheal.yml", RECEIVERS), ("secrets", "MAILGUN_API_KEY=key\n")]).unwrap();
    let [NotifierSettings::Mailgun(mailgun)] = config.receivers[0].integrations.as_slice() else {
        panic!("{:?}", config.receivers);
    };
    assert_eq!(mailgun.api_url.as_str(), "https://api.eu.mailgun.net/");
    assert_eq!((mailgun.domain.as_str(), mailgun.api_key.expose()), ("mg.example.com", "key"));
    assert_eq!(mailgun.from.to_string(), "autoheal <autoheal@mg.example.com>");
    assert_eq!((mailgun.to.len(), mailgun.tags.join(" ").as_str()), (2, "autoheal production"));
    assert!(mailgun.test_mode);
}

#[test]
fn every_mistake_in_a_receiver_is_shown_at_its_place() {
    let config = r"
receivers:
- name: mail
  mailgun:
    domain: mg
    region: asia
    from: nobody
    to: []
    tags: [a, b, c, d]
    trackign: true
rules: []
";
    assert_snapshot!(told(&[("autoheal.yml", config)]), @r#"
    error: `mailgun` needs `apiKey`
     --> autoheal.yml:5:5
      |
    5 |     domain: mg
      |     ^^^^^^^^^^ `apiKey` is missing

    error: this is not a domain
     --> autoheal.yml:5:13
      |
    5 |     domain: mg
      |             ^^ expected the sending domain, for example mg.example.com

    error: expected us or eu, found "asia"
     --> autoheal.yml:6:13
      |
    6 |     region: asia
      |             ^^^^ unknown word

    error: this is not a mail address such as oncall@example.com or On Call <oncall@example.com>
     --> autoheal.yml:7:11
      |
    7 |     from: nobody
      |           ^^^^^^ expected a mail address such as oncall@example.com or On Call <oncall@example.com>

    error: `to` is empty
     --> autoheal.yml:8:9
      |
    8 |     to: []
      |         ^^ expected at least one mail address

    error: too many tags
     --> autoheal.yml:9:11
      |
    9 |     tags: [a, b, c, d]
      |           ^^^^^^^^^^^^ Mailgun takes at most 3

    error: unknown key `trackign` in `mailgun`
      --> autoheal.yml:10:5
       |
    10 |     trackign: true
       |     ^^^^^^^^ unknown key
       |
       = help: known keys: domain, apiKey, region, from, to, apiUrl, tags, testMode, tls
    "#);
}
