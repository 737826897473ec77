//! Stories of relapses: what is remembered, what flaps, and what a shadow would have done.

use super::*;
use crate::domain::report::Report;
use crate::domain::rule_policy::{Flapping, RulePolicies, RulePolicy};

/// One heal that is verified at once.
fn heals(world: &mut World, request: &HealRequest) {
    world.fires(request.clone());
    if let Some(due) = world.open().and_then(Heal::due_at) {
        world.now = world.now.max(due);
    }
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "healed");
}

/// A rule whose ladder is forgotten after a minute, but whose relapses are counted: more than two within an hour flap.
fn flapping() -> (World, HealRequest) {
    let mut world = World::new();
    let flapping = Some(Flapping { relapses: 2, within: 60 * MINUTE });
    world.policy.rules = RulePolicies::new([("restart".to_owned(), RulePolicy { flapping, ..RulePolicy::default() })]);
    (world, HealRequest { throttle: MINUTE, ..request(vec![step(9), step(9)]) })
}

#[test]
fn what_was_verified_and_relapsed_too_often_climbs_and_at_last_needs_a_human() {
    let (mut world, request) = flapping();
    for _ in 0..3 {
        heals(&mut world, &request);
        assert_eq!(world.last().step, 0);
        world.pass(5 * MINUTE);
    }
    world.fires(request.clone());
    assert_eq!((world.state(), world.last().step), ("pending", 1), "the third relapse within the hour");
    assert_eq!(
        world.last().reason.to_string(),
        "flapping: verified, and yet it fired again 3 times within 1h; step 2 of 2 follows"
    );
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE).due();
    world.pass(5 * MINUTE).fires(request.clone());
    assert_eq!((world.state(), world.last().step), ("exhausted", 1), "no step is left");
    assert_eq!(world.kinds().last(), Some(&MessageKind::Exhausted));
    assert!(world.last().reason.to_string().ends_with("no step is left, a human is needed"));
    world.resolves();
    world.pass(5 * MINUTE).fires(request.clone());
    assert_eq!((world.state(), world.last().step), ("exhausted", 1), "its ladder is forgotten, its relapses are not");
    world.resolves();
    world.pass(61 * MINUTE).fires(request);
    assert_eq!((world.state(), world.last().step, world.last().relapses.len()), ("pending", 0, 0), "a quiet hour");
}

#[test]
fn relapses_far_enough_apart_are_no_flapping() {
    let (mut world, request) = flapping();
    for _ in 0..9 {
        heals(&mut world, &request);
        world.pass(40 * MINUTE);
    }
    assert_eq!(world.last().step, 0);
    assert!(world.last().relapses.len() <= 3, "bounded: {:?}", world.last().relapses);
}

#[test]
fn a_relapse_waits_for_the_back_off_of_its_step() {
    let mut world = World::new();
    let request = request(vec![step(3)]);
    heals(&mut world, &request);
    let ended = world.now;
    world.pass(MINUTE / 12).fires(request.clone());
    assert_eq!(world.last().due_at(), Some(ended + MINUTE / 2), "30 s after the first attempt, from its end");
    assert!(matches!(world.due(), Reason::NotDue { .. }));
    world.pass(MINUTE).resolves();
    world.pass(10 * MINUTE).fires(request);
    assert_eq!(world.last().due_at(), Some(world.now), "the pause is over");
}

/// A rule tried without success; answers its request.
fn exhausts(world: &mut World, starts_at: Timestamp) -> HealRequest {
    let request = request(vec![step(1)]);
    let alert = Alert { starts_at, ..world.alert("ui", AlertStatus::Firing, MINUTE) };
    world.fires_as(alert, request.clone());
    world.due();
    world.pass(5 * MINUTE).ends(failed());
    assert_eq!(world.state(), "exhausted");
    request
}

#[test]
fn a_firing_that_was_given_up_is_known_again_by_any_start_it_may_tell() {
    for (told, then) in [
        (Duration::ZERO, 2 * MINUTE),
        // Whose clock is ahead tells starts that have not come.
        (60 * MINUTE, 60 * MINUTE),
    ] {
        let mut world = World::new();
        let began = world.now;
        let request = exhausts(&mut world, began + told);
        let again = Alert { starts_at: began + then, ..world.alert("ui", AlertStatus::Firing, MINUTE) };
        let reason = world.pass(120 * MINUTE).fires_as(again, request);
        assert!(matches!(reason, Reason::EpisodeEnded { .. }), "{reason:?}");
    }
}

