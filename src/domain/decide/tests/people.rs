//! Stories with people in them: approvals, cancelling, resets, pauses.

use super::*;
use crate::domain::heal::Approval;
use crate::domain::instruction::Order;
use crate::domain::pause::{Pause, PauseId, PauseScope};
use crate::domain::rule_policy::{ApprovalPolicy, RulePolicies, RulePolicy};

impl World {
    pub(super) fn orders(&mut self, order: Order, by: &str) -> Reason {
        let instruction = Instruction { order, by: by.to_owned(), because: String::new() };
        self.apply(None, Event::Instructed(instruction))
    }

    fn approves(&mut self, by: &str) -> Reason {
        self.orders(Order::Approve { attempt: None }, by)
    }

    fn awaited(&self) -> AttemptId {
        match self.last().phase {
            Phase::AwaitingApproval { attempt, .. } => attempt,
            ref other => panic!("the heal is {}", other.name()),
        }
    }
}

/// A rule that asks, whose approvals are void after a minute.
fn asking(approvers: &[&str]) -> (World, HealRequest) {
    let mut world = World::new();
    let approvers = approvers.iter().map(|name| (*name).to_owned()).collect();
    let approval = ApprovalPolicy { expires_after: MINUTE, approvers };
    let policy = RulePolicy { approval, ..RulePolicy::default() };
    world.policy.rules = RulePolicies::new([("restart".to_owned(), policy)]);
    (world, HealRequest { mode: Mode::Ask, ..request(vec![step(2), step(1)]) })
}

#[test]
fn an_approved_action_runs_once_and_the_next_step_asks_again() {
    let (mut world, request) = asking(&[]);
    world.fires(request);
    world.due();
    assert_eq!((world.state(), world.started), ("awaiting_approval", 0));
    assert_eq!(
        world.last().reason.to_string(),
        "waits until 1970-01-12T13:47:40Z for a person to approve: restart container ui on local"
    );
    assert_eq!((world.kinds(), world.mails()), (vec![MessageKind::ApprovalNeeded], 1));
    assert_eq!(world.pass(MINUTE / 2).approves("ann"), Reason::Approved { by: "ann".into() });
    assert_eq!((world.state(), world.started), ("pending", 0), "guards and alert are looked at again");
    assert!(matches!(world.approves("bob"), Reason::NotAwaitingApproval { .. }), "two clicks, one action");
    world.due();
    assert_eq!((world.state(), world.started), ("acting", 1));
    world.pass(MINUTE).ends(failed());
    world.pass(MINUTE).due();
    assert_eq!((world.state(), world.started), ("acting", 2), "the leave is for the step, further attempts included");
    world.ends(failed());
    world.due();
    assert_eq!((world.state(), world.last().step), ("awaiting_approval", 1), "another step is another action");
    assert_eq!(world.last().timeline.iter().filter(|entry| entry.by == "ann").count(), 1);
}

#[test]
fn nobody_answering_means_no_and_a_human_is_paged() {
    let (mut world, request) = asking(&[]);
    world.fires(request.clone());
    world.due();
    assert!(matches!(world.pass(MINUTE / 2).due(), Reason::NotDue { .. }));
    world.pass(MINUTE / 2);
    assert!(matches!(world.approves("ann"), Reason::ApprovalExpired { .. }), "too late, though nobody has noticed yet");
    world.due();
    assert_eq!((world.state(), world.started), ("expired", 0));
    assert_eq!(world.kinds(), [MessageKind::ApprovalNeeded, MessageKind::Expired]);
    assert!(matches!(world.fires_same(request), Reason::EpisodeEnded { outcome: Outcome::Expired, .. }));
}

#[test]
fn an_approval_that_could_not_be_used_in_time_is_void() {
    let (mut world, request) = asking(&[]);
    world.fires(request);
    world.due();
    world.approves("ann");
    world.load = Load { target_holder: Some((HealId(Uuid::nil()), world.now + 2 * MINUTE)), ..Load::default() };
    world.due();
    assert_eq!(world.state(), "pending", "the target is busy");
    world.load = Load::default();
    world.pass(MINUTE).due();
    assert_eq!((world.state(), world.started), ("expired", 0));
}

