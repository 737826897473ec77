//! Named reasons: every yes and every no says why, in one sentence an operator can read at night (`text` has the sentences).

mod text;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::action::ActionRenderError;
use super::alert::Fingerprint;
use super::evidence::Answer;
use super::guard::Full;
use super::heal::{HealId, Outcome};

/// Why something was done, or not done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
#[expect(missing_docs, reason = "the variant says it; fields are its numbers")]
pub enum Reason {
    /// The alert fires and a rule matches it.
    AlertFiring { alert: Fingerprint },
    /// The rule wants the alert to fire for a while first.
    WaitingFor { hold_for: Duration },
    /// Another alert asks for the same rule and target.
    AlertJoined { alert: Fingerprint },
    /// The alert is already known to fire; the delivery is a repeat.
    AlreadyKnown { alert: Fingerprint },
    /// The delivery is older than the resolve that is already known.
    OlderThanResolve { alert: Fingerprint, resolved_at: Timestamp },
    /// The heal of this episode has ended and the alert has not resolved since.
    EpisodeEnded { alert: Fingerprint, outcome: Outcome },
    /// The heal has as many alerts as it may have.
    TooManyAlerts { limit: usize },
    /// The alert fires again.
    FiringAgain { alert: Fingerprint },
    /// A relapse within the throttling interval: the ladder goes on where it stopped.
    Relapse { ended_at: Timestamp, step: usize, attempts_used: u32 },
    /// A relapse within the throttling interval after the last step.
    RelapseAfterLastStep { ended_at: Timestamp },
    /// Heals were verified and the alert fired again, too often: the step that was verified does not help.
    Flapping { relapses: usize, within: Duration, step: usize, steps: usize },
    /// The alert of a shadow resolved without anything done.
    ResolvedInShadow { alert: Fingerprint, after: Duration },
    /// A resolve for an alert that no heal is about.
    NothingOpen { alert: Fingerprint },
    /// The alert resolved.
    AlertResolved { alert: Fingerprint },
    /// Nobody told it: the alert counts as resolved because nobody says any more that it fires.
    AlertTimedOut { alert: Fingerprint, how: String },
    /// Alertmanager was asked twice and does not have the alert.
    AlertGone { alert: Fingerprint, up_since: Timestamp },
    /// All alerts resolved before anything was done.
    ResolvedBeforeActing,
    /// All alerts resolved though the last attempt's action did not succeed.
    ResolvedWithoutSuccess { failure: String },
    /// An action could not be rendered for the alert.
    NotRendered { error: String },
    /// The rule asks for something that is read and not done.
    Unsupported { why: String },
    /// The rule only notifies.
    NotifyOnly,
    /// A shadow rule or a dry run: what would have been done, and what the guards said.
    WouldAct { action: String, guards: String },
    /// The attempt may begin.
    Attempt { step: usize, steps: usize, attempt: u32, attempts: u32, action: String },
    /// Alertmanager is being asked how the alert stands.
    AskingAlertmanager { until: Timestamp },
    /// Alertmanager does not say how the alert stands.
    AlertmanagerSilent { error: String, until: Timestamp },
    /// Alertmanager keeps silent about the alert.
    AlertSilenced { by: String, until: Timestamp },
    /// Alertmanager does not have the alert.
    AlertUnknown { up_since: Timestamp, until: Timestamp },
    /// The alert fires for too long.
    AlertStale { age: Duration, max_age: Duration },
    /// Another heal acts on the same target.
    TargetBusy { heal: HealId, until: Timestamp },
    /// As many actions run as `limits.concurrent` allows.
    ConcurrentLimit { acting: u32, limit: u32 },
    /// As many actions began within the last hour as `limits.perHour` allows.
    HourlyLimit { started: u32, limit: u32, until: Timestamp },
    /// As many actions began within a window of `limits.windows` as it allows.
    WindowLimit { started: u32, limit: u32, within: Duration, until: Timestamp },
    /// The action looked at its target.
    Looked { found: String },
    /// The action was started.
    ActionStarted { what: String },
    /// The process took over an attempt that another process left behind.
    TakenOver { stage: String },
    /// The clock was put forward while an attempt ran.
    ClockMoved { by: Duration },
    /// The action succeeded.
    ActionDone { what: String, took: Duration },
    /// The action found that nothing needed doing.
    ActionNotNeeded { what: String },
    /// The action failed.
    ActionFailed { error: String },
    /// The action was refused; trying again would not help.
    ActionRefused { error: String },
    /// What the action did, or what is going on, is not what was meant or cannot be known.
    ActionDoubtful { error: String },
    /// The action could not be tried.
    ActionUnreachable { error: String, again_at: Timestamp },
    /// The action could not be tried for too long.
    UnreachableTooLong { error: String, waited: Duration },
    /// The action did not end in time.
    ActionTimedOut { timeout: Duration },
    /// Evidence is being waited for.
    WaitingForResolve { within: Duration },
    /// Evidence of several kinds is being waited for.
    WaitingForEvidence { within: Duration, what: String },
    /// What was asked and what was seen.
    Evidence {
        what: String,
        /// In the order of the questions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        answers: Vec<Answer>,
    },
    /// All evidence holds and must go on holding.
    EvidenceHolds { healthy_for: Duration },
    /// Evidence that held does not any more.
    EvidenceLost { what: String },
    /// The same answers as before.
    EvidenceAsBefore,
    /// Answers came for a verification that is over.
    EvidenceLate,
    /// Nobody could say whether the action helped.
    Unverifiable { within: Duration, what: String },
    /// The deadline for evidence passed while no process was there to take it.
    NobodyWatched { late: Duration, within: Duration },
    /// The evidence holds and must go on holding.
    MustStayHealthy { healthy_for: Duration },
    /// The evidence held long enough.
    Verified {
        #[serde(default, skip_serializing_if = "String::is_empty")]
        evidence: String,
        healthy_for: Duration,
        took: Duration,
    },
    /// The evidence did not come in time.
    NotVerified {
        within: Duration,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        missing: String,
    },
    /// The next attempt comes after a pause.
    NextAttempt { step: usize, attempt: u32, attempts: u32, pause: Duration },
    /// The next step comes.
    NextStep { step: usize, steps: usize },
    /// Every step has been tried.
    LadderExhausted {
        steps: usize,
        attempts: u32,
        /// Why the last attempt did not heal.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        last: String,
    },
    /// An answer came to an attempt that is over.
    AttemptOver,
    /// The heal has already ended.
    HealEnded { outcome: Outcome },
    /// Its time has not come.
    NotDue { due_at: Timestamp },
    /// The pause does not hold the heal back.
    NotHeld,
    /// There is no such heal.
    NoSuchHeal,
    /// A pause covers the heal.
    Paused { until: Timestamp, scope: String, because: String, by: String },
    /// A pause has held the heal back for too long.
    PausedTooLong { until: Timestamp, scope: String, because: String, by: String, held: Duration, heals: usize },
    /// The rule's `muteTimes` hold.
    Muted { interval: String, until: Timestamp },
    /// None of the rule's `activeTimes` holds.
    Inactive { intervals: String, until: Timestamp },
    /// As many actions of the rule run as its `limits.concurrent` allows.
    RuleConcurrentLimit { rule: String, acting: u32, limit: u32 },
    /// As many actions of the rule began within the last hour as its `limits.perHour` allows.
    RuleHourlyLimit { rule: String, started: u32, limit: u32, until: Timestamp },
    /// As many actions of the rule began within a window of its `limits.windows` as it allows.
    RuleWindowLimit { rule: String, started: u32, limit: u32, within: Duration, until: Timestamp },
    /// Too many targets of the rule are in trouble at once.
    Storm { rule: String, targets: usize, limit: u32, within: Duration, until: Timestamp },
    /// An alert fires that the rule must not act beside.
    BlockedBy { alert: String, matchers: String, seen_at: Timestamp },
    /// A person must allow the action.
    ApprovalNeeded { action: String, approvers: String, expires_at: Timestamp },
    /// A person allowed the action.
    Approved { by: String },
    /// A person refused the action.
    Denied { by: String, because: String },
    /// Nobody allowed the action in time.
    ApprovalExpired { expired_at: Timestamp },
    /// The heal does not wait for an approval.
    NotAwaitingApproval { state: String },
    /// The heal waits for the approval of another attempt.
    OtherApproval,
    /// Somebody else must approve.
    NotAnApprover { by: String, approvers: String },
    /// A person ended the heal.
    Cancelled { by: String, because: String },
    /// A person wants the heal ended while its action runs.
    CancelRequested { by: String, because: String, stage: String },
    /// A person wants that already.
    AlreadyCancelling,
    /// A person forgot the ladder's memory.
    Reset { by: String, because: String },
    /// Only a heal that gave up is reset.
    NotExhausted { state: String },
    /// A later heal has taken the memory over, or it has been reset.
    NothingToReset,
    /// No human was called, or that is over.
    NobodyCalled,
    /// A human was called and is still needed.
    StillCalled { since: Timestamp },
    /// The storm for which a human was called has calmed.
    StormCalmed { rule: String },
    /// The alerts for which a human was called belong to a later heal now.
    TakenUp { heal: Option<HealId> },
    /// A later heal has taken over the alerts for which a human was called, and the call with them.
    CallHandedOn { heal: Option<HealId> },
    /// The trouble comes and goes, and the human who was called has been told of it.
    ComesAndGoes { since: Timestamp, heal: HealId },
    /// What came and went has stayed away.
    StayedAway { quiet_for: Duration },
}

