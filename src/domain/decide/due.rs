//! A heal's due time has come.

use super::attempt::attempt_failed;
use super::draft::{AUTOHEAL, Draft};
use super::evidence::{self, NOBODY_WATCHED, Verifying};
use super::{ActionOutcome, Policy, attempt, call, instructed};
use crate::domain::guard::{self, Load, Situation, Storm, Verdict};
use crate::domain::heal::{Attempt, AttemptId, AttemptStage, Heal, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::rule_policy::ApprovalPolicy;
use crate::domain::{Timestamp, elapsed};

pub fn decide(policy: &Policy, heal: &Heal, load: &Load, new_attempt: AttemptId, now: Timestamp) -> Plan {
    // What a guard holds may be asked again at any time: the guard may have changed its mind.
    let is_held = matches!(heal.phase, Phase::Pending { .. }) && heal.reason.is_hold();
    if let Some(due_at) = heal.due_at().filter(|due_at| now < *due_at && !is_held) {
        return Plan::nothing(Reason::NotDue { due_at });
    }
    let late = heal.due_at().map(|due_at| elapsed(due_at, now)).unwrap_or_default();
    let mut draft = Draft::of(policy, heal.clone(), now);
    match heal.phase.clone() {
        Phase::Pending { unreachable_since, .. } => return pending(draft, load, new_attempt, unreachable_since),
        Phase::AwaitingApproval { expires_at, .. } => instructed::expire(&mut draft, expires_at),
        Phase::Acting(mut current) if current.cancel.as_ref().is_some_and(|cancel| !cancel.passed_on) => {
            if let Some(cancel) = &mut current.cancel {
                cancel.passed_on = true;
            }
            draft.heal.phase = Phase::Acting(current);
            draft.cancel_action();
        }
        Phase::Acting(current) => attempt::finished(&mut draft, &current, ActionOutcome::TimedOut),
        Phase::Verifying { watch: Some(_), .. } => {
            if let Some(verifying) = Verifying::of(heal) {
                evidence::due(&mut draft, verifying);
            }
        }
        Phase::Verifying { since, deadline, healthy_since: Some(_), .. } if late > NOBODY_WATCHED => {
            // That it fires again may have been told while nobody was there to take it.
            let within = heal.current_step().map(|step| step.verify.healthy_for).unwrap_or_default();
            let phase = Phase::Verifying { since, deadline, healthy_since: Some(now), watch: None };
            draft.enter(phase, Reason::NobodyWatched { late, within });
        }
        Phase::Verifying { healthy_since: Some(_), .. } => draft.healed(),
        Phase::Verifying { since, deadline: Some(_), .. } if late > NOBODY_WATCHED => {
            // The resolve may have been sent while nobody was there to take it; Alertmanager sends it again.
            let within = heal.current_step().map(|step| step.verify.within).unwrap_or_default();
            let phase = Phase::Verifying { since, deadline: Some(now + within), healthy_since: None, watch: None };
            draft.enter(phase, Reason::NobodyWatched { late, within });
        }
        Phase::Verifying { deadline: Some(_), .. } => {
            let within = heal.current_step().map(|step| step.verify.within).unwrap_or_default();
            // That it resolved would not have been told.
            let suppressed = evidence::suppressed(draft.policy(), heal);
            let missing = suppressed.and_then(|_| evidence::unresolved(draft.policy(), heal)).unwrap_or_default();
            let reason = Reason::NotVerified { within, missing };
            draft.tell("not verified", reason.clone(), AUTOHEAL);
            attempt_failed(&mut draft, &reason);
        }
        // A notify-only heal waits for its alert without limit; look again tomorrow.
        Phase::Verifying { deadline: None, .. } => {
            draft.heal.phase = Phase::Verifying { since: now, deadline: None, healthy_since: None, watch: None };
        }
        Phase::Ended { outcome, .. } => return Plan::nothing(Reason::HealEnded { outcome }),
    }
    draft.into_plan()
}

fn pending(mut draft: Draft<'_>, load: &Load, new_attempt: AttemptId, unreachable_since: Option<Timestamp>) -> Plan {
    let Policy { limits, rules, alertmanager, .. } = draft.policy();
    let alertmanager = alertmanager.as_deref();
    let rule = rules.get(&draft.heal.rule);
    let verdict = guard::ask(&Situation { heal: &draft.heal, limits, rule, alertmanager, load, now: draft.now });
    // Alertmanager answers in a moment; what a shadow would have done depends on it.
    let is_asking = matches!(verdict, Verdict::Hold { reason: Reason::AskingAlertmanager { .. }, .. });
    if draft.is_shadow() && !is_asking {
        shadow(&mut draft, &verdict);
        return draft.into_plan();
    }
    match verdict {
        Verdict::Allow(_) => {
            begin_attempt(&mut draft, new_attempt, unreachable_since);
            draft.into_plan()
        }
        Verdict::Hold { until, reason } => hold(draft, load, until, reason, unreachable_since),
        Verdict::Refuse { reason } => {
            draft.end(Outcome::Suppressed, reason);
            draft.notify(MessageKind::Suppressed);
            draft.into_plan()
        }
        Verdict::Ask => {
            await_approval(&mut draft, new_attempt);
            draft.into_plan()
        }
        Verdict::Expired { at } => {
            instructed::expire(&mut draft, at);
            draft.into_plan()
        }
    }
}

/// Waits for a person. What is asked about is exactly what was rendered when the heal began.
fn await_approval(draft: &mut Draft<'_>, attempt: AttemptId) {
    let rule = draft.policy().rules.get(&draft.heal.rule);
    let ApprovalPolicy { expires_after, approvers } = rule.map(|rule| rule.approval.clone()).unwrap_or_default();
    let expires_at = draft.now + expires_after;
    let action = draft.heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    let reason = Reason::ApprovalNeeded { action, approvers: approvers.join(", "), expires_at };
    draft.enter(Phase::AwaitingApproval { attempt, expires_at, approvers }, reason);
    draft.notify(MessageKind::ApprovalNeeded);
}

fn hold(
    mut draft: Draft<'_>,
    load: &Load,
    until: Timestamp,
    reason: Reason,
    unreachable_since: Option<Timestamp>,
) -> Plan {
    let full = reason.full();
    let storm = matches!(reason, Reason::Storm { .. }).then_some(load.rule.storm);
    let storm = storm.map(|known| known.filter(|storm| storm.until > draft.now));
    let storm_until = storm.map(|known| Storm { since: known.map_or(draft.now, |storm| storm.since), until });
    // A heal that a limit holds keeps its place in the queue; the end of an action, or the hour, frees it.
    let look_again_at = full.is_none().then_some(until);
    let is_same = draft.heal.reason.is_same_hold(&reason);
    if is_same && !call::when_held_up(&mut draft) {
        // Its row is not written again only to say the same.
        return Plan { full, look_again_at, storm: storm_until, ..Plan::nothing(reason) };
    }
    if full.is_none() {
        draft.heal.phase = Phase::Pending { due_at: until, unreachable_since };
    }
    // That it is asked is no news; what is answered is.
    if !is_same && !matches!(reason, Reason::AskingAlertmanager { .. }) {
        draft.tell("held", reason.clone(), AUTOHEAL);
    }
    draft.heal.reason = reason;
    if storm == Some(None) {
        draft.notify(MessageKind::Storm);
        draft.look_at_call_again(Some(until));
    }
    Plan { full, look_again_at, storm: storm_until, ..draft.into_plan() }
}

fn shadow(draft: &mut Draft<'_>, verdict: &Verdict) {
    let action = draft.heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    let guards = match verdict {
        Verdict::Allow(numbers) => format!("allow ({numbers})"),
        Verdict::Hold { reason, .. } => format!("hold ({reason})"),
        Verdict::Refuse { reason } => format!("refuse ({reason})"),
        Verdict::Ask => "ask a person first".to_owned(),
        Verdict::Expired { at } => format!("refuse (not approved by {at})"),
    };
    draft.end(Outcome::Shadowed, Reason::WouldAct { action, guards });
}

fn begin_attempt(draft: &mut Draft<'_>, id: AttemptId, unreachable_since: Option<Timestamp>) {
    let now = draft.now;
    // Whoever was told of a first attempt that could not be tried need not be told of the next.
    let is_news = !draft.heal.has_acted() && unreachable_since.is_none();
    let first_firing = draft.heal.alerts.iter().map(|alert| alert.starts_at).min().unwrap_or(now);
    // What we did ourselves did not help, so it does not count as done since the symptom began.
    let symptom_since = draft.heal.last_action_ended_at.map_or(first_firing, |ended_at| ended_at.max(first_firing));
    let (index, steps) = (draft.heal.step, draft.heal.steps.len());
    let Some(step) = draft.heal.steps.get_mut(index) else { return };
    step.attempts_used += 1;
    let reason = Reason::Attempt {
        step: index,
        steps,
        attempt: step.attempts_used,
        attempts: step.attempts,
        action: step.action.summary(),
    };
    let deadline = now + step.timeout;
    draft.heal.first_attempt_at.get_or_insert(now);
    let attempt = Attempt {
        id,
        began_at: now,
        deadline,
        symptom_since,
        unreachable_since,
        cancel: None,
        stage: AttemptStage::Intended,
    };
    draft.enter(Phase::Acting(attempt), reason);
    draft.start_action();
    if is_news {
        draft.notify(MessageKind::Started);
    }
}