#[test]
fn a_denied_action_never_runs() {
    let (mut world, request) = asking(&[]);
    world.fires(request.clone());
    world.due();
    world.orders(Order::Deny { attempt: None }, "bob");
    assert_eq!((world.state(), world.started), ("cancelled", 0));
    assert_eq!(world.last().reason.to_string(), "bob did not approve");
    assert!(matches!(world.approves("ann"), Reason::HealEnded { .. }));
    assert!(matches!(world.fires_same(request), Reason::EpisodeEnded { .. }), "a repeat does not ask again");
}

#[test]
fn only_named_approvers_answer_and_only_for_what_they_saw() {
    let (mut world, request) = asking(&["ann", "bob"]);
    world.fires(request);
    world.due();
    let refused = world.approves("eve");
    assert_eq!(refused.to_string(), "eve may not approve this; ann, bob may");
    assert!(matches!(world.orders(Order::Deny { attempt: None }, "eve"), Reason::NotAnApprover { .. }));
    let old = AttemptId(Uuid::from_u128(77));
    assert_eq!(world.orders(Order::Approve { attempt: Some(old) }, "ann"), Reason::OtherApproval);
    assert_eq!(world.state(), "awaiting_approval");
    let attempt = Some(world.awaited());
    world.orders(Order::Approve { attempt }, "ann");
    assert_eq!(world.last().approval.as_ref().map(|Approval { step, by, .. }| (*step, by.as_str())), Some((0, "ann")));
}

#[test]
fn approval_after_recovery_does_nothing() {
    let (mut world, request) = asking(&[]);
    world.fires(request);
    world.due();
    world.resolves();
    assert_eq!(world.state(), "recovered");
    assert!(matches!(world.approves("ann"), Reason::HealEnded { outcome: Outcome::Recovered }));
    assert_eq!(world.started, 0);
}

#[test]
fn a_resolve_between_approval_and_start_is_a_recovery() {
    let (mut world, request) = asking(&[]);
    world.fires(request);
    world.due();
    world.approves("ann");
    world.resolves();
    assert_eq!((world.state(), world.started), ("recovered", 0));
}

#[test]
fn a_dry_run_asks_nobody() {
    let (mut world, request) = asking(&[]);
    world.policy.dry_run = true;
    world.fires(request);
    world.due();
    assert_eq!((world.state(), world.told.len()), ("shadowed", 0));
    assert!(world.last().reason.to_string().ends_with("guards: ask a person first"));
}

#[test]
fn cancelling_ends_whatever_does_not_run() {
    for until in 0..3 {
        let (mut world, asks) = asking(&[]);
        let request = if until == 1 { asks } else { request(vec![step(1)]) };
        world.fires(request.clone());
        if until > 0 {
            world.due();
        }
        if until == 2 {
            world.ends(done());
            assert_eq!(world.state(), "verifying");
        }
        world.orders(Order::Cancel, "ann");
        assert_eq!(world.state(), "cancelled");
        assert_eq!(world.kinds().last(), Some(&MessageKind::Cancelled));
        assert!(matches!(world.orders(Order::Cancel, "ann"), Reason::HealEnded { .. }));
        assert!(matches!(world.fires_same(request), Reason::EpisodeEnded { .. }));
    }
}

#[test]
fn a_running_action_is_asked_to_stop_once_and_its_end_ends_the_heal() {
    let mut world = World::new();
    world.fires(request(vec![step(3)]));
    world.due();
    world.orders(Order::Cancel, "ann");
    assert_eq!(world.state(), "acting", "what runs is followed to its end");
    assert!(matches!(&world.last().reason, Reason::CancelRequested { stage, .. } if stage == "about to begin"));
    assert_eq!(world.orders(Order::Cancel, "bob"), Reason::AlreadyCancelling);
    assert_eq!(world.last().due_at(), Some(world.now), "the engine is told at once");
    world.due();
    assert_eq!(world.cancelled, 1);
    assert!(matches!(world.due(), Reason::NotDue { .. }), "and only once");
    world.ends(failed());
    assert_eq!((world.state(), world.started), ("cancelled", 1), "no further attempt");
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::Cancelled]);
}

#[test]
fn a_cancelled_action_that_never_ends_is_ended_by_its_deadline() {
    let mut world = World::new();
    world.fires(request(vec![step(3)]));
    world.due();
    world.orders(Order::Cancel, "ann");
    world.due();
    world.pass(2 * MINUTE).due();
    assert_eq!(world.state(), "cancelled");
}

