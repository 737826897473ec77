//! Stories of verification by more than the alert's resolve.

use super::*;
use crate::domain::alertmanager::{Alertmanager, AlertmanagerView, Standing};
use crate::domain::evidence::{Answer, Probe};

const HALF: Duration = Duration::from_secs(30);

/// A ladder step that wants the resolve (or not) and two answers.
fn asking(attempts: u32, resolved: bool) -> HealStep {
    let mut step = step(attempts);
    step.verify.resolved = resolved;
    step.verify.probes = vec![Probe::ContainerHealthy, Probe::Promql("up == 1".into())];
    step
}

fn two(first: Answer, second: Answer) -> Vec<Finding> {
    [("containers", first), ("promql", second)]
        .map(|(what, answer)| Finding::new(answer, format!("{what} {answer:?}")))
        .into()
}

fn well() -> Vec<Finding> {
    two(Answer::Holds, Answer::Holds)
}

impl World {
    /// Acts, and begins to verify.
    fn verifies(steps: Vec<HealStep>) -> Self {
        let mut world = Self::new();
        world.fires(request(steps));
        world.due();
        world.ends(done());
        assert_eq!(world.state(), "verifying");
        world
    }

    fn observes(&mut self, findings: Vec<Finding>) -> Reason {
        let Phase::Verifying { since, .. } = self.last().phase else { panic!("{:?}", self.last().phase) };
        self.apply(None, Event::Observed { since, findings })
    }

    /// Lets the time of the next look come.
    fn looks(&mut self) -> Reason {
        self.now = self.now.max(self.last().due_at().expect("due"));
        self.due()
    }

    /// Looks with these answers until something else than looking comes.
    fn looks_until_over(&mut self, findings: &[Finding]) {
        while self.state() == "verifying" {
            self.looks();
            if self.state() == "verifying" {
                self.observes(findings.to_vec());
            }
        }
    }
}

#[test]
fn all_named_evidence_must_hold_and_for_as_long_as_the_rule_says() {
    let mut world = World::verifies(vec![asking(1, true)]);
    assert_eq!(
        world.last().reason.to_string(),
        "waiting up to 5m for the alert to resolve, its containers to be healthy, \"up == 1\" to be true"
    );
    world.looks();
    world.observes(two(Answer::Holds, Answer::Fails));
    assert_eq!(world.last().reason.to_string(), "waiting up to 5m for the alert to resolve, \"up == 1\" to be true");
    world.pass(HALF);
    world.looks();
    assert!(world.last().due_at() > Some(world.now));
    world.resolves();
    assert_eq!(world.last().due_at(), Some(world.now), "a resolve asks for the rest at once");
    assert_eq!(world.last().reason.to_string(), "waiting up to 5m for \"up == 1\" to be true");
    world.looks();
    world.observes(two(Answer::Holds, Answer::Fails));
    world.looks();
    world.observes(well());
    let began = world.now;
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: Some(_), .. }));
    assert!(world.last().due_at() > Some(world.now), "no busy loop");
    world.looks_until_over(&well());
    assert_eq!((world.state(), world.now - HALF), ("healed", began));
    let reason = world.last().reason.to_string();
    assert_eq!(
        reason,
        "verified: the alert resolved; containers Holds; promql Holds; all held for 30s, 1m7s after the first attempt"
    );
    assert_eq!(world.kinds(), [MessageKind::Started, MessageKind::Healed]);
}

#[test]
fn evidence_alone_heals_when_the_rule_does_not_wait_for_the_resolve() {
    let mut world = World::verifies(vec![asking(1, false)]);
    world.looks_until_over(&well());
    assert_eq!(world.state(), "healed");
}

#[test]
fn what_need_not_last_is_healed_by_the_first_answers() {
    let mut step = asking(1, false);
    step.verify.healthy_for = Duration::ZERO;
    let mut world = World::verifies(vec![step]);
    world.looks();
    world.observes(well());
    assert_eq!(world.state(), "healed");
}

#[test]
fn what_begins_to_hold_just_before_the_deadline_may_prove_itself_behind_it() {
    let mut world = World::verifies(vec![asking(1, false)]);
    world.pass(Duration::from_secs(295));
    world.observes(well());
    world.looks_until_over(&well());
    assert_eq!(world.state(), "healed");
}

#[test]
fn an_alert_that_stays_is_a_clear_no_however_well_the_rest_looks() {
    let mut world = World::verifies(vec![asking(2, true)]);
    world.looks_until_over(&well());
    assert_eq!(world.state(), "pending", "it tries again");
    let told: Vec<_> = world.last().timeline.iter().map(|entry| entry.reason.to_string()).collect();
    assert!(told.contains(&"not verified within 5m: the alert has not resolved".to_owned()), "{told:#?}");
}

#[test]
fn whose_resolve_would_not_be_told_is_said_so() {
    for (told, last_failure) in [
        (
            AlertStatus::Firing,
            "not verified within 5m: 2 of 2 alerts have not resolved (silenced by bob in Alertmanager)",
        ),
        (AlertStatus::Resolved, "the alert did not resolve within 5m"),
    ] {
        let mut world = World::verifies(vec![step(1)]);
        let silenced = world.alert("post", AlertStatus::Firing, MINUTE);
        world.fires_as(silenced.clone(), request(vec![step(1)]));
        if told == AlertStatus::Resolved {
            let target = Target::new("docker:local/name/ui");
            let alert = world.alert("post", told, MINUTE);
            world.apply(
                Some(alert.fingerprint),
                Event::Resolved { alert: alert.into(), rule: "restart".into(), target },
            );
        }
        let ui = world.last().alerts[0].fingerprint;
        let alerts = [(ui, Standing::Active), (silenced.fingerprint, Standing::Suppressed("silenced by bob".into()))];
        let view = AlertmanagerView { asked_at: world.now, up_since: world.now, alerts: alerts.into() };
        world.policy.alertmanager = Some(Alertmanager { view: Some(view), failure: None }.into());
        world.pass(5 * MINUTE).due();
        let told: Vec<_> = world.last().timeline.iter().map(|entry| entry.reason.to_string()).collect();
        assert!(told.contains(&last_failure.to_owned()), "{told:#?}");
    }
}

