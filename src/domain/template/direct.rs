//! The short way for the templates nearly every rule has: texts and plain labels, perhaps through a text function.
//! They are rendered without the engine, which would first copy the whole alert. A property test holds both ways equal.

use super::check::{Chain, Place};
use super::functions::{TextFunction, UNARY};
use super::lexer::{Action, Piece};
use crate::domain::alert::Alert;

/// A part of a template that needs no engine.
#[derive(Debug)]
pub(super) enum Segment {
    /// What goes out as it stands.
    Text(String),
    /// A label's or annotation's value, through some functions.
    Value { place: Place, name: String, functions: Vec<TextFunction> },
}

/// The segments of a template, unless it needs the engine.
pub(super) fn segments(pieces: &[Piece<'_>]) -> Option<Vec<Segment>> {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text { text, .. } => Some(Segment::Text((*text).to_owned())),
            Piece::Action(action) => value(action),
        })
        .collect()
}

fn value(action: &Action<'_>) -> Option<Segment> {
    if action.trims != (false, false) || action.tokens.is_empty() {
        return None;
    }
    let chain = Chain::beginning_at(&action.tokens, 0)?;
    let (place, [name]) = chain.place()? else { return None };
    // `$other.Labels.job` is for the engine to judge.
    if !matches!(action.tokens[0].text, "$" | "$alert" | "$labels" | "$annotations" | ".Labels" | ".Annotations") {
        return None;
    }
    let functions = action.tokens[chain.len()..]
        .chunks(2)
        .map(|stage| match stage {
            [pipe, function] if pipe.text == "|" => {
                UNARY.iter().find(|(name, _)| *name == function.text).map(|(_, function)| *function)
            }
            _ => None,
        })
        .collect::<Option<_>>()?;
    Some(Segment::Value { place, name: name.text[1..].to_owned(), functions })
}

/// Renders; on failure the label or annotation that is missing.
pub(super) fn render<'s>(segments: &'s [Segment], alert: &Alert) -> Result<String, (Place, &'s str)> {
    let mut out = String::new();
    for segment in segments {
        match segment {
            Segment::Text(text) => out.push_str(text),
            Segment::Value { place, name, functions } => {
                let value = place.of(alert).get(name).ok_or((*place, name.as_str()))?;
                match functions.as_slice() {
                    [] => out.push_str(value),
                    [first, rest @ ..] => out.push_str(&rest.iter().fold(first(value), |text, next| next(&text))),
                }
            }
        }
    }
    Ok(out)
}
