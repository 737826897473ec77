//! Many heals in one message: when a storm begins, or ends, more stories at once than anybody would read one by one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::blocks::join;
use super::slack::{colour, escape};
use super::text::line;
use super::{Pages, Tone, tone, trouble};
use crate::domain::message::{Message, MessageKind};

/// Targets named per group.
const MAX_NAMED: usize = 8;
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

/// The words for a kind after a number of heals.
const fn words(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Started => "being worked on",
        MessageKind::AttemptFailed => "not yet helped, going on",
        MessageKind::Healed => "healed",
        MessageKind::Recovered => "recovered on their own",
        MessageKind::Exhausted => "in need of a human: every step was tried",
        MessageKind::Suppressed => "in need of a human: autoheal did not act",
        MessageKind::Firing => "firing",
        MessageKind::Resolved => "resolved",
        MessageKind::ApprovalNeeded => "waiting for an approval",
        MessageKind::Expired => "in need of a human: nobody approved in time",
        MessageKind::Cancelled => "cancelled",
        MessageKind::Storm => "in need of a human: storm, nothing new starts",
        MessageKind::Reminder => "still in need of a human",
        MessageKind::Over => "no longer in need of a human",
    }
}

/// Messages of one kind, by rule.
struct Group<'m> {
    kind: MessageKind,
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
        let mut kinds: BTreeMap<(u8, &str), Group<'_>> = BTreeMap::new();
        for message in messages {
            let group = kinds.entry((rank(message.kind), message.kind.as_str()));
            let Group { rules, .. } = group.or_insert_with(|| Group { kind: message.kind, rules: BTreeMap::new() });
            rules.entry(message.heal.rule.as_str()).or_default().push(message);
        }
        let mut counts = Vec::new();
        let mut lines = Vec::new();
        for Group { kind, rules } in kinds.values() {
            let count: usize = rules.values().map(Vec::len).sum();
            counts.push(format!("{count} {}", words(*kind)));
            for (rule, members) in rules {
                lines.push(format!("{} × {} — rule {}", members.len(), words(*kind), line(rule, 60)));
                lines.extend(members.iter().take(MAX_NAMED).map(|message| member(message)));
                if members.len() > MAX_NAMED {
                    lines.push(format!("  and {} more", members.len() - MAX_NAMED));
                }
            }
        }
        lines.extend(pages.heals().map(|all| format!("All heals: {all}")));
        let worst = kinds.values().next().map_or(Tone::Good, |group| tone(group.kind));
        Self {
            subject: line(&format!("{} heals at once: {}", messages.len(), counts.join(", ")), 250),
            tone: worst,
            lines,
        }
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

fn member(message: &Message) -> String {
    let heal = &message.heal;
    format!(
        "  {} on {}: {}",
        line(trouble(heal), 60),
        line(heal.target.as_str(), 80),
        line(&heal.reason.to_string(), 120)
    )
}
