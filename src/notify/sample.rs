//! Messages about nothing: to try a receiver, and to look at what it would be sent.

use std::sync::Arc;
use std::time::Duration;

use super::message::{Pages, blocks, document, slack};
use super::{NotifierSettings, email, mailgun};
use crate::domain::Timestamp;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};
use crate::domain::heal::{AttemptId, Heal, HealId, Outcome, Phase};
use crate::domain::message::{Message, MessageKind};
use crate::domain::reason::Reason;
use crate::domain::rule::Mode;
use crate::ids::Ids;
use crate::store::Outgoing;

/// The alert of a test.
#[must_use]
pub fn test_alert(now: Timestamp) -> Alert {
    let pairs = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let labels = pairs(&[("alertname", "AutohealTest"), ("severity", "none")]);
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations: pairs(&[("summary", "A test of this receiver. Nothing is wrong.")]),
        starts_at: now,
        ends_at: None,
        generator_url: String::new(),
    }
}

/// A message of this kind about these alerts, as a rule that only notifies would write it.
#[must_use]
pub fn sample(kind: MessageKind, alerts: Vec<Alert>, external_url: &str, ids: &Ids, now: Timestamp) -> Outgoing {
    let message = message(kind, alerts, external_url, ids.heal(), now);
    Outgoing {
        id: ids.heal().0,
        channel: String::new(),
        message,
        tries: 0,
        created_at: now,
        since: now,
        held: false,
        memory: None,
    }
}

/// The message itself, for the heal of this identity.
#[must_use]
pub fn message(kind: MessageKind, alerts: Vec<Alert>, external_url: &str, id: HealId, now: Timestamp) -> Message {
    let reason = match kind {
        MessageKind::Firing | MessageKind::Resolved => Reason::NotifyOnly,
        _ => Reason::ActionRefused { error: "this is a test, nothing is wrong".to_owned() },
    };
    let phase = match kind {
        MessageKind::ApprovalNeeded => {
            let expires_at = now + Duration::from_mins(30);
            Phase::AwaitingApproval { attempt: AttemptId(id.0), expires_at, approvers: Vec::new() }
        }
        kind if kind.is_final() => Phase::Ended { outcome: Outcome::Suppressed, at: now },
        _ => Phase::Pending { due_at: now, unreachable_since: None },
    };
    let mut heal = Heal {
        id,
        rule: "notify-test".to_owned(),
        target: Target::new("test"),
        mode: Mode::Act,
        phase,
        reason: reason.clone(),
        steps: Vec::new(),
        step: 0,
        alerts: alerts.into_iter().map(Arc::new).collect(),
        external_url: external_url.to_owned(),
        throttle: Duration::ZERO,
        receivers: Vec::new(),
        description: "A test of this receiver. Nothing is wrong.".to_owned(),
        runbook: String::new(),
        approval: None,
        call: None,
        relapses: Vec::new(),
        first_attempt_at: (kind == MessageKind::Started).then_some(now),
        last_action_ended_at: None,
        created_at: now,
        updated_at: now,
        timeline: Vec::new(),
        timeline_dropped: 0,
    };
    heal.tell(now, "test", reason, "autoheal");
    Message { kind, at: now, heal, paused: None }
}

impl NotifierSettings {
    /// The kind of message that makes this integration do something.
    #[must_use]
    pub const fn test_kind(&self) -> MessageKind {
        match self {
            Self::Alertmanager(_) => MessageKind::Suppressed,
            Self::Grafana(_) => MessageKind::Started,
            _ => MessageKind::Firing,
        }
    }

    /// What would be sent, without anything that could send it.
    #[must_use]
    pub fn preview(&self, outgoing: &Outgoing, pages: &Pages) -> String {
        let message = &outgoing.message;
        match self {
            Self::Slack(settings) => pretty(&slack::render(message, pages, &settings.texts)),
            Self::SlackBot(settings) => {
                let pages = settings.pages(pages.clone());
                pretty(&blocks::root(message, &pages, &settings.texts, true).to_string())
            }
            Self::Email(email::EmailSettings { texts, .. }) | Self::Mailgun(mailgun::MailgunSettings { texts, .. }) => {
                let mail = texts.mail(message, pages);
                format!("Subject: {}\n\n{}\n{}", mail.subject, mail.plain, mail.html)
            }
            Self::Webhook(_) => pretty(&document::render(outgoing.id, message, pages).to_string()),
            Self::Alertmanager(settings) => format!("{:#}\n", settings.alert(message, pages)),
            Self::Grafana(settings) => match settings.annotation(message, pages) {
                Some(annotation) => format!("{annotation:#}\n"),
                None => "nothing: no action was taken, so there is nothing to show\n".to_owned(),
            },
        }
    }
}

/// JSON as people read it.
fn pretty(json: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(json).ok();
    value.map_or_else(|| json.to_owned(), |value| format!("{value:#}\n"))
}
