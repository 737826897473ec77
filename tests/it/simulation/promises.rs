//! What must hold after every single step, whatever happened. The numbers are those of the promises in the design.

use std::collections::BTreeSet;
use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::alert::AlertStatus;
use autoheal::domain::decide::{Event, Policy, Snapshot};
use autoheal::domain::guard::Window;
use autoheal::domain::heal::{AttemptStage, Heal, Outcome, Phase};
use autoheal::domain::message::MessageKind;
use autoheal::domain::plan::Plan;
use autoheal::domain::reason::Reason;
use autoheal::domain::rule::Mode;

use super::Violation;
use super::record::Record;

/// Nothing is due later than this: the longest pause, window, hold or day there is.
const FARTHEST_SECONDS: i64 = 3 * 24 * 3600;

fn must(holds: bool, promise: &str, heal: &Heal) -> Result<(), Violation> {
    let story = || heal.timeline.iter().map(|entry| format!("\n  {} {}: {}", entry.at, entry.what, entry.reason));
    if holds {
        return Ok(());
    }
    let story: String = story().collect();
    Err(Violation(format!("{promise}: heal {} of {} is {}{story}", heal.id, heal.rule, heal.phase.name())))
}

/// What a plan may say, judged with what was known before it.
pub fn of_plan(
    policy: &Policy,
    snapshot: &Snapshot,
    event: &Event,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), Violation> {
    let Some(heal) = &plan.heal else { return Ok(()) };
    if let Event::Firing { alert, .. } = event {
        // 1: what was taken in is with a heal, or the reason says why not.
        let has = heal.alerts.iter().any(|known| known.fingerprint == alert.fingerprint);
        must(has, "an alert that was taken in is lost", heal)?;
    }
    if plan.start_action {
        of_start(policy, snapshot, heal, now)?;
    }
    let before = snapshot.heal.as_ref().filter(|before| before.id == heal.id);
    let was_open = before.is_none_or(|before| before.outcome().is_none());
    if heal.outcome() == Some(Outcome::Healed) && was_open {
        let evidence = heal.has_acted() && heal.all_resolved();
        must(evidence, "healed without evidence", heal)?;
    }
    if let Some(before) = before.filter(|before| before.outcome().is_some()) {
        must(before.outcome() == heal.outcome(), "an ended heal came back", heal)?;
    }
    Ok(())
}

/// 2, 3, 4, 9 and what people said: an attempt begins only where everything allows it.
fn of_start(policy: &Policy, snapshot: &Snapshot, heal: &Heal, now: Timestamp) -> Result<(), Violation> {
    let intended = heal.attempt().is_some_and(|attempt| attempt.stage == AttemptStage::Intended);
    must(intended, "an action starts without an intent on record", heal)?;
    must(!policy.dry_run && heal.mode != Mode::Shadow, "a shadow acts", heal)?;
    must(heal.alerts.iter().any(|alert| alert.status == AlertStatus::Firing), "it acts though nothing fires", heal)?;
    let step = heal.current_step().ok_or_else(|| Violation("it acts without a step".to_owned()))?;
    must(step.attempts_used <= step.attempts, "more attempts than the step has", heal)?;
    let paused = snapshot.load.pauses.iter().any(|pause| pause.is_active(now) && pause.covers(heal));
    must(!paused, "it begins although it is paused", heal)?;
    let approved = heal.approval.as_ref().is_some_and(|approval| approval.step == heal.step);
    must(heal.mode != Mode::Ask || approved, "it begins although nobody approved", heal)?;
    Ok(())
}

/// What must hold of a heal as it is on record.
pub fn of_heal(record: &Record, policy: &Policy, heal: &Heal, now: Timestamp) -> Result<(), Violation> {
    // 5: ended, or due.
    match (heal.outcome(), heal.due_at()) {
        (None, Some(due)) => {
            must((due - now).get_seconds() < FARTHEST_SECONDS || due <= now, "it is due in a far future", heal)?;
        }
        (Some(_), None) => {}
        _ => must(false, "neither ended nor due", heal)?,
    }
    // 9: bounded.
    must(heal.timeline.len() <= Heal::MAX_TIMELINE, "its story grows without bounds", heal)?;
    must(heal.alerts.len() <= Heal::MAX_ALERTS, "its alerts grow without bounds", heal)?;
    must(heal.relapses.len() <= 60, "its relapses grow without bounds", heal)?;
    // 6: a human is called exactly once for each heal that gives up, unless the call of the heal before goes on.
    let told = record.told.get(&heal.id).map_or(&[][..], Vec::as_slice);
    let pages = told.iter().filter(|kind| kind.needs_human() && kind.is_final()).count();
    let gave_up = matches!(heal.outcome(), Some(Outcome::Exhausted | Outcome::Suppressed | Outcome::Expired));
    let is_shadow = policy.dry_run || heal.mode == Mode::Shadow;
    must(
        pages == usize::from(gave_up && !is_shadow && !goes_on_with_a_call(heal)),
        "a human is not called exactly once",
        heal,
    )?;
    let starts = told.iter().filter(|kind| **kind == MessageKind::Started).count();
    must(starts <= 1, "its start is told twice", heal)?;
    // 7: a shadow tells nobody and never acts.
    must(!is_shadow || (told.is_empty() && !heal.has_acted()), "a shadow is heard of", heal)?;
    of_call(told, heal)
}

