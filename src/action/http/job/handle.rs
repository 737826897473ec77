//! What the store keeps of a start between looking and its end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::action::http::Facts;
use crate::domain::decide::ActionOutcome;

/// One start: how the job is found again, and what it is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handle {
    /// What tells this start from every other one.
    pub key: String,
    /// Its number in the queue, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The job, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Handle {
    /// Reads what an earlier call wrote.
    pub(super) fn read(value: &Value) -> Result<Self, ActionOutcome> {
        Self::deserialize(value).map_err(|error| ActionOutcome::Doubtful {
            error: format!(
                "the stored note of the start cannot be read ({error}); another version wrote it? look for a job it may have started"
            ),
        })
    }

    /// As the store keeps it.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What is known of the job.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            key: &self.key,
            id: self.id.as_deref().unwrap_or_default(),
            queue: self.queue.as_deref().unwrap_or_default(),
        }
    }
}
