//! Many heals in one message: when a storm begins, or ends, more stories at once than anybody would read one by one; and
//! what waited for the end of quiet times, or repeated itself. Of each heal its latest news counts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::blocks::join;
use super::ending::Ending;
use super::facts::paused;
use super::headline::{rounded, trouble};
use super::slack::{colour, escape};
use super::text::line;
use super::{Pages, Tone, tone};
use crate::domain::heal::HealId;
use crate::domain::message::{Message, MessageKind};
use crate::domain::{Timestamp, elapsed};

/// Targets named per group.
const MAX_NAMED: usize = 8;
/// What happens within this is called at once.
const AT_ONCE: Duration = Duration::from_mins(5);
/// Longest text of a mail in bytes.
const MAX_MAIL: usize = 24 * 1024;
/// Longest text for a chat in bytes.
const MAX_TEXT: usize = 3800;

/// What several messages say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How many of what.
    pub subject: String,
    /// The worst of them.
    pub tone: Tone,
    /// One group after the other: what happened by which rule, and to whom. Not escaped.
    pub lines: Vec<String>,
}

/// The words for what a message tells after a number of heals.
fn words(message: &Message) -> &'static str {
    match message.kind {
        MessageKind::Started => "being worked on",
        MessageKind::AttemptFailed => "not yet helped, going on",
        MessageKind::Healed => "healed",
        MessageKind::Recovered => "recovered on their own",
        MessageKind::Exhausted => "in need of a human: every step was tried",
        MessageKind::Suppressed if Ending::of(&message.heal) == Ending::Doubtful => {
            "in need of a human: autoheal began and stopped"
        }
        MessageKind::Suppressed => "in need of a human: autoheal did not act",
        MessageKind::Firing => "firing",
        MessageKind::Resolved => "resolved",
        MessageKind::ApprovalNeeded => "waiting for an approval",
        MessageKind::Expired => "in need of a human: nobody approved in time",
        MessageKind::Cancelled => "cancelled",
        MessageKind::Storm => "in need of a human: storm, nothing new starts",
        MessageKind::Reminder => "still in need of a human",
        MessageKind::Over => "no longer in need of a human",
        MessageKind::HeldUp => "in need of a human: autoheal cannot act",
        MessageKind::PausedTooLong => "in need of a human: paused while they fire",
    }
}

/// Messages that tell the same, by rule.
struct Group<'m> {
    kind: MessageKind,
    words: &'static str,
    rules: BTreeMap<&'m str, Vec<&'m Message>>,
}

/// Worst first.
const fn rank(kind: MessageKind) -> u8 {
    match tone(kind) {
        _ if kind.needs_human() => 0,
        Tone::Danger => 1,
        Tone::Warning => 2,
        Tone::Good => 3,
    }
}

impl Digest {
    /// Puts messages together.
    #[must_use]
    pub fn of(messages: &[&Message], pages: &Pages) -> Self {
        let mut latest: BTreeMap<HealId, &Message> = BTreeMap::new();
        for message in messages {
            let known = latest.entry(message.heal.id).or_insert(message);
            if message.at >= known.at {
                *known = message;
            }
        }
        let times = || messages.iter().map(|message| message.at);
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let mut groups: BTreeMap<(u8, &str, &str), Group<'_>> = BTreeMap::new();
        for message in latest.values().copied() {
            let (kind, words) = (message.kind, words(message));
            let group = groups.entry((rank(kind), kind.as_str(), words));
            let Group { rules, .. } = group.or_insert_with(|| Group { kind, words, rules: BTreeMap::new() });
            rules.entry(message.heal.rule.as_str()).or_default().push(message);
        }
        let mut counts = Vec::new();
        let mut lines = Vec::new();
        for Group { words, rules, .. } in groups.values() {
            let count: usize = rules.values().map(Vec::len).sum();
            counts.push(format!("{count} {words}"));
            for (rule, members) in rules {
                lines.push(format!("{} × {words} — rule {}", members.len(), line(rule, 60)));
                let targets = by_target(members);
                lines.extend(targets.iter().take(MAX_NAMED).map(|heals| member(heals)));
                if targets.len() > MAX_NAMED {
                    lines.push(format!("  and {} more", targets.len() - MAX_NAMED));
                }
            }
        }
        let mut pauses: Vec<_> = messages.iter().filter_map(|message| message.paused.as_ref()).map(paused).collect();
        pauses.dedup();
        lines.extend(pauses.iter().take(MAX_NAMED).map(|pause| format!("Paused: {}", line(pause, 200))));
        lines.extend(pages.heals().map(|all| format!("All heals: {all}")));
        let worst = groups.values().next().map_or(Tone::Good, |group| tone(group.kind));
        Self {
            subject: line(&format!("{} heals {}: {}", latest.len(), when(first, last), counts.join(", ")), 250),
            tone: worst,
            lines,
        }
    }

    /// As plain text.
    #[must_use]
    pub fn plain(&self) -> String {
        format!("{}\n\n{}\n\nSent by autoheal\n", self.subject, join(&self.lines, MAX_MAIL))
    }

    /// As HTML that reads well on a phone and in dark mode, without anything from elsewhere.
    #[must_use]
    pub fn html(&self) -> String {
        let escape =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        format!(
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{subject}</title></head>\
             <body style=\"font-family:sans-serif;max-width:600px;margin:0 auto;padding:8px\"><h1 style=\"font-size:1.1em\">{subject}</h1>\
             <div style=\"white-space:pre-wrap;overflow-wrap:anywhere\">{}</div><p style=\"opacity:.7\">Sent by autoheal</p></body></html>",
            escape(&join(&self.lines, MAX_MAIL)),
            subject = escape(&self.subject),
        )
    }

    /// As Slack takes it, by a webhook or a bot.
    #[must_use]
    pub fn slack(&self) -> Value {
        let subject = escape(&self.subject);
        let lines: Vec<_> = self.lines.iter().map(|line| escape(line)).collect();
        json!({
            "text": subject,
            "attachments": [{
                "color": colour(self.tone),
                "fallback": subject,
                "text": join(&lines, MAX_TEXT),
                "mrkdwn_in": [],
                "footer": "autoheal",
            }],
        })
    }
}

/// When they happened.
fn when(first: Timestamp, last: Timestamp) -> String {
    if elapsed(first, last) < AT_ONCE { "at once".to_owned() } else { format!("within {}", rounded(first, last)) }
}

/// The heals of each target, in the order in which targets come up; of each target the latest heal first.
fn by_target<'m>(members: &[&'m Message]) -> Vec<Vec<&'m Message>> {
    let mut targets: Vec<Vec<&Message>> = Vec::new();
    for message in members {
        match targets.iter_mut().find(|heals| heals[0].heal.target == message.heal.target) {
            Some(heals) => heals.insert(0, message),
            None => targets.push(vec![message]),
        }
    }
    targets
}

fn member(heals: &[&Message]) -> String {
    let Some(message) = heals.first() else { return String::new() };
    let heal = &message.heal;
    let times = match heals.len() {
        1 => String::new(),
        times => format!(" ({times} times, last at {})", message.at),
    };
    format!(
        "  {} on {}{times}: {}",
        line(trouble(heal), 60),
        line(heal.target.as_str(), 80),
        line(&heal.reason.to_string(), 120)
    )
}
