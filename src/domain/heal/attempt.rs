//! One try of a step, and what people say about it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::Timestamp;

/// Identity of one try of a step; a late answer to an earlier try is recognised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far an attempt's deed has come. Each is committed before the next begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
pub enum AttemptStage {
    /// Decided; nothing has been looked at or done.
    Intended,
    /// Looked at; `handle` names exactly what the deed will touch. The deed may or may not have been done.
    Prepared {
        /// The action's own words for what it found.
        handle: serde_json::Value,
    },
    /// The deed was done; `handle` leads to its outcome.
    Started {
        /// The action's own words for what it follows.
        handle: serde_json::Value,
    },
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Identity.
    pub id: AttemptId,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When the action is given up.
    pub deadline: Timestamp,
    /// Since when the symptom is there: what was restarted after this needs no second restart.
    pub symptom_since: Timestamp,
    /// Since when the action could not even be tried, carried over from earlier tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable_since: Option<Timestamp>,
    /// A person wants it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelRequest>,
    /// How far it has come.
    pub stage: AttemptStage,
}

/// A person wants an attempt stopped that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequest {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// When.
    pub at: Timestamp,
    /// Whether the process that carries the attempt out has been told.
    #[serde(default)]
    pub passed_on: bool,
}

/// A person's leave to take one step of a ladder, all its attempts included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Index of the step.
    pub step: usize,
    /// Who gave it.
    pub by: String,
    /// When it is void if the step has not begun by then.
    pub expires_at: Timestamp,
}
