//! Stories in which a human is called: what ends that, who is told, who is reminded.

use std::sync::Arc;

use super::*;
use crate::domain::guard::Storm;
use crate::domain::heal::LadderMemory;
use crate::domain::instruction::{Instruction, Order};
use crate::domain::rule_policy::{RuleLimits, RulePolicies, RulePolicy, StormLimit};

impl World {
    /// The channel is reminded every so often.
    fn reminding(mut self, channel: &str, every: Duration) -> Self {
        let channels = self.policy.receivers.get_mut("on-call").into_iter().flatten();
        channels.filter(|known| known.name == channel).for_each(|known| known.remind = Some(every));
        self
    }

    pub(super) fn call_is_looked_at(&mut self) -> Reason {
        self.apply(None, Event::CallDue)
    }

    /// Who was told, of this kind only.
    pub(super) fn told_of(&self, kind: MessageKind) -> Vec<&str> {
        self.told.iter().filter(|(told, _)| *told == kind).map(|(_, channel)| channel.as_str()).collect()
    }
}

/// A heal whose only attempt failed.
fn exhausted(mut world: World) -> World {
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(failed());
    assert_eq!(world.state(), "exhausted");
    world
}

pub(super) const BOTH: [&str; 2] = ["on-call/slack", "on-call/email"];

#[test]
fn whoever_was_called_is_told_once_when_the_alert_resolves_after_the_heal_gave_up() {
    let mut world = exhausted(World::new());
    let ended = world.last().ended_at();
    assert!(world.last().call.is_some());
    assert!(matches!(world.pass(20 * MINUTE).resolves(), Reason::AlertResolved { .. }));
    assert_eq!((world.told_of(MessageKind::Exhausted), world.told_of(MessageKind::Over)), (BOTH.into(), BOTH.into()));
    let heal = world.last();
    assert_eq!((heal.call.as_ref(), heal.ended_at(), heal.phase.name()), (None, ended, "exhausted"));
    assert!(heal.all_resolved() && matches!(heal.reason, Reason::LadderExhausted { .. }), "why it ended stays");
    let memory = world.episodes.values().next().unwrap();
    assert_eq!((memory.status, memory.ended.as_ref().map(|ended| ended.at)), (AlertStatus::Resolved, ended));
    world.pass(MINUTE).resolves();
    assert_eq!(world.told_of(MessageKind::Over).len(), 2, "a repeat of the resolve tells nobody again");
}

#[test]
fn only_those_who_were_called_are_told_that_it_is_over_whatever_their_events_say() {
    let mut world = World::new();
    let pages = Audience::Only([MessageKind::Exhausted].into_iter().collect());
    let others = Audience::Only([MessageKind::Healed, MessageKind::Over].into_iter().collect());
    let channels = vec![Channel::new("on-call/pager", pages), Channel::new("on-call/diary", others)];
    world.policy.receivers.insert("on-call".to_owned(), channels);
    let mut world = exhausted(world);
    world.resolves();
    assert_eq!(world.told_of(MessageKind::Over), ["on-call/pager"]);
}

/// As [`exhausted`], for two alerts, both of which fire on.
fn exhausted_for_two() -> World {
    let mut world = World::new();
    let other = world.alert("post", AlertStatus::Firing, MINUTE);
    world.fires(request(vec![step(1)]));
    world.fires_as(other, request(vec![step(1)]));
    world.due();
    world.ends(failed());
    assert_eq!((world.state(), world.last().alerts.len()), ("exhausted", 2));
    world
}

#[test]
fn of_several_alerts_the_last_one_to_resolve_ends_it() {
    let mut world = exhausted_for_two();
    world.resolves();
    assert_eq!(world.told_of(MessageKind::Over).len(), 0);
    let told = world.last().timeline.len();
    world.resolves();
    assert_eq!(world.last().timeline.len(), told, "a repeat is no news while the other one fires");
    let gone = world.last().alerts[1].fingerprint;
    let up_since = world.now - 60 * MINUTE;
    let reason = world.apply(None, Event::Absent { alerts: vec![gone], up_since });
    assert!(matches!(reason, Reason::AlertGone { .. }), "also where nobody told the resolve: {reason}");
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
}

#[test]
fn an_alert_that_is_gone_says_nothing_of_the_one_that_fires_on() {
    let mut world = exhausted_for_two();
    let gone = vec![world.last().alerts[1].fingerprint];
    let up_since = world.now - 60 * MINUTE;
    world.apply(None, Event::Absent { alerts: gone.clone(), up_since });
    let standing: Vec<_> = world.last().alerts.iter().map(|alert| alert.status).collect();
    assert_eq!(standing, [AlertStatus::Firing, AlertStatus::Resolved]);
    assert_eq!(world.told_of(MessageKind::Over).len(), 0, "somebody is still needed");
    let again = world.apply(None, Event::Absent { alerts: gone, up_since });
    assert_eq!(again, Reason::EvidenceAsBefore);
    world.resolves();
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
}

