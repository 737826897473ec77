//! Named reasons: every yes and every no says why, in one sentence an operator can read at night.

mod words;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::alert::Fingerprint;
use super::duration;
use super::evidence::Answer;
use super::guard::Full;
use super::heal::{HealId, Outcome};
use words::{Because, counted, rounded};

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
    /// Alertmanager was asked twice and does not have the alert.
    AlertGone { alert: Fingerprint, up_since: Timestamp },
    /// All alerts resolved before anything was done.
    ResolvedBeforeActing,
    /// All alerts resolved though the last attempt's action did not succeed.
    ResolvedWithoutSuccess { failure: String },
    /// An action could not be rendered for the alert.
    NotRendered { error: String },
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
    LadderExhausted { steps: usize, attempts: u32 },
    /// An answer came to an attempt that is over.
    AttemptOver,
    /// The heal has already ended.
    HealEnded { outcome: Outcome },
    /// Its time has not come.
    NotDue { due_at: Timestamp },
    /// There is no such heal.
    NoSuchHeal,
    /// A pause covers the heal.
    Paused { until: Timestamp, scope: String, because: String, by: String },
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
    /// The variant's name as the store and rule tests write it, such as `target_busy`.
    #[must_use]
    pub fn code(&self) -> String {
        let document = serde_json::to_value(self).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one arm per reason: the table of all sentences")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let human = |duration: Duration| duration::format(rounded(duration));
        match self {
            Self::AlertFiring { alert } => write!(f, "alert {alert} fires"),
            Self::WaitingFor { hold_for } => {
                write!(f, "the rule acts only if the alert still fires after {}", human(*hold_for))
            }
            Self::AlertJoined { alert } => write!(f, "alert {alert} asks for the same rule and target"),
            Self::AlreadyKnown { alert } => write!(f, "alert {alert} is already known to fire"),
            Self::OlderThanResolve { alert, resolved_at } => {
                write!(f, "this delivery of alert {alert} is older than its resolve at {resolved_at}")
            }
            Self::EpisodeEnded { alert, outcome } => {
                write!(
                    f,
                    "the heal for this firing of alert {alert} has ended ({}); it has not resolved since",
                    outcome.as_str()
                )
            }
            Self::TooManyAlerts { limit } => {
                write!(f, "the heal already has {limit} alerts; further ones are not kept")
            }
            Self::FiringAgain { alert } => write!(f, "alert {alert} fires again"),
            Self::Relapse { ended_at, step, attempts_used } => write!(
                f,
                "relapse: the last heal ended at {ended_at}; the ladder goes on at step {} after {attempts_used} attempts",
                step + 1
            ),
            Self::RelapseAfterLastStep { ended_at } => {
                write!(f, "relapse: the last heal ended at {ended_at} and every step has been tried; a human is needed")
            }
            Self::Flapping { relapses, within, step, steps } if step < steps => write!(
                f,
                "flapping: verified, and yet it fired again {relapses} times within {}; step {} of {steps} follows",
                human(*within),
                step + 1
            ),
            Self::Flapping { relapses, within, .. } => write!(
                f,
                "flapping: verified, and yet it fired again {relapses} times within {}; no step is left, a human is needed",
                human(*within)
            ),
            Self::ResolvedInShadow { alert, after } => {
                write!(f, "alert {alert} resolved with nothing done, {} after autoheal would have acted", human(*after))
            }
            Self::NothingOpen { alert } => write!(f, "alert {alert} resolved; no open heal is about it"),
            Self::AlertResolved { alert } => write!(f, "alert {alert} resolved"),
            Self::AlertGone { alert, up_since } => {
                write!(
                    f,
                    "alert {alert} is gone: Alertmanager, up since {up_since:.0}, was asked twice and does not have it"
                )
            }
            Self::ResolvedBeforeActing => f.write_str("resolved before anything was done"),
            Self::ResolvedWithoutSuccess { failure } => {
                write!(f, "resolved although the action did not succeed: {failure}")
            }
            Self::NotRendered { error } => write!(f, "the action could not be rendered: {error}"),
            Self::NotifyOnly => f.write_str("the rule has no action; it only notifies"),
            Self::WouldAct { action, guards } => write!(f, "would {action}; guards: {guards}"),
            Self::Attempt { step, steps, attempt, attempts, action } => {
                write!(f, "step {} of {steps}, attempt {attempt} of {attempts}: {action}", step + 1)
            }
            Self::AskingAlertmanager { .. } => f.write_str("asking Alertmanager how the alert stands"),
            Self::AlertmanagerSilent { error, .. } => {
                write!(f, "nobody can say whether the alert is silenced or still fires, so nothing is done: {error}")
            }
            Self::AlertSilenced { by, .. } => write!(f, "the alert is {by} in Alertmanager; nothing is done meanwhile"),
            Self::AlertUnknown { up_since, .. } => {
                write!(
                    f,
                    "Alertmanager, up since {up_since:.0}, does not have the alert; nothing is done unless it comes back"
                )
            }
            Self::AlertStale { age, max_age } => {
                write!(f, "the alert fires for {} already, maxAge is {}", human(*age), human(*max_age))
            }
            Self::TargetBusy { heal, until } => {
                write!(f, "heal {heal} acts on the same target; looking again at {until}")
            }
            Self::ConcurrentLimit { acting, limit } => write!(f, "{acting} actions run, limits.concurrent is {limit}"),
            Self::HourlyLimit { started, limit, until } => {
                write!(f, "{started} actions began within the last hour, limits.perHour is {limit}; held until {until}")
            }
            Self::WindowLimit { started, limit, within, until } => write!(
                f,
                "{started} actions began within the last {}, limits.windows allows {limit}; held until {until}",
                human(*within)
            ),
            Self::Looked { found } => f.write_str(found),
            Self::ActionStarted { what } | Self::Evidence { what, .. } => f.write_str(what),
            Self::TakenOver { stage } => write!(f, "taken over from a process that stopped; the attempt was {stage}"),
            Self::ActionDone { what, took } => write!(f, "{what}, took {}", human(*took)),
            Self::ActionNotNeeded { what } => write!(f, "nothing done: {what}"),
            Self::ActionFailed { error } | Self::ActionRefused { error } | Self::ActionDoubtful { error } => {
                f.write_str(error)
            }
            Self::ActionUnreachable { error, again_at } => {
                write!(f, "could not be tried: {error}; again at {again_at}")
            }
            Self::UnreachableTooLong { error, waited } => {
                write!(f, "could not be tried for {}: {error}", human(*waited))
            }
            Self::ActionTimedOut { timeout } => write!(f, "the action did not end within {}", human(*timeout)),
            Self::WaitingForResolve { within } => {
                write!(f, "waiting up to {} for the alert to resolve", human(*within))
            }
            Self::WaitingForEvidence { within, what } => write!(f, "waiting up to {} for {what}", human(*within)),
            Self::EvidenceHolds { healthy_for } => {
                write!(f, "all evidence holds; must stay so for {}", human(*healthy_for))
            }
            Self::EvidenceLost { what } => write!(f, "the evidence no longer holds: {what}"),
            Self::EvidenceAsBefore => f.write_str("the evidence is as before"),
            Self::EvidenceLate => f.write_str("that evidence was asked for a verification that is over"),
            Self::Unverifiable { within, what } => write!(
                f,
                "nobody could say within {} whether it helped, so nothing more is tried: {what}; a human is needed",
                human(*within)
            ),
            Self::NobodyWatched { late, within } => write!(
                f,
                "nobody watched for {} because autoheal was not running; waiting up to {} from now on",
                human(*late),
                human(*within)
            ),
            Self::MustStayHealthy { healthy_for } => write!(f, "resolved; must stay so for {}", human(*healthy_for)),
            Self::Verified { evidence, healthy_for, took } if !evidence.is_empty() && healthy_for.is_zero() => {
                write!(f, "verified: {evidence}; {} after the first attempt", human(*took))
            }
            Self::Verified { evidence, healthy_for, took } if !evidence.is_empty() => write!(
                f,
                "verified: {evidence}; all held for {}, {} after the first attempt",
                human(*healthy_for),
                human(*took)
            ),
            Self::Verified { healthy_for, took, .. } if healthy_for.is_zero() => {
                write!(f, "verified: the alert resolved, {} after the first attempt", human(*took))
            }
            Self::Verified { healthy_for, took, .. } => write!(
                f,
                "verified: the alert resolved and stayed so for {}, {} after the first attempt",
                human(*healthy_for),
                human(*took)
            ),
            Self::NotVerified { within, missing } if !missing.is_empty() => {
                write!(f, "not verified within {}: {missing}", human(*within))
            }
            Self::NotVerified { within, .. } => write!(f, "the alert did not resolve within {}", human(*within)),
            Self::NextAttempt { step, attempt, attempts, pause } => {
                write!(f, "step {}: attempt {attempt} of {attempts} follows after {}", step + 1, human(*pause))
            }
            Self::NextStep { step, steps } => write!(f, "step {} of {steps} follows", step + 1),
            Self::LadderExhausted { steps, attempts } => {
                write!(
                    f,
                    "every step has been tried ({}, {}); a human is needed",
                    counted(*steps, "step"),
                    counted(*attempts as usize, "attempt")
                )
            }
            Self::AttemptOver => f.write_str("that attempt is over"),
            Self::HealEnded { outcome } => write!(f, "the heal has already ended: {}", outcome.as_str()),
            Self::NotDue { due_at } => write!(f, "not due before {due_at}"),
            Self::NoSuchHeal => f.write_str("there is no such heal"),
            Self::Paused { until, scope, because, by } => {
                write!(f, "{by} paused {scope} until {until}: {because}")
            }
            Self::Muted { interval, until } => write!(f, "muted by {interval}; looking again at {until}"),
            Self::Inactive { intervals, until } => {
                write!(f, "outside of the rule's active times ({intervals}); looking again at {until}")
            }
            Self::RuleConcurrentLimit { rule, acting, limit } => {
                write!(f, "{acting} actions of rule {rule} run, its limits.concurrent is {limit}")
            }
            Self::RuleHourlyLimit { rule, started, limit, until } => write!(
                f,
                "{started} actions of rule {rule} began within the last hour, its limits.perHour is {limit}; held until {until}"
            ),
            Self::RuleWindowLimit { rule, started, limit, within, until } => write!(
                f,
                "{started} actions of rule {rule} began within the last {}, its limits.windows allows {limit}; held until {until}",
                human(*within)
            ),
            Self::Storm { rule, targets, limit, within, until } => write!(
                f,
                "storm: {targets} targets of rule {rule} within {}, more than {limit} have a common cause; nothing new starts before {until}",
                human(*within)
            ),
            Self::BlockedBy { alert, matchers, seen_at } => {
                write!(f, "{alert} fires (last heard of at {seen_at}); the rule is blocked by {matchers}")
            }
            Self::ApprovalNeeded { action, approvers, expires_at } if approvers.is_empty() => {
                write!(f, "waits until {expires_at} for a person to approve: {action}")
            }
            Self::ApprovalNeeded { action, approvers, expires_at } => {
                write!(f, "waits until {expires_at} for {approvers} to approve: {action}")
            }
            Self::Approved { by } => write!(f, "{by} approved; guards and alert are looked at again"),
            Self::Denied { by, because } => write!(f, "{by} did not approve{}", Because(because)),
            Self::ApprovalExpired { expired_at } => {
                write!(f, "not approved by {expired_at}; nothing was done and a human is needed")
            }
            Self::NotAwaitingApproval { state } => write!(f, "the heal does not wait for an approval; it is {state}"),
            Self::OtherApproval => {
                f.write_str("this approval has been used or is out of date; the heal waits for another one")
            }
            Self::NotAnApprover { by, approvers } => write!(f, "{by} may not approve this; {approvers} may"),
            Self::Cancelled { by, because } => write!(f, "{by} cancelled the heal{}", Because(because)),
            Self::CancelRequested { by, because, stage } => {
                write!(f, "{by} cancelled the heal{}; its action is {stage} and is asked to stop", Because(because))
            }
            Self::AlreadyCancelling => f.write_str("the heal is being cancelled already"),
            Self::Reset { by, because } => {
                write!(f, "{by} reset the ladder{}; the next firing begins at the first step", Because(because))
            }
            Self::NotExhausted { state } => write!(f, "only a heal that gave up can be reset; this one is {state}"),
            Self::NothingToReset => {
                f.write_str("nothing is remembered of this heal's ladder: a later heal took it over, or it was reset")
            }
            Self::NobodyCalled => f.write_str("no human is called for this heal"),
            Self::StillCalled { since } => write!(f, "a human was called at {since} and is still needed"),
            Self::StormCalmed { rule } => write!(f, "the storm of rule {rule} has calmed; its heals go on"),
            Self::TakenUp { heal: Some(heal) } => write!(f, "the alerts fired anew and heal {heal} is about them now"),
            Self::TakenUp { heal: None } => f.write_str("its alerts have gone on without this heal"),
        }
    }
}