#[test]
fn a_firing_that_began_after_the_end_is_another_though_nobody_told_the_resolve_between() {
    let mut world = World::new();
    let began = world.now;
    let request = exhausts(&mut world, began);
    world.pass(120 * MINUTE).fires(request);
    assert_eq!((world.heals.len(), world.state()), (2, "pending"));
}

#[test]
fn what_got_well_by_itself_does_not_flap() {
    let (mut world, request) = flapping();
    for _ in 0..5 {
        world.fires(request.clone());
        world.pass(MINUTE).resolves();
        assert_eq!(world.state(), "recovered");
        world.pass(4 * MINUTE);
    }
    world.fires(request);
    assert_eq!((world.last().step, world.last().relapses.len()), (0, 0));
}

#[test]
fn the_next_step_of_a_relapse_begins_at_once() {
    let mut world = World::new();
    let request = request(vec![step(1), step(1)]);
    heals(&mut world, &request);
    world.pass(Duration::from_secs(1)).fires(request);
    assert_eq!((world.last().step, world.last().due_at()), (1, Some(world.now)));
}

#[test]
fn a_ladder_that_a_reload_made_shorter_ends_at_its_last_step() {
    let mut world = World::new();
    heals(&mut world, &request(vec![step(1), step(1)]));
    world.pass(MINUTE);
    heals(&mut world, &request(vec![step(1), step(1)]));
    assert_eq!(world.last().step, 1);
    world.pass(MINUTE).fires(request(vec![step(1)]));
    assert_eq!((world.state(), world.last().step), ("exhausted", 0));
}

#[test]
fn a_heal_takes_in_so_many_alerts_and_no_more() {
    let mut world = World::new();
    for number in 0..Heal::MAX_ALERTS {
        let alert = world.alert(&format!("job-{number}"), AlertStatus::Firing, MINUTE);
        world.fires_as(alert, request(vec![step(1)]));
    }
    let one_more = world.alert("one more", AlertStatus::Firing, MINUTE);
    assert_eq!(world.fires_as(one_more, request(vec![step(1)])), Reason::TooManyAlerts { limit: Heal::MAX_ALERTS });
    assert_eq!((world.heals.len(), world.last().alerts.len()), (1, Heal::MAX_ALERTS));
}

#[test]
fn the_ladder_is_remembered_for_each_alert() {
    let mut world = World::new();
    let request = request(vec![step(1), step(1)]);
    heals(&mut world, &request);
    let other = world.alert("post", AlertStatus::Firing, Duration::ZERO);
    world.fires_as(other, request.clone());
    assert_eq!((world.state(), world.last().step), ("pending", 0), "a different alert starts its own ladder");
}

#[test]
fn a_shadow_is_compared_with_what_happened_without_it() {
    let mut world = World::new();
    let shadow = HealRequest { mode: Mode::Shadow, ..request(vec![step(1)]) };
    for _ in 0..2 {
        world.fires(shadow.clone());
        world.due();
        assert_eq!((world.state(), world.started), ("shadowed", 0));
        world.pass(3 * MINUTE).resolves();
        world.resolves();
        world.pass(10 * MINUTE);
    }
    world.fires(shadow);
    world.due();
    let last = world.heals[0].timeline.last().expect("a story");
    assert!(last.reason.to_string().ends_with("resolved with nothing done, 3m after autoheal would have acted"));
    assert_eq!(world.heals[0].outcome(), Some(Outcome::Shadowed));
    let mut report = Report::default();
    world.heals.iter().for_each(|heal| report.add_shadow(heal));
    assert_eq!(
        report.rules["restart"].to_string(),
        "would have acted 3 times; 2 resolved on their own within 3m, half of them within 3m; \
         1 fires still or was never heard of again"
    );
    assert_eq!(world.told.len(), 0, "a shadow tells nobody");
}

#[test]
fn a_shadow_keeps_that_nobody_told_the_resolve() {
    let mut world = World::new();
    world.fires(HealRequest { mode: Mode::Shadow, ..request(vec![step(1)]) });
    world.due();
    world.pass(MINUTE).resolves_by_timeout();
    assert_eq!(world.last().alerts[0].annotations[BY_TIMEOUT], "by timeout: nobody pushed it again");
}

#[test]
fn an_alert_that_joins_brings_those_whom_its_labels_lead_to() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let other = world.alert("post", AlertStatus::Firing, MINUTE);
    let receivers = vec!["dba".to_owned(), "on-call".to_owned()];
    world.fires_as(other, HealRequest { receivers, ..request(vec![step(1)]) });
    assert_eq!(world.last().receivers, ["on-call", "dba"]);
}
