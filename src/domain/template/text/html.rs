//! Which escaping each value in an HTML text needs, by where it stands: between tags, in an attribute, or in an attribute
//! that leads somewhere. Where no escaping makes a value safe, it is refused.

use super::super::ParseError;
use super::super::lexer::{Action, Kind, Piece, error};
use super::rewrite::is_written_out;

/// Attributes whose value is an address.
const ADDRESSES: [&str; 9] =
    ["href", "src", "action", "formaction", "background", "cite", "poster", "data", "xlink:href"];
/// Elements whose content is no text.
const RAW: [&str; 2] = ["script", "style"];

/// Where the next character stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Between tags.
    Content,
    /// Between `<` and `>`, outside quotes, with the tag's text so far.
    Tag(String),
    /// In a quoted attribute.
    Value { tag: String, quote: char, attribute: String, is_begun: bool },
    /// Behind `<script>` and its like, up to the end tag.
    Raw(&'static str),
    /// Behind `<!--`.
    Comment,
}

impl Place {
    /// Places that are the same for what follows; how far a tag is written does not matter.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tag(_), Self::Tag(_)) => true,
            (Self::Value { quote, attribute, .. }, Self::Value { quote: q, attribute: a, .. }) => {
                (quote, attribute) == (q, a)
            }
            _ => self == other,
        }
    }

    /// In an attribute, whichever branch wrote something into it.
    fn begun_only_with(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Value { tag, quote, attribute, is_begun }, Self::Value { is_begun: also, .. }) => {
                Self::Value { tag, quote, attribute, is_begun: is_begun && *also }
            }
            (place, _) => place,
        }
    }

    fn after(self, text: &str) -> Self {
        let mut place = self;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (next, length) = place.step(rest, c);
            place = next;
            rest = &rest[length..];
        }
        place
    }

    fn step(self, rest: &str, c: char) -> (Self, usize) {
        let width = c.len_utf8();
        match self {
            Self::Content if rest.starts_with("<!--") => (Self::Comment, 4),
            Self::Content if c == '<' => (Self::Tag(String::new()), width),
            Self::Comment if rest.starts_with("-->") => (Self::Content, 3),
            Self::Raw(name) if is_end_tag(rest, name) => (Self::Tag("/".to_owned()), 2),
            Self::Tag(tag) if c == '>' => {
                let name = tag.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
                let raw = RAW.into_iter().find(|raw| *raw == name.trim_end_matches('/'));
                (raw.map_or(Self::Content, Self::Raw), width)
            }
            Self::Tag(tag) if matches!(c, '"' | '\'') && tag.trim_end().ends_with('=') => {
                let name = tag.trim_end().trim_end_matches('=').trim_end();
                let attribute = name.rsplit(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
                let attribute = attribute.to_ascii_lowercase();
                (Self::Value { tag, quote: c, attribute, is_begun: false }, width)
            }
            Self::Tag(mut tag) => {
                tag.push(c);
                (Self::Tag(tag), width)
            }
            Self::Value { mut tag, quote, .. } if c == quote => {
                tag.push_str("\"\"");
                (Self::Tag(tag), width)
            }
            Self::Value { tag, quote, attribute, is_begun } => {
                // Who reads an address passes over blanks before it.
                let is_begun = is_begun || !(c.is_whitespace() || c.is_control());
                (Self::Value { tag, quote, attribute, is_begun }, width)
            }
            place => (place, width),
        }
    }

    /// The escaping of a value that stands here.
    fn stage(&self, action: &Action<'_>) -> Result<&'static str, ParseError> {
        let refused = |message: &str| Err(error(message, action.offset, action.text.len()));
        match self {
            Self::Content if says_safe(action) => Ok("autoheal_plain"),
            Self::Content => Ok("autoheal_html"),
            Self::Value { attribute, is_begun, .. } => match attribute.as_str() {
                name if matches!(name, "style" | "srcdoc") || name.starts_with("on") => {
                    refused("no value is safe in a style or a script; write it between tags")
                }
                name if ADDRESSES.contains(&name) && !is_begun => Ok("autoheal_address"),
                _ => Ok("autoheal_html"),
            },
            Self::Tag(_) => refused("a value in a tag must stand in a quoted attribute"),
            Self::Raw(_) => refused("no value is safe in a style or a script; write it between tags"),
            Self::Comment => refused("a value cannot stand in a comment"),
        }
    }
}

fn is_end_tag(rest: &str, name: &str) -> bool {
    rest.strip_prefix("</").and_then(|rest| rest.get(..name.len())).is_some_and(|end| end.eq_ignore_ascii_case(name))
}

/// Whether the author says that the value is HTML, and not only a part of it in parentheses.
fn says_safe(action: &Action<'_>) -> bool {
    let (mut depth, mut last) = (0_usize, 0);
    for (position, token) in action.tokens.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "|" if depth == 0 => last = position + 1,
            _ => {}
        }
    }
    action.tokens.get(last).is_some_and(|token| token.kind == Kind::Word && token.text == "safeHtml")
}

/// The stage of each piece; texts have one that is never used.
pub(super) fn stages(pieces: &[Piece<'_>]) -> Result<Vec<&'static str>, ParseError> {
    let mut place = Place::Content;
    // Where each open block began, and where its last branch ended.
    let mut blocks: Vec<(Place, Option<Place>)> = Vec::new();
    let mut stages = Vec::new();
    for piece in pieces {
        let mut stage = "autoheal_html";
        match piece {
            Piece::Text { text, .. } => place = place.after(text),
            Piece::Action(action) => match action.tokens.first().map(|first| first.text) {
                Some("if" | "with" | "range") => blocks.push((place.clone(), None)),
                Some(word @ ("else" | "end")) => {
                    let Some((begin, earlier)) = blocks.pop() else { continue };
                    let against = earlier.as_ref().unwrap_or(&begin);
                    let must_agree = word == "end" || earlier.is_some();
                    if must_agree && !place.is_like(against) {
                        let message = "the branches of this block end in different places of a tag";
                        return Err(error(message, action.offset, action.text.len()));
                    }
                    let merged = if earlier.is_some() || word == "end" {
                        place.clone().begun_only_with(against)
                    } else {
                        place.clone()
                    };
                    if word == "else" {
                        place = begin.clone();
                        blocks.push((begin, Some(merged)));
                    } else {
                        place = merged;
                    }
                }
                Some("template") if place != Place::Content => {
                    let message = "a template can only be called between tags";
                    return Err(error(message, action.offset, action.text.len()));
                }
                _ if is_written_out(action) => {
                    // A value begins no address for the next one: it may be empty.
                    stage = place.stage(action)?;
                }
                _ => {}
            },
        }
        stages.push(stage);
    }
    if place != Place::Content {
        let end = pieces.last().map_or(0, |piece| match piece {
            Piece::Text { text, offset } => offset + text.len(),
            Piece::Action(action) => action.offset + action.text.len(),
        });
        return Err(error("the text ends within a tag", end.saturating_sub(1), 1));
    }
    Ok(stages)
}