#[test]
fn the_story_of_a_heal_that_called_nobody_ends_with_it() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let instruction = Instruction { order: Order::Cancel, by: "ann".to_owned(), because: String::new() };
    world.apply(None, Event::Instructed(instruction));
    let ended = world.last().clone();
    assert_eq!((ended.phase.name(), ended.call.as_ref()), ("cancelled", None));
    world.pass(MINUTE).resolves();
    assert_eq!(*world.last(), ended);
}

#[test]
fn a_person_who_resets_what_gave_up_ends_it() {
    let mut world = exhausted(World::new());
    let instruction =
        Instruction { order: Order::Reset, by: "ann".to_owned(), because: "replaced the disk".to_owned() };
    world.apply(None, Event::Instructed(instruction));
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
    world.pass(MINUTE).resolves();
    assert_eq!(world.told_of(MessageKind::Over).len(), 2);
}

#[test]
fn an_approval_ends_it_and_the_next_step_calls_anew() {
    let mut world = World::new();
    let request = HealRequest { mode: Mode::Ask, ..request(vec![step(1), step(1)]) };
    world.policy.rules =
        RulePolicies::new([("restart".to_owned(), RulePolicy { mode: Mode::Ask, ..RulePolicy::default() })]);
    world.fires(request);
    world.due();
    let approves = |world: &mut World| {
        let order = Order::Approve { attempt: None };
        world.apply(None, Event::Instructed(Instruction { order, by: "ann".to_owned(), because: String::new() }))
    };
    approves(&mut world);
    assert_eq!((world.told_of(MessageKind::Over), world.last().call.as_ref()), (BOTH.into(), None));
    world.due();
    world.ends(failed());
    world.due();
    assert_eq!((world.state(), world.told_of(MessageKind::ApprovalNeeded).len()), ("awaiting_approval", 4));
    world.resolves();
    assert_eq!(
        (world.state(), world.told_of(MessageKind::Over).len()),
        ("verifying", 4),
        "nobody need answer any more"
    );
}

#[test]
fn a_good_end_that_is_told_anyway_says_itself_that_it_is_over() {
    let mut world = World::new();
    world.policy.rules =
        RulePolicies::new([("restart".to_owned(), RulePolicy { mode: Mode::Ask, ..RulePolicy::default() })]);
    world.fires(HealRequest { mode: Mode::Ask, ..request(vec![step(1)]) });
    world.due();
    world.resolves();
    assert_eq!((world.state(), world.told_of(MessageKind::Recovered)), ("recovered", BOTH.into()));
    assert_eq!((world.told_of(MessageKind::Over).len(), world.last().call.as_ref()), (0, None));
}

fn storm() -> World {
    let mut world = World::new();
    let limit = StormLimit { targets: 1, within: MINUTE, hold: 5 * MINUTE };
    let limits = RuleLimits { storm: Some(limit), ..RuleLimits::default() };
    world.policy.rules = RulePolicies::new([("restart".to_owned(), RulePolicy { limits, ..RulePolicy::default() })]);
    world.fires(request(vec![step(1)]));
    world.load.rule.sightings = [world.now, world.now].into();
    world.due();
    world.load.rule.storm = world.storm;
    assert_eq!(world.told_of(MessageKind::Storm), BOTH);
    world
}

#[test]
fn a_storm_that_calmed_is_told_when_its_heals_go_on() {
    let mut world = storm();
    world.pass(6 * MINUTE).due();
    assert_eq!((world.state(), world.told_of(MessageKind::Over)), ("acting", BOTH.into()));
}

#[test]
fn a_storm_outlasts_the_heal_that_told_of_it() {
    let mut world = storm();
    world.pass(MINUTE).resolves();
    assert_eq!((world.state(), world.told_of(MessageKind::Over).len()), ("recovered", 0));
    assert!(matches!(world.call_is_looked_at(), Reason::NotDue { .. }));
    // It went on meanwhile, and a later heal is about the alert.
    world.episodes.values_mut().next().unwrap().heal = Some(HealId(Uuid::from_u128(99)));
    world.load.rule.storm = Some(Storm { since: world.now, until: world.now + 10 * MINUTE });
    world.pass(5 * MINUTE);
    assert!(matches!(world.call_is_looked_at(), Reason::StillCalled { .. }));
    assert_eq!(world.last().call.as_ref().map(|call| call.look_at), Some(world.now + 5 * MINUTE));
    world.pass(5 * MINUTE);
    assert_eq!(world.call_is_looked_at(), Reason::StormCalmed { rule: "restart".to_owned() });
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
}

