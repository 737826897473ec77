//! A small decider for exercising stores: every kind of change a store must carry out, with as little policy as possible.

use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::action::Target;
use autoheal::domain::alert::{Alert, AlertStatus};
use autoheal::domain::decide::{ActionOutcome, Event, Policy, Snapshot};
use autoheal::domain::heal::{Attempt, AttemptId, AttemptStage, Episode, Heal, HealId, LadderMemory, Outcome, Phase};
use autoheal::domain::message::MessageKind;
use autoheal::domain::plan::{Plan, PlannedMessage};
use autoheal::domain::reason::Reason;
use autoheal::domain::rule::HealRequest;

/// Decides as simply as the shapes allow: one attempt of one step, an alert's resolve heals.
pub fn decide(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    match event {
        Event::Firing { alert, request, new_heal, external_url } => {
            firing(policy, snapshot, alert, *request, new_heal, external_url, now)
        }
        Event::Resolved { alert, rule, target } => resolved(policy, snapshot, &alert, &rule, &target, now),
        Event::Due { new_attempt } => due(policy, snapshot, new_attempt, now),
        Event::Prepared { attempt, handle, found } => {
            let stage = AttemptStage::Prepared { handle };
            staged(snapshot, attempt, stage, Reason::Looked { found }, now)
        }
        Event::Started { attempt, handle, what } => {
            staged(snapshot, attempt, AttemptStage::Started { handle }, Reason::ActionStarted { what }, now)
        }
        Event::Finished { attempt, outcome } => finished(policy, snapshot, attempt, outcome, now),
        Event::TakenOver { .. } => Plan::nothing(Reason::AttemptOver),
    }
}

