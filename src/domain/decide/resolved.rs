//! An alert resolved.

use std::sync::Arc;

use super::draft::{ALERTMANAGER, AUTOHEAL, Draft};
use super::evidence::{self, Verifying};
use super::{Policy, Snapshot, call};
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, BY_TIMEOUT, Fingerprint};
use crate::domain::heal::{Episode, Heal, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

pub fn decide(
    policy: &Policy,
    snapshot: &Snapshot,
    alert: &Alert,
    rule: String,
    target: Target,
    now: Timestamp,
) -> Plan {
    let open = snapshot.heal.as_ref().filter(|heal| heal.outcome().is_none());
    let known = open.and_then(|heal| {
        let index = heal.alerts.iter().position(|known| known.fingerprint == alert.fingerprint)?;
        Some((heal, index))
    });
    if let Some((heal, index)) = known {
        return resolve(policy, heal, index, alert, now);
    }
    let plan = remember(snapshot.episode.as_ref(), alert, rule, target, now);
    let Some(ended) = snapshot.heal.as_ref().filter(|heal| heal.outcome().is_some()) else { return plan };
    if ended.outcome() == Some(Outcome::Shadowed) {
        return Plan { heal: compare(ended, alert, now), ..plan };
    }
    match call::resolved(policy, ended, alert, now) {
        Some(called) => Plan { episodes: plan.episodes, ..called },
        None => plan,
    }
}

/// What became of an alert on which a shadow would have acted: kept with the heal, so that a report can compare.
fn compare(heal: &Heal, alert: &Alert, now: Timestamp) -> Option<Heal> {
    let index = heal.alerts.iter().position(|known| known.fingerprint == alert.fingerprint)?;
    let is_news = heal.alerts[index].status == AlertStatus::Firing;
    let would_have_acted_at = heal.ended_at().filter(|_| is_news)?;
    let mut heal = heal.clone();
    Arc::make_mut(&mut heal.alerts[index]).resolve(alert, now);
    let ends_at = heal.alerts[index].ends_at.unwrap_or(now);
    heal.updated_at = now;
    let after = elapsed(would_have_acted_at, ends_at);
    heal.tell(now, "resolved", Reason::ResolvedInShadow { alert: alert.fingerprint, after }, ALERTMANAGER);
    Some(heal)
}

/// No open heal is about the alert: only remember that it resolved, so that an older firing message is recognised.
fn remember(episode: Option<&Episode>, alert: &Alert, rule: String, target: Target, now: Timestamp) -> Plan {
    let fingerprint = alert.fingerprint;
    let ends_at = alert.ends_at.or(Some(now));
    let is_known = episode.is_some_and(|known| known.status == AlertStatus::Resolved && known.ends_at >= ends_at);
    let mut plan = Plan::nothing(Reason::NothingOpen { alert: fingerprint });
    if !is_known {
        plan.episodes.push(Episode {
            fingerprint,
            rule,
            target,
            heal: episode.and_then(|known| known.heal),
            status: AlertStatus::Resolved,
            starts_at: alert.starts_at,
            ends_at,
            seen_at: now,
            ended: episode.and_then(|known| known.ended.clone()),
            acted_at: episode.and_then(|known| known.acted_at),
        });
    }
    plan
}

fn resolve(policy: &Policy, heal: &Heal, index: usize, alert: &Alert, now: Timestamp) -> Plan {
    let fingerprint = alert.fingerprint;
    if heal.alerts[index].status == AlertStatus::Resolved {
        return Plan::nothing(Reason::AlreadyKnown { alert: fingerprint });
    }
    let mut draft = Draft::of(policy, heal.clone(), now);
    Arc::make_mut(&mut draft.heal.alerts[index]).resolve(alert, now);
    draft.touch(fingerprint);
    match alert.annotations.get(BY_TIMEOUT).cloned() {
        None => draft.tell("resolved", Reason::AlertResolved { alert: fingerprint }, ALERTMANAGER),
        Some(how) => draft.tell("resolved", Reason::AlertTimedOut { alert: fingerprint, how }, AUTOHEAL),
    }
    if draft.heal.all_resolved() {
        all_resolved(&mut draft, fingerprint);
    }
    draft.into_plan()
}

/// Alerts that are gone although nobody told their resolve.
pub fn absent(policy: &Policy, heal: &Heal, gone: &[Fingerprint], up_since: Timestamp, now: Timestamp) -> Plan {
    let mut draft = Draft::of(policy, heal.clone(), now);
    let gone = draft.gone(gone);
    let Some(last) = gone.last().copied() else { return Plan::nothing(Reason::EvidenceAsBefore) };
    for alert in gone {
        draft.touch(alert);
        draft.tell("resolved", Reason::AlertGone { alert, up_since }, ALERTMANAGER);
    }
    if draft.heal.all_resolved() {
        all_resolved(&mut draft, last);
    }
    draft.into_plan()
}

fn all_resolved(draft: &mut Draft<'_>, last: Fingerprint) {
    let is_notify_only = draft.heal.steps.is_empty();
    match draft.heal.phase.clone() {
        Phase::Pending { .. } | Phase::AwaitingApproval { .. } if draft.heal.has_tried() => draft.verify(),
        Phase::Pending { .. } | Phase::AwaitingApproval { .. } => {
            let was_storm = matches!(draft.heal.reason, Reason::Storm { .. });
            draft.end(Outcome::Recovered, Reason::ResolvedBeforeActing);
            // A storm is told once; its end would be told as often as it has targets.
            if !was_storm {
                draft.notify(MessageKind::Recovered);
            }
        }
        Phase::Verifying { .. } if is_notify_only => {
            draft.end(Outcome::Recovered, Reason::AlertResolved { alert: last });
            draft.notify(MessageKind::Resolved);
        }
        Phase::Verifying { watch: Some(_), .. } => {
            if let Some(verifying) = Verifying::of(&draft.heal) {
                evidence::all_resolved(draft, verifying);
            }
        }
        Phase::Verifying { since, deadline, healthy_since: None, watch: None } => {
            let healthy_for = draft.heal.current_step().map(|step| step.verify.healthy_for).unwrap_or_default();
            if healthy_for.is_zero() {
                draft.healed();
            } else {
                let phase = Phase::Verifying { since, deadline, healthy_since: Some(draft.now), watch: None };
                draft.enter(phase, Reason::MustStayHealthy { healthy_for });
            }
        }
        // The attempt under way ends by itself and is judged then.
        Phase::Verifying { .. } | Phase::Acting(_) | Phase::Ended { .. } => {}
    }
}
