//! The states of a heal and the ways it can end.

use serde::{Deserialize, Serialize};

use super::{Attempt, AttemptId};
use crate::domain::Timestamp;
use crate::domain::evidence::Watch;

/// The named state of a heal with what only that state needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Phase {
    /// Waits for its due time: first try, back-off, a guard's hold, or an engine that cannot be reached.
    Pending {
        /// When to look again.
        due_at: Timestamp,
        /// Since when the action could not even be tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unreachable_since: Option<Timestamp>,
    },
    /// The action is ready and a person must allow it. Exactly the rendered action of the current step is meant.
    AwaitingApproval {
        /// The attempt that would begin; an approval names it, so that an old one cannot allow a new action.
        attempt: AttemptId,
        /// When nobody's answer counts as no.
        expires_at: Timestamp,
        /// Who may answer; empty means whoever may approve at all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvers: Vec<String>,
    },
    /// An attempt is under way.
    Acting(Attempt),
    /// The action is done; evidence is being gathered.
    Verifying {
        /// When the action was done.
        since: Timestamp,
        /// Without evidence by then the attempt has failed. `None` waits for the alert without limit (notify-only rules).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
        /// Since when all evidence holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_since: Option<Timestamp>,
        /// Asking for other evidence than the alert's resolve; `None` when none is wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watch: Option<Watch>,
    },
    /// Ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// How a heal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// We acted and the evidence held.
    Healed,
    /// It got well before anything was done.
    Recovered,
    /// Every step has been tried; a human is needed.
    Exhausted,
    /// Refused; a human is told.
    Suppressed,
    /// What would have been done was recorded.
    Shadowed,
    /// A person ended it.
    Cancelled,
    /// Nobody approved in time; a human is needed.
    Expired,
}

impl Outcome {
    /// Every way a heal can end.
    pub const ALL: [Self; 7] = [
        Self::Healed,
        Self::Recovered,
        Self::Exhausted,
        Self::Suppressed,
        Self::Shadowed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The state's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Recovered => "recovered",
            Self::Exhausted => "exhausted",
            Self::Suppressed => "suppressed",
            Self::Shadowed => "shadowed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether somebody must act on it.
    #[must_use]
    pub const fn needs_human(self) -> bool {
        matches!(self, Self::Exhausted | Self::Suppressed | Self::Expired)
    }
}

/// Every state's name as the API and the store know it, in the order a heal passes them.
pub const STATES: [&str; 11] = [
    "pending",
    "awaiting_approval",
    "acting",
    "verifying",
    "healed",
    "recovered",
    "exhausted",
    "suppressed",
    "shadowed",
    "cancelled",
    "expired",
];

impl Phase {
    /// The state's name in the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Acting(_) => "acting",
            Self::Verifying { .. } => "verifying",
            Self::Ended { outcome, .. } => outcome.as_str(),
        }
    }
}
