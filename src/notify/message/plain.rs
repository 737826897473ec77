//! Plain text, as the first part of a mail.

use super::{AlertView, Pages, Story, fit};
use crate::domain::message::Message;

/// Longest plain text in bytes.
pub const MAX_PLAIN: usize = 24 * 1024;

/// Renders a message as plain text.
#[must_use]
pub fn render(message: &Message, pages: &Pages) -> String {
    fit(message, pages, MAX_PLAIN, text)
}

fn text(story: &Story) -> String {
    let mut out = format!("{}\n\n", story.headline);
    let mut put = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    for fact in &story.facts {
        put(&format!("{}: {}", fact.name, fact.value));
    }
    for button in story.buttons.iter().filter(|button| button.id != "runbook") {
        put(&format!("{}: {}", button.text, button.url));
    }
    for (index, alert) in story.alerts.iter().enumerate() {
        put("");
        put(&format!("Alert {} of {}, {}", index + 1, story.alerts.len() + story.more_alerts, alert.title));
        alert_lines(alert, &mut put);
    }
    if story.more_alerts > 0 {
        put("");
        put(&format!("and {} more alerts", story.more_alerts));
    }
    put("");
    put("Timeline");
    for entry in &story.timeline {
        put(&format!("  {entry}"));
    }
    put("");
    put(&format!("Sent by autoheal, heal {}", story.heal));
    out
}

fn alert_lines(alert: &AlertView, put: &mut impl FnMut(&str)) {
    for (title, pairs) in [("Labels", &alert.labels), ("Annotations", &alert.annotations)] {
        if !pairs.is_empty() {
            put(&format!("  {title}"));
            for (name, value) in pairs {
                put(&format!("    {name} = {value}"));
            }
        }
    }
    if alert.hidden > 0 {
        put(&format!("    and {} more", alert.hidden));
    }
    if let Some(source) = &alert.source {
        put(&format!("  Source: {source}"));
    }
}
