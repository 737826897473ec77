//! From a selector to containers: exactly those it names, never one more.

use std::collections::BTreeMap;

use super::engine::{Listed, View};
use super::seen::{Condition, Seen};
use super::{dependents, text};
use crate::domain::Timestamp;
use crate::domain::action::{ContainerSelector, RestartContainer};
use crate::domain::decide::ActionOutcome;

pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
pub(super) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
/// `docker compose run` makes helpers that carry their service's labels; they are nobody's service.
pub(super) const COMPOSE_ONE_OFF: &str = "com.docker.compose.oneoff";

/// More than this is a matter for people.
const MAX_DEPENDENTS: usize = 20;

/// Longer names are no container's.
const MAX_NAME: usize = 255;

fn refused(error: String) -> ActionOutcome {
    ActionOutcome::Refused { error }
}

/// Finds the containers a selector names, at least one and at most `max`.
pub(super) async fn select(
    view: &View,
    restart: &RestartContainer<String>,
    deadline: Timestamp,
) -> Result<Vec<Seen>, ActionOutcome> {
    select_by(view, &restart.selector, restart.max, deadline).await
}

/// The same for any selector.
pub(super) async fn select_by(
    view: &View,
    selector: &ContainerSelector<String>,
    max: u32,
    deadline: Timestamp,
) -> Result<Vec<Seen>, ActionOutcome> {
    match selector {
        ContainerSelector::Name(name) => Ok(vec![by_name(view, name, max, deadline).await?]),
        ContainerSelector::Labels(labels) => {
            if labels.is_empty() {
                return Err(refused("labels is empty, which would mean every container; name at least one".into()));
            }
            let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let what = format!("labels {}", text::listed(&pairs));
            by_labels(view, labels, &what, max, deadline).await
        }
        ContainerSelector::Compose { project, service } => {
            let labels = BTreeMap::from([
                (COMPOSE_PROJECT.to_owned(), project.clone()),
                (COMPOSE_SERVICE.to_owned(), service.clone()),
            ]);
            let what = format!("Compose service {}/{}", text::bounded(project), text::bounded(service));
            by_labels(view, &labels, &what, max, deadline).await
        }
    }
}

/// What depends on the selected Compose service and does not stand still: a person, or a dependency that failed, stopped
/// the rest.
pub(super) async fn select_dependents(
    view: &View,
    restart: &RestartContainer<String>,
    deadline: Timestamp,
) -> Result<Vec<Seen>, ActionOutcome> {
    let (Some(which), ContainerSelector::Compose { project, service }) = (restart.dependents, &restart.selector) else {
        return Ok(Vec::new());
    };
    let what = format!("Compose project {}", text::bounded(project));
    let labels = BTreeMap::from([(COMPOSE_PROJECT.to_owned(), project.clone())]);
    let mut listed = view.list(&labels, &format!("list the containers of {what}"), deadline).await?;
    listed.retain(|container| is_meant(container, &labels));
    let found = dependents::of(service, &listed, which);
    let mut running = Vec::new();
    for container in found {
        let seen = view.inspect(&container.id, &format!("look up container {}", container.name), deadline).await?;
        running.extend(seen.filter(|seen| seen.id == container.id && seen.condition != Condition::Stopped));
    }
    if running.len() > MAX_DEPENDENTS {
        let names: Vec<_> = running.iter().map(|seen| seen.name.as_str()).collect();
        return Err(refused(format!(
            "{} containers of {what} depend on service {} on docker host {}, more than {MAX_DEPENDENTS} are not restarted: {}; \
             name those that must follow in `then`",
            running.len(),
            text::bounded(service),
            view.place(),
            text::listed(&names)
        )));
    }
    Ok(running)
}

/// A name may come from an alert's label and becomes part of a request's path, so anything but a name is refused
/// before a request is made.
fn checked(name: &str) -> Result<&str, ActionOutcome> {
    let mut letters = name.bytes();
    let begins_well = letters.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on_well = letters.all(|letter| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter));
    if begins_well && goes_on_well && name.len() <= MAX_NAME {
        Ok(name)
    } else {
        Err(refused(format!(
            "{:?} is no container name: it begins with a letter or digit, followed by letters, digits, _ . and -",
            text::bounded(name)
        )))
    }
}