#[test]
fn who_wants_it_is_reminded_once_in_each_interval_until_it_is_over() {
    let mut world = exhausted(World::new().reminding("on-call/slack", 30 * MINUTE));
    let since = world.now;
    assert_eq!(world.last().call.as_ref().map(|call| call.look_at), Some(since + 30 * MINUTE));
    world.pass(29 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Reminder).len(), 0);
    // Nobody looked for a while, as when the daemon was down: one reminder, and the next a whole interval later.
    world.pass(46 * MINUTE).call_is_looked_at();
    world.call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Reminder), ["on-call/slack"]);
    assert_eq!(
        world.last().call.as_ref().map(|call| (call.since, call.look_at)),
        Some((since, world.now + 30 * MINUTE))
    );
    world.pass(30 * MINUTE).call_is_looked_at();
    assert_eq!(world.told_of(MessageKind::Reminder).len(), 2);
    world.resolves();
    assert_eq!(world.pass(30 * MINUTE).call_is_looked_at(), Reason::NobodyCalled);
    assert_eq!((world.told_of(MessageKind::Reminder).len(), world.told_of(MessageKind::Over)), (2, BOTH.into()));
}

#[test]
fn a_call_whose_alert_a_later_heal_has_taken_up_is_over_unless_that_one_calls_too() {
    let mut world = exhausted(World::new().reminding("on-call/slack", 30 * MINUTE));
    let later = HealId(Uuid::from_u128(99));
    let memory = world.episodes.values_mut().next().unwrap();
    memory.heal = Some(later);
    let ended = LadderMemory { outcome: Outcome::Exhausted, ..memory.ended.clone().unwrap() };
    memory.ended = Some(ended);
    assert!(matches!(world.pass(30 * MINUTE).call_is_looked_at(), Reason::StillCalled { .. }));
    assert_eq!(world.told_of(MessageKind::Reminder).len(), 0, "the later heal's own call reminds");
    world.episodes.values_mut().next().unwrap().ended = None;
    assert_eq!(world.pass(60 * MINUTE).call_is_looked_at(), Reason::TakenUp { heal: Some(later) });
    assert_eq!(world.told_of(MessageKind::Over), BOTH);
}

#[test]
fn only_a_later_heal_of_the_same_rule_and_target_takes_an_alert_over() {
    let mut world = exhausted(World::new());
    world.pass(60 * MINUTE);
    let own = world.episodes.values().next().unwrap().clone();
    let later = Episode { heal: Some(HealId(Uuid::from_u128(99))), ended: None, ..own };
    let fingerprint = world.alert("db", AlertStatus::Firing, MINUTE).fingerprint;
    let looked_at = |memories: Vec<Episode>| {
        let snapshot = Snapshot { heal: Some(world.last().clone()), memories, ..Snapshot::default() };
        decide(&world.policy, &snapshot, Event::CallDue, world.now).reason
    };
    let others = vec![
        Episode { rule: "other".to_owned(), ..later.clone() },
        Episode { target: Target::new("docker:local/name/db"), ..later.clone() },
        Episode { fingerprint, ..later.clone() },
    ];
    assert!(matches!(looked_at(others), Reason::StillCalled { .. }));
    assert!(matches!(looked_at(vec![later]), Reason::TakenUp { .. }));
}

#[test]
fn a_call_stays_while_an_alert_fires_that_no_later_heal_is_about() {
    let mut world = exhausted_for_two();
    world.pass(60 * MINUTE);
    let (ui, later) = (world.last().alerts[0].fingerprint, Some(HealId(Uuid::from_u128(99))));
    let memory = world.episodes.get_mut(&ui).unwrap();
    (memory.heal, memory.ended) = (later, None);
    assert!(matches!(world.call_is_looked_at(), Reason::StillCalled { .. }), "nobody is at work on the other one");
    Arc::make_mut(&mut world.heals.last_mut().unwrap().alerts[1]).status = AlertStatus::Resolved;
    world.pass(60 * MINUTE);
    assert_eq!(world.call_is_looked_at(), Reason::TakenUp { heal: later });
}

#[test]
fn a_shadow_calls_nobody() {
    let mut world = World::new();
    world.policy.dry_run = true;
    world.fires(request(vec![step(1)]));
    world.due();
    assert_eq!((world.state(), world.last().call.as_ref(), world.told.len()), ("shadowed", None, 0));
}
