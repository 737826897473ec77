//! Stories of heals that guards hold.

use std::collections::BTreeMap;

use super::*;
use crate::domain::alertmanager::{Alertmanager, AlertmanagerView, Standing};
use crate::domain::guard::{RuleLoad, Storm};
use crate::domain::rule_policy::{RuleLimits, RulePolicies, RulePolicy, StormLimit};

/// A rule for which two targets within a minute are a storm, and such a storm.
fn stormy() -> World {
    let mut world = World::new();
    let storm = Some(StormLimit { targets: 1, within: MINUTE, hold: 10 * MINUTE });
    let limits = RuleLimits { storm, ..RuleLimits::default() };
    world.policy.rules = RulePolicies::new([("restart".to_owned(), RulePolicy { limits, ..RulePolicy::default() })]);
    world.load.rule = RuleLoad { sightings: [world.now, world.now].into(), ..RuleLoad::default() };
    world
}

#[test]
fn a_storm_is_told_once_and_its_end_to_nobody() {
    let mut world = stormy();
    world.fires(request(vec![step(1)]));
    world.due();
    let storm = Storm { since: world.now, until: world.now + 11 * MINUTE };
    assert_eq!((world.state(), world.started, world.storm), ("pending", 0, Some(storm)));
    assert_eq!(world.last().due_at(), Some(storm.until));
    assert_eq!(world.kinds(), [MessageKind::Storm]);
    world.load.rule.storm = Some(storm);
    let told = world.last().timeline.len();
    world.storm = None;
    world.pass(MINUTE).due();
    assert_eq!((world.kinds().len(), world.last().timeline.len()), (1, told), "asked again, it says nothing new");
    assert_eq!(world.storm, Some(storm), "and yet its rule's next heal is to know of it");
    world.resolves();
    assert_eq!(
        (world.state(), world.kinds().len()),
        ("recovered", 1),
        "a thousand targets would tell a thousand times"
    );
}

#[test]
fn the_next_heal_of_a_known_storm_is_held_without_a_page() {
    let mut world = stormy();
    world.load.rule.storm = Some(Storm { since: world.now - MINUTE, until: world.now + MINUTE });
    world.fires(request(vec![step(1)]));
    world.due();
    assert_eq!((world.state(), world.kinds().len()), ("pending", 0));
    assert_eq!(world.storm.map(|storm| storm.since), Some(world.now - MINUTE), "it is the same storm, longer");
    assert_eq!(world.storm.map(|storm| storm.until), Some(world.now + 11 * MINUTE));
}

#[test]
fn another_storm_after_the_first_is_told_again() {
    let mut world = stormy();
    world.load.rule.storm = Some(Storm { since: world.now - 60 * MINUTE, until: world.now });
    world.fires(request(vec![step(1)]));
    world.due();
    assert_eq!((world.kinds(), world.storm.map(|storm| storm.since)), (vec![MessageKind::Storm], Some(world.now)));
}

#[test]
fn what_is_held_is_looked_at_again_and_acts_only_on_what_still_fires() {
    let mut world = stormy();
    world.fires(request(vec![step(1)]));
    world.due();
    world.resolves();
    world.load = Load::default();
    assert!(matches!(world.pass(60 * MINUTE).due(), Reason::HealEnded { outcome: Outcome::Recovered }));
    assert_eq!(world.started, 0, "no backlog is replayed");
}

#[test]
fn an_alertmanager_that_cannot_be_asked_calls_a_human_once_and_is_over_with_its_answer() {
    let mut world = World::new();
    let failure = Some("nobody listens".to_owned());
    world.policy.alertmanager = Some(Alertmanager { view: None, failure }.into());
    world.fires(request(vec![step(1)]));
    for minute in 0..8 {
        let told = world.last().timeline.len();
        world.due();
        assert_eq!(world.last().call.is_some(), minute >= 5, "after {minute} minutes");
        assert!(minute == 0 || world.last().timeline.len() == told, "the same hold is told once");
        world.pass(MINUTE);
    }
    assert_eq!(world.kinds(), [MessageKind::HeldUp]);
    let alerts = BTreeMap::from([(world.last().alerts[0].fingerprint, Standing::Active)]);
    let view = AlertmanagerView { asked_at: world.now, up_since: world.now - Duration::from_hours(1), alerts };
    world.policy.alertmanager = Some(Alertmanager { view: Some(view), failure: None }.into());
    world.due();
    assert_eq!(world.state(), "acting");
    assert_eq!(world.kinds(), [MessageKind::HeldUp, MessageKind::Started, MessageKind::Over]);
}
