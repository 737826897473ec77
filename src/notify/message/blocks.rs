//! Slack in Block Kit: one message per heal that is edited as the heal changes, with the timeline in its thread.
//!
//! Slack's limits: 3,000 characters in a section, 10 fields of 2,000, 75 on a button, 25 buttons, and all blocks together
//! well below 13,000. `ENOUGH` keeps far away from the last, the constants below from the others.

use serde_json::{Value, json};

use super::slack::{colour, escape, value};
use super::text::link;
use super::texts::{Own, Texts};
use super::{AlertView, Button, Pages, Story, fit};
use crate::domain::heal::{Heal, TimelineEntry};
use crate::domain::message::Message;
use crate::slack_call::{APPROVE, DENY, Question};

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
/// in it; once there is a thread, the timeline is there. A receiver's own text takes the place of everything but the
/// buttons, because what is to be decided must be found in every message.
#[must_use]
pub fn root(message: &Message, pages: &Pages, texts: &Texts, with_timeline: bool) -> Value {
    let own = texts.slack(message, pages);
    let answers = pages.question(message).map_or_else(Vec::new, |question| answers(&question, message));
    let render = |story: &Story| payload(story, with_timeline, &own, &answers).to_string();
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

fn payload(story: &Story, with_timeline: bool, own: &Own, answers: &[Value]) -> Value {
    let subject = own.title.clone().unwrap_or_else(|| escape(&story.subject));
    let mut blocks = match &own.text {
        Some(text) => sections(text),
        None => default_blocks(story, with_timeline),
    };
    // Buttons that answer take the place of the link to answer.
    let links = story.buttons.iter().filter(|button| answers.is_empty() || button.id != "approval").map(button);
    let buttons: Vec<_> = answers.iter().cloned().chain(links).collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    blocks.extend(own.note.as_deref().map(context));
    blocks.push(context(&format!("autoheal, heal {}", escape(&story.heal))));
    json!({
        "text": subject,
        "attachments": [{ "color": colour(story.tone), "fallback": subject, "blocks": blocks }],
    })
}

/// A long text as sections, cut between lines where there are lines.
fn sections(text: &str) -> Vec<Value> {
    let mut rest = text;
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let part = if rest.len() <= MAX_SECTION {
            rest.to_owned()
        } else {
            let fits = cut(rest, MAX_SECTION);
            let whole_lines = fits.rfind('\n').filter(|end| *end > 0);
            whole_lines.map_or_else(|| fits.trim_end_matches('…').to_owned(), |end| fits[..end].to_owned())
        };
        rest = rest[part.len()..].trim_start_matches('\n');
        sections.push(section(&part));
    }
    sections
}

/// What a message shows when nobody has written a text of their own.
fn default_blocks(story: &Story, with_timeline: bool) -> Vec<Value> {
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
    blocks
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

/// Buttons that answer by themselves. Who approves is asked once more, because a thumb is quick at night.
fn answers(question: &Question, message: &Message) -> Vec<Value> {
    let carried = question.to_text();
    let plain = |text: &str| json!({ "type": "plain_text", "text": text });
    let button = |id: &str, text: &str, style: &str| json!({ "type": "button", "action_id": id, "text": plain(text), "value": carried, "style": style });
    let mut approve = button(APPROVE, "Approve", "primary");
    let action = message.heal.current_step().map(|step| step.action.summary()).unwrap_or_default();
    approve["confirm"] = json!({
        "title": plain("Approve?"),
        "text": plain(&super::text::line(&action, 250)),
        "confirm": plain("Approve"),
        "deny": plain("Not yet"),
    });
    vec![approve, button(DENY, "Deny", "danger")]
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
pub(super) fn cut(text: &str, max: usize) -> String {
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
