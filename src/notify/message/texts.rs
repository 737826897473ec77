//! Texts that people have written themselves in place of ours. One that cannot be rendered never costs the message: the
//! default goes out in its place, and says so.

use uuid::Uuid;

use super::subject::MAX_SUBJECT;
use super::text::{line, lines};
use super::{Pages, blocks, data, html, plain, subject};
use crate::domain::Timestamp;
use crate::domain::heal::HealId;
use crate::domain::message::{Message, MessageKind};
use crate::domain::template::text::{TextTemplate, escape_html, escape_slack};
use crate::notify::sample;

/// Longest text for Slack in bytes; two sections of a message.
const MAX_SLACK: usize = 5600;
/// Longest reason in a note.
const MAX_REASON: usize = 300;

/// A receiver's own texts; what is not there has its default.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// The subject of a mail, the title in Slack.
    pub subject: Option<TextTemplate>,
    /// The plain text of a mail, the body in Slack.
    pub text: Option<TextTemplate>,
    /// The HTML of a mail.
    pub html: Option<TextTemplate>,
}

/// Renders a template for a message about nothing, to find what parses and yet can never be rendered.
///
/// # Errors
/// Why not, in words.
pub fn try_out(template: &TextTemplate) -> Result<(), String> {
    let now = Timestamp::UNIX_EPOCH;
    let message = sample::message(MessageKind::Firing, vec![sample::test_alert(now)], "", HealId(Uuid::nil()), now);
    template.render(&data::of(&message, &Pages::default())).map(drop)
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// For who reads text.
    pub plain: String,
    /// For everybody else.
    pub html: String,
}

/// A receiver's own texts for one message to Slack, escaped; what is not there has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// One line.
    pub title: Option<String>,
    /// The body.
    pub text: Option<String>,
    /// What could not be rendered, and why.
    pub note: Option<String>,
}

/// Renders the own texts of one message and gathers what failed.
struct Rendering {
    data: serde_json::Value,
    failures: Vec<String>,
}

impl Rendering {
    fn of(texts: &Texts, message: &Message, pages: &Pages) -> Option<Self> {
        let is_default = [&texts.subject, &texts.text, &texts.html].into_iter().all(Option::is_none);
        (!is_default).then(|| Self { data: data::of(message, pages), failures: Vec::new() })
    }

    /// `None` without a template of that kind, and when it fails or says nothing.
    fn render(&mut self, what: &str, template: Option<&TextTemplate>) -> Option<String> {
        let rendered = template?
            .render(&self.data)
            .and_then(|text| if text.trim().is_empty() { Err("it says nothing".to_owned()) } else { Ok(text) });
        rendered.map_err(|error| self.failures.push(format!("{what}: {}", line(&error, MAX_REASON)))).ok()
    }

    fn note(&self) -> Option<String> {
        let failures = self.failures.join("; ");
        (!failures.is_empty())
            .then(|| format!("This receiver's own text could not be made, so the default is shown ({failures})."))
    }
}

impl Texts {
    /// The texts of a mail.
    #[must_use]
    pub fn mail(&self, message: &Message, pages: &Pages) -> Mail {
        let default_plain = || plain::render(message, pages);
        let default_html = || html::render(message, pages);
        let Some(mut own) = Rendering::of(self, message, pages) else {
            return Mail { subject: subject(message), plain: default_plain(), html: default_html() };
        };
        // One line whatever the labels and the template hold: nothing can begin another header.
        let title = own.render("subject", self.subject.as_ref()).map(|text| line(text.trim(), MAX_SUBJECT));
        let text = own.render("text", self.text.as_ref()).map(|text| lines(&text, plain::MAX_PLAIN / 4));
        let page = own.render("html", self.html.as_ref()).and_then(|page| {
            // A page that is cut is none.
            let fits = page.len() <= html::MAX_HTML;
            if !fits {
                own.failures.push(format!("html: more than {} bytes", html::MAX_HTML));
            }
            fits.then_some(page)
        });
        let mut mail = Mail {
            subject: title.unwrap_or_else(|| subject(message)),
            plain: text.unwrap_or_else(default_plain),
            html: page.unwrap_or_else(default_html),
        };
        if let Some(note) = own.note() {
            mail.plain.extend(["\n", &note, "\n"]);
            let at = mail.html.rfind("</body>").unwrap_or(mail.html.len());
            mail.html.insert_str(at, &format!("<p>{}</p>\n", escape_html(&note)));
        }
        mail
    }

    /// The own texts of a message to Slack.
    #[must_use]
    pub fn slack(&self, message: &Message, pages: &Pages) -> Own {
        let Some(mut own) = Rendering::of(self, message, pages) else { return Own::default() };
        let title = own.render("title", self.subject.as_ref());
        let text = own.render("text", self.text.as_ref());
        Own {
            title: title.map(|title| blocks::cut(&line(title.trim(), MAX_SUBJECT * 2), MAX_SUBJECT * 2)),
            text: text.map(|text| blocks::cut(&lines(text.trim(), MAX_SLACK), MAX_SLACK)),
            note: own.note().map(|note| escape_slack(&note)),
        }
    }
}

#[cfg(test)]
mod tests;
