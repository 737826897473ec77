//! Receivers' own texts: what loads, and where a mistake in one is shown.

use autoheal::notify::NotifierSettings;
use autoheal::notify::message::Pages;
use autoheal::notify::message::texts::Texts;
use insta::assert_snapshot;

use super::{RULE, load, told};
use crate::support::message::exhausted;

fn config(slack: &str, html: &str) -> String {
    format!(
        "templates: [texts/ops.tmpl]\n\
         receivers:\n\
         - name: on-call\n\
         \x20 slack: {{webhookUrl: \"${{S}}\", {slack}}}\n\
         \x20 email: {{to: a@example.com, from: b@example.com, smarthost: mail, {html}}}\n\
         rules: [{{metadata: {{name: tell}}, labels: {{a: b}}, receivers: [on-call]}}]\n"
    )
}

const SECRETS: (&str, &str) = ("secrets", "S=https://hooks.slack.com/services/T0/B0/x\n");
const OPS: (&str, &str) = ("texts/ops.tmpl", "{{ define \"ops\" }}{{ .Heal.State }}{{ end }}\n");

#[test]
fn texts_and_files_of_named_templates_load() {
    let config =
        config("title: '{{ .Status }}', text: '{{ template \"ops\" . }}'", "html: '<b>{{ template \"ops\" . }}</b>'");
    let (config, warnings) = load(&[("autoheal.yml", &config), SECRETS, OPS, ("rules/r.yml", RULE)]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.receivers[0].integrations.len(), 2);
}

#[test]
fn a_default_that_a_file_defines_anew_is_everybodys_who_has_no_text_of_its_own() {
    let defaults = "{{ define \"email.default.html\" }}<p>{{ .Heal.Rule }} & co: {{ .Heal.Target }}</p>{{ end }}\n\
                    {{ define \"slack.default.title\" }}{{ .Heal.Event }}{{ end }}\n";
    let texts = |config: &str| {
        let file = ("texts/ops.tmpl", defaults);
        let (config, warnings) = load(&[("autoheal.yml", config), SECRETS, file, ("rules/r.yml", RULE)]).unwrap();
        assert!(warnings.is_empty(), "{warnings}");
        let of = |integration: &NotifierSettings| match integration {
            NotifierSettings::Slack(slack) => slack.texts.clone(),
            NotifierSettings::Email(email) => email.texts.clone(),
            other => panic!("{other:?}"),
        };
        let [slack, mail] = config.receivers[0].integrations.iter().map(of).collect::<Vec<_>>().try_into().unwrap();
        (slack, mail)
    };
    let pages = Pages::new(None);
    let message = exhausted("on-call/email", "ui").message;
    let (slack, mail) = texts(&config("title: x", "subject: '{{ .Status }}'").replace(", title: x", ""));
    let (said, default) = (mail.mail(&message, &pages), Texts::default().mail(&message, &pages));
    assert_eq!(said.html, "<p>restart-service & co: docker:local/name/ui</p>");
    assert_eq!((said.subject.as_str(), said.plain), ("firing", default.plain), "what is not defined anew stays");
    assert_eq!(slack.slack(&message, &pages).title.as_deref(), Some("exhausted"));
    assert_eq!(slack.slack(&message, &pages).text, None);
    // Who has a text of its own keeps it.
    let (slack, mail) = texts(&config("title: own", "html: '<b>own</b>'"));
    assert_eq!(mail.mail(&message, &pages).html, "<b>own</b>");
    assert_eq!(slack.slack(&message, &pages).title.as_deref(), Some("own"));

    let broken = ("texts/ops.tmpl", "{{ define \"email.default.html\" }}<p class={{ .Status }}>{{ end }}\n");
    let said = told(&[("autoheal.yml", &config("title: own", "subject: own")), SECRETS, broken, ("rules/r.yml", RULE)]);
    assert!(said.contains("a value in a tag must stand in a quoted attribute\n --> texts/ops.tmpl:1:"), "{said}");
}

#[test]
fn a_mistake_is_shown_where_it_stands_in_the_configuration_or_in_the_file() {
    let config = config(
        "title: '{{ .Statos }}', text: '{{ template \"obs\" . }}'",
        "html: '<p class={{ .Status }}>', subject: '{{ .Heal.Foo }}'",
    );
    let broken = ("texts/ops.tmpl", "{{ define \"ops\" }}\n{{ if }\n");
    let said = told(&[("autoheal.yml", &config), SECRETS, broken, ("rules/r.yml", RULE)]);
    assert_snapshot!(said, @r#"
    error: bad template: unexpected '}' in an action
     --> texts/ops.tmpl:2:7
      |
    2 | {{ if }
      |       ^ expected a Go template

    error: bad template: there is no .Statos here; there are .Receiver, .Status, .Alerts, .GroupLabels, .CommonLabels, .CommonAnnotations, .ExternalURL, .Heal
     --> autoheal.yml:4:42
      |
    4 |   slack: {webhookUrl: "${S}", title: '{{ .Statos }}', text: '{{ template "obs" . }}'}
      |                                          ^^^^^^^ expected a Go template

    error: bad template: there is no template "obs"; there are __alertmanagerURL, __subject, __text_alert_list, email.default.html, email.default.subject, email.default.text, slack.default.text, slack.default.title
     --> autoheal.yml:4:74
      |
    4 |   slack: {webhookUrl: "${S}", title: '{{ .Statos }}', text: '{{ template "obs" . }}'}
      |                                                                          ^^^^^ expected a Go template

    error: bad template: a value in a tag must stand in a quoted attribute
     --> autoheal.yml:5:84
      |
    5 |   email: {to: a@example.com, from: b@example.com, smarthost: mail, html: '<p class={{ .Status }}>', subject: '{{ .Heal.Foo }}'}
      |                                                                                    ^^^^^^^^^^^^^ expected a Go template

    warning: this template fails for a message about nothing: the data has no field .Foo
     --> autoheal.yml:5:110
      |
    5 |   email: {to: a@example.com, from: b@example.com, smarthost: mail, html: '<p class={{ .Status }}>', subject: '{{ .Heal.Foo }}'}
      |                                                                                                              ^^^^^^^^^^^^^^^^^ where it fails, the default text is sent in its place
    "#);
}
