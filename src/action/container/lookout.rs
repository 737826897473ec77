//! Looking before acting: which containers are meant, and whether restarting them is right.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::connect::Skew;
use super::engine::View;
use super::handle::{Entry, Handle};
use super::host::{DockerHost, DockerHostError};
use super::outage::Outages;
use super::seen::{Condition, Health, Seen};
use super::{exec, select, text};
use crate::action::{Assignment, Look};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::action::{Deed, ExecInContainer, RenderedAction, RestartContainer};
use crate::domain::decide::ActionOutcome;
use crate::domain::evidence::{Answer, Finding};

/// Looks at containers on all configured hosts. Nothing in it can change anything: this is all a dry run gets.
pub struct ContainerLookout {
    views: BTreeMap<String, View>,
    outages: Outages,
    clock: Arc<dyn Clock>,
}

/// Whether a container may and should be restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Restart it, or start it when it is stopped.
    Act,
    /// Leave it alone; the reason.
    Leave(String),
    /// It must not be touched; the reason.
    Refuse(String),
}

impl ContainerLookout {
    /// Builds a client for every host without connecting to any: an engine may be down now and up later.
    ///
    /// # Errors
    /// An address that is none, two hosts of one name, TLS files that cannot be used.
    pub fn new(hosts: &[DockerHost], clock: Arc<dyn Clock>) -> Result<Self, DockerHostError> {
        let mut views = BTreeMap::new();
        for host in hosts {
            if views.insert(host.name.clone(), View::new(host, &clock)?).is_some() {
                return Err(DockerHostError::NameTwice { name: host.name.clone() });
            }
        }
        Ok(Self { views, outages: Outages::default(), clock })
    }

    /// Looks at the containers an assignment means; changes nothing.
    pub async fn look(&self, assignment: &Assignment) -> Look {
        self.find(assignment).await.unwrap_or_else(Look::Over)
    }

    /// Whether the containers an action means run and, where they have a health check, are healthy.
    pub async fn health(&self, action: &RenderedAction, deadline: Timestamp) -> Finding {
        let Some(restart) = action.selection() else {
            return Finding::new(Answer::Unknown, "this action is none of containers");
        };
        let selected = match self.view(&restart.host) {
            Ok(view) => select::select(view, restart, deadline).await,
            Err(outcome) => Err(outcome),
        };
        match selected {
            Ok(containers) => health_of(&containers),
            Err(ActionOutcome::Refused { error } | ActionOutcome::Failed { error }) => {
                Finding::new(Answer::Fails, error)
            }
            Err(ActionOutcome::Unreachable { error }) => Finding::new(Answer::Unknown, error),
            // Looking ends in no other way.
            Err(_) => Finding::new(Answer::Unknown, "its containers could not be looked at in time"),
        }
    }

    /// Asks one host's engine whether it is there.
    ///
    /// # Errors
    /// What kept us from it, in words.
    pub async fn ping(&self, host: &str, deadline: Timestamp) -> Result<(), String> {
        let view = self.views.get(host).ok_or_else(|| self.unknown(host))?;
        view.ping(deadline).await.map_err(|fault| fault.to_string())
    }

