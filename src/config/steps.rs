//! The ladder of a rule: actions, how often they are tried, and what counts as healed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ancestor;
use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::rules::{Surroundings, template};
use super::verify;
use super::yaml::{Kind, Node};
use super::{awx_job, exec, http_job, http_request};
use crate::domain::action::{Action, ContainerSelector, Dependents, ExecInContainer, RestartContainer};
use crate::domain::backoff::Backoff;
use crate::domain::rule::{Step, VerifyPolicy};
use crate::domain::template::Template;

/// Keys that say how a step is carried out.
const MANNER: [&str; 4] = ["attempts", "backoff", "timeout", "verify"];

/// Actions that are done, and the ancestor's that is only read.
const ACTIONS: [&str; 8] = [
    "restartContainer",
    "startContainer",
    "stopContainer",
    "execInContainer",
    "awxJob",
    "httpRequest",
    "httpJob",
    ancestor::BATCH_JOB,
];

const STEP: Schema = Schema {
    what: "a step",
    keys: &[
        "restartContainer",
        "startContainer",
        "stopContainer",
        "execInContainer",
        "awxJob",
        "httpRequest",
        "httpJob",
        "attempts",
        "backoff",
        "timeout",
        "verify",
    ],
    unsupported: &["batchJob"],
    strict: true,
};
const RESTART: Schema = Schema {
    what: "`restartContainer`",
    keys: &["host", "name", "labels", "compose", "stopTimeout", "max", "minHealthy", "then", "dependents"],
    unsupported: &[],
    strict: true,
};
const START: Schema = Schema {
    what: "`startContainer`",
    keys: &["host", "name", "labels", "compose", "max"],
    unsupported: &[],
    strict: true,
};
const STOP: Schema = Schema {
    what: "`stopContainer`",
    keys: &["host", "name", "labels", "compose", "stopTimeout", "max", "minHealthy"],
    unsupported: &[],
    strict: true,
};
const EXEC: Schema = Schema {
    what: "`execInContainer`",
    keys: &["host", "name", "labels", "compose", "max", "command"],
    unsupported: &[],
    strict: true,
};
const DEPENDENT: Schema =
    Schema { what: "an entry of `then`", keys: &["name", "labels", "compose"], unsupported: &[], strict: true };
const COMPOSE: Schema = Schema { what: "`compose`", keys: &["project", "service"], unsupported: &[], strict: true };
const BACKOFF: Schema =
    Schema { what: "`backoff`", keys: &["initial", "factor", "max"], unsupported: &[], strict: true };

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// Jobs queue, and play for a while.
const JOB_TIMEOUT: Duration = Duration::from_mins(30);

/// A heal that takes longer than a week is a matter for people.
const WEEK: Duration = Duration::from_hours(7 * 24);
const POSITIVE: RangeInclusive<Duration> = Duration::from_millis(1)..=WEEK;
const ANY: RangeInclusive<Duration> = Duration::ZERO..=WEEK;

/// Reads the steps of a rule, or the one action that stands in the rule itself. Answers the steps (`None` for one with
/// errors) and whether the rule means to act at all.
pub(super) fn read_ladder(
    reader: &Reader<'_>,
    rule: &Mapping<'_>,
    around: &Surroundings<'_>,
) -> (Vec<Option<Step>>, bool) {
    let shorthand = ACTIONS.into_iter().find_map(|action| rule.key_span(action));
    let stray = MANNER.into_iter().find_map(|key| Some((key, rule.key_span(key)?)));
    match (rule.get("steps"), shorthand) {
        (Some(_), Some(action)) => {
            reader.error(action, "a rule has either `steps` or one action", "make this action one of the steps");
            (Vec::new(), true)
        }
        // Read and not done: the rule's heals are refused by name.
        (None, Some(_)) if is_only_read(rule) => (Vec::new(), true),
        (None, Some(_)) => (vec![read_step(reader, rule, around)], true),
        (steps, None) => {
            if let Some((key, span)) = stray {
                reader.error(span, format!("`{key}` stands beside no action"), "move it into a step");
            }
            let steps = steps.map_or(&[][..], |steps| reader.list(steps, "steps"));
            let read = |node| reader.mapping(node, &STEP).and_then(|step| read_step(reader, &step, around));
            // `steps` of a wrong type are meant to act, too: their misfit must not read as «only notifies».
            (steps.iter().map(read).collect(), rule.get("steps").is_some_and(|node| node.len() > 0))
        }
    }
}

fn is_only_read(rule: &Mapping<'_>) -> bool {
    let actions: Vec<_> = ACTIONS.into_iter().filter(|action| rule.key_span(action).is_some()).collect();
    actions == [ancestor::BATCH_JOB]
}

