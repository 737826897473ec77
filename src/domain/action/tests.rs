//! What an action touches, in the words of targets, of the rule language and of people.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

fn text(source: &str) -> Template {
    Template::parse(source).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, Template> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect()
}

fn containers(selector: ContainerSelector<Template>) -> RestartContainer<Template> {
    RestartContainer {
        host: text("{{ $labels.host }}"),
        selector,
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    }
}

fn compose(project: &str, service: &str) -> ContainerSelector<Template> {
    ContainerSelector::Compose { project: text(project), service: text(service) }
}

fn rendered(action: &ActionTemplate) -> Result<RenderedAction, ActionRenderError> {
    let labels: Labels = [("job", "ui"), ("host", "local"), ("empty", " ")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let alert = Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: Labels::new(),
        starts_at: crate::domain::Timestamp::UNIX_EPOCH,
        ends_at: None,
        generator_url: String::new(),
    };
    action.render(AlertContext { alert: &alert })
}

#[test]
fn every_way_to_choose_containers_is_a_target_of_its_own() {
    let job = "{{ $labels.job }}";
    for (selector, target, summary, field) in [
        (
            ContainerSelector::Name(text(job)),
            "docker:local/name/ui",
            "restart container ui on local",
            json!({"host": "local", "name": "ui", "max": 1}),
        ),
        (
            ContainerSelector::Labels(pairs(&[("team", "shop"), ("job", job)])),
            "docker:local/labels/job=ui,team=shop",
            "restart container with labels job=ui, team=shop on local",
            json!({"host": "local", "labels": {"job": "ui", "team": "shop"}, "max": 1}),
        ),
        (
            compose("otus", job),
            "docker:local/compose/otus/ui",
            "restart container of otus/ui on local",
            json!({"host": "local", "compose": {"project": "otus", "service": "ui"}, "max": 1}),
        ),
    ] {
        let action = rendered(&Action::RestartContainer(containers(selector))).unwrap();
        assert_eq!((action.target().as_str(), action.summary().as_str()), (target, summary));
        assert_eq!(Value::Object(action.fields()), field);
        assert_eq!(action.host(), "local");
    }
}

#[test]
fn a_text_that_comes_out_empty_widens_no_selection() {
    let empty = "{{ $labels.empty }}";
    let named = |name: &str| containers(ContainerSelector::Name(text(name)));
    for (selection, field) in [
        (named(empty), "name"),
        (containers(ContainerSelector::Labels(pairs(&[("team", empty)]))), "labels.team"),
        (containers(compose(empty, "ui")), "compose.project"),
        (containers(compose("otus", empty)), "compose.service"),
        (RestartContainer { host: text(empty), ..named("ui") }, "host"),
        (RestartContainer { then: vec![ContainerSelector::Name(text(empty))], ..named("ui") }, "then.name"),
    ] {
        let refused = rendered(&Action::RestartContainer(selection)).unwrap_err();
        assert!(matches!(&refused, ActionRenderError::Empty { field: found, .. } if found == field), "{refused}");
    }
}

#[test]
fn what_follows_a_restart_is_said_and_written() {
    let mut whole = containers(ContainerSelector::Name(text("ui")));
    whole.stop_timeout = Some(Duration::from_secs(90));
    (whole.max, whole.min_healthy, whole.dependents) = (3, Some(2), Some(Dependents::All));
    whole.then = vec![ContainerSelector::Name(text("{{ $labels.job }}-proxy")), compose("otus", "cache")];
    let whole = rendered(&Action::RestartContainer(whole)).unwrap();
    assert_eq!(
        whole.summary(),
        "restart container ui on local, then restart container ui-proxy, then container of otus/cache, then what depends on it"
    );
    let then = json!([{"name": "ui-proxy"}, {"compose": {"project": "otus", "service": "cache"}}]);
    let fields = json!({
        "host": "local", "name": "ui", "stopTimeout": "1m30s", "max": 3, "minHealthy": 2, "then": then, "dependents": "all"
    });
    assert_eq!(Value::Object(whole.fields()), fields);
    assert_eq!(Dependents::Restart.as_str(), "restart");
}

#[test]
fn every_deed_has_its_own_words_and_one_target() {
    let ui = || containers(ContainerSelector::Name(text("ui")));
    let exec = ExecInContainer { containers: ui(), command: vec![text("reload")] };
    for (action, kind, doing, summary, deed) in [
        (
            Action::RestartContainer(ui()),
            "restartContainer",
            "restarting",
            "restart container ui on local",
            Some(Deed::Restart),
        ),
        (Action::StartContainer(ui()), "startContainer", "starting", "start container ui on local", Some(Deed::Start)),
        (Action::StopContainer(ui()), "stopContainer", "stopping", "stop container ui on local", Some(Deed::Stop)),
        (
            Action::ExecInContainer(Box::new(exec)),
            "execInContainer",
            "running",
            "run reload in container ui on local",
            None,
        ),
    ] {
        let action = rendered(&action).unwrap();
        assert_eq!((action.kind(), action.doing(), action.summary().as_str()), (kind, doing, summary));
        assert_eq!(action.target(), Target::new("docker:local/name/ui"), "at most one of them runs at a time");
        assert_eq!(action.containers().map(|(deed, _)| deed), deed);
        assert!(action.selection().is_some_and(|containers| containers.host == "local"));
        let command = (kind == "execInContainer").then(|| json!(["reload"]));
        assert_eq!(action.fields().get("command"), command.as_ref());
    }
}

#[test]
fn what_a_deed_is_given_is_short_in_its_target_and_yet_told_apart() {
    let long = "x".repeat(SHOWN + 1);
    assert_eq!(in_short(&"x".repeat(SHOWN)), "x".repeat(SHOWN));
    assert_eq!(in_short(&long), format!("{}…3f9a5801d238bd47", "x".repeat(SHOWN)));
    assert_ne!(in_short(&format!("{long}y")), in_short(&format!("{long}z")));
    assert!(in_short("a\nb").starts_with("ab…"), "a target is one line");
}