    /// The names of the configured hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn view(&self, host: &str) -> Result<&View, ActionOutcome> {
        self.views.get(host).ok_or_else(|| ActionOutcome::Refused { error: self.unknown(host) })
    }

    /// Says that a host is not configured, and which are.
    pub(super) fn unknown(&self, host: &str) -> String {
        let known: Vec<_> = self.hosts().collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { text::listed(&known) };
        format!("there is no docker host {:?} in docker.hosts ({known})", text::bounded(host))
    }

    async fn find(&self, assignment: &Assignment) -> Result<Look, ActionOutcome> {
        if let RenderedAction::ExecInContainer(exec) = &assignment.action {
            let (_, containers) = self.find_running(exec, assignment).await?;
            let found = exec::found(exec, &containers);
            return Ok(Look::Ready { handle: serde_json::Value::Null, found });
        }
        let Some((deed, restart)) = assignment.action.containers() else { return Err(not_containers()) };
        let view = self.view(&restart.host)?;
        let turn = self.outages.turn(&restart.host, Instant::now())?;
        let selected = self.select(view, restart, assignment.deadline).await;
        turn.ended(&selected, Instant::now());
        let (selected, dependents) = selected?;
        weigh(view, deed, restart, &selected, &dependents, assignment.symptom_since)
    }

    /// The containers a command is to run in; all of them run.
    pub(super) async fn find_running(
        &self,
        exec: &ExecInContainer<String>,
        assignment: &Assignment,
    ) -> Result<(&View, Vec<Seen>), ActionOutcome> {
        let host = &exec.containers.host;
        let view = self.view(host)?;
        let turn = self.outages.turn(host, Instant::now())?;
        let selected = select::select(view, &exec.containers, assignment.deadline).await;
        turn.ended(&selected, Instant::now());
        let selected = selected?;
        exec::all_run(view, &selected)?;
        exec::none_runs_it(view, exec, &selected, assignment.deadline).await?;
        Ok((view, selected))
    }

    /// The containers that are meant, and those that depend on them.
    async fn select(
        &self,
        view: &View,
        restart: &RestartContainer<String>,
        deadline: Timestamp,
    ) -> Result<(Vec<Seen>, Vec<Seen>), ActionOutcome> {
        let selected = select::select(view, restart, deadline).await?;
        let mut dependents: Vec<Seen> = Vec::new();
        for selector in &restart.then {
            for seen in select::select_by(view, selector, restart.max, deadline).await? {
                // A container that is restarted anyway, or named twice, is restarted once.
                if !selected.iter().chain(&dependents).any(|known| known.id == seen.id) {
                    dependents.push(seen);
                }
            }
        }
        for seen in select::select_dependents(view, restart, deadline).await? {
            if !selected.iter().chain(&dependents).any(|known| known.id == seen.id) {
                dependents.push(seen);
            }
        }
        Ok((selected, dependents))
    }
}