#[test]
fn a_reset_lets_the_same_firing_begin_at_the_first_step() {
    let mut world = World::new();
    let request = request(vec![step(1)]);
    world.fires(request.clone());
    assert!(matches!(world.orders(Order::Reset, "ann"), Reason::NotExhausted { .. }));
    world.due();
    world.ends(failed());
    assert_eq!(world.state(), "exhausted");
    assert!(matches!(world.pass(MINUTE).fires_same(request.clone()), Reason::EpisodeEnded { .. }));
    world.orders(Order::Reset, "ann");
    assert_eq!(world.last().reason.to_string(), "ann reset the ladder; the next firing begins at the first step");
    assert_eq!(world.orders(Order::Reset, "bob"), Reason::NothingToReset);
    world.fires_same(request);
    assert_eq!((world.heals.len(), world.state(), world.last().step), (2, "pending", 0));
}

#[test]
fn a_pause_lets_nothing_new_start_and_finishes_what_runs() {
    let mut world = World::new();
    let pause = Pause {
        id: PauseId(Uuid::nil()),
        scope: PauseScope::All,
        reason: "moving the rack".into(),
        by: "ann".into(),
        since: world.now,
        until: world.now + 60 * MINUTE,
    };
    world.fires(request(vec![step(2)]));
    world.due();
    world.load.pauses = [pause].into();
    world.ends(failed());
    world.pass(MINUTE).due();
    assert_eq!((world.state(), world.started), ("pending", 1));
    assert_eq!(world.last().reason.to_string(), "ann paused everything until 1970-01-12T14:46:40Z: moving the rack");
    let told = world.last().timeline.len();
    world.pass(MINUTE).due();
    assert_eq!(world.last().timeline.len(), told, "told once");
    world.load.pauses = [].into();
    world.due();
    assert_eq!((world.state(), world.started), ("acting", 2), "what is held may be asked at any time");
}

#[test]
fn a_pause_that_holds_a_heal_back_for_too_long_is_told_and_the_heal_stays_held() {
    let mut world = World::new();
    world.policy.page_paused_after = Some(30 * MINUTE);
    let pause = |number, scope| Pause {
        id: PauseId(Uuid::from_u128(number)),
        scope,
        reason: "moving the rack".into(),
        by: "ann".into(),
        since: Timestamp::UNIX_EPOCH,
        until: Timestamp::from_second(1_000_000 + 7200).unwrap(),
    };
    let everything = pause(1, PauseScope::All);
    world.load.pauses = [everything.clone()].into();
    let looked_at =
        |world: &mut World, pause: &Pause| world.apply(None, Event::Paused { pause: pause.clone(), heals: 3 });
    world.fires(request(vec![step(1)]));
    assert_eq!(looked_at(&mut world, &everything), Reason::NotHeld, "it has not been asked yet");
    world.due();
    let held = world.last().clone();

    world.pass(Duration::from_secs(1799));
    assert!(
        matches!(looked_at(&mut world, &everything), Reason::NotDue { due_at } if due_at == world.now + Duration::from_secs(1))
    );
    world.pass(Duration::from_secs(1));
    let other = pause(2, PauseScope::Rule { rule: "other".into() });
    assert_eq!(looked_at(&mut world, &other), Reason::NotHeld, "another pause does not hold it");
    assert_eq!(world.kinds(), []);
    looked_at(&mut world, &everything);
    assert_eq!(
        (world.kinds(), world.mails()),
        (vec![MessageKind::PausedTooLong], 1),
        "mail is for humans who are needed"
    );
    let told = world.last();
    assert_eq!((&told.phase, &told.reason), (&held.phase, &held.reason));
    assert_eq!(
        told.timeline.last().expect("a story").reason.to_string(),
        "ann paused everything until 1970-01-12T15:46:40Z: moving the rack; for 30m that has held back 3 heals, \
         although their alerts fire"
    );

    world.load.pauses = [].into();
    world.due();
    assert_eq!(world.kinds()[1..], [MessageKind::Started, MessageKind::Over], "whoever was called need not come");

    world.policy.page_paused_after = None;
    world.load.pauses = [everything.clone()].into();
    world.ends(failed());
    world.pass(60 * MINUTE).fires(request(vec![step(1)]));
    world.due();
    world.pass(30 * MINUTE);
    assert_eq!(looked_at(&mut world, &everything), Reason::NotHeld, "nobody wants to know");
}
