//! What the store keeps of an action between looking and its end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seen::{self, Seen};
use crate::domain::Timestamp;
use crate::domain::decide::ActionOutcome;

/// The containers one attempt touches, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handle {
    /// The name of the Docker host.
    pub host: String,
    /// In the order they are restarted.
    pub containers: Vec<Entry>,
    /// What was selected beside them and is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Entry>,
}

/// One container: what it was, and what was done to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// The whole ID: names can move to another container, IDs cannot.
    pub id: String,
    /// For people.
    pub name: String,
    /// When it had last started when we looked, to the nanosecond, by the engine's clock. Another value is the proof
    /// that it was started since; the engine counts no restart that was asked for.
    pub started_at: Timestamp,
    /// Its process when we looked; 0 when it had none.
    pub pid: i64,
    /// Whether it ran when we looked.
    pub running: bool,
    /// How often its restart policy had restarted it.
    pub restart_count: i64,
    /// Whether it has a health check, and so must become healthy.
    pub has_healthcheck: bool,
    /// How long the engine may take to stop it, in milliseconds.
    pub stop_grace_ms: u64,
    /// Whether it is touched only because it depends on those before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dependent: bool,
    /// What became of it; absent until it was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<After>,
}

/// A container after it was acted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct After {
    /// `restarted`, `started`, or what else brought it up.
    pub deed: String,
    /// When that was known, by our clock.
    pub at: Timestamp,
    /// How often its restart policy had restarted it by then.
    pub restart_count: i64,
}

impl Handle {
    /// Reads what an earlier call wrote.
    pub(super) fn read(value: &Value) -> Result<Self, ActionOutcome> {
        Self::deserialize(value).map_err(|error| ActionOutcome::Failed {
            error: format!("the stored note of what to restart cannot be read ({error}); another version wrote it?"),
        })
    }

    /// As the store keeps it.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Entry {
    /// Notes a container as it is before anything is done. `stop` is the rule's own stop time-out.
    pub(super) fn of(seen: &Seen, stop: Option<Duration>) -> Self {
        let grace = stop.unwrap_or(seen.stop_grace);
        Self {
            id: seen.id.clone(),
            name: seen.name.clone(),
            started_at: seen.started_at,
            pid: seen.pid,
            running: seen.condition == super::seen::Condition::Running,
            restart_count: seen.restart_count,
            has_healthcheck: seen.health.is_some(),
            dependent: false,
            stop_grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
            after: None,
        }
    }

    /// Whether the container was started since it was noted.
    pub(super) fn was_restarted(&self, now: &Seen) -> bool {
        self.started_at != now.started_at || (self.pid != 0 && now.pid != 0 && self.pid != now.pid)
    }

    /// How long the engine may take to stop it.
    pub(super) const fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace_ms)
    }

    /// Name and short ID.
    pub(super) fn label(&self) -> String {
        seen::label(&self.name, &self.id)
    }
}
