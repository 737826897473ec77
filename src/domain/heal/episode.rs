//! What is remembered of one alert, also after its heal ended.

use serde::{Deserialize, Serialize};

use super::{Heal, HealId, Outcome};
use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint};
use crate::domain::call::Call;

/// What is remembered of one alert under one rule and target, also after its heal ended: the ladder's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// The rule's name.
    pub rule: String,
    /// The heal's target.
    pub target: Target,
    /// The last heal, if there was one.
    pub heal: Option<HealId>,
    /// The alert's last known status.
    pub status: AlertStatus,
    /// When the alert began to fire, as last told.
    pub starts_at: Timestamp,
    /// When it resolved, as last told.
    pub ends_at: Option<Timestamp>,
    /// When we last heard of it.
    pub seen_at: Timestamp,
    /// When the last action for it ended, which its firing since then has outlived.
    pub acted_at: Option<Timestamp>,
    /// How the last heal ended and how far its ladder had been climbed; `None` while it is open.
    pub ended: Option<LadderMemory>,
}

impl Episode {
    /// What is remembered of one of a heal's alerts, heard of at `seen_at`; `ended` once the heal has ended.
    #[must_use]
    pub fn of(heal: &Heal, alert: &Alert, ended: Option<LadderMemory>, seen_at: Timestamp) -> Self {
        Self {
            fingerprint: alert.fingerprint,
            rule: heal.rule.clone(),
            target: heal.target.clone(),
            heal: Some(heal.id),
            status: alert.status,
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            seen_at,
            acted_at: heal.last_action_ended_at,
            ended,
        }
    }

    /// What an open heal says by itself of the alert it was begun for, as long as nothing new was told of that one: while
    /// this is all, it need not be kept a second time.
    #[must_use]
    pub fn of_first_alert(heal: &Heal) -> Option<Self> {
        heal.alerts.first().map(|alert| Self::of(heal, alert, None, heal.created_at))
    }
}

/// How far a ladder had been climbed when its heal ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderMemory {
    /// When the heal ended.
    pub at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Index of the step it had reached.
    pub step: usize,
    /// Attempts of that step that had been used.
    pub attempts_used: u32,
    /// See [`Heal::relapses`](super::Heal::relapses).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relapses: Vec<Timestamp>,
    /// The human it called, where the alert comes and goes: a relapse does not call again before that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}
