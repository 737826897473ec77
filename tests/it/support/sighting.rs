//! Alerts with what a rule asks for, made from numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoheal::domain::Timestamp;
use autoheal::domain::action::{Action, ContainerSelector, RestartContainer};
use autoheal::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use autoheal::domain::backoff::Backoff;
use autoheal::domain::heal::{HealId, HealStep};
use autoheal::domain::rule::{HealRequest, Mode, VerifyPolicy};
use autoheal::store::Sighting;
use uuid::Uuid;

/// `millis` after a fixed instant.
pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

/// Alert number `number`, firing.
pub fn alert(number: usize) -> Alert {
    let labels = Labels::from([
        ("alertname".to_owned(), "InstanceDown".to_owned()),
        ("instance".to_owned(), format!("web-{number}:9100")),
        ("job".to_owned(), "ui".to_owned()),
        ("severity".to_owned(), "critical".to_owned()),
    ]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: BTreeMap::from([("summary".to_owned(), format!("web-{number} is down"))]),
        // Alertmanager tells nanoseconds; they must come back unchanged.
        starts_at: "2027-01-15T07:58:20.123456789Z".parse().unwrap(),
        ends_at: None,
        generator_url: "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1".to_owned(),
    }
}

/// The same alert, resolved.
pub fn resolved_alert(number: usize) -> Alert {
    Alert {
        status: AlertStatus::Resolved,
        ends_at: Some("2027-01-15T08:00:01.987654321Z".parse().unwrap()),
        ..alert(number)
    }
}

/// What rule `rule` asks for: a restart of `container`, at once.
pub fn request(rule: &str, container: &str) -> HealRequest {
    let action = Action::RestartContainer(RestartContainer {
        host: "local".to_owned(),
        selector: ContainerSelector::Name(container.to_owned()),
        stop_timeout: None,
        max: 1,
        min_healthy: None,
        then: Vec::new(),
        dependents: None,
    });
    let target = action.target();
    let step = HealStep {
        action,
        attempts: 1,
        attempts_used: 0,
        backoff: Backoff::default(),
        timeout: Duration::from_mins(1),
        verify: VerifyPolicy::default(),
    };
    HealRequest {
        rule: rule.to_owned(),
        target,
        mode: Mode::Act,
        ladder: Ok(vec![step]),
        hold_for: Duration::ZERO,
        throttle: Duration::from_hours(1),
        receivers: vec!["on-call".to_owned()],
        description: "A service container is down.".to_owned(),
        runbook: "https://wiki.example.com/service-down".to_owned(),
    }
}

/// An alert with what rules ask for.
pub fn sighting(alert: Alert, requests: impl IntoIterator<Item = HealRequest>) -> Sighting {
    let requests = requests.into_iter().map(|request| (HealId(Uuid::now_v7()), request)).collect();
    Sighting { alert: alert.into(), requests, external_url: Arc::from("http://alertmanager:9093") }
}

/// Alert number `number`, for which one rule asks for a restart of a container of its own.
pub fn firing(number: usize) -> Sighting {
    sighting(alert(number), [request("restart-service", &format!("web-{number}"))])
}

/// The same alert, resolved.
pub fn resolved(number: usize) -> Sighting {
    sighting(resolved_alert(number), [request("restart-service", &format!("web-{number}"))])
}
