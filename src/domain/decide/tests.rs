//! Stories around `decide`: a small world applies every plan as a store would and turns the clock by hand.

mod calls;
mod comes_and_goes;
mod evidence;

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::domain::action::{Action, ContainerSelector, RestartContainer, Target};
use crate::domain::alert::{AlertStatus, BY_TIMEOUT, Fingerprint, Labels};
use crate::domain::backoff::Backoff;
use crate::domain::heal::{Attempt, HealStep, Outcome, Phase};
use crate::domain::message::{Audience, MessageKind};
use crate::domain::rule::{Mode, VerifyPolicy};

mod holds;
mod kept;
mod ladder;
mod people;
mod tried;

const MINUTE: Duration = Duration::from_mins(1);

struct World {
    policy: Policy,
    now: Timestamp,
    heals: Vec<Heal>,
    episodes: BTreeMap<Fingerprint, Episode>,
    told: Vec<(MessageKind, String)>,
    started: usize,
    cancelled: usize,
    storm: Option<crate::domain::guard::Storm>,
    ids: u128,
    load: Load,
}

impl World {
    fn new() -> Self {
        let channels =
            vec![Channel::new("on-call/slack", Audience::Everything), Channel::new("on-call/email", Audience::Ends)];
        Self {
            policy: Policy { receivers: BTreeMap::from([("on-call".to_owned(), channels)]), ..Policy::default() },
            now: Timestamp::from_second(1_000_000).unwrap(),
            heals: Vec::new(),
            episodes: BTreeMap::new(),
            told: Vec::new(),
            started: 0,
            cancelled: 0,
            storm: None,
            ids: 0,
            load: Load::default(),
        }
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn open(&self) -> Option<&Heal> {
        self.heals.iter().find(|heal| heal.outcome().is_none())
    }

    fn attempt(&self) -> &Attempt {
        self.open().and_then(Heal::attempt).expect("an attempt")
    }

    fn last(&self) -> &Heal {
        self.heals.last().expect("a heal")
    }

    fn state(&self) -> &'static str {
        self.last().phase.name()
    }

    fn alert(&self, service: &str, status: AlertStatus, age: Duration) -> Alert {
        let labels = Labels::from([("alertname".into(), "InstanceDown".into()), ("job".into(), service.into())]);
        Alert {
            fingerprint: Fingerprint::of(&labels),
            status,
            labels,
            annotations: Labels::new(),
            starts_at: self.now - age,
            ends_at: (status == AlertStatus::Resolved).then_some(self.now),
            generator_url: String::new(),
        }
    }

    fn apply(&mut self, episode: Option<Fingerprint>, event: Event) -> Reason {
        let snapshot = Snapshot {
            heal: self.open().or(self.heals.last()).cloned(),
            episode: episode.and_then(|fingerprint| self.episodes.get(&fingerprint).cloned()),
            memories: self.episodes.values().cloned().collect(),
            load: self.load.clone(),
        };
        let plan = decide(&self.policy, &snapshot, event, self.now);
        assert_eq!(
            plan.start_action,
            plan.heal.as_ref().is_some_and(|heal| heal.attempt().is_some()) && plan.start_action
        );
        for episode in plan.episodes {
            self.episodes.insert(episode.fingerprint, episode);
        }
        for message in plan.messages {
            self.told.extend(message.channels.into_iter().map(|channel| (message.kind, channel.name)));
        }
        self.started += usize::from(plan.start_action);
        self.storm = plan.storm.or(self.storm);
        self.cancelled += usize::from(plan.cancel_action);
        if let Some(heal) = plan.heal {
            assert!(heal.outcome().is_some() || heal.due_at().is_some(), "ended or due: {heal:?}");
            match self.heals.iter_mut().find(|known| known.id == heal.id) {
                Some(known) => *known = heal,
                None => self.heals.push(heal),
            }
        }
        plan.reason
    }

    fn fires_as(&mut self, alert: Alert, request: HealRequest) -> Reason {
        let new_heal = HealId(self.id());
        let fingerprint = alert.fingerprint;
        let event =
            Event::Firing { alert: alert.into(), request: Box::new(request), new_heal, external_url: String::new() };
        self.apply(Some(fingerprint), event)
    }

    fn fires(&mut self, request: HealRequest) -> Reason {
        let alert = self.alert("ui", AlertStatus::Firing, MINUTE);
        self.fires_as(alert, request)
    }

