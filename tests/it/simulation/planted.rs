//! Bugs planted on purpose: a simulator that finds none of them would prove nothing.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::decide::{Event, Policy, Snapshot, decide};
use autoheal::domain::guard::Limits;
use autoheal::domain::heal::{Outcome, Phase};
use autoheal::domain::message::MessageKind;
use autoheal::domain::plan::Plan;
use autoheal::domain::rule::Mode;
use autoheal::store::DecideFn;

use super::{STEPS_OF_A_WORLD, Tally, policy, run};

/// The first thing a simulation of up to 40 worlds finds.
fn found(decide: DecideFn) -> String {
    let find = |seed| run(seed, STEPS_OF_A_WORLD, policy(false), decide, &mut Tally::default()).err();
    (0..40).find_map(find).unwrap_or_else(|| "nothing".to_owned())
}

fn with_load(snapshot: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut changed = snapshot.clone();
    change(&mut changed);
    changed
}

fn two_at_once(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    decide(policy, &with_load(snapshot, |seen| seen.load.target_holder = None), event, now)
}

fn no_limits(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let limits = Limits { concurrent: 1000, per_hour: 1000, windows: Vec::new() };
    decide(&Policy { limits, ..policy.clone() }, snapshot, event, now)
}

fn no_limit_of_the_rule(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    decide(policy, &with_load(snapshot, |seen| seen.load.rule.acting = 0), event, now)
}

fn only_the_hour_counts(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let forgetful = with_load(snapshot, |seen| seen.load.rule.windows = [].into());
    decide(policy, &forgetful, event, now)
}

fn deaf_to_pauses(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, &with_load(snapshot, |seen| seen.load.pauses = [].into()), event, now);
    plan.full = None;
    plan
}

fn asks_nobody(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let trusting = with_load(snapshot, |seen| seen.heal.iter_mut().for_each(|heal| heal.mode = Mode::Act));
    let mut plan = decide(policy, &trusting, event, now);
    if let (Some(heal), Some(before)) = (&mut plan.heal, &snapshot.heal) {
        heal.mode = before.mode;
    }
    plan
}

fn forgets_to_page(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    plan.messages.retain(|message| message.kind != MessageKind::Exhausted);
    plan
}

fn pages_twice(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    plan.messages.extend(plan.messages.clone());
    plan
}

fn believes_the_action(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let is_news = matches!(event, Event::Finished { .. });
    let mut plan = decide(policy, snapshot, event, now);
    if let Some(heal) = plan.heal.as_mut().filter(|heal| is_news && matches!(heal.phase, Phase::Verifying { .. })) {
        heal.phase = Phase::Ended { outcome: Outcome::Healed, at: now };
    }
    plan
}

fn a_second_heal_for_a_repeat(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let forgetful = matches!(event, Event::Firing { .. });
    let seen = with_load(snapshot, |seen| {
        if forgetful {
            seen.heal = None;
            seen.episode = None;
        }
    });
    decide(policy, &seen, event, now)
}

fn never_due(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    if let Some(Phase::Pending { due_at, .. }) = plan.heal.as_mut().map(|heal| &mut heal.phase) {
        *due_at += Duration::from_hours(24 * 30);
    }
    plan
}

fn endless_attempts(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    if let Some(step) = plan.heal.as_mut().filter(|_| plan.start_action).and_then(|heal| heal.steps.get_mut(heal.step))
    {
        step.attempts_used += 1;
    }
    plan
}

fn acts_on_what_is_over(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    if matches!(event, Event::Resolved { .. }) {
        // The resolve is noted and not judged.
        let mut plan = decide(policy, snapshot, event, now);
        if let (Some(heal), Some(before)) = (&mut plan.heal, &snapshot.heal) {
            heal.phase = before.phase.clone();
            heal.call.clone_from(&before.call);
            plan.messages.clear();
        }
        return plan;
    }
    decide(policy, snapshot, event, now)
}

fn loses_what_joins(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    if let Some(heal) = &mut plan.heal {
        heal.alerts.truncate(1);
    }
    plan
}

fn does_it_again(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let is_started = matches!(event, Event::Started { .. });
    let mut plan = decide(policy, snapshot, event, now);
    // It says «prepared» as before, so whoever takes it over might do it again; the deed's own handle prevents that, but
    // an attempt begun anew under the same identity does not.
    plan.start_action |= is_started;
    plan
}

fn never_says_it_is_over(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    plan.messages.retain(|message| message.kind != MessageKind::Over);
    plan
}

fn forgets_the_call_that_goes_on(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    if let (Some(heal), true) = (&mut plan.heal, snapshot.heal.is_none() && plan.messages.is_empty()) {
        heal.call = None;
    }
    plan
}

fn waits_for_a_human_for_ever(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    let mut plan = decide(policy, snapshot, event, now);
    let was_called = snapshot.heal.as_ref().and_then(|heal| heal.call.clone());
    if let (Some(heal), Some(call)) = (plan.heal.as_mut().filter(|heal| heal.outcome().is_some()), was_called) {
        heal.call.get_or_insert(call);
        plan.messages.retain(|message| !message.kind.ends_call());
    }
    plan
}

fn ends_what_runs_when_the_clock_moves(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    if let Event::ClockMoved { .. } = event {
        return Plan::nothing(autoheal::domain::reason::Reason::AttemptOver);
    }
    decide(policy, snapshot, event, now)
}

fn two_minds(policy: &Policy, snapshot: &Snapshot, event: Event, now: Timestamp) -> Plan {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let odd = CALLS.fetch_add(1, Relaxed) % 2;
    decide(policy, snapshot, event, now + Duration::from_millis(u64::from(odd)))
}

#[test]
fn every_planted_bug_is_found() {
    let bugs: [(&str, DecideFn, &str); 20] = [
        ("two at once", two_at_once, "two heals act on one target"),
        ("no limits", no_limits, "may"),
        ("no limit of the rule", no_limit_of_the_rule, "a rule acts more often"),
        ("only the hour counts", only_the_hour_counts, "its rule begins more within a window"),
        ("deaf to pauses", deaf_to_pauses, "although it is paused"),
        ("asks nobody", asks_nobody, "although nobody approved"),
        ("forgets to page", forgets_to_page, "a human is not called exactly once"),
        ("pages twice", pages_twice, "a human is not called exactly once"),
        ("believes the action", believes_the_action, "healed without evidence"),
        ("a second heal for a repeat", a_second_heal_for_a_repeat, "are both open"),
        ("never due", never_due, "due in a far future"),
        ("endless attempts", endless_attempts, "more attempts than the step has"),
        ("acts on what is over", acts_on_what_is_over, "though nothing fires"),
        ("loses what joins", loses_what_joins, "is lost"),
        ("does it again", does_it_again, "without an intent"),
        (
            "forgets the call that goes on",
            forgets_the_call_that_goes_on,
            "nobody is called any more whose call could go on",
        ),
        ("never says it is over", never_says_it_is_over, "what was told of a call is not what is on record"),
        ("waits for a human for ever", waits_for_a_human_for_ever, "although nothing fires"),
        ("ends what runs when the clock moves", ends_what_runs_when_the_clock_moves, "the moved clock ended it"),
        ("two minds", two_minds, "says two things"),
    ];
    for (name, decide, expected) in bugs {
        let found = found(decide);
        assert!(found.contains(expected), "{name}: expected {expected:?}, found {found}");
    }
}