fn firing(
    policy: &Policy,
    snapshot: &Snapshot,
    alert: Alert,
    request: HealRequest,
    new_heal: HealId,
    external_url: String,
    now: Timestamp,
) -> Plan {
    let fingerprint = alert.fingerprint;
    if let Some(heal) = &snapshot.heal {
        if let Some(known) = heal.alerts.iter().find(|known| known.fingerprint == fingerprint) {
            let told = snapshot.episode.as_ref().map(|episode| episode.starts_at);
            assert_eq!(told, Some(known.starts_at), "a store gives episodes back as they were written");
            return Plan::nothing(Reason::AlreadyKnown { alert: fingerprint });
        }
        let mut heal = heal.clone();
        let episode = episode(&heal, &alert, now);
        heal.alerts.push(alert);
        return change(policy, heal, vec![episode], &[], Reason::AlertJoined { alert: fingerprint }, now);
    }
    if let Some(Episode { status: AlertStatus::Firing, ended: Some(ended), .. }) = &snapshot.episode {
        return Plan::nothing(Reason::EpisodeEnded { alert: fingerprint, outcome: ended.outcome });
    }
    let steps = request.ladder.unwrap_or_default();
    let notify_only = steps.is_empty();
    let phase = if notify_only {
        Phase::Verifying { since: now, deadline: None, healthy_since: None }
    } else {
        Phase::Pending { due_at: now + request.hold_for, unreachable_since: None }
    };
    let heal = Heal {
        id: new_heal,
        rule: request.rule,
        target: request.target,
        mode: request.mode,
        phase,
        reason: Reason::AlertFiring { alert: fingerprint },
        steps,
        step: 0,
        alerts: vec![alert],
        external_url,
        throttle: request.throttle,
        receivers: request.receivers,
        description: request.description,
        runbook: request.runbook,
        created_at: now,
        updated_at: now,
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    let episodes = vec![episode(&heal, &heal.alerts[0], now)];
    let messages: &[_] = if notify_only { &[MessageKind::Firing] } else { &[] };
    change(policy, heal, episodes, messages, Reason::AlertFiring { alert: fingerprint }, now)
}

fn resolved(policy: &Policy, snapshot: &Snapshot, alert: &Alert, rule: &str, target: &Target, now: Timestamp) -> Plan {
    let reason = Reason::AlertResolved { alert: alert.fingerprint };
    let Some(heal) = &snapshot.heal else {
        let episode = Episode {
            fingerprint: alert.fingerprint,
            rule: rule.to_owned(),
            target: target.clone(),
            heal: snapshot.episode.as_ref().and_then(|episode| episode.heal),
            status: AlertStatus::Resolved,
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            seen_at: now,
            ended: snapshot.episode.as_ref().and_then(|episode| episode.ended),
        };
        let reason = Reason::NothingOpen { alert: alert.fingerprint };
        return Plan { episodes: vec![episode], ..Plan::nothing(reason) };
    };
    let mut heal = heal.clone();
    for known in heal.alerts.iter_mut().filter(|known| known.fingerprint == alert.fingerprint) {
        known.clone_from(alert);
    }
    if !heal.all_resolved() {
        let episodes = vec![episode(&heal, alert, now)];
        return change(policy, heal, episodes, &[], reason, now);
    }
    let outcome = if heal.has_acted() { Outcome::Healed } else { Outcome::Recovered };
    end(policy, heal, outcome, reason, now)
}

fn due(policy: &Policy, snapshot: &Snapshot, new_attempt: AttemptId, now: Timestamp) -> Plan {
    let Some(heal) = &snapshot.heal else { return Plan::nothing(Reason::NoSuchHeal) };
    let mut heal = heal.clone();
    if heal.due_at().is_none_or(|due_at| due_at > now) {
        return Plan::nothing(Reason::NotDue { due_at: now });
    }
    if !matches!(heal.phase, Phase::Pending { .. }) {
        let reason = Reason::LadderExhausted { steps: heal.steps.len(), attempts: 1 };
        return end(policy, heal, Outcome::Exhausted, reason, now);
    }
    let load = &snapshot.load;
    let hold = if let Some((holder, until)) = load.target_holder {
        Some((until, Reason::TargetBusy { heal: holder, until }))
    } else if load.acting >= policy.limits.concurrent {
        let limit = policy.limits.concurrent;
        Some((now + Duration::from_secs(5), Reason::ConcurrentLimit { acting: load.acting, limit }))
    } else if load.started_last_hour >= policy.limits.per_hour {
        let until = load.oldest_start.unwrap_or(now) + Duration::from_hours(1);
        let (started, limit) = (load.started_last_hour, policy.limits.per_hour);
        Some((until, Reason::HourlyLimit { started, limit, until }))
    } else {
        None
    };
    if let Some((due_at, reason)) = hold {
        heal.phase = Phase::Pending { due_at, unreachable_since: None };
        return change(policy, heal, Vec::new(), &[], reason, now);
    }
    let step = &mut heal.steps[0];
    step.attempts_used += 1;
    let deadline = now + step.timeout;
    let action = step.action.summary();
    heal.phase = Phase::Acting(Attempt { id: new_attempt, began_at: now, deadline, stage: AttemptStage::Intended });
    let reason = Reason::Attempt { step: 0, steps: 1, attempt: 1, attempts: 1, action };
    Plan { start_action: true, ..change(policy, heal, Vec::new(), &[MessageKind::Started], reason, now) }
}

fn staged(snapshot: &Snapshot, attempt: AttemptId, stage: AttemptStage, reason: Reason, now: Timestamp) -> Plan {
    match snapshot.heal.clone() {
        Some(mut heal) => match &mut heal.phase {
            Phase::Acting(current) if current.id == attempt => {
                current.stage = stage;
                change(&Policy::default(), heal, Vec::new(), &[], reason, now)
            }
            _ => Plan::nothing(Reason::AttemptOver),
        },
        None => Plan::nothing(Reason::NoSuchHeal),
    }
}

fn finished(policy: &Policy, snapshot: &Snapshot, attempt: AttemptId, outcome: ActionOutcome, now: Timestamp) -> Plan {
    let Some(mut heal) = snapshot.heal.clone() else { return Plan::nothing(Reason::NoSuchHeal) };
    if !matches!(&heal.phase, Phase::Acting(current) if current.id == attempt) {
        return Plan::nothing(Reason::AttemptOver);
    }
    match outcome {
        ActionOutcome::Done { what } => {
            let deadline = heal.current_step().map(|step| now + step.verify.within);
            heal.phase = Phase::Verifying { since: now, deadline, healthy_since: None };
            change(policy, heal, Vec::new(), &[], Reason::ActionDone { what, took: Duration::ZERO }, now)
        }
        ActionOutcome::Unreachable { error } => {
            let again_at = now + Duration::from_secs(5);
            heal.steps[0].attempts_used -= 1;
            heal.phase = Phase::Pending { due_at: again_at, unreachable_since: Some(now) };
            change(policy, heal, Vec::new(), &[], Reason::ActionUnreachable { error, again_at }, now)
        }
        other => end(policy, heal, Outcome::Exhausted, Reason::ActionFailed { error: format!("{other:?}") }, now),
    }
}

fn end(policy: &Policy, mut heal: Heal, outcome: Outcome, reason: Reason, now: Timestamp) -> Plan {
    heal.phase = Phase::Ended { outcome, at: now };
    let ended = Some(LadderMemory { at: now, outcome, step: heal.step, attempts_used: 0 });
    let episodes = heal.alerts.iter().map(|alert| Episode { ended, ..episode(&heal, alert, now) }).collect::<Vec<_>>();
    let kind = match outcome {
        Outcome::Healed => MessageKind::Healed,
        Outcome::Recovered => MessageKind::Recovered,
        _ => MessageKind::Exhausted,
    };
    change(policy, heal, episodes, &[kind], reason, now)
}

fn change(
    policy: &Policy,
    mut heal: Heal,
    episodes: Vec<Episode>,
    kinds: &[MessageKind],
    reason: Reason,
    now: Timestamp,
) -> Plan {
    heal.reason = reason.clone();
    heal.updated_at = now;
    heal.tell(now, "changed", reason.clone(), "autoheal");
    let channels: Vec<_> =
        heal.receivers.iter().filter_map(|name| policy.receivers.get(name)).flatten().cloned().collect();
    let messages = kinds.iter().map(|kind| PlannedMessage { kind: *kind, channels: channels.clone() }).collect();
    Plan { heal: Some(heal), episodes, messages, start_action: false, reason }
}

fn episode(heal: &Heal, alert: &Alert, now: Timestamp) -> Episode {
    Episode {
        fingerprint: alert.fingerprint,
        rule: heal.rule.clone(),
        target: heal.target.clone(),
        heal: Some(heal.id),
        status: alert.status,
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        seen_at: now,
        ended: None,
    }
}