    fn resolves(&mut self) -> Reason {
        let alert = self.alert("ui", AlertStatus::Resolved, MINUTE);
        self.resolves_as(alert)
    }

    fn resolves_by_timeout(&mut self) -> Reason {
        let mut alert = self.alert("ui", AlertStatus::Resolved, MINUTE);
        alert.annotations.insert(BY_TIMEOUT.to_owned(), "by timeout: nobody pushed it again".to_owned());
        self.resolves_as(alert)
    }

    fn resolves_as(&mut self, alert: Alert) -> Reason {
        let (rule, target) = ("restart".to_owned(), Target::new("docker:local/name/ui"));
        self.apply(Some(alert.fingerprint), Event::Resolved { alert: alert.into(), rule, target })
    }

    fn due(&mut self) -> Reason {
        let new_attempt = AttemptId(self.id());
        self.apply(None, Event::Due { new_attempt })
    }

    fn ends(&mut self, outcome: ActionOutcome) -> Reason {
        let attempt = self.attempt().id;
        self.apply(None, Event::Finished { attempt, outcome })
    }

    fn kinds(&self) -> Vec<MessageKind> {
        self.told.iter().filter(|(_, channel)| channel.ends_with("slack")).map(|(kind, _)| *kind).collect()
    }

    fn mails(&self) -> usize {
        self.told.iter().filter(|(_, channel)| channel.ends_with("email")).count()
    }
}

fn step(attempts: u32) -> HealStep {
    HealStep {
        action: Action::RestartContainer(RestartContainer {
            host: "local".into(),
            selector: ContainerSelector::Name("ui".into()),
            stop_timeout: None,
            max: 1,
            min_healthy: None,
            then: Vec::new(),
            dependents: None,
        }),
        attempts,
        attempts_used: 0,
        backoff: Backoff::default(),
        timeout: MINUTE,
        verify: VerifyPolicy { within: 5 * MINUTE, healthy_for: Duration::from_secs(30), ..VerifyPolicy::default() },
    }
}

fn request(steps: Vec<HealStep>) -> HealRequest {
    HealRequest {
        rule: "restart".into(),
        target: Target::new("docker:local/name/ui"),
        mode: Mode::Act,
        ladder: Ok(steps),
        hold_for: Duration::ZERO,
        throttle: 60 * MINUTE,
        receivers: vec!["on-call".into()],
        description: String::new(),
        runbook: String::new(),
    }
}

fn done() -> ActionOutcome {
    ActionOutcome::Done { what: "restarted ui".into() }
}

fn unreachable() -> ActionOutcome {
    ActionOutcome::Unreachable { error: "connection refused".into() }
}

fn failed() -> ActionOutcome {
    ActionOutcome::Failed { error: "ui exited again".into() }
}

#[test]
fn a_restart_that_resolves_the_alert_is_healed_only_after_it_stayed_so() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    assert_eq!(world.state(), "pending");
    world.due();
    assert_eq!((world.state(), world.started), ("acting", 1));
    world.pass(MINUTE / 10).ends(done());
    assert_eq!(world.state(), "verifying");
    world.pass(MINUTE).resolves();
    assert_eq!(world.state(), "verifying", "it must stay so for 30s");
    assert!(matches!(world.due(), Reason::NotDue { .. }));
    world.pass(MINUTE / 2).due();
    assert_eq!(world.state(), "healed");
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::Healed]);
    assert_eq!(world.mails(), 1, "one mail, at the end");
}

#[test]
fn without_healthy_for_the_resolve_itself_is_the_end() {
    let mut world = World::new();
    let mut step = step(1);
    step.verify.healthy_for = Duration::ZERO;
    world.fires(request(vec![step]));
    world.due();
    world.ends(done());
    world.resolves();
    assert_eq!(world.state(), "healed");
}

#[test]
fn a_repeat_of_a_known_alert_changes_nothing_in_any_state() {
    let mut world = World::new();
    let request = request(vec![step(2)]);
    world.fires(request.clone());
    for _ in 0..3 {
        assert!(matches!(world.fires(request.clone()), Reason::AlreadyKnown { .. }));
    }
    world.due();
    assert!(matches!(world.fires(request.clone()), Reason::AlreadyKnown { .. }));
    world.ends(done());
    assert!(matches!(world.fires(request), Reason::AlreadyKnown { .. }));
    assert_eq!((world.heals.len(), world.started), (1, 1));
}

