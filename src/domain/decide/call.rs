//! A human was called: what ends that, and who is reminded while it lasts.
//!
//! A call lasts while the heal stands so that nothing goes on without a person. What an open heal does next ends it by
//! itself (see [`Draft::into_plan`]); a heal that gave up has ended, and its call outlives it until the alerts resolve, a
//! person resets it, or a later heal takes the alerts over.

use std::sync::Arc;

use super::draft::{ALERTMANAGER, AUTOHEAL, Draft};
use super::{Policy, Snapshot};
use crate::domain::alert::{Alert, AlertStatus, Fingerprint};
use crate::domain::call::Call;
use crate::domain::heal::{Episode, Heal, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

/// Whether a heal, as it now stands, still needs the human who was called.
pub fn lasts(heal: &Heal, call: &Call) -> bool {
    match &heal.phase {
        Phase::AwaitingApproval { .. } => true,
        Phase::Pending { .. } => match call.kind {
            MessageKind::PausedTooLong => matches!(heal.reason, Reason::Paused { .. }),
            kind => kind == MessageKind::Storm,
        },
        Phase::Ended { outcome, .. } => match outcome {
            // The storm may outlast the one heal that told of it.
            Outcome::Recovered => call.kind == MessageKind::Storm,
            outcome => outcome.needs_human(),
        },
        Phase::Acting(_) | Phase::Verifying { .. } => false,
    }
}

/// The heal has ended and one of its alerts resolved.
pub fn resolved(policy: &Policy, heal: &Heal, alert: &Alert, now: Timestamp) -> Option<Plan> {
    let index = heal.alerts.iter().position(|known| known.fingerprint == alert.fingerprint)?;
    let is_news = heal.alerts[index].status == AlertStatus::Firing && heal.call.is_some();
    let mut draft = is_news.then(|| Draft::of(policy, heal.clone(), now))?;
    Arc::make_mut(&mut draft.heal.alerts[index]).resolve(alert, now);
    draft.tell("resolved", Reason::AlertResolved { alert: alert.fingerprint }, ALERTMANAGER);
    Some(settle(draft, Reason::AlertResolved { alert: alert.fingerprint }))
}

/// The heal has ended and alerts of it are gone although nobody told their resolve.
pub fn absent(policy: &Policy, heal: &Heal, gone: &[Fingerprint], up_since: Timestamp, now: Timestamp) -> Plan {
    let mut draft = Draft::of(policy, heal.clone(), now);
    let mut last = None;
    for alert in &mut draft.heal.alerts {
        if alert.status == AlertStatus::Firing && gone.contains(&alert.fingerprint) {
            let alert = Arc::make_mut(alert);
            (alert.status, alert.ends_at) = (AlertStatus::Resolved, Some(now));
            last = Some(Reason::AlertGone { alert: alert.fingerprint, up_since });
        }
    }
    let Some(reason) = last else { return Plan::nothing(Reason::EvidenceAsBefore) };
    draft.tell("resolved", reason.clone(), ALERTMANAGER);
    settle(draft, reason)
}

/// With the last alert the call is over; a storm's is when that has calmed.
fn settle(mut draft: Draft<'_>, reason: Reason) -> Plan {
    let is_storm = draft.heal.call.as_ref().is_some_and(|call| call.kind == MessageKind::Storm);
    if draft.heal.all_resolved() && !is_storm {
        draft.call_over();
    }
    Plan { reason, ..draft.into_plan() }
}

/// A call is looked at: it is over, or those are reminded who want to be.
pub fn due(policy: &Policy, snapshot: &Snapshot, now: Timestamp) -> Plan {
    let Some(heal) = &snapshot.heal else { return Plan::nothing(Reason::NoSuchHeal) };
    let Some(call) = &heal.call else { return Plan::nothing(Reason::NobodyCalled) };
    if now < call.look_at {
        return Plan::nothing(Reason::NotDue { due_at: call.look_at });
    }
    let mut draft = Draft::of(policy, heal.clone(), now);
    let storm = snapshot.load.rule.storm.filter(|storm| storm.until > now);
    let (over, is_taken_over) = match call.kind {
        MessageKind::Storm if storm.is_none() => (Some(Reason::StormCalmed { rule: heal.rule.clone() }), false),
        MessageKind::Storm => (None, false),
        _ => taken_over(snapshot, heal),
    };
    let reason = if let Some(reason) = over {
        draft.tell("over", reason.clone(), AUTOHEAL);
        draft.call_over();
        reason
    } else {
        // Whoever is called for the later heal need not be reminded of this one.
        if !is_taken_over {
            remind(&mut draft, call);
        }
        draft.look_at_call_again(storm.map(|storm| storm.until));
        Reason::StillCalled { since: call.since }
    };
    Plan { reason, ..draft.into_plan() }
}

/// Whether a later heal is about what still fired; the call is over then, unless that one has called a human itself.
fn taken_over(snapshot: &Snapshot, heal: &Heal) -> (Option<Reason>, bool) {
    let moved = |alert: &Arc<Alert>| {
        let is_its = |known: &&Episode| {
            known.fingerprint == alert.fingerprint && known.rule == heal.rule && known.target == heal.target
        };
        snapshot.memories.iter().find(is_its).filter(|known| known.heal != Some(heal.id))
    };
    let stays = |alert: &Arc<Alert>| alert.status == AlertStatus::Firing && moved(alert).is_none();
    let later: Vec<&Episode> = heal.alerts.iter().filter_map(moved).collect();
    if heal.outcome().is_none() || later.is_empty() || heal.alerts.iter().any(stays) {
        return (None, false);
    }
    let calls = |known: &&Episode| {
        let gave_up = known.ended.as_ref().is_some_and(|memory| memory.outcome.needs_human());
        known.status == AlertStatus::Firing && gave_up
    };
    if later.iter().any(calls) {
        return (None, true);
    }
    (Some(Reason::TakenUp { heal: later.iter().find_map(|known| known.heal) }), true)
}

fn remind(draft: &mut Draft<'_>, call: &Call) {
    let now = draft.now;
    let channels = draft.channels(|channel| {
        let last = call.told.get(&channel.name);
        channel.remind.zip(last).is_some_and(|(every, last)| elapsed(*last, now) >= every)
    });
    if let Some(call) = &mut draft.heal.call {
        call.told.extend(channels.iter().map(|channel| (channel.name.clone(), now)));
    }
    draft.send(MessageKind::Reminder, channels);
}
