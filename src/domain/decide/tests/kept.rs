//! What a plan carries besides the heal's state: what the store, the engine and the next event build on.

use serde_json::json;

use super::*;
use crate::domain::guard::Full;
use crate::domain::heal::AttemptStage;

impl World {
    /// What would be decided if the heal's due time came now.
    fn plan(&self) -> crate::domain::plan::Plan {
        let snapshot = Snapshot { heal: self.heals.last().cloned(), load: self.load.clone(), ..Snapshot::default() };
        decide(&self.policy, &snapshot, Event::Due { new_attempt: AttemptId(Uuid::nil()) }, self.now)
    }
}

#[test]
fn what_an_action_found_and_began_is_on_record_with_its_words() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    let attempt = world.last().attempt().expect("an attempt").id;
    let entry = |world: &World| {
        let entry = world.last().timeline.last().expect("a story").clone();
        (entry.what, entry.reason)
    };
    world.apply(None, Event::Prepared { attempt, handle: json!("id 1"), found: "ui is dead".into() });
    let stage = &world.last().attempt().expect("an attempt").stage;
    assert_eq!(*stage, AttemptStage::Prepared { handle: json!("id 1") }, "a crash from here on finds what was meant");
    assert_eq!(entry(&world), ("looked".into(), Reason::Looked { found: "ui is dead".into() }));
    world.apply(None, Event::Started { attempt, handle: json!("job 7"), what: "launched".into() });
    let stage = &world.last().attempt().expect("an attempt").stage;
    assert_eq!(*stage, AttemptStage::Started { handle: json!("job 7") }, "and what it can follow");
    assert_eq!(entry(&world), ("started".into(), Reason::ActionStarted { what: "launched".into() }));
}

#[test]
fn an_alert_that_resolved_is_remembered_although_its_heal_goes_on() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let other = world.alert("post", AlertStatus::Firing, MINUTE);
    world.fires_as(other, request(vec![step(1)]));
    world.resolves();
    assert_eq!((world.heals.len(), world.state()), (1, "pending"));
    let ui = world.alert("ui", AlertStatus::Firing, MINUTE).fingerprint;
    assert_eq!(world.episodes[&ui].status, AlertStatus::Resolved, "an older firing message is recognised by it");
}

#[test]
fn what_holds_when_the_action_ends_need_not_be_waited_for() {
    let mut world = World::new();
    let mut step = step(1);
    step.verify.healthy_for = Duration::ZERO;
    world.fires(request(vec![step]));
    world.due();
    world.resolves();
    world.ends(done());
    assert_eq!(world.state(), "healed");
    assert!(matches!(&world.last().reason, Reason::Verified { evidence, .. } if evidence.is_empty()));
}

#[test]
fn a_hold_says_each_time_when_to_look_again_and_for_whom_there_is_no_room() {
    let mut world = World::new();
    world.load.target_holder = Some((HealId(Uuid::from_u128(99)), world.now + MINUTE));
    world.fires(request(vec![step(1)]));
    let first = world.plan();
    let look_again_at = first.look_again_at.expect("another look");
    assert!(look_again_at > world.now && first.full.is_none());
    world.due();
    assert_eq!(world.last().timeline.last().expect("a story").what, "held");
    let again = world.plan();
    assert_eq!((again.heal, again.look_again_at.is_some()), (None, true), "nothing new to write, and yet it is due");

    world.load = Load { acting: 10, ..Load::default() };
    let first = world.plan();
    assert_eq!((first.full, first.look_again_at), (Some(Full::Everything), None), "the end of an action makes room");
    world.due();
    let again = world.plan();
    assert_eq!((again.heal, again.full, again.look_again_at), (None, Some(Full::Everything), None));
}

#[test]
fn a_resolve_that_is_known_is_not_written_again_and_a_later_one_is() {
    let mut world = World::new();
    world.resolves();
    let written = |world: &World| {
        let alert = world.alert("ui", AlertStatus::Resolved, MINUTE);
        let episode = world.episodes.get(&alert.fingerprint).cloned();
        let target = Target::new("docker:local/name/ui");
        let event = Event::Resolved { alert: alert.into(), rule: "restart".into(), target };
        decide(&world.policy, &Snapshot { episode, ..Snapshot::default() }, event, world.now).episodes.len()
    };
    assert_eq!(written(&world), 0);
    assert_eq!(written(world.pass(MINUTE)), 1);
}

#[test]
fn only_the_alert_that_is_gone_resolves() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let other = world.alert("post", AlertStatus::Firing, MINUTE);
    world.fires_as(other.clone(), request(vec![step(1)]));
    world.apply(None, Event::Absent { alerts: vec![other.fingerprint], up_since: world.now });
    let stands: Vec<_> = world.last().alerts.iter().map(|alert| alert.status).collect();
    assert_eq!(stands, [AlertStatus::Firing, AlertStatus::Resolved]);
}

#[test]
fn a_resolve_between_attempts_is_the_deeds_and_must_last() {
    let mut world = World::new();
    world.fires(request(vec![step(2)]));
    world.due();
    world.ends(failed());
    assert_eq!(world.state(), "pending");
    world.resolves();
    assert_eq!(world.state(), "verifying", "no recovery by itself: something was done");
}

#[test]
fn a_reset_forgets_what_is_this_heals_own_and_nothing_else() {
    use crate::domain::instruction::{Instruction, Order};
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(failed());
    // The call is over, and yet the ladder is remembered until the reset.
    world.resolves();
    assert_eq!((world.state(), world.last().call.as_ref()), ("exhausted", None));
    let own = world.episodes.values().next().expect("a memory").clone();
    assert!(own.ended.is_some());
    let others = Episode { heal: Some(HealId(Uuid::from_u128(99))), ..own.clone() };
    let goes_on = Episode { ended: None, ..own.clone() };
    let reset = |memories: Vec<Episode>| {
        let snapshot = Snapshot { heal: Some(world.last().clone()), memories, ..Snapshot::default() };
        let order = Instruction { order: Order::Reset, by: "ann".to_owned(), because: String::new() };
        decide(&world.policy, &snapshot, Event::Instructed(order), world.now)
    };
    let plan = reset(vec![others.clone(), goes_on.clone(), own.clone()]);
    assert_eq!(plan.episodes, [Episode { heal: None, ended: None, ..own }]);
    assert!(matches!(plan.reason, Reason::Reset { .. }), "{}", plan.reason);
    assert_eq!(reset(vec![others, goes_on]).reason, Reason::NothingToReset);
}
