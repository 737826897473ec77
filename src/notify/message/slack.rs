//! Slack: one attachment as Alertmanager sends it, with what was done in its fields.

use serde_json::{Value, json};

use super::text::link;
use super::texts::{Own, Texts};
use super::{Fact, Pages, Story, Tone, fit};
use crate::domain::Timestamp;
use crate::domain::message::Message;
pub(super) use crate::domain::template::text::escape_slack as escape;

/// The payload's size in bytes above which detail is given up. Slack cuts texts at 40,000 characters and advises to stay
/// near 4,000; the least detail stays far below the cut whatever the labels hold.
pub const ENOUGH: usize = 6000;

/// Renders a message as the JSON of an incoming webhook.
#[must_use]
pub fn render(message: &Message, pages: &Pages, texts: &Texts) -> String {
    let own = texts.slack(message, pages);
    fit(message, pages, ENOUGH, |story| payload(story, message.at, &own).to_string())
}

fn payload(story: &Story, at: Timestamp, own: &Own) -> Value {
    let title = own.title.clone().unwrap_or_else(|| escape(&story.subject));
    let mut attachment = json!({
        "title": title,
        "text": text(story, own),
        "fallback": story.alertmanager.as_ref().map_or_else(|| title.clone(), |link| format!("{title} | {}", escape(link))),
        "color": colour(story.tone),
        "mrkdwn_in": ["text"],
        "fields": if own.text.is_some() { Vec::new() } else { story.facts.iter().map(field).collect::<Vec<_>>() },
        "footer": format!("autoheal, heal {}", escape(&story.heal)),
        "ts": at.as_second(),
    });
    if let Some(link) = &story.alertmanager {
        attachment["title_link"] = json!(link);
    }
    json!({ "attachments": [attachment] })
}

pub(super) const fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Danger => "danger",
        Tone::Warning => "warning",
        Tone::Good => "good",
    }
}

fn field(fact: &Fact) -> Value {
    /// Values up to this length leave room for a second field on the same line.
    const SHORT: usize = 40;
    json!({ "title": fact.name, "value": value(&fact.value), "short": fact.value.chars().count() <= SHORT })
}

fn text(story: &Story, own: &Own) -> String {
    // Whoever writes the text themselves still finds what is to be decided.
    let ways = story.buttons.iter().filter(|button| matches!(button.id, "approval" | "heal"));
    let ways = ways.map(|button| format!("<{}|{}>", escape(&button.url), button.text));
    if let Some(text) = &own.text {
        return std::iter::once(text.clone()).chain(ways).chain(own.note.clone()).collect::<Vec<_>>().join("\n");
    }
    let mut lines = vec![escape(&story.headline)];
    for alert in &story.alerts {
        lines.push(format!("*{}*", escape(&alert.title)));
        for (title, pairs) in [("Labels", &alert.labels), ("Annotations", &alert.annotations)] {
            if !pairs.is_empty() {
                lines.push(format!("*{title}*"));
                lines.extend(pairs.iter().map(|(name, text)| format!("{} = {}", escape(name), value(text))));
            }
        }
        if alert.hidden > 0 {
            lines.push(format!("and {} more", alert.hidden));
        }
        if let Some(source) = &alert.source {
            lines.push(format!("<{}|Source>", escape(source)));
        }
    }
    lines.extend(ways);
    if story.more_alerts > 0 {
        lines.push(format!("and {} more alerts", story.more_alerts));
    }
    lines.push("*Timeline*".to_owned());
    lines.extend(story.timeline.iter().map(|entry| escape(entry)));
    lines.extend(own.note.clone());
    lines.join("\n")
}

/// A value, as a link when it is a plain web address.
pub(super) fn value(text: &str) -> String {
    let escaped = escape(text);
    if link(text).is_some() && !text.ends_with('…') { format!("<{escaped}>") } else { escaped }
}
