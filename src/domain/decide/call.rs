//! A human was called: what ends that, and who is reminded while it lasts.
//!
//! A call lasts while the heal stands so that nothing goes on without a person. What an open heal does next ends it by
//! itself (see [`Draft::into_plan`]); a heal that gave up has ended, and its call outlives it until the alerts resolve, a
//! person resets it, or a later heal takes the alerts over.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{ALERTMANAGER, AUTOHEAL, Draft};
use super::{Policy, Snapshot};
use crate::domain::alert::{Alert, AlertStatus, Fingerprint};
use crate::domain::call::Call;
use crate::domain::heal::{Episode, Heal, LadderMemory, Outcome, Phase, TimelineEntry};
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
            MessageKind::HeldUp => is_held_up(&heal.reason),
            kind => kind == MessageKind::Storm,
        },
        Phase::Ended { outcome, .. } => match outcome {
            // The storm may outlast the one heal that told of it.
            Outcome::Recovered => call.kind == MessageKind::Storm,
            outcome => outcome.needs_human(),
        },
        // It is being tried once more; whether that helps is not known yet.
        Phase::Acting(attempt) => call.kind == MessageKind::HeldUp && attempt.unreachable_since.is_some(),
        Phase::Verifying { .. } => false,
    }
}

/// Whether a heal waits for what should be there and is not: nobody decided that it waits, and it may wait for ever.
const fn is_held_up(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::ActionUnreachable { .. } | Reason::AlertmanagerSilent { .. } | Reason::AskingAlertmanager { .. }
    )
}

/// Calls a human, once, when what the heal needs has been out of reach for too long; answers whether it did.
pub fn when_held_up(draft: &mut Draft<'_>) -> bool {
    /// Longer than a server takes to start anew, short enough that somebody can still repair by hand.
    const BEARABLE: Duration = Duration::from_mins(5);
    if draft.heal.call.is_some() || !is_held_up(&draft.heal.reason) {
        return false;
    }
    // Trying again does not end it, and neither does what others say.
    let goes_on = |entry: &&TimelineEntry| {
        entry.by != AUTOHEAL || is_held_up(&entry.reason) || matches!(entry.reason, Reason::Attempt { .. })
    };
    let waits = draft.heal.timeline.iter().rev().take_while(goes_on).filter(|entry| is_held_up(&entry.reason));
    let since = waits.last().map(|entry| entry.at);
    if since.is_some_and(|since| elapsed(since, draft.now) >= BEARABLE) {
        draft.notify(MessageKind::HeldUp);
    }
    draft.heal.call.is_some()
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
    let Some(alert) = draft.gone(gone).pop() else { return Plan::nothing(Reason::EvidenceAsBefore) };
    let reason = Reason::AlertGone { alert, up_since };
    draft.tell("resolved", reason.clone(), ALERTMANAGER);
    settle(draft, reason)
}

/// With the last alert the call is over; a storm's is when that has calmed, and that of what comes and goes when it has
/// stayed away.
fn settle(mut draft: Draft<'_>, reason: Reason) -> Plan {
    let is_storm = draft.heal.call.as_ref().is_some_and(|call| call.kind == MessageKind::Storm);
    if draft.heal.all_resolved() && !is_storm {
        if draft.heal.comes_and_goes() {
            draft.put_off_the_end_of_the_call();
        } else {
            draft.call_over();
        }
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
    let standing = match call.kind {
        MessageKind::Storm if storm.is_none() => Standing::Over(Reason::StormCalmed { rule: heal.rule.clone() }),
        MessageKind::Storm => Standing::Lasts { reminds: true },
        _ => stands(snapshot, heal, call, now),
    };
    let reason = match standing {
        Standing::Over(reason) => {
            draft.tell("over", reason.clone(), AUTOHEAL);
            draft.call_over();
            // From now on a relapse calls anew.
            let episodes =
                snapshot.memories.iter().filter(|known| known.heal == Some(heal.id)).filter_map(without_call);
            return Plan { reason, episodes: episodes.collect(), ..draft.into_plan() };
        }
        Standing::HandedOn(reason) => {
            draft.tell("called", reason.clone(), AUTOHEAL);
            draft.heal.call = None;
            reason
        }
        Standing::Lasts { reminds } => {
            if reminds {
                remind(&mut draft, call);
            }
            draft.look_at_call_again(storm.map(|storm| storm.until));
            Reason::StillCalled { since: call.since }
        }
    };
    Plan { reason, ..draft.into_plan() }
}

/// What is remembered, if that is with a call: without it.
fn without_call(known: &Episode) -> Option<Episode> {
    let memory = known.ended.clone().filter(|memory| memory.call.is_some())?;
    Some(Episode { ended: Some(LadderMemory { call: None, ..memory }), ..known.clone() })
}

/// How a call stands when it is looked at.
enum Standing {
    /// A human is still needed. Whoever is called for a later heal need not be reminded of this one, and nobody of what is
    /// gone just now.
    Lasts { reminds: bool },
    /// A later heal goes on with this very call.
    HandedOn(Reason),
    /// No human is needed any more.
    Over(Reason),
}

fn stands(snapshot: &Snapshot, heal: &Heal, call: &Call, now: Timestamp) -> Standing {
    let moved = |alert: &Arc<Alert>| {
        let is_its = |known: &&Episode| {
            known.fingerprint == alert.fingerprint && known.rule == heal.rule && known.target == heal.target
        };
        snapshot.memories.iter().find(is_its).filter(|known| known.heal != Some(heal.id))
    };
    let stays = |alert: &Arc<Alert>| alert.status == AlertStatus::Firing && moved(alert).is_none();
    let later: Vec<&Episode> = heal.alerts.iter().filter_map(moved).collect();
    if heal.outcome().is_none() || heal.alerts.iter().any(stays) {
        return Standing::Lasts { reminds: true };
    }
    let goes_on = |known: &&&Episode| {
        let its_call = known.ended.as_ref().and_then(|memory| memory.call.as_ref());
        its_call.is_some_and(|its| its.since == call.since)
    };
    if let Some(next) = later.iter().find(goes_on) {
        return Standing::HandedOn(Reason::CallHandedOn { heal: next.heal });
    }
    let calls = |known: &&Episode| {
        let gave_up = known.ended.as_ref().is_some_and(|memory| memory.outcome.needs_human());
        known.status == AlertStatus::Firing && gave_up
    };
    if later.iter().any(calls) {
        return Standing::Lasts { reminds: false };
    }
    if !later.is_empty() {
        return Standing::Over(Reason::TakenUp { heal: later.iter().find_map(|known| known.heal) });
    }
    match call.not_before.filter(|_| heal.all_resolved()) {
        Some(end) if now >= end => Standing::Over(Reason::StayedAway { quiet_for: heal.throttle }),
        gone => Standing::Lasts { reminds: gone.is_none() },
    }
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