fn has_reason(heal: &Heal, is_it: impl Fn(&Reason) -> bool) -> bool {
    heal.timeline.iter().any(|entry| is_it(&entry.reason))
}

/// Whether somebody knows already, because the trouble comes and goes.
fn goes_on_with_a_call(heal: &Heal) -> bool {
    has_reason(heal, |reason| matches!(reason, Reason::ComesAndGoes { .. }))
}

/// 6: a heal calls nobody only because somebody is called who has not been told that it is over.
pub fn of_call_before(record: &Record, plan: &Plan) -> Result<(), Violation> {
    let Some(heal) = plan.heal.as_ref().filter(|heal| goes_on_with_a_call(heal)) else { return Ok(()) };
    if record.heals.contains_key(&heal.id) {
        return Ok(());
    }
    let since = heal.call.as_ref().map(|call| call.since);
    let mut called = record.called().filter_map(|(before, _)| Some(before.call.as_ref()?.since));
    must(called.any(|before| Some(before) == since), "nobody is called any more whose call could go on", heal)
}

/// 6: whoever is called is told once that it is over, is reminded only meanwhile, and is not forgotten.
fn of_call(told: &[MessageKind], heal: &Heal) -> Result<(), Violation> {
    let mut is_called = goes_on_with_a_call(heal);
    for kind in told {
        match kind {
            MessageKind::Reminder => must(is_called, "somebody is reminded whom nobody called", heal)?,
            MessageKind::Over => {
                must(is_called, "it is told to be over though nobody is called, or twice", heal)?;
                is_called = false;
            }
            kind if kind.needs_human() => is_called = true,
            kind => is_called &= !kind.ends_call(),
        }
    }
    is_called &= !has_reason(heal, |reason| matches!(reason, Reason::CallHandedOn { .. }));
    must(is_called == heal.call.is_some(), "what was told of a call is not what is on record", heal)
}

/// 3 and 9: what must hold over all heals.
pub fn of_all(record: &Record, policy: &Policy) -> Result<(), Violation> {
    let mut targets = BTreeSet::new();
    let mut acting = 0;
    for heal in record.acting() {
        acting += 1;
        let target = heal.current_step().map(|step| step.action.target());
        must(targets.insert(target), "two heals act on one target", heal)?;
        let of_rule = record.acting().filter(|other| other.rule == heal.rule).count();
        let limit = policy.rules.get(&heal.rule).and_then(|rule| rule.limits.concurrent);
        must(limit.is_none_or(|limit| of_rule <= limit as usize), "a rule acts more often at once than it may", heal)?;
    }
    if acting > policy.limits.concurrent as usize {
        return Err(Violation(format!("{acting} actions run, {} may", policy.limits.concurrent)));
    }
    Ok(())
}

/// 9: asked when an attempt has begun, because a clock that goes back brings back what a window had already swallowed.
pub fn of_rate(record: &Record, policy: &Policy, heal: &Heal, now: Timestamp) -> Result<(), Violation> {
    let hour = |actions| Window { actions, within: Duration::from_hours(1) };
    if let Some(rule) = policy.rules.get(&heal.rule) {
        for window in rule.limits.per_hour.map(hour).iter().chain(&rule.limits.windows) {
            let begun = record.began_within(window.within, Some(&heal.rule), now).len();
            must(begun <= window.actions as usize, "its rule begins more within a window than it may", heal)?;
        }
    }
    for window in [hour(policy.limits.per_hour)].iter().chain(&policy.limits.windows) {
        let begun = record.began_within(window.within, None, now).len();
        if begun > window.actions as usize {
            return Err(Violation(format!("{begun} actions began within {:?}, {} may", window.within, window.actions)));
        }
    }
    Ok(())
}

/// 2: a deed is done only for an attempt that is on record as prepared for it.
pub fn of_deed(heal: Option<&Heal>, attempt: autoheal::domain::heal::AttemptId, done: u32) -> Result<(), Violation> {
    let prepared = heal
        .and_then(Heal::attempt)
        .is_some_and(|current| current.id == attempt && matches!(current.stage, AttemptStage::Prepared { .. }));
    if !prepared {
        return Err(Violation(format!("a deed for attempt {attempt}, which is not on record as prepared")));
    }
    if done > 0 {
        return Err(Violation(format!("the deed of attempt {attempt} is done twice")));
    }
    Ok(())
}

/// After the world came to rest everything has ended, but for what waits for its alert without limit.
pub fn of_rest(record: &Record) -> Result<(), Violation> {
    for heal in record.open() {
        let waits = matches!(heal.phase, Phase::Verifying { deadline: None, .. });
        must(waits, "it never ends although nothing fires", heal)?;
    }
    for (heal, _) in record.called() {
        must(false, "a human is called for ever although nothing fires", heal)?;
    }
    Ok(())
}

/// 3: an attempt that a process carries out is not ended by a clock that moves, or another one would begin beside it.
pub fn of_live_attempt(
    heal: Option<&Heal>,
    attempt: autoheal::domain::heal::AttemptId,
    now: Timestamp,
) -> Result<(), Violation> {
    let lives = heal.and_then(Heal::attempt).is_some_and(|current| current.id == attempt && current.deadline > now);
    if lives { Ok(()) } else { Err(Violation(format!("attempt {attempt} is under way and the moved clock ended it"))) }
}
