//! Every reason as the sentence a person reads.

use std::fmt;

use super::Reason;
use super::words::{Because, counted};
use crate::domain::duration;

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one arm per reason: the table of all sentences")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let human = duration::told;
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
            Self::AlertTimedOut { alert, how } => write!(f, "alert {alert} counts as resolved {how}"),
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
            Self::Unsupported { why } => write!(f, "the rule asks for what autoheal cannot do: {why}"),
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
            Self::ClockMoved { by } => {
                write!(f, "the clock was put forward by {}; the action has its whole time again", human(*by))
            }
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
            Self::LadderExhausted { steps, attempts, last } => {
                let at_last = if last.is_empty() { "" } else { ", at last: " };
                write!(
                    f,
                    "every step has been tried ({}, {}){at_last}{last}; a human is needed",
                    counted(*steps, "step"),
                    counted(*attempts as usize, "attempt")
                )
            }
            Self::AttemptOver => f.write_str("that attempt is over"),
            Self::HealEnded { outcome } => write!(f, "the heal has already ended: {}", outcome.as_str()),
            Self::NotDue { due_at } => write!(f, "not due before {due_at}"),
            Self::NotHeld => f.write_str("the pause does not hold this heal back"),
            Self::NoSuchHeal => f.write_str("there is no such heal"),
            Self::Paused { until, scope, because, by } => {
                write!(f, "{by} paused {scope} until {until}: {because}")
            }
            Self::PausedTooLong { until, scope, because, by, held, heals } => write!(
                f,
                "{by} paused {scope} until {until}: {because}; for {} that has held back {}, although their alerts fire",
                human(*held),
                counted(*heals, "heal")
            ),
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
            Self::CallHandedOn { heal: Some(heal) } => {
                write!(f, "the alerts came back and heal {heal} goes on with the call for a human")
            }
            Self::CallHandedOn { heal: None } => {
                f.write_str("the alerts came back and a later heal goes on with the call")
            }
            Self::ComesAndGoes { since, heal } => {
                write!(
                    f,
                    "it comes and goes; the human who was called at {since}, see heal {heal}, is not called again"
                )
            }
            Self::StayedAway { quiet_for } => write!(f, "it has not come back for {}", human(*quiet_for)),
        }
    }
}
