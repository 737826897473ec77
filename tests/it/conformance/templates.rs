//! Templates give what Prometheus gives, or are refused.

use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::template::{AlertContext, Template};

use super::table;
use crate::support::amtool;
use crate::support::promtool::{self, LABELS};

fn alert() -> Alert {
    let labels: Labels = LABELS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: autoheal::domain::Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    }
}

fn ours(template: &str) -> Result<String, String> {
    let parsed = Template::parse(template).map_err(|error| format!("load: {error}"))?;
    parsed.render(AlertContext { alert: &alert() }).map_err(|error| error.message)
}

fn all_agree(name: &str, agree: impl Fn(Option<&str>, Result<&str, &str>) -> bool) {
    let templates = table(&format!("templates-{name}"));
    let differing: Vec<String> = templates
        .iter()
        .zip(promtool::expand(&templates))
        .map(|(template, theirs)| (template, theirs, ours(template)))
        .filter(|(_, theirs, ours)| !agree(theirs.as_deref(), ours.as_deref().map_err(String::as_str)))
        .map(|(template, theirs, ours)| format!("{template:?}: Prometheus {theirs:?}, we {ours:?}"))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn prometheus_and_we_give_the_same_texts() {
    all_agree("same", |theirs, ours| theirs == ours.ok() && theirs.is_some());
}

#[test]
fn what_prometheus_refuses_is_refused() {
    all_agree("refused", |theirs, ours| theirs.is_none() && ours.is_err());
}

#[test]
fn what_is_not_supported_shows_at_load() {
    all_agree("refused-at-load", |_, ours| ours.is_err_and(|message| message.starts_with("load: ")));
}

#[test]
fn holes_and_misfits_stop_an_action() {
    all_agree("refused-when-rendered", |theirs, ours| {
        theirs.is_some() && ours.is_err_and(|message| !message.starts_with("load: "))
    });
}

/// Functions that Alertmanager has and Prometheus has not. `title` is left out: where the two differ, it is Prometheus'.
#[test]
fn alertmanagers_functions_give_the_same_texts() {
    for template in [
        r#"{{ join "," (stringSlice "a" "b") }}"#,
        r#"{{ stringSlice "a" "b" "c" | join " and " }}"#,
        r#"{{ join "," (stringSlice) }}"#,
        r#"{{ range stringSlice "a" "b" }}[{{ . }}]{{ end }}"#,
        r#"{{ range $i, $e := stringSlice "a" "b" }}{{ $i }}{{ $e }}{{ else }}none{{ end }}"#,
        r#"{{ index (stringSlice "a" "b") 1 }}{{ len (stringSlice "a" "b") }}"#,
        r#"{{ stringSlice "a" "b" }}|{{ printf "%s" (stringSlice "a" "b") }}"#,
        r#"{{ "x" | toUpper | toLower }}"#,
        r#"{{ match "^a.c$" "abc" }}{{ reReplaceAll "(a)(b)" "$2$1" "abab" }}"#,
    ] {
        assert_eq!(ours(template), Ok(amtool::render(template)), "{template}");
    }
}
