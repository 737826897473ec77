//! A container as an engine described it at one moment.

use std::fmt;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, ExecInspectResponse, HealthStatusEnum};

use super::text;
use crate::domain::Timestamp;

/// What matters of a container when it was inspected.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the engine's leading slash.
    pub name: String,
    /// What it does.
    pub condition: Condition,
    /// When it last started, by the engine's clock; long past for one that never did.
    pub started_at: Timestamp,
    /// Its first process; 0 when it has none.
    pub pid: i64,
    /// How often its restart policy has restarted it.
    pub restart_count: i64,
    /// How it last ended.
    pub exit: Exit,
    /// Its health, where it has a health check.
    pub health: Option<Health>,
    /// How long the engine waits after SIGTERM unless told otherwise.
    pub stop_grace: Duration,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Its process runs.
    Running,
    /// It was created, or it exited.
    Stopped,
    /// Its process is frozen.
    Paused,
    /// Its restart policy is about to start it.
    Restarting,
    /// The engine is taking it away.
    Removing,
    /// The engine could not take it away.
    Dead,
}

/// An exec instance as an engine described it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExecSeen {
    /// What became of it.
    pub state: ExecState,
    /// Its program and arguments.
    pub command: Vec<String>,
}

/// What became of an exec instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecState {
    /// It was never started.
    Ready,
    /// It runs.
    Running,
    /// It ended with this code.
    Ended(i64),
}

impl ExecSeen {
    pub(super) fn read(answer: ExecInspectResponse) -> Self {
        let ran = answer.pid.is_some_and(|pid| pid > 0);
        let state = match (answer.running, answer.exit_code) {
            (Some(true), _) => ExecState::Running,
            // Other engines than Docker's say 0 for what has never run.
            (_, Some(code)) if code != 0 || ran => ExecState::Ended(code),
            _ => ExecState::Ready,
        };
        let process = answer.process_config.unwrap_or_default();
        let command = process.entrypoint.into_iter().chain(process.arguments.into_iter().flatten()).collect();
        Self { state, command }
    }
}

/// How a container last ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exit {
    pub code: i64,
    pub out_of_memory: bool,
    pub error: String,
}

/// What a health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Starting,
    Healthy,
    /// With the number of failures in a row.
    Unhealthy(i64),
}

impl Seen {
    /// Docker's own grace when neither container nor caller sets one.
    const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// Reads an engine's answer; says which part is missing when it is none.
    pub(super) fn read(answer: ContainerInspectResponse) -> Result<Self, &'static str> {
        let state = answer.state.ok_or("no State")?;
        let config = answer.config.unwrap_or_default();
        let condition = match state.status {
            Some(ContainerStateStatusEnum::REMOVING) => Condition::Removing,
            Some(ContainerStateStatusEnum::DEAD) => Condition::Dead,
            // A paused or restarting container also counts as running in the engine's answer.
            _ if state.dead == Some(true) => Condition::Dead,
            _ if state.paused == Some(true) => Condition::Paused,
            _ if state.restarting == Some(true) => Condition::Restarting,
            _ if state.running == Some(true) => Condition::Running,
            _ => Condition::Stopped,
        };
        let told = state.health.as_ref().and_then(|health| health.status);
        let streak = state.health.as_ref().and_then(|health| health.failing_streak).unwrap_or(0);
        let configured = config.healthcheck.and_then(|check| check.test);
        let has_check = configured.is_some_and(|test| test.first().is_some_and(|word| word != "NONE"));
        let health = match told {
            Some(HealthStatusEnum::HEALTHY) => Some(Health::Healthy),
            Some(HealthStatusEnum::UNHEALTHY) => Some(Health::Unhealthy(streak)),
            Some(HealthStatusEnum::STARTING) => Some(Health::Starting),
            // Between start and the first check there is a check but no word of it yet.
            _ => has_check.then_some(Health::Starting),
        };
        Ok(Self {
            id: answer.id.filter(|id| !id.is_empty()).ok_or("no Id")?,
            name: answer.name.ok_or("no Name")?.trim_start_matches('/').to_owned(),
            condition,
            started_at: match state.started_at.as_deref() {
                None | Some("") => Timestamp::UNIX_EPOCH,
                Some(at) => at.parse().map_err(|_| "a StartedAt that is no time")?,
            },
            pid: state.pid.unwrap_or(0),
            restart_count: answer.restart_count.unwrap_or(0),
            exit: Exit {
                code: state.exit_code.unwrap_or(0),
                out_of_memory: state.oom_killed.unwrap_or(false),
                error: text::bounded(&state.error.unwrap_or_default()),
            },
            health,
            stop_grace: config
                .stop_timeout
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(Self::DEFAULT_GRACE, Duration::from_secs),
        })
    }

    /// Name and short ID, as Docker's own listings show them.
    pub(super) fn label(&self) -> String {
        label(&self.name, &self.id)
    }
}