#[test]
fn without_a_resolve_it_climbs_attempt_by_attempt_and_step_by_step_and_pages_once() {
    let mut world = World::new();
    world.fires(request(vec![step(2), step(1)]));
    world.due();
    world.ends(done());
    world.pass(5 * MINUTE).due();
    assert!(matches!(world.last().reason, Reason::NextAttempt { step: 0, attempt: 2, attempts: 2, .. }));
    assert!(matches!(world.due(), Reason::NotDue { .. }), "back-off first");
    world.pass(MINUTE / 2).due();
    world.ends(failed());
    assert!(matches!(world.last().reason, Reason::NextStep { step: 1, steps: 2 }));
    world.due();
    assert_eq!(world.started, 3);
    world.ends(done());
    world.pass(5 * MINUTE).due();
    assert_eq!(world.state(), "exhausted");
    assert_eq!(
        world.kinds(),
        [MessageKind::Started, MessageKind::AttemptFailed, MessageKind::AttemptFailed, MessageKind::Exhausted]
    );
    assert_eq!(world.mails(), 1);
    // Alertmanager repeats the alert for hours; the human has been told.
    for _ in 0..3 {
        let reason = world.pass(240 * MINUTE).fires_same(request(vec![step(2), step(1)]));
        assert!(matches!(reason, Reason::EpisodeEnded { outcome: Outcome::Exhausted, .. }), "{reason:?}");
    }
    assert_eq!((world.heals.len(), world.mails()), (1, 1));
}

impl World {
    /// The same firing as before, repeated by Alertmanager with its first `startsAt`.
    fn fires_same(&mut self, request: HealRequest) -> Reason {
        let known = Alert::clone(&self.last().alerts[0]);
        self.fires_as(Alert { status: AlertStatus::Firing, ends_at: None, ..known }, request)
    }
}

#[test]
fn a_resolve_before_anything_was_done_is_a_recovery() {
    let mut world = World::new();
    world.fires(HealRequest { hold_for: MINUTE, ..request(vec![step(1)]) });
    assert_eq!(world.last().reason, Reason::WaitingFor { hold_for: MINUTE });
    assert!(matches!(world.due(), Reason::NotDue { .. }));
    world.pass(MINUTE / 2).resolves();
    assert_eq!((world.state(), world.started), ("recovered", 0));
    assert_eq!(world.kinds(), [MessageKind::Recovered]);
}

#[test]
fn a_relapse_within_the_interval_goes_on_where_the_ladder_stopped() {
    let mut world = World::new();
    let request = request(vec![step(1), step(1)]);
    world.fires(request.clone());
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "healed");
    world.pass(10 * MINUTE).fires(request.clone());
    assert_eq!((world.heals.len(), world.last().step), (2, 1), "the first step has been used");
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "healed");
    world.pass(10 * MINUTE).fires(request.clone());
    assert_eq!((world.state(), world.started), ("exhausted", 2), "every step has been used: a human");
    assert_eq!(world.last().step, 1, "the last one");
    world.pass(MINUTE).resolves();
    world.pass(61 * MINUTE).fires(request);
    assert_eq!((world.state(), world.last().step), ("pending", 0), "a quiet interval resets the ladder");
}

#[test]
fn a_zero_interval_remembers_nothing() {
    let mut world = World::new();
    let request = HealRequest { throttle: Duration::ZERO, ..request(vec![step(1)]) };
    for round in 1..4 {
        world.pass(10 * MINUTE).fires(request.clone());
        world.due();
        world.ends(done());
        world.resolves();
        world.pass(MINUTE).due();
        assert_eq!((world.state(), world.started), ("healed", round));
    }
}

#[test]
fn an_overtaken_firing_message_starts_nothing_but_a_later_one_is_believed() {
    let mut world = World::new();
    let request = request(vec![step(1)]);
    let firing = world.alert("ui", AlertStatus::Firing, MINUTE);
    world.resolves();
    assert!(world.heals.is_empty());
    assert!(matches!(world.fires_as(firing.clone(), request.clone()), Reason::OlderThanResolve { .. }));
    assert!(world.heals.is_empty(), "the resolve overtook the firing message");
    world.pass(6 * MINUTE).fires_as(firing, request);
    assert_eq!(world.state(), "pending", "six minutes later somebody still says firing");
}

