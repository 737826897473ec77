//! Go templates as Prometheus and Alertmanager users write them.
//!
//! The dot and `$alert` are the alert with Go's field names, `$labels` and `$annotations` its maps. What an alert does not
//! have is an error, not `<no value>`: a text with a hole in it must never reach a target. Conditions may ask for it.

mod check;
mod direct;
mod engine;
mod functions;
mod lexer;
mod strict;
pub mod text;

use std::fmt;
use std::sync::Arc;

use super::alert::{Alert, Labels};
use check::{Mention, Place};
use direct::Segment;
use engine::{Engine, Failure};

/// What a template sees: one alert.
#[derive(Debug, Clone, Copy)]
pub struct AlertContext<'a> {
    /// The alert behind `$alert`, `$labels`, `$annotations` and the dot.
    pub alert: &'a Alert,
}

/// The alert's fields, by the names Go gives them.
const FIELDS: [&str; 10] = [
    "Status",
    "Labels",
    "Annotations",
    "StartsAt",
    "EndsAt",
    "GeneratorURL",
    "Fingerprint",
    "Name",
    "Namespace",
    "Hash",
];

/// A text with Go template actions, parsed once.
#[derive(Clone)]
pub struct Template {
    compiled: Arc<Compiled>,
}

struct Compiled {
    source: String,
    program: Program,
}

enum Program {
    /// No action at all.
    Literal,
    /// Plain labels and annotations.
    Direct(Vec<Segment>),
    /// Anything else, with what it mentions.
    Engine(Box<Engine>, Vec<Mention>),
}

/// A template does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Byte offset in the source where it is wrong.
    pub offset: usize,
    /// Length in bytes of what is wrong; 0 when unknown.
    pub length: usize,
}

/// A template could not be rendered for an alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template {template:?}: {message}")]
pub struct RenderError {
    /// The template's source.
    pub template: String,
    /// What went wrong.
    pub message: String,
}

/// What a template can name: functions and the variables for the alert.
pub fn names() -> impl Iterator<Item = &'static str> {
    functions::FUNCTIONS.iter().map(|(name, _)| *name).chain(["$labels", "$annotations", "$alert"])
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    /// Anything Go's template parser would refuse, and what we do not support: named templates, functions beyond Go's
    /// builtins and Prometheus' string functions, and the rarer verbs of `printf`. Also what could never render: an unknown
    /// field of the alert, a field of a label, or a constant pattern that does not compile.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let program = if source.contains("{{") {
            let pieces = lexer::pieces(source)?;
            let mentions = check::check(&pieces)?;
            match direct::segments(&pieces) {
                Some(segments) => Program::Direct(segments),
                None => Program::Engine(Box::new(Engine::compile(source, &pieces)?), mentions),
            }
        } else {
            Program::Literal
        };
        Ok(Self { compiled: Arc::new(Compiled { source: source.to_owned(), program }) })
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.compiled.source
    }

    /// True when the text has no template action, so that its value is known at load.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self.compiled.program, Program::Literal)
    }

    /// Renders for one alert.
    ///
    /// # Errors
    /// An undefined label or field, or a failing function.
    pub fn render(&self, alert: AlertContext<'_>) -> Result<String, RenderError> {
        let alert = alert.alert;
        let message = match &self.compiled.program {
            Program::Literal => return Ok(self.source().to_owned()),
            Program::Direct(segments) => match direct::render(segments, alert) {
                Ok(text) => return Ok(text),
                Err(missing) => explain_missing(&[missing], alert),
            },
            Program::Engine(engine, mentions) => match engine.render(alert) {
                Ok(text) => return Ok(text),
                Err(failure) => explain(&failure, mentions, alert),
            },
        };
        Err(RenderError { template: self.source().to_owned(), message })
    }
}

/// Where a source's plain texts stand, between its actions.
///
/// # Errors
/// An action that is never closed, or a word in one that Go does not know.
pub(super) fn plain_parts(source: &str) -> Result<Vec<std::ops::Range<usize>>, ParseError> {
    let texts = lexer::pieces(source)?.into_iter().filter_map(|piece| match piece {
        lexer::Piece::Text { text, offset } => Some(offset..offset + text.len()),
        lexer::Piece::Action(_) => None,
    });
    Ok(texts.collect())
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source()).finish()
    }
}

impl Place {
    /// The labels or annotations of an alert.
    fn of(self, alert: &Alert) -> &Labels {
        match self {
            Self::Labels => &alert.labels,
            Self::Annotations => &alert.annotations,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotation",
        }
    }
}

/// Says why the engine failed, and which label or annotation was missing when that was the reason.
fn explain(failure: &Failure, mentions: &[Mention], alert: &Alert) -> String {
    if let Some(message) = &failure.message {
        return message.clone();
    }
    let mut missing: Vec<(Place, &str)> = Vec::new();
    for mention in mentions {
        let here = failure.offset.is_none_or(|offset| mention.action.contains(&offset));
        let entry = (mention.place, mention.name.as_str());
        if here && !mention.place.of(alert).contains_key(&mention.name) && !missing.contains(&entry) {
            missing.push(entry);
        }
    }
    explain_missing(&missing, alert)
}

fn explain_missing(missing: &[(Place, &str)], alert: &Alert) -> String {
    let Some((place, _)) = missing.first() else {
        return "it uses something that is not defined for this alert".to_owned();
    };
    let named: Vec<String> = missing.iter().map(|(place, name)| format!("{} {name:?}", place.noun())).collect();
    let present: Vec<&str> = place.of(alert).keys().map(String::as_str).collect();
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    format!("the alert has no {}; its {}s are: {present}", named.join(" and no "), place.noun())
}

#[cfg(test)]
mod tests;
