//! An alert fires and a rule matches it.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{ALERTMANAGER, AUTOHEAL, Draft};
use super::{Policy, Snapshot};
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::call::Call;
use crate::domain::heal::{Episode, Heal, HealId, LadderMemory, Outcome, Phase};
use crate::domain::message::MessageKind;
use crate::domain::plan::Plan;
use crate::domain::reason::Reason;
use crate::domain::route;
use crate::domain::rule::HealRequest;
use crate::domain::rule_policy::Flapping;
use crate::domain::{Timestamp, elapsed};

/// How long after a resolve a firing message that began before it counts as an older message overtaken on the way.
/// Peers of one Alertmanager cluster send up to some 15 s apart and retry for minutes; later than this a message that
/// still says «firing» is believed, because two Prometheus replicas may disagree.
const OVERTAKEN_WITHIN: Duration = Duration::from_mins(5);

pub fn decide(
    policy: &Policy,
    snapshot: &Snapshot,
    alert: Arc<Alert>,
    request: HealRequest,
    new_heal: HealId,
    external_url: String,
    now: Timestamp,
) -> Plan {
    if let Some(reason) = overtaken(snapshot.episode.as_ref(), &alert, now) {
        return Plan::nothing(reason);
    }
    if let Some(heal) = snapshot.heal.as_ref().filter(|heal| heal.outcome().is_none()) {
        return join(policy, heal, alert, &request.receivers, now);
    }
    let flapping = policy.rules.get(&request.rule).and_then(|rule| rule.flapping);
    let memory = match remembered(snapshot.episode.as_ref(), &alert, &request, flapping, now) {
        Ok(memory) => memory,
        Err(reason) => return Plan::nothing(reason),
    };
    begin(policy, memory, alert, request, new_heal, external_url, now)
}

/// A message that is older than the resolve we already know.
fn overtaken(episode: Option<&Episode>, alert: &Alert, now: Timestamp) -> Option<Reason> {
    let episode = episode.filter(|episode| episode.status == AlertStatus::Resolved)?;
    let resolved_at = episode.ends_at?;
    let is_older = alert.starts_at < resolved_at && elapsed(episode.seen_at, now) < OVERTAKEN_WITHIN;
    is_older.then_some(Reason::OlderThanResolve { alert: alert.fingerprint, resolved_at })
}

/// The alert belongs to a heal that is already open.
fn join(policy: &Policy, heal: &Heal, alert: Arc<Alert>, receivers: &[String], now: Timestamp) -> Plan {
    let fingerprint = alert.fingerprint;
    let known = heal.alerts.iter().position(|known| known.fingerprint == fingerprint);
    let reason = match known.map(|index| heal.alerts[index].status) {
        Some(AlertStatus::Firing) => return Plan::nothing(Reason::AlreadyKnown { alert: fingerprint }),
        Some(AlertStatus::Resolved) => Reason::FiringAgain { alert: fingerprint },
        None if heal.alerts.len() >= Heal::MAX_ALERTS => {
            return Plan::nothing(Reason::TooManyAlerts { limit: Heal::MAX_ALERTS });
        }
        None => Reason::AlertJoined { alert: fingerprint },
    };
    let mut draft = Draft::of(policy, heal.clone(), now);
    match known {
        Some(index) => draft.heal.alerts[index] = alert,
        None => draft.heal.alerts.push(alert),
    }
    // Its labels may lead to others than those of the alerts before it.
    route::add(&mut draft.heal.receivers, receivers);
    draft.touch(fingerprint);
    draft.tell("firing", reason.clone(), ALERTMANAGER);
    if let Phase::Verifying { healthy_since: healthy_since @ Some(_), deadline, .. } = &mut draft.heal.phase {
        *healthy_since = None;
        // While it was well nobody looked at the deadline. If it has passed meanwhile, the attempt has failed now.
        *deadline = deadline.map(|deadline| deadline.max(now));
        draft.heal.reason = reason;
    }
    draft.into_plan()
}