async fn by_name(view: &View, name: &str, max: u32, deadline: Timestamp) -> Result<Seen, ActionOutcome> {
    let name = checked(name)?;
    let place = view.place();
    let found = view.inspect(name, &format!("look up container {name}"), deadline).await?;
    match found {
        Some(_) if max == 0 => Err(refused(format!("max is 0, so container {name} must not be touched"))),
        Some(seen) if seen.name == name => Ok(seen),
        Some(other) => Err(refused(format!(
            "no container is named {name} on docker host {place}; {} has an ID that begins so, but an ID is no name",
            other.label()
        ))),
        None => Err(refused(format!(
            "no container is named {name} on docker host {place}; was it removed or renamed, or does it run elsewhere?"
        ))),
    }
}

async fn by_labels(
    view: &View,
    labels: &BTreeMap<String, String>,
    what: &str,
    max: u32,
    deadline: Timestamp,
) -> Result<Vec<Seen>, ActionOutcome> {
    let place = view.place();
    let mut found = view.list(labels, &format!("list the containers of {what}"), deadline).await?;
    found.retain(|container| is_meant(container, labels));
    found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    if found.is_empty() {
        return Err(refused(format!(
            "no container of {what} exists on docker host {place}; was it removed, or does it run elsewhere?"
        )));
    }
    if found.len() > usize::try_from(max).unwrap_or(usize::MAX) {
        let names: Vec<_> = found.iter().map(|container| container.name.as_str()).collect();
        return Err(refused(format!(
            "{} containers of {what} exist on docker host {place}, max is {max}: {}; name one of them or raise max",
            found.len(),
            text::listed(&names)
        )));
    }
    let mut seen = Vec::with_capacity(found.len());
    for container in found {
        let looked = view.inspect(&container.id, &format!("look up container {}", container.name), deadline).await?;
        // Listed a moment ago and gone now means somebody is replacing it; another attempt finds the new one.
        seen.push(looked.filter(|looked| looked.id == container.id).ok_or_else(|| ActionOutcome::Failed {
            error: format!("container {} on docker host {place} was removed while we looked at it", container.name),
        })?);
    }
    Ok(seen)
}

/// The engine's filters have been prefixes and expressions in one version or another; this is the comparison that counts.
fn is_meant(container: &Listed, labels: &BTreeMap<String, String>) -> bool {
    let one_off = container.labels.get(COMPOSE_ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let by_compose = labels.contains_key(COMPOSE_SERVICE);
    labels.iter().all(|(key, value)| container.labels.get(key) == Some(value)) && !(by_compose && one_off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_pass() {
        for name in ["ui", "otus_ui_1", "0a.b-c", &"x".repeat(255)] {
            assert_eq!(checked(name), Ok(name));
        }
        for name in [
            "",
            ".",
            "..",
            "-ui",
            "_ui",
            "ui/json",
            "../volumes/prune?",
            "ui?force=1",
            "ui%2f",
            "ui ui",
            "ui\n",
            "üi",
            "ui#",
            &"x".repeat(256),
        ] {
            assert!(matches!(checked(name), Err(ActionOutcome::Refused { .. })), "{name:?}");
        }
    }

    #[test]
    fn labels_are_compared_whole_and_helpers_of_compose_left_out() {
        let listed = |pairs: &[(&str, &str)]| Listed {
            id: "a".into(),
            name: "a".into(),
            labels: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let wanted = BTreeMap::from([("app".to_owned(), "ui".to_owned())]);
        assert!(is_meant(&listed(&[("app", "ui"), ("x", "y")]), &wanted));
        assert!(!is_meant(&listed(&[("app", "ui2")]), &wanted));
        assert!(!is_meant(&listed(&[]), &wanted));
        let service = BTreeMap::from([(COMPOSE_SERVICE.to_owned(), "ui".to_owned())]);
        assert!(!is_meant(&listed(&[(COMPOSE_SERVICE, "ui"), (COMPOSE_ONE_OFF, "True")]), &service));
        assert!(is_meant(&listed(&[(COMPOSE_SERVICE, "ui"), (COMPOSE_ONE_OFF, "False")]), &service));
    }
}