fn read_step(reader: &Reader<'_>, step: &Mapping<'_>, around: &Surroundings<'_>) -> Option<Step> {
    let before = reader.error_count();
    let actions: Vec<_> = ACTIONS.into_iter().filter_map(|action| step.key_span(action)).collect();
    match actions.as_slice() {
        [] if step.keys().all(|key| MANNER.contains(&key)) => {
            reader.error(step.span, "this step has no action", "expected `restartContainer` or `awxJob`, for example");
        }
        // A mistyped action has been reported as an unknown key.
        [] | [_] => {}
        [_, second, ..] => reader.error(second, "a step has one action", "make this action a step of its own"),
    }
    // What was stopped is never healthy.
    let acts_on_containers =
        ["restartContainer", "startContainer", "execInContainer"].into_iter().any(|key| step.key_span(key).is_some());
    let is_job = step.key_span("awxJob").or(step.key_span("httpJob")).is_some();
    let action = read_action(reader, step, around);
    let attempts = step.get("attempts").map_or(Some(1), |node| reader.integer(node, &(1..=100)));
    let backoff = step.get("backoff").map_or(Some(Backoff::default()), |node| read_backoff(reader, node));
    let default_timeout = if is_job { JOB_TIMEOUT } else { DEFAULT_TIMEOUT };
    let timeout = step.get("timeout").map_or(Some(default_timeout), |node| reader.duration(node, POSITIVE));
    let verify = step
        .get("verify")
        .map_or(Some(VerifyPolicy::default()), |node| verify::read(reader, node, around, acts_on_containers));
    if reader.error_count() > before {
        return None;
    }
    Some(Step { action: action?, attempts: attempts?, backoff: backoff?, timeout: timeout?, verify: verify? })
}

fn read_action(reader: &Reader<'_>, step: &Mapping<'_>, around: &Surroundings<'_>) -> Option<Action<Template>> {
    let (key, node) = ACTIONS.into_iter().find_map(|key| Some((key, step.get(key)?)))?;
    match key {
        "awxJob" => awx_job::read(reader, node, around.awx).map(|job| Action::AwxJob(Box::new(job))),
        "httpRequest" => {
            http_request::read(reader, node, around.http).map(|request| Action::HttpRequest(Box::new(request)))
        }
        "httpJob" => http_job::read(reader, node, around.http).map(|job| Action::HttpJob(Box::new(job))),
        _ => read_deed(reader, key, node, around.hosts),
    }
}

fn read_deed(reader: &Reader<'_>, key: &str, node: &Node, hosts: &Names) -> Option<Action<Template>> {
    match key {
        "startContainer" => read_containers(reader, node, &START, hosts).map(Action::StartContainer),
        "stopContainer" => read_containers(reader, node, &STOP, hosts).map(Action::StopContainer),
        "execInContainer" => {
            let containers = read_containers(reader, node, &EXEC, hosts);
            let command = exec::read_command(reader, node, &EXEC);
            let (containers, command) = (containers?, command?);
            Some(Action::ExecInContainer(Box::new(ExecInContainer { containers, command })))
        }
        "restartContainer" => read_containers(reader, node, &RESTART, hosts).map(Action::RestartContainer),
        // Its key has been reported as not supported.
        _ => None,
    }
}

fn read_containers(
    reader: &Reader<'_>,
    node: &Node,
    schema: &Schema,
    hosts: &Names,
) -> Option<RestartContainer<Template>> {
    let restart = reader.mapping(node, schema)?;
    let host = read_host(reader, &restart, hosts);
    let selector = read_selector(reader, &restart);
    let stop_timeout = restart.get("stopTimeout").map(|node| reader.duration(node, Duration::ZERO..=WEEK));
    let max = restart.get("max").map_or(Some(1), |node| reader.integer(node, &(1..=100)));
    let stop_timeout = match stop_timeout {
        Some(read) => Some(read?),
        None => None,
    };
    let min_healthy = restart.get("minHealthy").map(|node| reader.integer(node, &(0..=100)));
    if let (Some(span), true) = (restart.key_span("minHealthy"), restart.get("name").is_some()) {
        reader.error(span, "a name selects one container, which has no peers", "use `labels` or `compose`");
    }
    let then = restart.get("then").map_or(Some(Vec::new()), |node| {
        let dependents = reader.list(node, "containers").iter();
        dependents.map(|node| read_selector(reader, &reader.mapping(node, &DEPENDENT)?)).collect()
    });
    let min_healthy = match min_healthy {
        Some(read) => Some(read?),
        None => None,
    };
    let dependents = match restart.get("dependents") {
        Some(node) => Some(read_dependents(reader, &restart, node)?),
        None => None,
    };
    let (host, selector, max, then) = (host?, selector?, max?, then?);
    Some(RestartContainer { host, selector, stop_timeout, max, min_healthy, then, dependents })
}