/// What is remembered that matters for a new heal.
#[derive(Default)]
struct Remembered {
    /// The last heal.
    heal: Option<HealId>,
    /// See [`Episode::acted_at`].
    acted_at: Option<Timestamp>,
    /// Its ladder, when the alert relapsed soon enough to go on with it.
    ladder: Option<LadderMemory>,
    /// See [`Heal::relapses`], this one included.
    relapses: Vec<Timestamp>,
    /// Set when these are too many.
    flapping: Option<Flapping>,
}

/// What is remembered of the ladder, or why this message starts nothing.
fn remembered(
    episode: Option<&Episode>,
    alert: &Alert,
    request: &HealRequest,
    flapping: Option<Flapping>,
    now: Timestamp,
) -> Result<Remembered, Reason> {
    let acted_at = episode.and_then(|episode| episode.acted_at);
    let Some((episode, memory)) = episode.and_then(|episode| Some((episode, episode.ended.as_ref()?))) else {
        return Ok(Remembered { acted_at, ..Remembered::default() });
    };
    // The same firing as before: it has not resolved since, and it does not claim to have begun after the heal ended.
    let is_same_firing =
        episode.status == AlertStatus::Firing && (alert.starts_at <= episode.starts_at || alert.starts_at <= memory.at);
    // A heal that was verified by other evidence than the resolve may find its alert firing still. That is a relapse once
    // it has had the time to resolve; until then Alertmanager only repeats itself.
    let may_resolve_yet = elapsed(memory.at, now) < time_to_resolve(request, memory);
    if is_same_firing && (memory.outcome != Outcome::Healed || may_resolve_yet) {
        return Err(Reason::EpisodeEnded { alert: alert.fingerprint, outcome: memory.outcome });
    }
    let is_soon = elapsed(memory.at, now) < request.throttle
        && matches!(memory.outcome, Outcome::Healed | Outcome::Recovered | Outcome::Exhausted);
    let relapses = flapping.map_or_else(Vec::new, |flapping| relapses(memory, flapping, now));
    // What flapped to the end of its ladder flaps still, even if that ladder is forgotten sooner than its relapses.
    let may_flap = memory.outcome == Outcome::Healed || memory.outcome == Outcome::Exhausted && !is_soon;
    let flapping = flapping.filter(|flapping| may_flap && relapses.len() > flapping.relapses as usize);
    let goes_on = is_soon || flapping.is_some();
    Ok(Remembered { heal: episode.heal, acted_at, ladder: goes_on.then(|| memory.clone()), relapses, flapping })
}

/// How long the alert may take to resolve after a heal: as long as the step that healed would have waited for it.
fn time_to_resolve(request: &HealRequest, memory: &LadderMemory) -> Duration {
    let step = request.ladder.as_ref().ok().and_then(|steps| steps.get(memory.step));
    step.map(|step| step.verify.within).unwrap_or_default()
}

/// The relapses within the window of flapping, this one included if it is one.
fn relapses(memory: &LadderMemory, flapping: Flapping, now: Timestamp) -> Vec<Timestamp> {
    let is_relapse = memory.outcome == Outcome::Healed && elapsed(memory.at, now) < flapping.within;
    let recent = memory.relapses.iter().copied().filter(|at| elapsed(*at, now) < flapping.within);
    let mut relapses: Vec<Timestamp> = recent.chain(is_relapse.then_some(now)).collect();
    // More than this need not be known to call it flapping.
    let surplus = relapses.len().saturating_sub(flapping.relapses as usize + 1);
    relapses.drain(..surplus);
    relapses
}