impl Reason {
    /// Whether a guard said it: the heal waits for something that may change at any time.
    #[must_use]
    pub const fn is_hold(&self) -> bool {
        matches!(
            self,
            Self::Paused { .. }
                | Self::Muted { .. }
                | Self::Inactive { .. }
                | Self::TargetBusy { .. }
                | Self::AskingAlertmanager { .. }
                | Self::AlertmanagerSilent { .. }
                | Self::AlertSilenced { .. }
                | Self::AlertUnknown { .. }
                | Self::ConcurrentLimit { .. }
                | Self::HourlyLimit { .. }
                | Self::WindowLimit { .. }
                | Self::RuleConcurrentLimit { .. }
                | Self::RuleHourlyLimit { .. }
                | Self::RuleWindowLimit { .. }
                | Self::Storm { .. }
                | Self::BlockedBy { .. }
        )
    }

    /// Whether a guard said no, for now or for good.
    #[must_use]
    pub const fn is_of_a_guard(&self) -> bool {
        self.is_hold() || matches!(self, Self::AlertStale { .. })
    }

    /// Which limit is reached for other heals as well, when one is.
    #[must_use]
    pub const fn full(&self) -> Option<Full> {
        match self {
            Self::ConcurrentLimit { .. } | Self::HourlyLimit { .. } | Self::WindowLimit { .. } => {
                Some(Full::Everything)
            }
            Self::RuleConcurrentLimit { .. } | Self::RuleHourlyLimit { .. } | Self::RuleWindowLimit { .. } => {
                Some(Full::Rule)
            }
            _ => None,
        }
    }

    /// Whether a heal that is held for `self` has nothing new to tell when it is held for `other`. Numbers that change
    /// with every look are no news; the word of a person or a calendar is.
    #[must_use]
    pub fn is_same_hold(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::WindowLimit { within, .. }, Self::WindowLimit { within: other, .. })
            | (Self::RuleWindowLimit { within, .. }, Self::RuleWindowLimit { within: other, .. }) => within == other,
            (Self::Paused { .. } | Self::Muted { .. } | Self::Inactive { .. }, _) => self == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Reason {
    /// Why a ladder that could not be rendered is refused.
    #[must_use]
    pub fn refusing(error: &ActionRenderError) -> Self {
        match error {
            ActionRenderError::Unsupported { why } => Self::Unsupported { why: why.clone() },
            error => Self::NotRendered { error: error.to_string() },
        }
    }

    /// The variant's name as the store and rule tests write it, such as `target_busy`.
    #[must_use]
    pub fn code(&self) -> String {
        let document = serde_json::to_value(self).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests;