#[test]
fn a_later_start_than_the_resolve_is_a_new_episode_at_once() {
    let mut world = World::new();
    world.resolves();
    world.pass(MINUTE / 60);
    let again = world.alert("ui", AlertStatus::Firing, Duration::ZERO);
    world.fires_as(again, request(vec![step(1)]));
    assert_eq!(world.state(), "pending");
}

#[test]
fn firing_again_while_it_must_stay_healthy_takes_the_health_back() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(done());
    world.resolves();
    world.pass(MINUTE / 6);
    let again = world.alert("ui", AlertStatus::Firing, Duration::ZERO);
    world.fires_as(again, request(vec![step(1)]));
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: None, .. }));
    assert!(matches!(world.pass(MINUTE).due(), Reason::NotDue { .. }));
    world.now = world.last().due_at().expect("due");
    world.due();
    assert_eq!(world.state(), "exhausted");
}

#[test]
fn two_alerts_of_one_target_share_a_heal_and_are_judged_together() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let other = world.alert("ui-probe", AlertStatus::Firing, MINUTE);
    world.fires_as(other.clone(), request(vec![step(1)]));
    assert_eq!((world.heals.len(), world.last().alerts.len()), (1, 2));
    world.due();
    world.ends(done());
    world.resolves();
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: None, .. }), "one still fires");
    let resolved = Alert { status: AlertStatus::Resolved, ends_at: Some(world.now), ..other };
    let (rule, target) = ("restart".to_owned(), Target::new("docker:local/name/ui"));
    world.apply(Some(resolved.fingerprint), Event::Resolved { alert: resolved.into(), rule, target });
    world.pass(MINUTE).due();
    assert_eq!((world.state(), world.started), ("healed", 1));
}

#[test]
fn a_resolve_during_the_action_heals_when_the_action_is_done() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.resolves();
    assert_eq!(world.state(), "acting");
    world.ends(done());
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: Some(_), .. }));
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "healed");
}

#[test]
fn a_resolve_in_spite_of_a_failed_action_is_a_recovery_not_a_heal() {
    let mut world = World::new();
    world.fires(request(vec![step(2)]));
    world.due();
    world.resolves();
    world.ends(failed());
    assert_eq!(world.state(), "recovered");
}

#[test]
fn a_refused_action_skips_the_rest_of_its_step() {
    let mut world = World::new();
    world.fires(request(vec![step(5)]));
    world.due();
    world.ends(ActionOutcome::Refused { error: "3 containers match, max is 1".into() });
    assert_eq!((world.state(), world.started), ("exhausted", 1));
}

#[test]
fn an_unreachable_engine_costs_no_attempt_until_its_own_limit() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let mut tries = 0;
    while world.open().is_some() {
        let due = world.last().due_at().expect("due");
        world.now = due;
        world.due();
        world.ends(unreachable());
        tries += 1;
        assert!(tries < 40, "it must give up at last");
        if world.open().is_some() {
            assert_eq!(world.last().steps[0].attempts_used, 0, "no attempt was consumed");
        }
    }
    assert_eq!(world.state(), "exhausted");
    let waited = world.now.duration_since(world.last().created_at);
    assert!(waited.as_secs() >= 15 * 60 && waited.as_secs() < 17 * 60, "{waited:?}");
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::HeldUp, MessageKind::Exhausted]);
}

#[test]
fn a_dry_run_records_what_would_be_done_and_tells_nobody() {
    let mut world = World::new();
    world.policy.dry_run = true;
    world.fires(request(vec![step(1)]));
    world.due();
    assert_eq!((world.state(), world.started, world.told.len()), ("shadowed", 0, 0));
    assert_eq!(
        world.last().reason.to_string(),
        "would restart container ui on local; guards: allow (target free, 0 of 60 actions in the last hour, 0 of 10 actions running)"
    );
    assert!(matches!(world.fires_same(request(vec![step(1)])), Reason::EpisodeEnded { .. }));
    let notify_only = world.alert("latency", AlertStatus::Firing, MINUTE);
    world.fires_as(notify_only, request(vec![]));
    assert_eq!((world.state(), world.told.len()), ("shadowed", 0));
}

