//! Texts: what a message says, rendered purely for Slack, plain mail and HTML mail.
//!
//! A [`Story`] holds what every form of a message shows, bounded and clean but not escaped; [`slack`], [`plain`] and
//! [`html`] each know one form and its escaping, and detail is given up until a form is short enough.

pub mod blocks;
pub mod data;
pub mod digest;
pub mod document;
pub mod html;
pub mod mail;
pub mod plain;
pub mod slack;
mod subject;
pub mod text;
pub mod texts;

use std::time::Duration;

use crate::domain::alert::{Alert, Labels};
use crate::domain::duration;
use crate::domain::heal::{Heal, HealStep, Phase};
use crate::domain::message::{Message, MessageKind};
use crate::domain::pause::Pause;
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};
use crate::links::{Links, Ticket};
use crate::slack_call::Question;
use text::{line, link, percent};

pub use subject::subject;

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

/// One thing worth knowing, such as `Target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// Its value; an address that passes [`text::link`] may be shown as a link.
    pub value: String,
}

/// Something to press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub text: &'static str,
    /// Its name for programs.
    pub id: &'static str,
    /// Where it leads.
    pub url: String,
    /// `primary` or `danger` when it should stand out.
    pub style: Option<&'static str>,
}

/// Where our own pages are, for links in messages; nowhere when nobody has said under which address people reach us.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    base: Option<String>,
    approvals: Option<Links>,
    /// Whether a button of a chat can answer by itself.
    buttons_answer: bool,
    /// Who is told: whoever opens a link to approve is known by this name.
    receiver: String,
}

impl Pages {
    /// Pages below this address.
    #[must_use]
    pub fn new(external_url: Option<&str>) -> Self {
        let base = external_url.and_then(|url| link(url.trim_end_matches('/'))).map(str::to_owned);
        Self { base, ..Self::default() }
    }

    /// With links by which a message can approve; without them people approve elsewhere.
    #[must_use]
    pub fn with_approvals(self, approvals: Option<Links>) -> Self {
        Self { approvals, ..self }
    }

    /// With buttons that answer by themselves where the form has such: Slack tells us who pressed them.
    #[must_use]
    pub fn with_answering_buttons(self) -> Self {
        Self { buttons_answer: true, ..self }
    }

    /// What a button that answers by itself carries, when an answer is waited for.
    fn question(&self, message: &Message) -> Option<Question> {
        let Phase::AwaitingApproval { attempt, .. } = message.heal.phase else { return None };
        self.buttons_answer.then(|| Question { heal: message.heal.id, attempt, receiver: self.receiver.clone() })
    }

    /// As this receiver gets them.
    #[must_use]
    pub fn of_receiver(&self, name: &str) -> Self {
        Self { receiver: name.to_owned(), ..self.clone() }
    }

    /// The page on which the attempt that waits is approved or denied.
    fn approval(&self, message: &Message) -> Option<String> {
        let Phase::AwaitingApproval { attempt, expires_at, .. } = message.heal.phase else { return None };
        let by = self.receiver.clone();
        let ticket = Ticket { heal: message.heal.id, attempt, expires_at, by };
        Some(self.approvals.as_ref()?.approval(&ticket))
    }

    /// The list of heals.
    fn heals(&self) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/"))
    }

    /// One heal with its story.
    fn heal(&self, heal: &Heal) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/heals/{}", heal.id))
    }
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

/// Alertmanager's list, filtered to the alert's name.
fn alertmanager_link(heal: &Heal) -> Option<String> {
    let base = link(heal.external_url.trim_end_matches('/')).filter(|base| base.len() <= 200)?;
    let name = heal.alerts.first().map(|alert| alert.name()).filter(|name| !name.is_empty() && name.len() <= 100);
    Some(name.map_or_else(
        || format!("{base}/#/alerts"),
        // The filter is a matcher, whose text is quoted as in Alertmanager's own interface.
        |name| {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{base}/#/alerts?filter={}", percent(&format!("{{alertname=\"{quoted}\"}}")))
        },
    ))
}

/// The name a person knows the trouble by.
fn trouble(heal: &Heal) -> &str {
    heal.alerts.first().map(|alert| alert.name()).filter(|name| !name.is_empty()).unwrap_or(&heal.rule)
}