/// Sorts what was found into what to restart and what to leave; one that must not be touched refuses them all,
/// because then the selection is not what the rule's author had in mind.
fn weigh(
    view: &View,
    deed: Deed,
    restart: &RestartContainer<String>,
    containers: &[Seen],
    dependents: &[Seen],
    symptom_since: Timestamp,
) -> Result<Look, ActionOutcome> {
    let (mut entries, mut found, mut left, mut refusals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut peers = Vec::new();
    for seen in containers {
        match judge_for(deed, seen, symptom_since, view.skew()) {
            Verdict::Act => {
                entries.push(Entry::of(seen, restart.stop_timeout));
                found.push(format!("container {seen}"));
            }
            Verdict::Leave(reason) => {
                peers.push(Entry::of(seen, None));
                left.push(reason);
            }
            Verdict::Refuse(reason) => refusals.push(reason),
        }
    }
    let place = view.place();
    if !refusals.is_empty() {
        return Err(ActionOutcome::Refused { error: format!("on docker host {place}, {}", refusals.join("; ")) });
    }
    if entries.is_empty() {
        return Err(ActionOutcome::NotNeeded { what: format!("on docker host {place}, {}", left.join("; ")) });
    }
    for seen in dependents {
        match judge_for(deed, seen, symptom_since, view.skew()) {
            Verdict::Refuse(reason) => {
                return Err(ActionOutcome::Refused { error: format!("on docker host {place}, {reason}") });
            }
            Verdict::Act | Verdict::Leave(_) => {
                entries.push(Entry { dependent: true, ..Entry::of(seen, restart.stop_timeout) });
                found.push(format!("its dependent container {seen}"));
            }
        }
    }
    found.extend(left);
    let handle = Handle { host: restart.host.clone(), containers: entries, peers };
    Ok(Look::Ready { handle: handle.write(), found: format!("on docker host {place}, {}", found.join("; ")) })
}

/// Whether a container runs and, where it has a health check, is healthy.
pub(super) fn is_well(seen: &Seen) -> bool {
    seen.condition == Condition::Running && matches!(seen.health, None | Some(Health::Healthy))
}

/// Judges the health of containers as evidence.
fn health_of(containers: &[Seen]) -> Finding {
    let is_well =
        |seen: &&Seen| seen.condition == Condition::Running && matches!(seen.health, None | Some(Health::Healthy));
    let ill: Vec<_> = containers.iter().filter(|seen| !is_well(seen)).map(|seen| format!("container {seen}")).collect();
    if ill.is_empty() {
        let well: Vec<_> = containers.iter().map(|seen| format!("container {seen}")).collect();
        Finding::new(Answer::Holds, text::listed(&well))
    } else {
        Finding::new(Answer::Fails, text::listed(&ill))
    }
}

/// An action that another kind serves was handed to this one.
pub(super) fn not_containers() -> ActionOutcome {
    ActionOutcome::Failed { error: "this action is none of containers".to_owned() }
}

/// Judges one container for what is to be done to it.
pub(super) fn judge_for(deed: Deed, seen: &Seen, symptom_since: Timestamp, skew: &Skew) -> Verdict {
    let label = seen.label();
    match (deed, seen.condition) {
        (Deed::Restart, _) | (_, Condition::Paused | Condition::Removing | Condition::Dead) => {
            judge(seen, symptom_since, skew)
        }
        (Deed::Start, Condition::Stopped) | (Deed::Stop, Condition::Running | Condition::Restarting) => Verdict::Act,
        (Deed::Start, Condition::Running | Condition::Restarting) => {
            Verdict::Leave(format!("container {label} {}, so it needs no start", seen.doing()))
        }
        (Deed::Stop, Condition::Stopped) => Verdict::Leave(format!("container {label} {} already", seen.doing())),
    }
}

/// Judges one container. `symptom_since` is by our clock; the engine's `StartedAt` is brought to ours first, so that
/// an engine whose clock is off does not look as if it had just restarted everything, or never.
pub(super) fn judge(seen: &Seen, symptom_since: Timestamp, skew: &Skew) -> Verdict {
    let label = seen.label();
    match (seen.condition, seen.health) {
        (Condition::Paused, _) => Verdict::Refuse(format!(
            "container {label} is paused, which a person did on purpose; docker unpause {} ends it",
            seen.name
        )),
        (Condition::Removing | Condition::Dead, _) => {
            Verdict::Refuse(format!("container {seen}; it cannot be started again, create a new one"))
        }
        (Condition::Restarting, _) => Verdict::Leave(format!("container {seen}; its engine is already at it")),
        (Condition::Running, Some(Health::Starting)) => {
            Verdict::Leave(format!("container {seen}; its first health checks are still to come"))
        }
        (Condition::Running, None | Some(Health::Healthy)) if skew.to_ours(seen.started_at) > symptom_since => {
            Verdict::Leave(format!("container {seen}, so it was already restarted after {symptom_since:.0}"))
        }
        (Condition::Running | Condition::Stopped, _) => Verdict::Act,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::container::seen::Exit;

    const ALERT: &str = "2026-11-22T10:00:00Z";

    fn judged(condition: Condition, health: Option<Health>, started_at: &str) -> Verdict {
        let seen = Seen {
            id: "0123456789abcdef".into(),
            name: "ui".into(),
            condition,
            started_at: started_at.parse().unwrap(),
            pid: 1,
            restart_count: 0,
            exit: Exit::default(),
            health,
            stop_grace: Duration::from_secs(10),
        };
        judge(&seen, ALERT.parse().unwrap(), &Skew::default())
    }

    #[test]
    fn what_is_left_refused_and_done() {
        let (before, after) = ("2026-11-22T09:00:00Z", "2026-11-22T10:00:01Z");
        assert!(matches!(judged(Condition::Paused, None, before), Verdict::Refuse(why) if why.contains("unpause ui")));
        assert!(matches!(judged(Condition::Removing, None, before), Verdict::Refuse(_)));
        assert!(matches!(judged(Condition::Dead, None, before), Verdict::Refuse(_)));
        assert!(matches!(judged(Condition::Restarting, None, before), Verdict::Leave(_)));
        assert!(matches!(judged(Condition::Running, Some(Health::Starting), before), Verdict::Leave(_)));
        assert!(matches!(judged(Condition::Running, None, after), Verdict::Leave(why) if why.contains("already")));
        assert!(matches!(judged(Condition::Running, Some(Health::Healthy), after), Verdict::Leave(_)));
        for (condition, health, started) in [
            (Condition::Running, None, before),
            (Condition::Running, None, ALERT),
            (Condition::Running, Some(Health::Healthy), before),
            (Condition::Running, Some(Health::Unhealthy(3)), after),
            (Condition::Stopped, None, after),
            (Condition::Stopped, Some(Health::Starting), before),
        ] {
            assert_eq!(judged(condition, health, started), Verdict::Act, "{condition:?} {health:?} {started}");
        }
    }
}