/// Plans a new heal.
fn begin(
    policy: &Policy,
    memory: Remembered,
    alert: Arc<Alert>,
    request: HealRequest,
    id: HealId,
    external_url: String,
    now: Timestamp,
) -> Plan {
    let fingerprint = alert.fingerprint;
    let reason = Reason::AlertFiring { alert: fingerprint };
    let (steps, refusal) = match request.ladder {
        Ok(steps) => (steps, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let heal = Heal {
        id,
        rule: request.rule,
        target: request.target,
        mode: request.mode,
        phase: Phase::Pending { due_at: now + request.hold_for, unreachable_since: None },
        reason: reason.clone(),
        steps,
        step: 0,
        alerts: vec![alert],
        external_url,
        throttle: request.throttle,
        receivers: request.receivers,
        description: request.description,
        runbook: request.runbook,
        approval: None,
        call: None,
        first_attempt_at: None,
        last_action_ended_at: memory.acted_at,
        relapses: memory.relapses,
        created_at: now,
        updated_at: now,
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    let mut draft = Draft::of(policy, heal, now);
    draft.touch(fingerprint);
    draft.tell("firing", reason, ALERTMANAGER);
    if let Some(error) = refusal {
        draft.end(Outcome::Suppressed, Reason::refusing(&error));
        draft.notify(MessageKind::Suppressed);
    } else if draft.heal.steps.is_empty() {
        notify_only(&mut draft);
    } else if let Some(ladder) = &memory.ladder {
        let earlier = memory.heal.zip(ladder.call.as_ref());
        match memory.flapping {
            Some(flapping) => climb(&mut draft, ladder, earlier, flapping),
            None => go_on(&mut draft, ladder, earlier),
        }
    } else if !request.hold_for.is_zero() {
        draft.heal.reason = Reason::WaitingFor { hold_for: request.hold_for };
        draft.tell("pending", Reason::WaitingFor { hold_for: request.hold_for }, AUTOHEAL);
    }
    draft.into_plan()
}

/// A rule without actions tells that the alert fires and waits to tell that it resolved.
fn notify_only(draft: &mut Draft<'_>) {
    if draft.is_shadow() {
        let action = format!("tell {}", draft.heal.receivers.join(", "));
        draft.end(Outcome::Shadowed, Reason::WouldAct { action, guards: "none asked".to_owned() });
        return;
    }
    let phase = Phase::Verifying { since: draft.now, deadline: None, healthy_since: None, watch: None };
    draft.enter(phase, Reason::NotifyOnly);
    draft.notify(MessageKind::Firing);
}

/// Continues the ladder of an earlier heal where it stopped.
fn go_on(draft: &mut Draft<'_>, memory: &LadderMemory, earlier: Option<(HealId, &Call)>) {
    let steps = &mut draft.heal.steps;
    let mut step = memory.step.min(steps.len() - 1);
    steps[step].attempts_used = memory.attempts_used.min(steps[step].attempts);
    if steps[step].attempts_used >= steps[step].attempts {
        step += 1;
    }
    if step == steps.len() {
        draft.heal.step = step - 1;
        draft.end(Outcome::Exhausted, Reason::RelapseAfterLastStep { ended_at: memory.at });
        draft.call_while_it_comes_and_goes(earlier);
        return;
    }
    let attempts_used = steps[step].attempts_used;
    // What failed or did not last is not tried again at once.
    let pause = if attempts_used > 0 { steps[step].backoff.delay(attempts_used) } else { Duration::ZERO };
    draft.heal.step = step;
    if let Phase::Pending { due_at, .. } = &mut draft.heal.phase {
        *due_at = (*due_at).max(memory.at + pause);
    }
    let reason = Reason::Relapse { ended_at: memory.at, step, attempts_used };
    draft.heal.reason = reason.clone();
    draft.tell("pending", reason, AUTOHEAL);
}

/// The step that was verified again and again does not help: the next one, or a human.
fn climb(draft: &mut Draft<'_>, memory: &LadderMemory, earlier: Option<(HealId, &Call)>, flapping: Flapping) {
    let steps = draft.heal.steps.len();
    let step = memory.step + 1;
    let relapses = draft.heal.relapses.len();
    let reason = Reason::Flapping { relapses, within: flapping.within, step, steps };
    draft.heal.step = step.min(steps - 1);
    if step < steps {
        draft.heal.reason = reason.clone();
        draft.tell("pending", reason, AUTOHEAL);
        return;
    }
    if let Some(last) = draft.heal.steps.last_mut() {
        last.attempts_used = last.attempts;
    }
    draft.end(Outcome::Exhausted, reason);
    draft.call_while_it_comes_and_goes(earlier);
}
