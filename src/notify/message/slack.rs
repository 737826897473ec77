//! Slack: one attachment as Alertmanager sends it, with what was done in its fields.

use serde_json::{Value, json};

use super::text::link;
use super::{Fact, Pages, Story, Tone, fit};
use crate::domain::Timestamp;
use crate::domain::message::Message;

/// The payload's size in bytes above which detail is given up. Slack cuts texts at 40,000 characters and advises to stay
/// near 4,000; the least detail stays far below the cut whatever the labels hold.
pub const ENOUGH: usize = 6000;

/// Renders a message as the JSON of an incoming webhook.
#[must_use]
pub fn render(message: &Message, pages: &Pages) -> String {
    fit(message, pages, ENOUGH, |story| payload(story, message.at).to_string())
}

/// Escapes a text for Slack. `<` is what begins a ping such as `<!channel>` or `<@U1>`; escaped, it is only a character.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

fn payload(story: &Story, at: Timestamp) -> Value {
    let title = escape(&story.subject);
    let mut attachment = json!({
        "title": title,
        "text": text(story),
        "fallback": story.alertmanager.as_ref().map_or_else(|| title.clone(), |link| format!("{title} | {}", escape(link))),
        "color": colour(story.tone),
        "mrkdwn_in": ["text"],
        "fields": story.facts.iter().map(field).collect::<Vec<_>>(),
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

fn text(story: &Story) -> String {
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
    for button in story.buttons.iter().filter(|button| matches!(button.id, "approval" | "heal")) {
        lines.push(format!("<{}|{}>", escape(&button.url), button.text));
    }
    if story.more_alerts > 0 {
        lines.push(format!("and {} more alerts", story.more_alerts));
    }
    lines.push("*Timeline*".to_owned());
    lines.extend(story.timeline.iter().map(|entry| escape(entry)));
    lines.join("\n")
}

/// A value, as a link when it is a plain web address.
pub(super) fn value(text: &str) -> String {
    let escaped = escape(text);
    if link(text).is_some() && !text.ends_with('…') { format!("<{escaped}>") } else { escaped }
}