#[test]
fn the_same_answers_again_are_not_written_again() {
    let mut world = World::verifies(vec![asking(1, false)]);
    world.looks();
    world.observes(two(Answer::Holds, Answer::Fails));
    assert_eq!(world.observes(two(Answer::Holds, Answer::Fails)), Reason::EvidenceAsBefore);
}

#[test]
fn a_resolve_alone_does_not_heal_and_a_no_climbs_though_the_alert_resolved() {
    let mut world = World::verifies(vec![asking(1, true), asking(1, true)]);
    world.resolves();
    world.looks_until_over(&two(Answer::Holds, Answer::Fails));
    assert_eq!((world.state(), world.last().step), ("pending", 1));
    let told: Vec<_> = world.last().timeline.iter().map(|entry| entry.reason.to_string()).collect();
    assert!(told.contains(&"not verified within 5m: promql Fails".to_owned()), "{told:#?}");
    assert_eq!(told.iter().filter(|line| line.contains("containers Holds")).count(), 1, "the same answer is told once");
}

#[test]
fn what_nobody_could_answer_is_never_healed_and_calls_a_human_instead_of_acting_again() {
    for findings in [two(Answer::Holds, Answer::Unknown), Vec::new()] {
        for resolved in [true, false] {
            let mut world = World::verifies(vec![asking(3, true), asking(1, true)]);
            if resolved {
                world.resolves();
            }
            world.looks_until_over(&findings);
            assert_eq!((world.state(), world.started), ("exhausted", 1));
            assert!(matches!(world.last().reason, Reason::Unverifiable { .. }));
            assert_eq!(world.mails(), 1);
        }
    }
    let mut world = World::verifies(vec![asking(3, true)]);
    world.looks_until_over(&two(Answer::Fails, Answer::Unknown));
    assert_eq!(world.state(), "pending", "a clear no is a no");
}

#[test]
fn evidence_that_goes_away_begins_anew_and_after_the_deadline_fails() {
    let mut world = World::verifies(vec![asking(2, false)]);
    world.looks();
    world.observes(well());
    world.looks();
    world.observes(two(Answer::Unknown, Answer::Holds));
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: None, .. }), "not knowing is not holding");
    assert!(world.last().reason.to_string().contains("no longer holds: containers Unknown"));
    while world.last().due_at() < Some(world.last().created_at + 5 * MINUTE - HALF / 2) {
        world.looks();
        world.observes(two(Answer::Fails, Answer::Holds));
    }
    world.looks();
    world.observes(well());
    world.pass(HALF / 2);
    world.looks();
    world.observes(well());
    assert_eq!(world.state(), "verifying", "it may hold beyond the deadline if it began before");
    world.observes(two(Answer::Fails, Answer::Holds));
    assert_eq!(world.state(), "pending");
}

#[test]
fn firing_again_takes_the_health_back_though_the_rest_holds() {
    let mut world = World::verifies(vec![asking(1, true)]);
    world.resolves();
    world.looks();
    world.observes(well());
    world.pass(Duration::from_secs(1));
    let again = world.alert("ui", AlertStatus::Firing, Duration::ZERO);
    world.fires_as(again, request(vec![asking(1, true)]));
    world.looks_until_over(&well());
    assert_eq!(world.state(), "exhausted");
}

#[test]
fn looks_are_spaced_and_come_to_an_end() {
    let mut world = World::verifies(vec![asking(1, true)]);
    let mut pauses = Vec::new();
    while world.state() == "verifying" {
        let before = world.now;
        world.looks();
        pauses.push(crate::domain::elapsed(before, world.now));
    }
    assert!((25..=80).contains(&pauses.len()), "{} looks within 5m", pauses.len());
    assert!(pauses[1..].iter().max() <= Some(&Duration::from_secs(12)));
    assert!(pauses[1..pauses.len() - 1].iter().min() >= Some(&Duration::from_millis(800)));
}

#[test]
fn answers_for_a_verification_that_is_over_change_nothing() {
    let mut world = World::verifies(vec![asking(2, true)]);
    let Phase::Verifying { since, .. } = world.last().phase else { panic!() };
    world.looks_until_over(&two(Answer::Fails, Answer::Fails));
    world.looks();
    world.ends(done());
    world.resolves();
    assert_eq!(world.apply(None, Event::Observed { since, findings: well() }), Reason::EvidenceLate);
    assert_eq!(world.state(), "verifying");
}

#[test]
fn a_gap_in_which_nobody_watched_proves_nothing_and_costs_nothing() {
    let mut world = World::verifies(vec![asking(1, false)]);
    world.looks();
    world.observes(well());
    world.pass(60 * MINUTE).due();
    assert!(matches!(world.last().phase, Phase::Verifying { healthy_since: None, .. }));
    assert!(matches!(world.last().reason, Reason::NobodyWatched { .. }));
    assert_eq!(world.state(), "verifying", "the deadline passed while nobody could look");
    let again = world.now;
    world.looks_until_over(&well());
    assert_eq!(world.state(), "healed");
    assert!(crate::domain::elapsed(again, world.now) >= HALF);
}
