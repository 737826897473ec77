use std::sync::Arc;
use std::time::Duration;

use insta::{assert_snapshot, with_settings};
use proptest::prelude::*;
use uuid::Uuid;

use super::digest::Digest;
use super::texts::Texts;
use super::*;
use crate::domain::Timestamp;
use crate::domain::action::{Action, ContainerSelector, RestartContainer};
use crate::domain::alert::{AlertStatus, Fingerprint};
use crate::domain::backoff::Backoff;
use crate::domain::call::Call;
use crate::domain::heal::{Attempt, AttemptId, AttemptStage, HealId, HealStep, Outcome, Phase};
use crate::domain::pause::{Pause, PauseId, PauseRequest, PauseScope};
use crate::domain::reason::Reason;
use crate::domain::rule::{Mode, VerifyPolicy};
use crate::links::Links;
use crate::secret::Secret;

mod outcomes;

pub(super) const KINDS: [MessageKind; 16] = [
    MessageKind::Started,
    MessageKind::AttemptFailed,
    MessageKind::Healed,
    MessageKind::Recovered,
    MessageKind::Exhausted,
    MessageKind::Suppressed,
    MessageKind::Firing,
    MessageKind::Resolved,
    MessageKind::ApprovalNeeded,
    MessageKind::Expired,
    MessageKind::Cancelled,
    MessageKind::Storm,
    MessageKind::Reminder,
    MessageKind::Over,
    MessageKind::PausedTooLong,
    MessageKind::HeldUp,
];

pub(super) fn pages() -> Pages {
    Pages::new(Some("https://autoheal.example.com/"))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_331_000 + second).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn alert(instance: &str, status: AlertStatus) -> Alert {
    let text = |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|&(k, v)| (k.into(), v.into())).collect() };
    let labels = text(&[
        ("alertname", "InstanceDown"),
        ("job", "ui"),
        ("instance", instance),
        ("project", "otus"),
        ("severity", "critical"),
    ]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status,
        labels,
        annotations: text(&[("summary", "Instance ui:9292 is down"), ("dashboard", "https://grafana.example.com/d/1")]),
        starts_at: at(-30),
        ends_at: (status == AlertStatus::Resolved).then(|| at(42)),
        generator_url: "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1".into(),
    }
}

fn step(attempts_used: u32) -> HealStep {
    HealStep {
        action: Action::RestartContainer(RestartContainer {
            host: "local".into(),
            selector: ContainerSelector::Compose { project: "otus".into(), service: "ui".into() },
            stop_timeout: None,
            max: 1,
            min_healthy: None,
            then: Vec::new(),
            dependents: None,
        }),
        attempts: 2,
        attempts_used,
        backoff: Backoff::default(),
        timeout: seconds(40),
        verify: VerifyPolicy {
            within: seconds(50),
            healthy_for: seconds(5),
            resolved: true,
            ..VerifyPolicy::default()
        },
    }
}

