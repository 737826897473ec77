//! `${…}` where no secret may stand: what could name one is refused, everything else is text.

use std::process::Stdio;

use serde_json::{Value, json};

use super::told;
use crate::support::daemon::{Home, alert, delivery};

fn rule(name: &str, job: &str) -> String {
    format!(
        "- {{metadata: {{name: {name}}}, labels: {{alertname: ^Down$}}, awxJob: {{template: x, limit: web, extraVars: {job}}}}}\n"
    )
}

#[test]
fn braces_that_name_no_secret_are_text() {
    let config = "awx: {address: 'http://127.0.0.1:1/api', token: '${T}'}\n";
    let variables = r#"{a: '{{ reReplaceAll "(.*):(.*)" "${1}-$${2}" $labels.instance }}', b: 'echo $${HOME} $$${HOME} ${1} ${home} $HOME ${'}"#;
    // The ancestor's text of JSON is read once, as a whole.
    let text = r#"'{"a": "echo $${HOME}", "b": "{{ reReplaceAll \"(.*):.*\" \"${1}\" $labels.instance }}"}'"#;
    let home = Home::new(config, &format!("rules:\n{}{}", rule("map", variables), rule("text", text)));
    home.secrets("T=t0p\n");
    let labels = json!({"alertname": "Down", "instance": "web:80"});
    home.write("payload.json", &delivery(&[alert("firing", &labels, std::time::Duration::from_secs(1))]));
    let output = home.command(&["plan", "payload.json", "--output", "json"]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rendered = |rule: usize| plan["alerts"][0]["rules"][rule]["steps"][0]["rendered"]["extraVars"].clone();
    // Inside a template `$${2}` means what Go says.
    assert_eq!(rendered(0), json!({"a": "web-${2}", "b": "echo ${HOME} $${HOME} ${1} ${home} $HOME ${"}));
    assert_eq!(rendered(1), json!({"a": "echo ${HOME}", "b": "web"}));
}

#[test]
fn what_could_name_a_secret_is_refused_and_says_how_to_mean_it() {
    let rules = format!(
        "rules:\n{}- metadata: {{name: b, description: 'all ${{B}}'}}\n  labels: {{alertname: ^A$}}\n  restartContainer: {{name: '{{{{ $labels.a }}}}${{A}}'}}\n",
        rule("a", r#"'{"a": "${AWX_TOKEN}"}'"#)
    );
    let config = "awx: {address: 'http://127.0.0.1:1/api', token: '${AWX_TOKEN}'}\n";
    let told = told(&[("autoheal.yml", config), ("secrets", "AWX_TOKEN=t0p\n"), ("rules/a.yml", &rules)]);
    assert_eq!(told.matches("error: a reference to a secret is not allowed here").count(), 3, "{told}");
    for words in ["write $${B} for the text ${B}", "write $${A} for the text ${A}"] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    assert!(!told.contains("t0p"), "{told}");
}

#[test]
fn a_spot_is_shown_on_its_own_line_and_behind_escapes() {
    let rules = r#"
rules:
- metadata: {name: a}
  labels: {alertname: ^A$}
  awxJob:
    template: x
    limit: web
    extraVars:
      b: |
        first line
        second ${AWX_TOKEN}
      c: "a \"b\" ${AWX_TOKEN}"
      d: >-
        folded

        {{ $labls.x }}
"#;
    let config = "awx: {address: 'http://127.0.0.1:1/api', token: '${AWX_TOKEN}'}\n";
    let told = told(&[("autoheal.yml", config), ("secrets", "AWX_TOKEN=t0p\n"), ("rules/a.yml", rules)]);
    for place in ["rules/a.yml:11:16", "rules/a.yml:12:19", "rules/a.yml:16:12"] {
        assert!(told.contains(place), "{place}\n{told}");
    }
}