#[test]
fn a_rule_without_action_tells_firing_and_resolved() {
    let mut world = World::new();
    world.fires(request(vec![]));
    assert_eq!(world.state(), "verifying");
    world.pass(Duration::from_hours(24)).due();
    assert_eq!(world.state(), "verifying", "it waits without limit");
    world.resolves();
    assert_eq!(world.state(), "recovered");
    assert_eq!(world.kinds(), [MessageKind::Firing, MessageKind::Resolved]);
}

#[test]
fn a_text_that_cannot_be_rendered_is_refused_and_told() {
    let mut world = World::new();
    let error =
        crate::domain::action::ActionRenderError::Empty { field: "name".into(), template: "{{ $labels.x }}".into() };
    world.fires(HealRequest { ladder: Err(error), target: Target::new("alert/1"), ..request(vec![]) });
    assert_eq!((world.state(), world.started), ("suppressed", 0));
    assert_eq!(world.kinds(), [MessageKind::Suppressed]);
}

#[test]
fn guards_hold_and_saturation_keeps_the_place_in_the_queue() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    let due_at = world.last().due_at();
    world.load = Load { acting: 10, ..Load::default() };
    assert!(matches!(world.due(), Reason::ConcurrentLimit { acting: 10, limit: 10 }));
    assert_eq!((world.state(), world.last().due_at()), ("pending", due_at));
    world.load = Load { target_holder: Some((HealId(Uuid::nil()), world.now + MINUTE)), ..Load::default() };
    world.due();
    assert!(matches!(world.last().reason, Reason::TargetBusy { .. }));
    assert!(world.last().due_at() > due_at);
    world.load = Load::default();
    world.pass(MINUTE).due();
    assert_eq!(world.state(), "acting");
}

#[test]
fn late_news_of_an_attempt_that_is_over_changes_nothing() {
    let mut world = World::new();
    world.fires(request(vec![step(2)]));
    world.due();
    let old = world.attempt().id;
    world.pass(2 * MINUTE).due();
    assert_eq!(world.state(), "pending", "the watchdog ended an attempt nobody ended");
    let late = Event::Finished { attempt: old, outcome: done() };
    assert_eq!(world.apply(None, late), Reason::AttemptOver);
    world.pass(MINUTE).due();
    let late = Event::Prepared { attempt: old, handle: serde_json::Value::Null, found: String::new() };
    assert_eq!(world.apply(None, late), Reason::AttemptOver);
}

#[test]
fn the_second_attempt_counts_restarts_only_since_the_first_one_ended() {
    let mut world = World::new();
    world.fires(request(vec![step(2)]));
    world.due();
    let first = world.attempt().symptom_since;
    assert_eq!(first, world.now - MINUTE, "since the alert began");
    world.pass(MINUTE / 6).ends(done());
    let action_ended = world.now;
    world.pass(5 * MINUTE).due();
    world.pass(MINUTE).due();
    assert_eq!(world.attempt().symptom_since, action_ended);
}

#[test]
fn an_attempt_taken_over_has_the_whole_time_again() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    let attempt = world.attempt().id;
    world.pass(10 * MINUTE).apply(None, Event::TakenOver { attempt });
    let deadline = world.attempt().deadline;
    assert_eq!(deadline, world.now + MINUTE);
}

#[test]
fn an_attempt_under_way_has_the_whole_time_again_when_the_clock_is_put_forward() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    let attempt = world.attempt().clone();
    let (by, other) = (Duration::from_hours(1), AttemptId(uuid::Uuid::from_u128(99)));
    world.pass(by).apply(None, Event::ClockMoved { attempt: other, by });
    assert_eq!(world.open().and_then(Heal::attempt), Some(&attempt), "another attempt is none of its business");
    world.apply(None, Event::ClockMoved { attempt: attempt.id, by });
    assert_eq!(world.state(), "acting");
    world.due();
    let now = world.open().and_then(Heal::attempt).expect("it goes on");
    assert_eq!((now.id, now.deadline, &now.stage), (attempt.id, world.now + MINUTE, &attempt.stage));
}

#[test]
fn a_deadline_that_passed_while_nobody_watched_is_given_again_once() {
    let mut world = World::new();
    world.fires(request(vec![step(1)]));
    world.due();
    world.ends(done());
    world.pass(Duration::from_hours(1)).due();
    assert_eq!(world.state(), "verifying", "the resolve may have been sent while nobody was there");
    world.pass(5 * MINUTE).due();
    assert_eq!(world.state(), "exhausted", "this time somebody watched");
}