fn heal(status: AlertStatus) -> Heal {
    let alert = alert("ui:9292", status);
    Heal {
        id: HealId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        rule: "restart-service".into(),
        target: crate::domain::action::Target::new("docker:local/compose/otus/ui"),
        mode: Mode::Act,
        phase: Phase::Pending { due_at: at(0), unreachable_since: None },
        reason: Reason::AlertFiring { alert: alert.fingerprint },
        steps: vec![step(0)],
        step: 0,
        alerts: vec![alert.into()],
        external_url: "http://alertmanager:9093/".into(),
        throttle: seconds(50),
        receivers: vec!["on-call".into()],
        description: "A service container is down.".into(),
        runbook: "https://wiki.example.com/service-down".into(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: None,
        last_action_ended_at: None,
        created_at: at(0),
        updated_at: at(0),
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

/// How a heal that is being worked on stands.
fn at_work(kind: MessageKind, heal: &mut Heal, attempt: Reason) -> (Phase, Reason) {
    if kind == MessageKind::Started {
        let phase = Phase::Acting(Attempt {
            id: AttemptId(Uuid::from_u128(2)),
            began_at: at(1),
            deadline: at(41),
            symptom_since: at(-30),
            unreachable_since: None,
            cancel: None,
            stage: AttemptStage::Intended,
        });
        return (phase, attempt);
    }
    heal.tell(at(43), "not verified", Reason::NotVerified { within: seconds(50), missing: String::new() }, "autoheal");
    let reason = Reason::NextAttempt { step: 0, attempt: 2, attempts: 2, pause: seconds(30) };
    (Phase::Pending { due_at: at(73), unreachable_since: None }, reason)
}

/// How a heal that people decide about stands.
fn people(kind: MessageKind, rule: &str, action: String) -> (Phase, Reason) {
    let ended = |outcome| Phase::Ended { outcome, at: at(43) };
    match kind {
        MessageKind::ApprovalNeeded => {
            let approvers = vec!["ann".to_owned(), "slack:U0123456789".to_owned()];
            let reason = Reason::ApprovalNeeded { action, approvers: approvers.join(", "), expires_at: at(1843) };
            let attempt = AttemptId(Uuid::from_u128(5));
            (Phase::AwaitingApproval { attempt, expires_at: at(1843), approvers }, reason)
        }
        MessageKind::Expired => (ended(Outcome::Expired), Reason::ApprovalExpired { expired_at: at(43) }),
        MessageKind::Cancelled => {
            let because = "the database is being moved".to_owned();
            (ended(Outcome::Cancelled), Reason::Cancelled { by: "ann".to_owned(), because })
        }
        MessageKind::HeldUp => {
            let error = "could not connect to the engine".to_owned();
            let reason = Reason::ActionUnreachable { error, again_at: at(103) };
            (Phase::Pending { due_at: at(103), unreachable_since: Some(at(1)) }, reason)
        }
        MessageKind::PausedTooLong => {
            let (scope, because, by) = ("everything".to_owned(), "moving the rack".to_owned(), "ann".to_owned());
            let (until, held) = (at(7200), Duration::from_mins(30));
            let reason = Reason::PausedTooLong { until, scope, because, by, held, heals: 3 };
            (Phase::Pending { due_at: until, unreachable_since: None }, reason)
        }
        _ => {
            let rule = rule.to_owned();
            let within = seconds(120);
            let reason = Reason::Storm { rule, targets: 6, limit: 5, within, until: at(943) };
            (Phase::Pending { due_at: at(943), unreachable_since: None }, reason)
        }
    }
}

fn gave_up(kind: MessageKind, heal: &mut Heal) -> Reason {
    if kind != MessageKind::Exhausted {
        heal.call = Some(Call::new(MessageKind::Exhausted, at(43 - 7200)));
    }
    heal.steps[0].attempts_used = 2;
    heal.last_action_ended_at = Some(at(40));
    let last = "ui exited again with code 137".to_owned();
    heal.tell(at(40), "action failed", Reason::ActionFailed { error: last.clone() }, "autoheal");
    Reason::LadderExhausted { steps: 1, attempts: 2, last }
}

/// A message of each kind as the decisions make it.
pub(super) fn message(kind: MessageKind) -> Message {
    let is_over =
        matches!(kind, MessageKind::Healed | MessageKind::Recovered | MessageKind::Resolved | MessageKind::Over);
    let mut heal = heal(if is_over { AlertStatus::Resolved } else { AlertStatus::Firing });
    let action = heal.steps[0].action.summary();
    let ended = |outcome| Phase::Ended { outcome, at: at(43) };
    heal.tell(at(0), "firing", heal.reason.clone(), "alertmanager");
    let attempt = Reason::Attempt { step: 0, steps: 1, attempt: 1, attempts: 2, action: action.clone() };
    let by_others =
        matches!(kind, MessageKind::Recovered | MessageKind::Suppressed | MessageKind::Firing | MessageKind::Resolved);
    let by_people = matches!(
        kind,
        MessageKind::ApprovalNeeded
            | MessageKind::Expired
            | MessageKind::Cancelled
            | MessageKind::Storm
            | MessageKind::PausedTooLong
            | MessageKind::HeldUp
    );
    if !by_others && !by_people {
        heal.steps[0].attempts_used = 1;
        heal.first_attempt_at = Some(at(1));
        heal.tell(at(1), "acting", attempt.clone(), "autoheal");
    }
    let (phase, reason) = match kind {
        MessageKind::Started | MessageKind::AttemptFailed => at_work(kind, &mut heal, attempt),
        MessageKind::Healed => {
            let done = Reason::ActionDone { what: "restarted ui".into(), took: seconds(2) };
            heal.tell(at(3), "action done", done, "autoheal");
            let took = Duration::from_millis(42_345);
            (ended(Outcome::Healed), Reason::Verified { evidence: String::new(), healthy_for: seconds(5), took })
        }
        MessageKind::Recovered => (ended(Outcome::Recovered), Reason::ResolvedBeforeActing),
        MessageKind::Exhausted | MessageKind::Reminder | MessageKind::Over => {
            (ended(Outcome::Exhausted), gave_up(kind, &mut heal))
        }
        MessageKind::Suppressed => {
            heal.steps.clear();
            let error = "compose.service: the alert has no label \"job\"".to_owned();
            (ended(Outcome::Suppressed), Reason::NotRendered { error })
        }
        MessageKind::Firing => {
            heal.steps.clear();
            (Phase::Verifying { since: at(0), deadline: None, healthy_since: None, watch: None }, Reason::NotifyOnly)
        }
        MessageKind::Resolved => {
            heal.steps.clear();
            let alert = heal.alerts[0].fingerprint;
            (ended(Outcome::Recovered), Reason::AlertResolved { alert })
        }
        _ => people(kind, &heal.rule, action),
    };
    if kind != MessageKind::Started {
        heal.tell(at(43), phase.name(), reason.clone(), "autoheal");
    }
    if kind == MessageKind::Over {
        let alert = heal.alerts[0].fingerprint;
        heal.tell(at(43), "resolved", Reason::AlertResolved { alert }, "alertmanager");
    }
    // A page about a pause leaves the heal held as it was.
    let reason = match reason {
        Reason::PausedTooLong { until, scope, because, by, .. } => Reason::Paused { until, scope, because, by },
        reason => reason,
    };
    (heal.phase, heal.reason) = (phase, reason);
    Message { kind, at: at(43), heal, paused: None }
}

#[test]
fn every_kind_has_a_subject_in_alertmanagers_form_with_the_outcome() {
    let subjects: Vec<_> = KINDS.map(|kind| subject(&message(kind))).to_vec();
    assert_snapshot!(subjects.join("\n"), @r"
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — restarting, attempt 1 of 2
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — attempt 1 of 2 did not help, next in 30s
    [RESOLVED] InstanceDown ui (ui:9292 otus critical) — healed after 42s
    [RESOLVED] InstanceDown ui (ui:9292 otus critical) — recovered on its own
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, 2 attempts did not help
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, autoheal did not act
    [FIRING:1] InstanceDown ui (ui:9292 otus critical)
    [RESOLVED] InstanceDown ui (ui:9292 otus critical)
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — approval needed
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, nobody approved in time
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — cancelled by a person
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, storm: nothing new starts
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human still needed, called 2h ago
    [RESOLVED] InstanceDown ui (ui:9292 otus critical) — over, no human is needed any more
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, a pause holds repairs back
    [FIRING:1] InstanceDown ui (ui:9292 otus critical) — human needed, autoheal cannot act
    ");
}

#[test]
fn every_kind_reads_well_in_every_form() {
    for kind in KINDS {
        let message = message(kind);
        let slack: serde_json::Value =
            serde_json::from_str(&slack::render(&message, &pages(), &Texts::default())).unwrap();
        with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            assert_snapshot!(format!("{}.txt", kind.as_str()), plain::render(&message, &pages()));
            assert_snapshot!(format!("{}.html", kind.as_str()), html::render(&message, &pages()));
            assert_snapshot!(format!("{}.json", kind.as_str()), serde_json::to_string_pretty(&slack).unwrap());
            let blocks = blocks::root(&message, &pages(), &Texts::default(), true);
            assert_snapshot!(format!("{}.blocks.json", kind.as_str()), serde_json::to_string_pretty(&blocks).unwrap());
            let reply = blocks::reply(&message, 0, kind.needs_human());
            assert_snapshot!(format!("{}.thread.txt", kind.as_str()), reply);
            let document = document::render(Uuid::from_u128(7), &message, &pages());
            let document = serde_json::to_string_pretty(&document).unwrap();
            assert_snapshot!(format!("{}.webhook.json", kind.as_str()), document);
        });
    }
}

#[test]
fn labels_that_differ_between_alerts_stay_out_of_the_subject() {
    let mut message = message(MessageKind::Firing);
    message.heal.alerts.push(alert("ui:9293", AlertStatus::Firing).into());
    message.heal.alerts.push(alert("ui:9294", AlertStatus::Resolved).into());
    assert_eq!(subject(&message), "[FIRING:2] InstanceDown ui (otus critical)");
    message.heal.alerts.iter_mut().for_each(|alert| Arc::make_mut(alert).labels.clear());
    assert_eq!(subject(&message), "[FIRING:2] restart-service");
}

#[test]
fn a_relapse_after_the_last_step_says_so() {
    let mut message = message(MessageKind::Exhausted);
    message.heal.first_attempt_at = None;
    message.heal.reason = Reason::RelapseAfterLastStep { ended_at: at(-50) };
    assert!(subject(&message).ends_with("— human needed, fires again after every step"));
    assert!(Story::full(&message, &pages()).headline.starts_with("A human is needed: InstanceDown on docker:local"));
}

#[test]
fn who_was_called_reads_for_how_long_and_why_it_is_over() {
    let mut message = message(MessageKind::Exhausted);
    message.heal.call = Some(Call::new(MessageKind::Exhausted, at(43)));
    (message.kind, message.at) = (MessageKind::Reminder, at(43 + 7200));
    assert!(subject(&message).ends_with("— human still needed, called 2h ago"), "{}", subject(&message));
    let expected = "A human is still needed, called 2h ago: InstanceDown on docker:local/compose/otus/ui: every step has been tried (1 step, 2 attempts), at last: ui exited again with code 137; a human is needed.";
    assert_eq!(headline(&message), expected);
    let alert = message.heal.alerts[0].fingerprint;
    message.heal.tell(message.at, "resolved", Reason::AlertResolved { alert }, "alertmanager");
    message.kind = MessageKind::Over;
    assert!(subject(&message).ends_with("— over, no human is needed any more"), "{}", subject(&message));
    let expected = format!(
        "No human is needed any more for InstanceDown on docker:local/compose/otus/ui: alert {alert} resolved."
    );
    assert_eq!(headline(&message), expected);
}

#[test]
fn a_climb_to_the_next_step_says_which_step_follows() {
    let mut message = message(MessageKind::AttemptFailed);
    message.heal.steps.push(step(0));
    message.heal.step = 1;
    assert!(subject(&message).ends_with("— step 1 did not help, 2 of 2 follows"), "{}", subject(&message));
}

#[test]
fn who_may_approve_finds_the_link_first_in_every_form() {
    let links = Links::new("https://autoheal.example.com", Secret::new("a key of some length"));
    let pages = pages().with_approvals(Some(links.clone())).of_receiver("on-call");
    let mut message = message(MessageKind::Started);
    message.kind = MessageKind::ApprovalNeeded;
    let attempt = AttemptId(Uuid::from_u128(5));
    message.heal.phase = Phase::AwaitingApproval { attempt, expires_at: at(1800), approvers: Vec::new() };
    let first = buttons(&message, &pages).remove(0);
    let ticket = links.read(first.url.rsplit('/').next().unwrap(), at(0)).unwrap();
    assert_eq!((first.text, ticket.heal, ticket.attempt), ("Approve or deny", message.heal.id, attempt));
    assert_eq!(ticket.by, "on-call");
    let forms = [
        plain::render(&message, &pages),
        html::render(&message, &pages),
        slack::render(&message, &pages, &Texts::default()),
    ];
    assert!(forms.iter().all(|form| form.contains(&first.url)), "{forms:#?}");
    assert!(blocks::root(&message, &pages, &Texts::default(), true).to_string().contains(&first.url));
}

#[test]
fn a_pause_is_told_in_every_form_and_leaves_room_for_the_rest() {
    let request = PauseRequest {
        scope: PauseScope::All,
        reason: "moving the <rack>".into(),
        by: "ann".into(),
        lasts: Duration::from_hours(2),
    };
    let mut message = message(MessageKind::Exhausted);
    message.paused = Some(Pause::new(PauseId(Uuid::nil()), request, at(0)).unwrap());
    let said = "everything until 2026-11-22T09:03:20Z by ann, nothing new starts: moving the ";
    let story = Story::full(&message, &pages());
    assert_eq!(story.facts[0], Fact { name: "Paused", value: format!("{said}<rack>") });
    assert_eq!(story.facts.len(), 10, "Slack takes no more");
    let slack = slack::render(&message, &pages(), &Texts::default());
    let blocks = blocks::root(&message, &pages(), &Texts::default(), true).to_string();
    let forms = [plain::render(&message, &pages()), html::render(&message, &pages()), slack, blocks];
    assert!(forms.iter().all(|form| form.contains(said)), "{forms:#?}");
    assert!(forms[1..].iter().all(|form| !form.contains("<rack>")), "escaped as everything else");
    let document = document::render(Uuid::nil(), &message, &pages());
    assert_eq!((&document["paused"]["covers"], &document["paused"]["by"]), (&"everything".into(), &"ann".into()));
    let many = Digest::of(&[&message, &message], &pages());
    assert_eq!(many.lines.iter().filter(|line| line.contains(said)).count(), 1, "{many:?}");
}

#[test]
fn a_long_subject_keeps_its_outcome() {
    let mut message = message(MessageKind::Healed);
    Arc::make_mut(&mut message.heal.alerts[0]).labels.insert("pod".into(), "x".repeat(10_000));
    let subject = subject(&message);
    assert_eq!(subject.chars().count(), 250);
    assert!(subject.ends_with("… — healed after 42s"), "{subject}");
}

#[test]
fn no_label_can_ping_forge_a_line_or_run_a_script() {
    let mut message = message(MessageKind::Exhausted);
    let evil = "<!channel> <@U1>\r\nBcc: all@example.com\n\nOutcome: healed <script>alert(1)</script> \"onload='x'";
    let alert = Arc::make_mut(&mut message.heal.alerts[0]);
    for name in ["alertname", "job", "summary", "<!here>", "<b>"] {
        alert.labels.insert(name.into(), evil.into());
        alert.annotations.insert(name.into(), evil.into());
    }
    alert.generator_url = "javascript:alert(1)".into();
    message.heal.external_url = "http://am/\"><script>".into();
    message.heal.runbook = "javascript:alert(1)".into();
    message.heal.description = evil.into();
    message.heal.rule = evil.into();
    message.heal.reason = Reason::ActionFailed { error: evil.into() };

    let blocks =
        blocks::root(&message, &pages(), &Texts::default(), true).to_string() + &blocks::reply(&message, 0, true);
    for ping in ["<!channel", "<!here", "<@", "<#", "<script", "<b>"] {
        assert!(!blocks.contains(ping), "{ping} in {blocks}");
    }
    let (slack, html, plain) = (
        slack::render(&message, &pages(), &Texts::default()),
        html::render(&message, &pages()),
        plain::render(&message, &pages()),
    );
    for ping in ["<!", "<@", "<#", "<script", "<b>"] {
        assert!(!slack.contains(ping), "{ping} in {slack}");
    }
    assert!(slack.contains("&lt;!channel&gt;"));
    for tag in ["<script", "<!channel", "href=\"javascript", "\"onload"] {
        assert!(!html.contains(tag), "{tag} in {html}");
    }
    assert!(!plain.lines().any(|line| line.starts_with("Bcc:") || line == "Outcome: healed"), "{plain}");
    assert!(!subject(&message).contains(['\r', '\n']));
}

#[test]
fn a_long_story_keeps_its_beginning_and_its_end_and_says_what_is_missing() {
    let mut message = message(MessageKind::Exhausted);
    for second in 0..500 {
        message.heal.tell(
            at(second),
            "held",
            Reason::AlertFiring { alert: Fingerprint::of(&Labels::new()) },
            "autoheal",
        );
    }
    let story = Story::full(&message, &pages());
    assert_eq!(story.timeline.len(), 22);
    assert!(story.timeline[0].contains("firing"), "{:?}", story.timeline);
    assert_eq!(story.timeline[1], "(483 entries left out)");

    message.heal.alerts = (0..100).map(|n| alert(&format!("ui:{n}"), AlertStatus::Firing).into()).collect();
    let story = Story::full(&message, &pages());
    assert_eq!((story.alerts.len(), story.more_alerts), (20, 80));
    assert!(plain::render(&message, &pages()).contains(" more alerts\n"));
}

/// What Slack documents, and what it is known to refuse.
pub(super) fn assert_block_kit_limits(payload: &serde_json::Value) {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().chars().count();
    let blocks = payload["attachments"][0]["blocks"].as_array().unwrap();
    assert!(payload.to_string().len() <= 13_000, "{}", payload.to_string().len());
    assert!(blocks.len() <= 50 && text(&payload["text"]) <= 4000);
    for block in blocks {
        assert!(text(&block["text"]["text"]) <= 3000, "{block}");
        let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(fields.len() <= 10 && fields.iter().all(|field| text(&field["text"]) <= 2000), "{block}");
        let elements = block["elements"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(elements.len() <= 10, "{block}");
        for element in elements.iter().filter(|element| element["type"] == "button") {
            assert!(text(&element["text"]["text"]) <= 75 && text(&element["url"]) <= 3000, "{block}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_form_is_bounded_whatever_the_alerts_hold(
        unit in "[&<\"\u{1F600}\u{0}\\\\ä]{1,3}", length in 1usize..3000, alerts in 1usize..100, labels in 0usize..60,
    ) {
        let mut message = message(MessageKind::Exhausted);
        let text = unit.repeat(length);
        let alert = Arc::make_mut(&mut message.heal.alerts[0]);
        for n in 0..labels {
            alert.labels.insert(format!("{n}{text}"), text.clone());
            alert.annotations.insert(format!("{n}{text}"), text.clone());
        }
        message.heal.alerts = vec![alert.clone().into(); alerts];
        message.heal.description.clone_from(&text);
        message.heal.rule.clone_from(&text);
        message.heal.external_url = format!("http://{}", "a".repeat(length));
        message.heal.runbook.clone_from(&message.heal.external_url);
        message.heal.tell(at(1), text.clone(), Reason::ActionFailed { error: text }, "autoheal");

        prop_assert!(subject(&message).chars().count() <= 250);
        prop_assert!(plain::render(&message, &pages()).len() <= plain::MAX_PLAIN);
        prop_assert!(html::render(&message, &pages()).len() <= html::MAX_HTML);
        assert_block_kit_limits(&blocks::root(&message, &pages(), &Texts::default(), true));
        assert_block_kit_limits(&blocks::root(&message, &pages(), &Texts::default(), false));
        prop_assert!(blocks::reply(&message, 0, true).len() <= 4000);
        let many = vec![&message; 500];
        prop_assert!(Digest::of(&many, &pages()).slack().to_string().len() <= 12_000);
        let slack = slack::render(&message, &pages(), &Texts::default());
        prop_assert!(slack.len() <= 12_000, "{}", slack.len());
        let slack: serde_json::Value = serde_json::from_str(&slack).unwrap();
        let fields = slack["attachments"][0]["fields"].as_array().unwrap();
        prop_assert!(fields.len() <= 10 && fields.iter().all(|field| field["value"].as_str().unwrap().len() <= 2000));
    }
}
