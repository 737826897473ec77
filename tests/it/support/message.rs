//! Messages as the outbox hands them out.

use std::sync::Arc;
use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::heal::{Heal, HealId, HealStep, Outcome, Phase};
use autoheal::domain::message::{Message, MessageKind};
use autoheal::domain::reason::Reason;
use autoheal::domain::rule::{Mode, VerifyPolicy};
use autoheal::store::Outgoing;
use uuid::Uuid;

/// When everything happens.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_795_331_071).unwrap()
}

/// A call for a human whose alert carries this label value, for a channel.
pub fn exhausted(channel: &str, job: &str) -> Outgoing {
    let action = Action::RestartContainer(RestartContainer {
        host: "local".to_owned(),
        selector: ContainerSelector::Name("ui".to_owned()),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let labels: Labels = [("alertname", "InstanceDown"), ("job", job), ("severity", "critical")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let heal = Heal {
        id: HealId(Uuid::now_v7()),
        rule: "restart-service".to_owned(),
        target: action.target(),
        mode: Mode::Act,
        phase: Phase::Ended { outcome: Outcome::Exhausted, at: now() },
        reason: Reason::LadderExhausted { steps: 1, attempts: 1, last: String::new() },
        steps: vec![HealStep {
            action,
            attempts: 1,
            attempts_used: 1,
            backoff: Backoff::default(),
            timeout: Duration::from_mins(1),
            verify: VerifyPolicy::default(),
        }],
        step: 0,
        alerts: vec![Arc::new(Alert {
            fingerprint: Fingerprint::of(&labels),
            status: AlertStatus::Firing,
            labels,
            annotations: Labels::new(),
            starts_at: now(),
            ends_at: None,
            generator_url: String::new(),
        })],
        external_url: "http://alertmanager:9093".to_owned(),
        throttle: Duration::from_hours(1),
        receivers: vec!["on-call".to_owned()],
        description: String::new(),
        runbook: "https://wiki.example.com/service-down".to_owned(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: Some(now()),
        last_action_ended_at: Some(now()),
        created_at: now(),
        updated_at: now(),
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    Outgoing {
        id: Uuid::now_v7(),
        channel: channel.to_owned(),
        message: Message { kind: MessageKind::Exhausted, at: now(), heal, paused: None },
        tries: 0,
        created_at: now(),
        since: now(),
        held: false,
        memory: None,
    }
}
