//! Stories of trouble that comes back although nothing is left to try: whoever was called knows.

use super::calls::BOTH;
use super::*;
use crate::domain::heal::LadderMemory;
use crate::domain::rule_policy::{Flapping, RulePolicies, RulePolicy};

impl World {
    /// The one attempt there is works, and the alert resolves for good as far as anybody can tell.
    fn heals_once(&mut self) {
        self.fires(request(vec![step(1)]));
        self.due();
        self.ends(done());
        self.pass(MINUTE).resolves();
        self.pass(MINUTE).due();
        assert_eq!(self.state(), "healed");
    }

    /// It fires again, begun just now.
    fn is_back(&mut self) -> Reason {
        self.pass(MINUTE * 5).fires(request(vec![step(1)]))
    }

    /// What is decided when the call of the heal before the last one is looked at.
    fn look_at_the_call_before(&self) -> Plan {
        let heal = self.heals.iter().rev().nth(1).cloned();
        let snapshot = Snapshot { heal, memories: self.episodes.values().cloned().collect(), ..Snapshot::default() };
        decide(&self.policy, &snapshot, Event::CallDue, self.now + 60 * MINUTE)
    }
}

/// It was healed, came back, and a human was called; it has resolved since.
fn called() -> World {
    let mut world = World::new();
    world.heals_once();
    world.is_back();
    assert!(matches!(world.last().reason, Reason::RelapseAfterLastStep { .. }));
    assert_eq!((world.state(), world.told_of(MessageKind::Exhausted)), ("exhausted", BOTH.into()));
    world.pass(MINUTE).resolves();
    world
}

fn healed_where_one_relapse_is_too_many() -> World {
    let mut world = World::new();
    let flapping = Some(Flapping { relapses: 0, within: 600 * MINUTE });
    world.policy.rules = RulePolicies::new([("restart".to_owned(), RulePolicy { flapping, ..RulePolicy::default() })]);
    world.heals_once();
    world
}

#[test]
fn a_human_is_called_once_however_often_it_comes_back() {
    let mut world = called();
    for _ in 0..3 {
        world.is_back();
        assert_eq!(world.state(), "exhausted");
        let told = &world.last().timeline.last().unwrap().reason;
        assert!(matches!(told, Reason::ComesAndGoes { .. }), "the story says why nobody was called: {told}");
        world.pass(MINUTE).resolves();
    }
    assert_eq!(world.told_of(MessageKind::Exhausted), BOTH);
    assert_eq!(world.told_of(MessageKind::Over).len(), 0, "nobody believes that any more");
    let first = world.heals[1].call.as_ref().unwrap();
    let last = world.last().call.as_ref().unwrap();
    assert_eq!((last.since, last.told.len()), (first.since, 2), "it is one call");
}

#[test]
fn it_is_over_when_it_has_stayed_away_for_as_long_as_the_ladder_is_remembered() {
    let mut world = called();
    world.is_back();
    world.pass(2 * MINUTE).resolves();
    let resolved_at = world.now;
    assert_eq!(world.last().call.as_ref().unwrap().look_at, resolved_at + 60 * MINUTE);
    assert!(matches!(world.pass(59 * MINUTE).call_is_looked_at(), Reason::NotDue { .. }));
    let reason = world.pass(MINUTE).call_is_looked_at();
    assert_eq!(reason, Reason::StayedAway { quiet_for: 60 * MINUTE });
    assert_eq!((world.told_of(MessageKind::Over), world.last().call.as_ref()), (BOTH.into(), None));
}