/// Name and short ID, as Docker's own listings show them.
pub(super) fn label(name: &str, id: &str) -> String {
    format!("{name} ({})", id.get(..12).unwrap_or(id))
}

impl Seen {
    /// What it does, as the end of a sentence that begins with its name.
    pub(super) fn doing(&self) -> String {
        match (self.condition, self.health) {
            (Condition::Running, Some(health)) => format!("runs since {:.0}, {health}", self.started_at),
            (Condition::Running, None) => format!("runs since {:.0}", self.started_at),
            (Condition::Stopped, _) if self.started_at <= Timestamp::UNIX_EPOCH => "was never started".to_owned(),
            (Condition::Stopped, _) => self.exit.to_string(),
            (Condition::Paused, _) => "is paused".to_owned(),
            (Condition::Restarting, _) => format!("{} and is being restarted by its restart policy", self.exit),
            (Condition::Removing, _) => "is being removed".to_owned(),
            (Condition::Dead, _) => "is dead: the engine failed to remove it".to_owned(),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.label(), self.doing())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exited with code {}", self.code)?;
        if self.out_of_memory {
            f.write_str(" (out of memory)")?;
        }
        if !self.error.is_empty() {
            write!(f, ": {}", self.error)?;
        }
        Ok(())
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("health starting"),
            Self::Healthy => f.write_str("healthy"),
            Self::Unhealthy(streak) => write!(f, "unhealthy ({streak} failed checks in a row)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Seen, &'static str> {
        Seen::read(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn docker_and_podman_mean_the_same_without_a_health_check() {
        let docker = read(json!({"Id": "a", "Name": "/ui", "State": {"Running": true, "Status": "running"}})).unwrap();
        let podman = read(json!({"Id": "a", "Name": "ui", "State":
            {"Running": true, "Status": "running", "Health": {"Status": "", "FailingStreak": 0, "Log": null}}}))
        .unwrap();
        assert_eq!((docker.health, podman.health), (None, None));
        assert_eq!((docker.name.as_str(), podman.name.as_str()), ("ui", "ui"));
    }

    #[test]
    fn conditions() {
        for (state, expected) in [
            (json!({"Status": "paused", "Running": true, "Paused": true}), Condition::Paused),
            (json!({"Status": "restarting", "Running": true, "Restarting": true}), Condition::Restarting),
            (json!({"Status": "created"}), Condition::Stopped),
            (json!({"Status": "removing", "Running": true}), Condition::Removing),
            (json!({"Status": "dead", "Dead": true}), Condition::Dead),
        ] {
            let seen = read(json!({"Id": "a", "Name": "/ui", "State": state})).unwrap();
            assert_eq!(seen.condition, expected, "{seen}");
        }
        assert_eq!(read(json!({"Id": "a", "Name": "/ui"})), Err("no State"));
    }

    #[test]
    fn a_check_that_has_not_run_is_starting_and_a_disabled_one_is_none() {
        let with = |test: &str| {
            read(json!({"Id": "a", "Name": "/ui", "State": {"Running": true},
                "Config": {"Healthcheck": {"Test": [test, "true"]}, "StopTimeout": 3}}))
            .unwrap()
        };
        assert_eq!(with("CMD").health, Some(Health::Starting));
        assert_eq!(with("NONE").health, None);
        assert_eq!(with("CMD").stop_grace, Duration::from_secs(3));
    }
}
