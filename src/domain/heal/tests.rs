//! What a heal says of itself: when it is looked at again, and what its story keeps.

use super::*;
use crate::domain::action::{Action, ContainerSelector, RestartContainer};
use crate::domain::alert::{Fingerprint, Labels};
use crate::domain::evidence::{Finding, Watch};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A heal with a ladder of one step of two attempts, which must stay well for half a minute.
pub fn heal(phase: Phase) -> Heal {
    let action = Action::RestartContainer(RestartContainer {
        host: "local".to_owned(),
        selector: ContainerSelector::Name("ui".to_owned()),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let step = HealStep {
        action,
        attempts: 2,
        attempts_used: 0,
        backoff: Backoff::default(),
        timeout: Duration::from_mins(1),
        verify: VerifyPolicy { healthy_for: Duration::from_secs(30), ..VerifyPolicy::default() },
    };
    Heal {
        id: HealId(Uuid::from_u128(1)),
        rule: "restart".to_owned(),
        target: Target::new("docker:local/name/ui"),
        mode: Mode::Act,
        phase,
        reason: Reason::NotifyOnly,
        steps: vec![step],
        step: 0,
        alerts: Vec::new(),
        external_url: String::new(),
        throttle: Duration::ZERO,
        receivers: Vec::new(),
        description: String::new(),
        runbook: String::new(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(0),
        updated_at: at(100),
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

/// An attempt under way; `cancelled` says that it is to be stopped, and whether that has been passed on.
pub fn acting(cancelled: Option<bool>) -> Phase {
    let cancel = |passed_on| CancelRequest { by: "ann".to_owned(), because: String::new(), at: at(110), passed_on };
    Phase::Acting(Attempt {
        id: AttemptId(Uuid::from_u128(2)),
        began_at: at(100),
        deadline: at(160),
        symptom_since: at(90),
        unreachable_since: None,
        cancel: cancelled.map(cancel),
        stage: AttemptStage::Intended,
    })
}

pub fn verifying(deadline: Option<i64>, healthy_since: Option<i64>, look_at: Option<i64>) -> Phase {
    let watch = look_at.map(|look_at| Watch { look_at: at(look_at), findings: Vec::<Finding>::new() });
    Phase::Verifying { since: at(100), deadline: deadline.map(at), healthy_since: healthy_since.map(at), watch }
}

#[test]
fn whatever_is_open_is_looked_at_again_and_no_later_than_it_must() {
    let approvers = Vec::new();
    let attempt = AttemptId(Uuid::from_u128(2));
    for (name, phase, expected) in [
        ("waits", Phase::Pending { due_at: at(130), unreachable_since: None }, Some(130)),
        ("asks", Phase::AwaitingApproval { attempt, expires_at: at(140), approvers }, Some(140)),
        ("acts; the watchdog comes after whoever runs it", acting(None), Some(190)),
        ("is to stop, and nobody has been told", acting(Some(false)), Some(110)),
        ("is to stop, which has been passed on", acting(Some(true)), Some(190)),
        ("waits for the resolve", verifying(Some(400), None, None), Some(400)),
        ("resolved, and must stay so", verifying(Some(400), Some(200), None), Some(230)),
        ("only told", verifying(None, None, None), Some(100 + 24 * 3600)),
        ("asks for evidence", verifying(Some(400), None, Some(120)), Some(120)),
        ("asks for evidence up to the deadline", verifying(Some(400), None, Some(500)), Some(400)),
        ("asks for evidence without one", verifying(None, None, Some(500)), Some(500)),
        ("what holds may prove itself behind it", verifying(Some(400), Some(390), Some(405)), Some(405)),
        ("is over", Phase::Ended { outcome: Outcome::Healed, at: at(100) }, None),
    ] {
        assert_eq!(heal(phase).due_at(), expected.map(at), "{name}");
    }
}

#[test]
fn a_heal_says_what_it_waits_for_and_how_it_ended() {
    let ended = |outcome| heal(Phase::Ended { outcome, at: at(100) });
    for outcome in Outcome::ALL {
        let needs_human = matches!(outcome.as_str(), "exhausted" | "suppressed" | "expired");
        assert_eq!(outcome.needs_human(), needs_human, "{outcome:?}");
        assert_eq!(ended(outcome).phase.name(), outcome.as_str());
        assert!(STATES.contains(&outcome.as_str()));
        let written = serde_json::to_value(outcome).unwrap();
        assert_eq!(written, outcome.as_str(), "the API and the store say the same");
    }
    let healed = ended(Outcome::Healed);
    assert_eq!((healed.outcome(), healed.ended_at()), (Some(Outcome::Healed), Some(at(100))));
    let open = heal(acting(None));
    assert_eq!(
        (open.outcome(), open.ended_at(), open.attempt().map(|attempt| attempt.began_at)),
        (None, None, Some(at(100)))
    );
    assert_eq!((healed.attempt(), open.wants_evidence()), (None, false));
    assert!(heal(verifying(None, None, Some(120))).wants_evidence());
    assert!(!heal(verifying(None, None, None)).wants_evidence());
    let id = "00000000-0000-0000-0000-000000000001";
    assert_eq!((open.id.to_string().as_str(), AttemptId(open.id.0).to_string().as_str()), (id, id));
    let names = [heal(verifying(None, None, None)), open].map(|heal| heal.phase.name());
    assert_eq!(names, ["verifying", "acting"]);
}

#[test]
fn all_of_its_alerts_must_have_resolved() {
    let alert = |status| Alert {
        fingerprint: Fingerprint::of(&Labels::new()),
        status,
        labels: Labels::new(),
        annotations: Labels::new(),
        starts_at: at(0),
        ends_at: None,
        generator_url: String::new(),
    };
    let mut heal = heal(acting(None));
    heal.alerts = vec![alert(AlertStatus::Resolved).into(), alert(AlertStatus::Firing).into()];
    assert!(!heal.all_resolved());
    heal.alerts.pop();
    assert!(heal.all_resolved());
}

#[test]
fn what_comes_after_the_end_is_no_news_of_the_heal() {
    let mut heal = heal(Phase::Ended { outcome: Outcome::Exhausted, at: at(100) });
    assert!(heal.is_news(), "its last change was the end");
    heal.updated_at = at(200);
    assert!(!heal.is_news(), "somebody was reminded");
    heal.phase = acting(None);
    assert!(heal.is_news());
}

#[test]
fn a_long_story_keeps_how_it_began_and_what_came_last() {
    let mut heal = heal(acting(None));
    assert_eq!(serde_json::to_value(&heal).unwrap().get("timelineDropped"), None, "of nothing nothing is said");
    for line in 0..Heal::MAX_TIMELINE + 3 {
        heal.tell(at(0), line.to_string(), Reason::NotifyOnly, "autoheal");
    }
    let kept: Vec<_> = heal.timeline.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!((kept.len(), heal.timeline_dropped), (Heal::MAX_TIMELINE, 3));
    assert_eq!((kept[0], kept[1], kept[Heal::MAX_TIMELINE - 1]), ("0", "4", "202"));
    let written = serde_json::to_value(&heal).unwrap();
    assert_eq!(written["timelineDropped"], 3);
    assert_eq!(serde_json::from_value::<Heal>(written).unwrap(), heal, "the store forgets nothing of it");
}
