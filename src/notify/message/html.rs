//! HTML, as the second part of a mail: a card with a coloured bar, in the manner of Alertmanager's own mails. Styles
//! are inline because mail programs throw style sheets away; nothing is loaded from anywhere.

use super::text::link;
use super::{AlertView, Button, Pages, Story, Tone, fit};
use crate::domain::message::Message;
use crate::domain::template::text::escape_html as escape;

/// Longest HTML in bytes.
pub const MAX_HTML: usize = 40 * 1024;

/// Renders a message as an HTML page.
#[must_use]
pub fn render(message: &Message, pages: &Pages) -> String {
    fit(message, pages, MAX_HTML, page)
}

/// For readers who like it dark. Programs that throw this away show the light colours, which are inline.
const DARK: &str = "<style>@media (prefers-color-scheme:dark){\
.page{background:#121212!important;color:#e6e6e6!important}\
.card{background:#1e1e1e!important;border-color:#333!important}\
.foot{color:#999!important}.text a{color:#8ab4f8!important}hr{border-color:#333!important}}</style>";
const BODY: &str =
    "margin:0;padding:12px;background:#f6f6f6;font:14px/1.6 'Helvetica Neue',Helvetica,Arial,sans-serif;color:#222";
const CARD: &str =
    "overflow-wrap:anywhere;max-width:600px;margin:0 auto;background:#fff;border:1px solid #e9e9e9;border-radius:3px";
const BAR: &str = "padding:20px;color:#fff;font-size:16px;font-weight:500;border-radius:3px 3px 0 0";
const CELL: &str = "padding:2px 12px 2px 0;vertical-align:top";
/// The name of a fact is short and stays whole on the narrowest phone; its value breaks where it must.
const NAME: &str = "padding:2px 12px 2px 0;vertical-align:top;white-space:nowrap";
const BUTTON: &str = "display:inline-block;margin:0 8px 8px 0;padding:10px 20px;color:#fff!important;background:#2273b9;border-radius:5px;text-decoration:none;font-weight:bold";

fn page(story: &Story) -> String {
    // Alertmanager's colours, darker: white on them reads in the sun, too.
    let colour = match story.tone {
        Tone::Danger => "#C83F1D",
        Tone::Warning => "#8F6808",
        Tone::Good => "#477F0C",
    };
    let mut out = String::new();
    let mut put = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    put("<!DOCTYPE html>");
    put("<html lang=\"en\"><head><meta charset=\"utf-8\">");
    put("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    put(
        "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"supported-color-schemes\" content=\"light dark\">",
    );
    put(DARK);
    put(&format!("<title>{}</title></head>", escape(&story.subject)));
    put(&format!("<body class=\"page\" style=\"{BODY}\"><div class=\"card\" style=\"{CARD}\">"));
    put(&format!("<div style=\"{BAR};background:{colour}\">{}</div>", escape(&story.headline)));
    put("<div class=\"text\" style=\"padding:16px\">");
    if !story.buttons.is_empty() {
        let button =
            |button: &Button| format!("<a href=\"{}\" style=\"{BUTTON}\">{}</a>", escape(&button.url), button.text);
        put(&format!("<p>{}</p>", story.buttons.iter().map(button).collect::<Vec<_>>().join(" ")));
    }
    put("<table style=\"border-collapse:collapse\">");
    for fact in &story.facts {
        put(&format!("<tr><td style=\"{NAME}\"><b>{}</b></td>", fact.name));
        put(&format!("<td style=\"{CELL}\">{}</td></tr>", value(&fact.value)));
    }
    put("</table>");
    for alert in &story.alerts {
        alert_lines(alert, &mut put);
    }
    if story.more_alerts > 0 {
        put(&format!("<p>and {} more alerts</p>", story.more_alerts));
    }
    put("<hr style=\"border:0;border-top:1px solid #e9e9e9\"><p><b>Timeline</b>");
    for entry in &story.timeline {
        put(&format!("<br>{}", escape(entry)));
    }
    put("</p></div></div>");
    put(&format!(
        "<p class=\"foot\" style=\"text-align:center;color:#666\">Sent by autoheal, heal {}</p>",
        escape(&story.heal)
    ));
    put("</body></html>");
    out
}

fn alert_lines(alert: &AlertView, put: &mut impl FnMut(&str)) {
    put("<hr style=\"border:0;border-top:1px solid #e9e9e9\">");
    put(&format!("<p><b>{}</b>", escape(&alert.title)));
    for (title, pairs) in [("Labels", &alert.labels), ("Annotations", &alert.annotations)] {
        if !pairs.is_empty() {
            put(&format!("<br><b>{title}</b>"));
            for (name, text) in pairs {
                put(&format!("<br>{} = {}", escape(name), value(text)));
            }
        }
    }
    if alert.hidden > 0 {
        put(&format!("<br>and {} more", alert.hidden));
    }
    if let Some(source) = &alert.source {
        put(&format!("<br><a href=\"{}\">Source</a>", escape(source)));
    }
    put("</p>");
}

/// A value, as a link when it is a plain web address.
fn value(text: &str) -> String {
    let escaped = escape(text);
    // A value that was cut is no address any more.
    if link(text).is_some() && !text.ends_with('…') {
        format!("<a href=\"{escaped}\">{escaped}</a>")
    } else {
        escaped
    }
}
