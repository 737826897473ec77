//! What counts as done: an action that could not even be tried has touched nothing, and what we did ourselves did not help.

use super::*;
use crate::domain::instruction::Order;

#[test]
fn what_could_never_be_tried_recovers_and_is_told_once_that_it_began() {
    let mut world = World::new();
    world.fires(request(vec![step(2)]));
    for _ in 0..3 {
        world.pass(MINUTE).due();
        world.ends(unreachable());
        assert_eq!((world.state(), world.last().has_acted()), ("pending", false));
    }
    world.resolves();
    assert_eq!((world.state(), &world.last().reason), ("recovered", &Reason::ResolvedBeforeActing));
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::Recovered]);
}

#[test]
fn an_engine_that_goes_away_later_takes_nothing_back() {
    let mut world = World::new();
    world.fires(request(vec![step(3)]));
    world.due();
    world.ends(failed());
    world.pass(MINUTE).due();
    world.ends(unreachable());
    assert!(world.last().has_acted());
    world.resolves();
    assert_eq!(world.state(), "verifying", "the attempt before was tried, and may have helped");
}

#[test]
fn a_refused_step_has_done_nothing() {
    let mut world = World::new();
    world.fires(request(vec![step(1), step(1)]));
    world.due();
    world.ends(ActionOutcome::Refused { error: "three containers match".into() });
    assert_eq!((world.state(), world.last().step), ("pending", 1));
    world.resolves();
    assert_eq!((world.state(), &world.last().reason), ("recovered", &Reason::ResolvedBeforeActing));
}

#[test]
fn a_restart_of_ours_is_no_reason_not_to_restart_again_after_a_reset() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.pass(MINUTE).ends(done());
    let restarted_at = world.now;
    world.pass(5 * MINUTE).due();
    assert_eq!(world.state(), "exhausted");
    world.orders(Order::Reset, "ann");
    world.pass(MINUTE).fires_same(request(vec![step(1)]));
    world.due();
    assert_eq!(world.attempt().symptom_since, restarted_at);
    world.ends(unreachable());
    world.resolves();
    assert_eq!(world.state(), "recovered", "what the heal before did is not this one's");
}

#[test]
fn what_was_well_beyond_the_deadline_and_fires_again_has_failed() {
    let mut world = World::new();
    let mut lasting = step(2);
    lasting.verify.healthy_for = 5 * MINUTE;
    world.fires(request(vec![lasting.clone()]));
    world.due();
    world.ends(done());
    world.pass(4 * MINUTE).resolves();
    let again = world.pass(3 * MINUTE).alert("ui", AlertStatus::Firing, Duration::ZERO);
    world.fires_as(again, request(vec![lasting]));
    world.due();
    assert!(matches!(world.last().reason, Reason::NextAttempt { attempt: 2, .. }), "{}", world.last().reason);
}

#[test]
fn a_new_firing_began_when_it_says_whatever_was_done_before() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "healed");
    world.pass(Duration::from_hours(3)).fires(request(vec![step(1)]));
    world.due();
    let symptom_since = world.attempt().symptom_since;
    assert_eq!(symptom_since, world.last().alerts[0].starts_at);
}

#[test]
fn a_resolve_that_nobody_told_is_never_called_one() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(done());
    world.pass(MINUTE).resolves_by_timeout();
    let told = &world.last().timeline.iter().find(|entry| entry.what == "resolved").expect("an entry");
    assert!(
        told.by == "autoheal"
            && told.reason.to_string().ends_with("counts as resolved by timeout: nobody pushed it again")
    );
    world.pass(MINUTE).due();
    assert!(world.last().reason.to_string().starts_with("verified: nobody says any more"), "{}", world.last().reason);
}

#[test]
fn what_was_well_while_nobody_watched_must_be_well_once_more() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(3 * MINUTE).due();
    assert_eq!(world.state(), "verifying", "{}", world.last().reason);
    world.pass(MINUTE / 2).due();
    assert_eq!(world.state(), "healed");
}

#[test]
fn who_cannot_be_reached_calls_a_human_once_and_that_ends_with_the_deed() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    for minute in 0..8 {
        world.due();
        world.ends(unreachable());
        assert_eq!(world.last().call.is_some(), minute >= 5, "after {minute} minutes");
        world.pass(MINUTE);
    }
    world.due();
    world.ends(done());
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::HeldUp, MessageKind::Over]);
}

#[test]
fn who_gives_up_says_why_the_last_attempt_did_not_help() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(ActionOutcome::Refused { error: "3 containers match, max is 1".into() });
    let reason = &world.last().reason;
    assert_eq!(
        reason.to_string(),
        "every step has been tried (1 step, 1 attempt), at last: 3 containers match, max is 1; a human is needed"
    );
    let stored = serde_json::json!({"code": "ladder_exhausted", "steps": 1, "attempts": 2});
    let stored: Reason = serde_json::from_value(stored).expect("a heal that was stored before");
    assert_eq!(stored.to_string(), "every step has been tried (1 step, 2 attempts); a human is needed");

    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(ActionOutcome::Failed { error: "ä".repeat(5000) });
    let said = world.last().reason.to_string();
    assert!(said.chars().count() < 400 && said.ends_with("ä…; a human is needed"), "{said}");
}

#[test]
fn a_repeat_is_no_relapse_while_the_alert_may_still_resolve() {
    let mut world = World::new();
    let mut lenient = step(2);
    (lenient.verify.resolved, lenient.verify.healthy_for) = (false, Duration::ZERO);
    let lenient = request(vec![lenient]);
    world.fires(lenient.clone());
    world.due();
    world.ends(done());
    assert_eq!(world.state(), "healed", "by other evidence than the resolve");
    let repeated = world.pass(MINUTE).fires_same(lenient.clone());
    assert!(matches!(repeated, Reason::EpisodeEnded { outcome: Outcome::Healed, .. }), "{repeated}");
    world.pass(4 * MINUTE).fires_same(lenient);
    assert_eq!((world.heals.len(), world.state()), (2, "pending"), "it had the time to resolve");
}