fn read_dependents(reader: &Reader<'_>, restart: &Mapping<'_>, node: &Node) -> Option<Dependents> {
    if let (Some(span), true) = (restart.key_span("dependents"), restart.key_span("compose").is_none()) {
        let label = "needs `compose`; for other containers name them in `then`";
        reader.error(span, "only Compose notes down what depends on a service", label);
    }
    let word = reader.choice(node, &["restart", "all"])?;
    Some(if word == "all" { Dependents::All } else { Dependents::Restart })
}

fn read_host(reader: &Reader<'_>, restart: &Mapping<'_>, hosts: &Names) -> Option<Template> {
    let Some(node) = restart.get("host") else {
        let Some(only) = hosts.only() else {
            let label = "`host` is missing";
            reader.error(restart.span, "`host` may be left out only when there is exactly one docker host", label);
            return None;
        };
        // The name comes from the configuration, not from a template author: braces in it would be odd but harmless.
        return Template::parse(only).ok();
    };
    let host = target_text(reader, node, "host")?;
    if host.is_literal() {
        hosts.known(reader, node)?;
    }
    Some(host)
}

fn read_selector(reader: &Reader<'_>, restart: &Mapping<'_>) -> Option<ContainerSelector<Template>> {
    let given: Vec<_> =
        ["name", "labels", "compose"].into_iter().filter(|key| restart.key_span(key).is_some()).collect();
    let [key] = given.as_slice() else {
        let label = if given.is_empty() { "says no container" } else { "says it more than once" };
        reader.error(restart.span, "expected exactly one of `name`, `labels` and `compose`", label);
        return None;
    };
    let node = restart.get(key)?;
    match *key {
        "name" => target_text(reader, node, "name").map(ContainerSelector::Name),
        "labels" => read_labels(reader, node).map(ContainerSelector::Labels),
        _ => {
            let compose = reader.mapping(node, &COMPOSE)?;
            let part =
                |key| reader.require(&compose, key, COMPOSE.what).and_then(|node| target_text(reader, node, key));
            let (project, service) = (part("project"), part("service"));
            Some(ContainerSelector::Compose { project: project?, service: service? })
        }
    }
}

fn read_labels(reader: &Reader<'_>, node: &Node) -> Option<BTreeMap<String, Template>> {
    let labels = reader.any_mapping(node, "`labels`")?;
    let before = reader.error_count();
    for entry in node.entries().iter().filter(|entry| matches!(entry.value.kind, Kind::Nothing)) {
        reader.error(&entry.key_span, format!("label `{}` has no value", entry.key), "empty never widens");
    }
    let read: BTreeMap<_, _> = labels
        .iter()
        .filter_map(|(name, _, value)| Some((name.to_owned(), target_text(reader, value, name)?)))
        .collect();
    if reader.error_count() > before {
        return None;
    }
    if read.is_empty() {
        reader.error(&node.span, "`labels` is empty and would select every container", "expected at least one label");
        return None;
    }
    Some(read)
}

/// A template that says what is touched; refused when it is plainly empty.
fn target_text(reader: &Reader<'_>, node: &Node, what: &str) -> Option<Template> {
    reader.word(node, &format!("`{what}`"))?;
    template(reader, node)
}

fn read_backoff(reader: &Reader<'_>, node: &Node) -> Option<Backoff> {
    let backoff = reader.mapping(node, &BACKOFF)?;
    let default = Backoff::default();
    let initial = backoff.get("initial").map_or(Some(default.initial), |node| reader.duration(node, ANY));
    let max = backoff.get("max").map_or(Some(default.max), |node| reader.duration(node, ANY));
    let factor = backoff.get("factor").map_or(Some(default.factor), |node| {
        let factor = reader.number(node)?;
        if !(1.0..=100.0).contains(&factor) {
            reader.error(&node.span, "this factor is out of range", "expected a number from 1 to 100");
            return None;
        }
        Some(factor)
    });
    let (initial, max) = (initial?, max?);
    if initial > max {
        let span = backoff.key_span("max").or(backoff.key_span("initial")).unwrap_or(backoff.span);
        reader.error(span, "the longest wait is shorter than the first one", "`max` must not be below `initial`");
        return None;
    }
    Some(Backoff { initial, factor: factor?, max })
}