#[test]
fn what_has_been_told_to_be_over_calls_anew_whatever_the_clock_says() {
    let mut world = called();
    world.pass(60 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
    // The clock is put back into the time in which the ladder is remembered.
    world.now -= 50 * MINUTE;
    world.is_back();
    assert!(matches!(world.last().reason, Reason::RelapseAfterLastStep { .. }));
    assert_eq!(world.told_of(MessageKind::Exhausted).len(), 4);
}

#[test]
fn the_heal_before_hands_its_call_on_without_a_word() {
    let mut world = called();
    world.is_back();
    let plan = world.look_at_the_call_before();
    let later = world.last().id;
    assert_eq!(plan.reason, Reason::CallHandedOn { heal: Some(later) });
    assert_eq!((plan.heal.unwrap().call, plan.messages.len(), plan.episodes.len()), (None, 0, 0));
}

#[test]
fn what_is_said_goes_on_in_the_conversation_of_the_heal_that_called() {
    let world = called();
    let alert = world.alert("ui", AlertStatus::Firing, Duration::ZERO);
    let snapshot = Snapshot { episode: world.episodes.get(&alert.fingerprint).cloned(), ..Snapshot::default() };
    let new_heal = HealId(Uuid::from_u128(99));
    let request = Box::new(request(vec![step(1)]));
    let event = Event::Firing { alert: alert.into(), request, new_heal, external_url: String::new() };
    let plan = decide(&world.policy, &snapshot, event, world.now);
    assert_eq!((plan.goes_on_from, plan.messages.len()), (Some(world.last().id), 0));
}

#[test]
fn a_later_heal_with_a_call_of_its_own_does_not_take_this_one_over() {
    let mut world = called();
    world.is_back();
    let memory = world.episodes.values_mut().next().unwrap();
    let mut ended: LadderMemory = memory.ended.clone().unwrap();
    ended.call.as_mut().unwrap().since += MINUTE;
    memory.ended = Some(ended);
    assert!(matches!(world.look_at_the_call_before().reason, Reason::StillCalled { .. }));
}

#[test]
fn whom_nobody_has_told_yet_is_told() {
    let mut world = called();
    let pager = Channel::new("second-line/pager", Audience::Everything);
    world.policy.receivers.insert("second-line".to_owned(), vec![pager]);
    let receivers = vec!["on-call".to_owned(), "second-line".to_owned()];
    world.pass(MINUTE).fires(HealRequest { receivers, ..request(vec![step(1)]) });
    assert_eq!(world.told_of(MessageKind::Exhausted)[2..], ["second-line/pager"]);
    world.pass(MINUTE).resolves();
    world.pass(60 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Over).len(), 3);
}

#[test]
fn nobody_is_reminded_of_what_is_gone_just_now() {
    let mut world = World::new();
    let channels = world.policy.receivers.get_mut("on-call").into_iter().flatten();
    channels.for_each(|channel| channel.remind = Some(10 * MINUTE));
    world.heals_once();
    world.is_back();
    world.pass(10 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Reminder).len(), 2, "while it fires, as ever");
    world.resolves();
    world.pass(20 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Reminder).len(), 2);
    assert!(world.last().call.is_some());
}

#[test]
fn a_ladder_that_flaps_to_its_end_calls_once_too() {
    let mut world = healed_where_one_relapse_is_too_many();
    world.is_back();
    assert!(matches!(world.last().reason, Reason::Flapping { .. }));
    world.pass(MINUTE).resolves();
    world.is_back();
    assert!(matches!(world.last().reason, Reason::RelapseAfterLastStep { .. }));
    assert_eq!((world.told_of(MessageKind::Exhausted).len(), world.told_of(MessageKind::Over).len()), (2, 0));
}

#[test]
fn where_the_ladder_is_not_remembered_it_is_over_at_once() {
    let mut world = healed_where_one_relapse_is_too_many();
    world.pass(MINUTE).fires(HealRequest { throttle: Duration::ZERO, ..request(vec![step(1)]) });
    assert!(matches!(world.last().reason, Reason::Flapping { .. }));
    world.pass(MINUTE).resolves();
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
}

#[test]
fn a_rule_that_only_records_by_now_goes_on_with_no_call() {
    let mut world = called();
    world.pass(MINUTE).fires(HealRequest { mode: Mode::Shadow, ..request(vec![step(1)]) });
    assert_eq!((world.last().call.as_ref(), world.told_of(MessageKind::Exhausted).len()), (None, 2));
    assert!(matches!(world.look_at_the_call_before().reason, Reason::StillCalled { .. }), "while it fires");
    world.pass(MINUTE).resolves();
    let plan = world.look_at_the_call_before();
    assert!(matches!(plan.reason, Reason::TakenUp { .. }), "{}", plan.reason);
}
