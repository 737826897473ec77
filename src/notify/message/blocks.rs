//! Slack in Block Kit: one message per heal that is edited as the heal changes, with the timeline in its thread.
//!
//! Slack's limits: 3,000 characters in a section, 10 fields of 2,000, 75 on a button, 25 buttons, and all blocks together
//! well below 13,000. `ENOUGH` keeps far away from the last, the constants below from the others.

use serde_json::{Value, json};

use super::slack::{colour, escape, value};
use super::text::link;
use super::{AlertView, Button, Pages, Story, fit};
use crate::domain::heal::{Heal, TimelineEntry};
use crate::domain::message::Message;

/// The message's size in bytes above which detail is given up.
const ENOUGH: usize = 8000;
/// Longest text of a section in bytes, escaped.
const MAX_SECTION: usize = 2900;
/// Longest text of a field in bytes, escaped.
const MAX_FIELD: usize = 1900;
/// Most fields of a section.
const MAX_FIELDS: usize = 10;
/// Longest reply in a thread in bytes; Slack advises to stay below 4,000 characters.
const MAX_REPLY: usize = 3800;

/// The message of a heal as it stands: a text for notifications and one attachment of blocks. A new one has the timeline
/// in it; once there is a thread, the timeline is there.
#[must_use]
pub fn root(message: &Message, pages: &Pages, with_timeline: bool) -> Value {
    let render = |story: &Story| payload(story, with_timeline).to_string();
    let rendered = fit(message, pages, ENOUGH, render);
    serde_json::from_str(&rendered).unwrap_or_default()
}

/// The same without blocks, for when Slack does not take them.
#[must_use]
pub fn plain_root(message: &Message, pages: &Pages) -> Value {
    let story = Story::least(message, pages);
    json!({ "text": cut(&format!("{}\n{}", escape(&story.subject), escape(&story.headline)), MAX_REPLY), "attachments": [] })
}

/// What goes into the thread: the entries of the timeline after the first `told`. `loudly` begins it with the headline,
/// for those who read it in the channel.
#[must_use]
pub fn reply(message: &Message, told: usize, loudly: bool) -> String {
    let heal = &message.heal;
    let story = Story::least(message, &Pages::default());
    let new = entries(heal).saturating_sub(told).min(heal.timeline.len());
    let mut lines: Vec<String> = heal.timeline[heal.timeline.len() - new..].iter().map(entry).collect();
    if loudly || lines.is_empty() {
        lines.insert(0, format!("*{}*", escape(&story.headline)));
    }
    join(&lines, MAX_REPLY)
}

/// How many entries the story of a heal has had so far.
#[must_use]
pub const fn entries(heal: &Heal) -> usize {
    heal.timeline.len() + heal.timeline_dropped as usize
}

/// One entry; the reader's Slack shows the time in the reader's own zone.
fn entry(entry: &TimelineEntry) -> String {
    /// Longest entry in characters, as in the other forms.
    const MAX: usize = 500;
    let (seconds, utc) = (entry.at.as_second(), entry.at.strftime("%H:%M:%S UTC"));
    let said = super::text::line(&format!("{}: {} ({})", entry.what, entry.reason, entry.by), MAX);
    format!("<!date^{seconds}^{{time_secs}}|{utc}> {}", escape(&said))
}

fn payload(story: &Story, with_timeline: bool) -> Value {
    let subject = escape(&story.subject);
    let mut blocks = vec![section(&cut(&format!("*{}*", escape(&story.headline)), MAX_SECTION))];
    let is_button = |fact: &&super::Fact| fact.name == "Runbook" && link(&fact.value).is_some();
    let fields: Vec<_> = story
        .facts
        .iter()
        .filter(|fact| !is_button(fact))
        .take(MAX_FIELDS)
        .map(|fact| text(&cut(&format!("*{}*\n{}", fact.name, value(&fact.value)), MAX_FIELD)))
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    blocks.extend(story.alerts.iter().map(|alert| section(&alert_text(alert))));
    if story.more_alerts > 0 {
        blocks.push(context(&format!("and {} more alerts", story.more_alerts)));
    }
    if with_timeline {
        let lines: Vec<_> = story.timeline.iter().map(|entry| escape(entry)).collect();
        blocks.push(section(&join(&[vec!["*Timeline*".to_owned()], lines].concat(), MAX_SECTION)));
    }
    if !story.buttons.is_empty() {
        let buttons: Vec<_> = story.buttons.iter().map(button).collect();
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    blocks.push(context(&format!("autoheal, heal {}", escape(&story.heal))));
    json!({
        "text": subject,
        "attachments": [{ "color": colour(story.tone), "fallback": subject, "blocks": blocks }],
    })
}

fn alert_text(alert: &AlertView) -> String {
    let mut lines = vec![format!("*Alert* {}", escape(&alert.title))];
    lines.extend(
        alert.labels.iter().chain(&alert.annotations).map(|(name, text)| format!("{} = {}", escape(name), value(text))),
    );
    if alert.hidden > 0 {
        lines.push(format!("and {} more", alert.hidden));
    }
    if let Some(source) = &alert.source {
        lines.push(format!("<{}|Source>", escape(source)));
    }
    join(&lines, MAX_SECTION)
}

fn button(button: &Button) -> Value {
    let mut element = json!({
        "type": "button",
        "text": { "type": "plain_text", "text": button.text },
        "url": button.url,
        "action_id": button.id,
    });
    if let Some(style) = button.style {
        element["style"] = json!(style);
    }
    element
}

fn text(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text })
}

fn section(markdown: &str) -> Value {
    json!({ "type": "section", "text": text(markdown) })
}

fn context(markdown: &str) -> Value {
    json!({ "type": "context", "elements": [text(markdown)] })
}

/// As many whole lines as fit; what is left out is counted. A line too long by itself is cut.
pub(super) fn join(lines: &[String], max: usize) -> String {
    /// Room for the words about what is left out.
    const REST: usize = 40;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if out.len() + line.len() + REST > max {
            if index == 0 {
                out = cut(line, max - REST);
                continue;
            }
            out.extend(["\n… and ", &(lines.len() - index).to_string(), " more"]);
            break;
        }
        if index > 0 {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// At most `max` bytes, never in the middle of an escape such as `&amp;`.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = &text[..end];
    if let Some(start) = kept.rfind('&').filter(|start| !kept[*start..].contains(';')) {
        kept = &kept[..start];
    }
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_stays_below_its_limit_and_cuts_no_escape() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcdef &amp; x", 12), "abcdef …");
        assert_eq!(cut("ääää", 6), "ä…");
        let lines: Vec<_> = (0..100).map(|n| format!("line {n} {}", "x".repeat(90))).collect();
        let joined = join(&lines, 1000);
        assert!(joined.len() <= 1000 && joined.ends_with("… and 91 more"), "{joined}");
        assert!(join(&["y".repeat(5000)], 1000).len() <= 1000);
    }
}
