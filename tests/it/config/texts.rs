//! Receivers' own texts: what loads, and where a mistake in one is shown.

use insta::assert_snapshot;

use super::{RULE, load, told};

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

    error: bad template: there is no template "obs"; there are __alertmanagerURL, __subject, __text_alert_list, email.default.subject, email.default.text, slack.default.text, slack.default.title
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