const fn tone(kind: MessageKind) -> Tone {
    match kind {
        MessageKind::Exhausted
        | MessageKind::Suppressed
        | MessageKind::Expired
        | MessageKind::Storm
        | MessageKind::Reminder
        | MessageKind::PausedTooLong
        | MessageKind::Firing => Tone::Danger,
        MessageKind::Started | MessageKind::AttemptFailed | MessageKind::ApprovalNeeded | MessageKind::Cancelled => {
            Tone::Warning
        }
        MessageKind::Healed | MessageKind::Recovered | MessageKind::Resolved | MessageKind::Over => Tone::Good,
    }
}

/// What a person at night must know, in one line.
fn headline(message: &Message) -> String {
    let heal = &message.heal;
    let name = line(trouble(heal), MAX_NAME);
    let action = heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    let attempts = attempts_used(heal);
    match message.kind {
        MessageKind::Started => format!("autoheal is at work on {name}: {action}."),
        MessageKind::AttemptFailed => {
            let failure = last_failure(heal).map_or_else(String::new, |reason| format!(": {reason}"));
            format!("It did not help{failure}. autoheal goes on: {}.", heal.reason)
        }
        MessageKind::Healed => format!("{name} is healed, nothing to do. Done: {action}; {}.", heal.reason),
        MessageKind::Recovered => format!("{name} is over, nothing to do: {}.", heal.reason),
        MessageKind::Exhausted if heal.has_acted() && !matches!(heal.reason, Reason::Unverifiable { .. }) => {
            let noun = if attempts == 1 { "attempt" } else { "attempts" };
            format!("A human is needed: {name} still fires after {attempts} {noun} on {}.", heal.target)
        }
        MessageKind::Exhausted => format!("A human is needed: {name} on {}: {}.", heal.target, heal.reason),
        MessageKind::Suppressed => format!("A human is needed: autoheal did not act on {name}: {}.", heal.reason),
        MessageKind::ApprovalNeeded => format!("A human must decide about {name}: {}.", heal.reason),
        MessageKind::Storm => format!("A human is needed: {}.", heal.reason),
        // The heal is held as before; what is new stands in its story alone.
        MessageKind::PausedTooLong => {
            let latest = heal.timeline.last().map_or(&heal.reason, |entry| &entry.reason);
            format!("A human is needed for {name}: {latest}.")
        }
        MessageKind::Expired => format!("A human is needed for {name} on {}: {}.", heal.target, heal.reason),
        MessageKind::Cancelled => format!("autoheal stopped its work on {name}: {}.", heal.reason),
        MessageKind::Firing => format!("{name} fires; its rule only notifies, autoheal does nothing about it."),
        MessageKind::Reminder => {
            format!("A human is still needed{}: {name} on {}: {}.", waiting(message), heal.target, heal.reason)
        }
        MessageKind::Over => {
            let why = heal.timeline.last().map_or(&heal.reason, |entry| &entry.reason);
            format!("No human is needed any more for {name} on {}: {why}.", heal.target)
        }
        MessageKind::Resolved => format!("{name} has resolved after {}.", rounded(heal.created_at, message.at)),
    }
}

/// For how long somebody has been called; empty when nobody is.
fn waiting(message: &Message) -> String {
    let since = message.heal.call.as_ref().map(|call| call.since);
    since.map_or_else(String::new, |since| format!(", called {} ago", rounded(since, message.at)))
}

/// The latest failure in the story: why the attempt before this message did not heal.
fn last_failure(heal: &Heal) -> Option<&Reason> {
    heal.timeline.iter().rev().map(|entry| &entry.reason).find(|reason| {
        matches!(
            reason,
            Reason::ActionFailed { .. }
                | Reason::ActionRefused { .. }
                | Reason::ActionTimedOut { .. }
                | Reason::UnreachableTooLong { .. }
                | Reason::NotVerified { .. }
                | Reason::Unverifiable { .. }
        )
    })
}

fn attempts_used(heal: &Heal) -> u32 {
    heal.steps.iter().map(|step| step.attempts_used).sum()
}

