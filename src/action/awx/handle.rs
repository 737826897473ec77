//! What the store keeps of a launch between looking and its end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Question;
use super::preflight::{Marker, Resolved};
use crate::domain::Timestamp;
use crate::domain::decide::ActionOutcome;

/// One launch: what will be sent, how it is found again, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Handle {
    /// The template's number.
    pub template: u64,
    /// What tells this launch from every other one.
    pub key: String,
    /// Where it carries it.
    pub marker: Marker,
    /// The server's time when we looked.
    pub since: Timestamp,
    /// The newest run of ours of that template when we looked. Only kept where the key cannot be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
    /// Names resolved to numbers.
    #[serde(default)]
    pub resolved: Resolved,
    /// Variables whose type the survey says, with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survey: Vec<(String, String)>,
    /// The run, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
}

impl Handle {
    /// Reads what an earlier call wrote.
    pub(super) fn read(value: &Value) -> Result<Self, ActionOutcome> {
        Self::deserialize(value).map_err(|error| ActionOutcome::Doubtful {
            error: format!("the stored note of the launch cannot be read ({error}); another version wrote it? look into AWX for a job it may have started"),
        })
    }

    /// As the store keeps it.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The survey's questions.
    pub(super) fn questions(&self) -> Vec<Question> {
        let question =
            |(variable, kind): &(String, String)| Question { variable: variable.clone(), kind: kind.clone() };
        self.survey.iter().map(question).collect()
    }
}
