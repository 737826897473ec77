//! Texts: what a message says, rendered purely for Slack, plain mail and HTML mail.
//!
//! A [`Story`] holds what every form of a message shows, bounded and clean but not escaped; [`slack`], [`plain`] and
//! [`html`] each know one form and its escaping, and detail is given up until a form is short enough.

pub mod blocks;
pub mod data;
pub mod digest;
pub mod document;
mod ending;
mod facts;
mod headline;
pub mod html;
pub mod mail;
mod pages;
pub mod plain;
pub mod slack;
mod subject;
pub mod text;
pub mod texts;

use self::facts::facts;
use self::headline::headline;
use self::pages::{alertmanager_link, buttons};
use self::text::{line, link};
use crate::domain::alert::{Alert, Labels};
use crate::domain::heal::{Heal, TimelineEntry};
use crate::domain::message::{Message, MessageKind};

pub use self::facts::Fact;
pub use self::pages::{Button, Pages};
pub use self::subject::subject;

/// How much of a heal is shown.
#[derive(Debug, Clone, Copy)]
struct Detail {
    /// Alerts in full.
    alerts: usize,
    /// Labels, and likewise annotations, per alert.
    pairs: usize,
    /// Characters of one value.
    value: usize,
    /// Entries of the timeline.
    timeline: usize,
}

/// From everything a person may want to the least that still tells the story. The last one is short whatever the
/// alerts carry, which is what keeps every message within its bounds.
const DETAILS: [Detail; 5] = [
    Detail { alerts: 20, pairs: 40, value: 500, timeline: 20 },
    Detail { alerts: 10, pairs: 30, value: 300, timeline: 12 },
    Detail { alerts: 5, pairs: 20, value: 160, timeline: 8 },
    Detail { alerts: 2, pairs: 12, value: 100, timeline: 5 },
    Detail { alerts: 1, pairs: 3, value: 40, timeline: 3 },
];

/// The headline is what a person reads first, so it keeps this many characters whatever else is given up.
const MIN_HEADLINE: usize = 240;
/// Longest name of a label that is shown.
const MAX_NAME: usize = 60;

/// What the colour of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A person is needed.
    Danger,
    /// Something is wrong and being worked on.
    Warning,
    /// It is well again.
    Good,
}

/// One alert as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// Its name, status and since when.
    pub title: String,
    /// Its labels, `alertname` first.
    pub labels: Vec<(String, String)>,
    /// Its annotations.
    pub annotations: Vec<(String, String)>,
    /// How many labels and annotations are not shown.
    pub hidden: usize,
    /// Link to the expression that fired.
    pub source: Option<String>,
}

/// Everything a message shows, bounded and on single lines, not yet escaped for any form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The subject of a mail, the title in a chat.
    pub subject: String,
    /// The first line: what happened, and whether a person must do something.
    pub headline: String,
    /// Its colour.
    pub tone: Tone,
    /// Alertmanager's page for the alert.
    pub alertmanager: Option<String>,
    /// What was done, to what, how often, how it ended.
    pub facts: Vec<Fact>,
    /// The alerts.
    pub alerts: Vec<AlertView>,
    /// How many alerts are not shown.
    pub more_alerts: usize,
    /// Where to read on and what to decide.
    pub buttons: Vec<Button>,
    /// The heal's story, oldest first.
    pub timeline: Vec<String>,
    /// The heal's identity, for `autoheal heals show`.
    pub heal: String,
}

/// Renders with as much detail as `max` bytes allow.
fn fit(message: &Message, pages: &Pages, max: usize, render: impl Fn(&Story) -> String) -> String {
    let mut rendered = String::new();
    for detail in DETAILS {
        rendered = render(&Story::new(message, pages, detail));
        if rendered.len() <= max {
            break;
        }
    }
    rendered
}

impl Story {
    /// The story with everything it may show.
    #[must_use]
    pub fn full(message: &Message, pages: &Pages) -> Self {
        Self::new(message, pages, DETAILS[0])
    }

    /// The story with only what it must show.
    fn least(message: &Message, pages: &Pages) -> Self {
        Self::new(message, pages, DETAILS[DETAILS.len() - 1])
    }

    fn new(message: &Message, pages: &Pages, detail: Detail) -> Self {
        let heal = &message.heal;
        let alerts: Vec<_> =
            heal.alerts.iter().take(detail.alerts).map(|alert| AlertView::new(alert, detail)).collect();
        Self {
            subject: subject(message),
            headline: line(&headline(message), detail.value.max(MIN_HEADLINE)),
            tone: tone(message.kind),
            alertmanager: alertmanager_link(heal),
            facts: facts(message, detail),
            more_alerts: heal.alerts.len() - alerts.len(),
            alerts,
            buttons: buttons(message, pages),
            timeline: timeline(heal, detail),
            heal: heal.id.to_string(),
        }
    }
}

impl AlertView {
    fn new(alert: &Alert, detail: Detail) -> Self {
        let (labels, hidden_labels) = pairs(&alert.labels, detail);
        let (annotations, hidden_annotations) = pairs(&alert.annotations, detail);
        let status = alert.status.as_str();
        Self {
            title: match alert.ends_at {
                Some(at) => format!("{status} from {} to {at}", alert.starts_at),
                None => format!("{status} since {}", alert.starts_at),
            },
            labels,
            annotations,
            hidden: hidden_labels + hidden_annotations,
            source: link(&alert.generator_url).filter(|source| source.len() <= detail.value * 2).map(str::to_owned),
        }
    }
}

/// Names and values as Alertmanager orders them: `alertname` first, the others by name.
fn pairs(labels: &Labels, detail: Detail) -> (Vec<(String, String)>, usize) {
    let (first, others): (Vec<_>, Vec<_>) = labels.iter().partition(|(name, _)| *name == "alertname");
    let shown: Vec<_> = first
        .into_iter()
        .chain(others)
        .take(detail.pairs)
        .map(|(name, value)| (line(name, MAX_NAME.min(detail.value)), line(value, detail.value)))
        .collect();
    let hidden = labels.len() - shown.len();
    (shown, hidden)
}

const fn tone(kind: MessageKind) -> Tone {
    match kind {
        MessageKind::Exhausted
        | MessageKind::Suppressed
        | MessageKind::Expired
        | MessageKind::Storm
        | MessageKind::Reminder
        | MessageKind::PausedTooLong
        | MessageKind::HeldUp
        | MessageKind::Firing => Tone::Danger,
        MessageKind::Started | MessageKind::AttemptFailed | MessageKind::ApprovalNeeded | MessageKind::Cancelled => {
            Tone::Warning
        }
        MessageKind::Healed | MessageKind::Recovered | MessageKind::Resolved | MessageKind::Over => Tone::Good,
    }
}

/// The story's first line and its latest ones.
fn timeline(heal: &Heal, detail: Detail) -> Vec<String> {
    let show = |entry: &TimelineEntry| {
        let reason = entry.reason.to_string();
        line(&format!("{} {}: {reason} ({})", entry.at, entry.what, entry.by), detail.value)
    };
    // The first entry always stays, because it says how all began.
    let skip = heal.timeline.len().saturating_sub(detail.timeline).max(1);
    let left_out = heal.timeline_dropped as usize + skip - 1;
    let mut lines: Vec<_> = heal.timeline.iter().take(1).map(show).collect();
    if left_out > 0 {
        lines.push(format!("({left_out} entries left out)"));
    }
    lines.extend(heal.timeline.iter().skip(skip).map(show));
    lines
}

#[cfg(test)]
mod tests;