/// The time between two instants in whole seconds, because nobody reads milliseconds at night.
fn rounded(from: Timestamp, to: Timestamp) -> String {
    let took = elapsed(from, to);
    duration::format(if took.as_secs() > 0 { Duration::from_secs(took.as_secs()) } else { took })
}

fn facts(message: &Message, detail: Detail) -> Vec<Fact> {
    let heal = &message.heal;
    let mut facts = Vec::new();
    let mut add = |name, value: &str| {
        if !value.is_empty() {
            facts.push(Fact { name, value: line(value, detail.value) });
        }
    };
    if let Some(pause) = &message.paused {
        add("Paused", &paused(pause));
    }
    if let Some(step) = heal.current_step() {
        add(if heal.has_acted() { "Action" } else { "Planned" }, &step.action.summary());
        add("Target", heal.target.as_str());
        if heal.has_acted() {
            add("Attempt", &attempt(heal, step));
        }
        add(
            match message.kind {
                // How it ended is history by now, and must not read as if somebody were still needed.
                MessageKind::Over => "It had ended",
                kind if kind.is_final() => "Outcome",
                _ => "State",
            },
            &format!("{}: {}", heal.phase.name(), heal.reason),
        );
    } else if message.kind.needs_human() {
        add("Target", heal.target.as_str());
        add("Outcome", &heal.reason.to_string());
    }
    if message.kind != MessageKind::Healed
        && let Some(failure) = last_failure(heal)
    {
        add("Last failure", &failure.to_string());
    }
    // A chat takes ten facts; while there is a pause this one gives way.
    if message.kind.is_final() && message.kind != MessageKind::Suppressed && message.paused.is_none() {
        add("Took", &rounded(heal.created_at, message.at));
    }
    add("Next", &next(message));
    add("About", &heal.description);
    add("Runbook", &heal.runbook);
    add("Rule", &heal.rule);
    facts
}

/// The stop switch in one line.
fn paused(pause: &Pause) -> String {
    let Pause { scope, reason, by, until, .. } = pause;
    format!("{scope} until {until} by {by}, nothing new starts: {reason}")
}

/// What comes next, when something does: what autoheal will do, or that it is somebody's turn.
fn next(message: &Message) -> String {
    let heal = &message.heal;
    match message.kind {
        MessageKind::Started | MessageKind::AttemptFailed => {
            let Some(step) = heal.current_step() else { return String::new() };
            let then = heal.steps.get(heal.step + 1);
            match (step.attempts_used < step.attempts, then) {
                (true, _) => format!("attempt {} of {} if it does not help", step.attempts_used + 1, step.attempts),
                (false, Some(then)) => format!("{} if it does not help", then.action.summary()),
                (false, None) => "a human is called if it does not help".to_owned(),
            }
        }
        MessageKind::ApprovalNeeded => "approve or deny it".to_owned(),
        MessageKind::PausedTooLong => "end the pause, or repair it yourself".to_owned(),
        kind if kind.needs_human() && heal.runbook.is_empty() => format!("a human looks at {}", heal.target),
        kind if kind.needs_human() => "a human follows the runbook".to_owned(),
        _ => String::new(),
    }
}

/// Where a person goes from here.
fn buttons(message: &Message, pages: &Pages) -> Vec<Button> {
    /// Slack takes no longer address.
    const MAX: usize = 2900;
    let heal = &message.heal;
    let button = |text, id, url: Option<String>| {
        url.filter(|url| url.len() <= MAX).map(|url| Button { text, id, url, style: None })
    };
    [
        button("Approve or deny", "approval", pages.approval(message))
            .map(|button| Button { style: Some("primary"), ..button }),
        button("Runbook", "runbook", link(&heal.runbook).map(str::to_owned)),
        button("Open heal", "heal", pages.heal(heal)),
        button("Alertmanager", "alertmanager", alertmanager_link(heal)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where on the ladder the heal stands.
fn attempt(heal: &Heal, step: &HealStep) -> String {
    let attempts = format!("{} of {}", step.attempts_used, step.attempts);
    match heal.steps.len() {
        1 => attempts,
        steps => format!("{attempts} (step {} of {steps})", heal.step + 1),
    }
}

/// The story's first line and its latest ones.
fn timeline(heal: &Heal, detail: Detail) -> Vec<String> {
    let show = |entry: &crate::domain::heal::TimelineEntry| {
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
