//! What can be said of a template before any alert is there: unknown functions, fields and patterns are errors at load,
//! not at night. Also notes which labels and annotations each action mentions, so that a missing one can be named.

use super::functions::FUNCTIONS;
use super::lexer::{Action, Kind, Piece, Token, error};
use super::{FIELDS, ParseError, strict};
use crate::domain::regex::Regex;

/// A label or annotation that a template mentions by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// The source range of the action it stands in.
    pub action: std::ops::Range<usize>,
    /// Label or annotation.
    pub place: Place,
    /// Its name.
    pub name: String,
}

/// Labels or annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `.Labels`
    Labels,
    /// `.Annotations`
    Annotations,
}

const KEYWORDS: [&str; 10] = ["if", "with", "range", "else", "end", "break", "continue", "nil", "true", "false"];
const UNSUPPORTED: [&str; 3] = ["define", "template", "block"];

/// How deep blocks, with each `else if` of theirs, and parentheses may be nested. The engine goes down as deep as the
/// template, and its stack ends sooner than a file.
const MAX_DEPTH: usize = 32;

/// Checks all actions.
pub(super) fn check(pieces: &[Piece<'_>]) -> Result<Vec<Mention>, ParseError> {
    let mut mentions = Vec::new();
    let mut blocks = Blocks::default();
    let actions =
        || pieces.iter().filter_map(|piece| if let Piece::Action(action) = piece { Some(action) } else { None });
    let is_ours = |variable: &str| !actions().any(|action| assigns(action, variable));
    let (alert_is_alert, labels_are_labels) = (is_ours("$alert"), is_ours("$labels") && is_ours("$annotations"));
    for action in actions() {
        let tokens = &action.tokens;
        words(tokens, &UNSUPPORTED, &[])?;
        parentheses(tokens)?;
        let dot_is_alert = blocks.dot_is_alert();
        blocks.pass(tokens)?;
        for (position, token) in tokens.iter().enumerate() {
            let Some(chain) = Chain::beginning_at(tokens, position) else { continue };
            let about_alert = match token.text {
                "$" => true,
                "$alert" => alert_is_alert,
                _ => token.kind == Kind::Field && dot_is_alert,
            };
            match (token.text, chain.fields) {
                (_, [field, rest @ ..]) if about_alert => {
                    alert_field(field)?;
                    text_field(field, rest)?;
                }
                ("$labels" | "$annotations", fields) if labels_are_labels => text_field(token, fields)?,
                _ => {}
            }
            mentions.extend(chain.mention(action, tokens, position));
        }
    }
    blocks.finish().map(|()| mentions)
}

/// Checks a text for people: `more` are the functions it may call beside a rule's, `fields` what its dot has at the top,
/// where that is known.
pub(super) fn check_text(pieces: &[Piece<'_>], more: &[&str], fields: Option<&[&str]>) -> Result<(), ParseError> {
    let mut blocks = Blocks::default();
    for piece in pieces {
        let Piece::Action(action) = piece else { continue };
        let tokens = &action.tokens;
        words(tokens, &["block", "define"], more)?;
        parentheses(tokens)?;
        let dot_is_data = blocks.dot_is_alert();
        blocks.pass(tokens)?;
        for (position, token) in tokens.iter().enumerate() {
            let Some(chain) = Chain::beginning_at(tokens, position) else { continue };
            let about_data = token.text == "$" || (token.kind == Kind::Field && dot_is_data);
            match (fields, chain.fields) {
                (Some(known), [field, ..]) if about_data && !known.contains(&&field.text[1..]) => {
                    let message = format!("there is no {} here; there are .{}", field.text, known.join(", ."));
                    return Err(error(message, field.offset, field.text.len()));
                }
                _ => {}
            }
        }
    }
    blocks.finish()
}

/// The blocks that are open at some action.
#[derive(Default)]
struct Blocks<'t, 's>(Vec<Block<'t, 's>>);

struct Block<'t, 's> {
    first: &'t Token<'s>,
    /// How deep it is for the engine: each `else if` stands within the one before, though it is written on one level.
    levels: usize,
}

impl<'t, 's> Blocks<'t, 's> {
    /// Whether no block gives the dot another meaning.
    fn dot_is_alert(&self) -> bool {
        self.0.iter().all(|block| block.first.text == "if")
    }

    /// Opens and closes blocks as an action says.
    fn pass(&mut self, tokens: &'t [Token<'s>]) -> Result<(), ParseError> {
        let Some(first) = tokens.first() else { return Ok(()) };
        match (first.text, self.0.last_mut()) {
            ("if" | "with" | "range", _) => self.0.push(Block { first, levels: 1 }),
            ("else" | "end", None) => {
                let message = format!("{} without an if, with or range before it", first.text);
                return Err(error(message, first.offset, first.text.len()));
            }
            ("else", Some(block)) if tokens.len() > 1 => block.levels += 1,
            ("end", Some(_)) => drop(self.0.pop()),
            _ => {}
        }
        if self.0.iter().map(|block| block.levels).sum::<usize>() > MAX_DEPTH {
            let message = format!("blocks are nested deeper than {MAX_DEPTH}");
            return Err(error(message, first.offset, first.text.len()));
        }
        Ok(())
    }

    /// At the end of the template none may be open.
    fn finish(&self) -> Result<(), ParseError> {
        let Some(Block { first, .. }) = self.0.last() else { return Ok(()) };
        let message = format!("this {} is never closed by {{{{ end }}}}", first.text);
        Err(error(message, first.offset, first.text.len()))
    }
}

fn parentheses(tokens: &[Token<'_>]) -> Result<(), ParseError> {
    let mut depth: usize = 0;
    for token in tokens {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(error(format!("parentheses are nested deeper than {MAX_DEPTH}"), token.offset, 1));
        }
    }
    Ok(())
}

fn assigns(action: &Action<'_>, variable: &str) -> bool {
    action.tokens.windows(2).any(|pair| pair[0].text == variable && matches!(pair[1].text, "=" | ":="))
}

/// Keywords and functions must be known, and constant patterns and formats must be good.
fn words(tokens: &[Token<'_>], unsupported: &[&str], more: &[&str]) -> Result<(), ParseError> {
    tokens.iter().filter(|token| token.kind == Kind::Number).try_for_each(number)?;
    for (position, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word) {
        let Token { text, offset, .. } = *token;
        match text {
            "block" | "define" if unsupported.contains(&text) && !unsupported.contains(&"template") => {
                let message =
                    format!("{text} cannot stand here; define templates at the top and call them by template");
                return Err(error(message, offset, text.len()));
            }
            _ if unsupported.contains(&text) => {
                return Err(error(format!("{text} is not supported: a rule's texts stand alone"), offset, text.len()));
            }
            _ => {}
        }
        let functions = || FUNCTIONS.iter().map(|(name, _)| *name).chain(more.iter().copied());
        let is_known = functions().any(|name| name == text) || KEYWORDS.contains(&text) || text == "template";
        if !is_known {
            let known: Vec<&str> = functions().collect();
            let message = format!("function {text:?} not defined; there are {}", known.join(", "));
            return Err(error(message, offset, text.len()));
        }
        let Some(Token { kind: Kind::Quoted(constant), text: written, offset }) = tokens.get(position + 1) else {
            continue;
        };
        let bad = |message: String| error(message, *offset, written.len());
        match text {
            "match" | "reReplaceAll" => {
                Regex::search(constant).map_err(|error| bad(format!("bad regular expression: {error}")))?;
            }
            "printf" => drop(strict::verbs(constant).map_err(bad)?),
            _ => {}
        }
    }
    Ok(())
}

/// The engine keeps whole floats as integers, which would show from 1e6 on and in comparisons; integers end where Go's do.
fn number(token: &Token<'_>) -> Result<(), ParseError> {
    let Token { text, offset, .. } = *token;
    let digits = text.trim_start_matches(['+', '-']).replace('_', "").to_ascii_lowercase();
    let is_decimal = !["0x", "0b", "0o"].iter().any(|prefix| digits.starts_with(prefix));
    let problem = if digits.ends_with('i') {
        "complex numbers are not supported"
    } else if is_decimal && digits.contains(['.', 'e']) {
        match digits.parse::<f64>() {
            Ok(value) if value.fract() == 0.0 => "write a whole number without a point and an exponent",
            _ => return Ok(()),
        }
    } else if !is_decimal && digits.contains(['.', 'p']) {
        "hexadecimal fractions are not supported"
    } else if is_decimal && digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<i64>().is_err() {
        "this number is too large"
    } else {
        return Ok(());
    };
    Err(error(problem, offset, text.len()))
}

/// What Alertmanager's templates may call on labels; here a label's name would be read instead.
const METHODS: [&str; 4] = ["SortedPairs", "Remove", "Names", "Values"];

/// The values of labels and annotations are texts, and so are the alert's other fields: they have no fields of their own.
fn text_field(place: &Token<'_>, fields: &[Token<'_>]) -> Result<(), ParseError> {
    let is_map = matches!(place.text, "$labels" | "$annotations" | ".Labels" | ".Annotations");
    match fields {
        [method, ..] if is_map && METHODS.contains(&&method.text[1..]) => {
            let name = &method.text[1..];
            let message = format!("{name} is not supported; a label of that name is (index $labels {name:?})");
            Err(error(message, method.offset, method.text.len()))
        }
        [_, deeper, ..] if is_map => {
            Err(error(format!("a label is a text and has no {}", deeper.text), deeper.offset, deeper.text.len()))
        }
        [deeper, ..] if !is_map => {
            let message = format!("{} is a text here and has no {}", place.text, deeper.text);
            Err(error(message, deeper.offset, deeper.text.len()))
        }
        _ => Ok(()),
    }
}

fn alert_field(field: &Token<'_>) -> Result<(), ParseError> {
    let name = &field.text[1..];
    if FIELDS.contains(&name) {
        return Ok(());
    }
    let similar = FIELDS.iter().find(|known| known.eq_ignore_ascii_case(name));
    let hint = similar.map_or_else(
        || format!("it has {}; a label is $labels{}", FIELDS.join(", "), field.text),
        |known| format!("write .{known}"),
    );
    Err(error(format!("an alert has no field {}; {hint}", field.text), field.offset, field.text.len()))
}

/// `$labels.job`, `.Labels.job`: a first word and the fields written onto it without a gap.
pub(super) struct Chain<'t, 's> {
    first: &'t Token<'s>,
    /// The fields, the first word included when it is one itself.
    pub fields: &'t [Token<'s>],
}

impl<'t, 's> Chain<'t, 's> {
    /// The chain whose first word stands at `position`.
    pub(super) fn beginning_at(tokens: &'t [Token<'s>], position: usize) -> Option<Self> {
        let first = &tokens[position];
        let continues = position > 0 && tokens[position - 1].end() == first.offset && {
            let previous = &tokens[position - 1];
            matches!(previous.kind, Kind::Variable | Kind::Field) || previous.text == ")"
        };
        let start = match first.kind {
            Kind::Variable => position + 1,
            Kind::Field if !continues => position,
            _ => return None,
        };
        let mut end = position + 1;
        while end < tokens.len() && tokens[end].kind == Kind::Field && tokens[end].offset == tokens[end - 1].end() {
            end += 1;
        }
        Some(Self { first, fields: &tokens[start..end] })
    }

    /// How many tokens it spans.
    pub(super) fn len(&self) -> usize {
        self.fields.len() + usize::from(self.first.kind == Kind::Variable)
    }

    /// Whether it means the labels or annotations, and the fields behind.
    pub(super) fn place(&self) -> Option<(Place, &'t [Token<'s>])> {
        match (self.first.text, self.fields) {
            ("$labels", rest) => Some((Place::Labels, rest)),
            ("$annotations", rest) => Some((Place::Annotations, rest)),
            (_, [field, rest @ ..]) if field.text == ".Labels" => Some((Place::Labels, rest)),
            (_, [field, rest @ ..]) if field.text == ".Annotations" => Some((Place::Annotations, rest)),
            _ => None,
        }
    }

    /// The label or annotation it names, by a field or as the key of `index`.
    fn mention(&self, action: &Action<'_>, tokens: &[Token<'_>], position: usize) -> Option<Mention> {
        let (place, rest) = self.place()?;
        let name = match rest {
            [name] => name.text[1..].to_owned(),
            [] if position > 0 && tokens[position - 1].text == "index" => {
                match &tokens.get(position + self.len())?.kind {
                    Kind::Quoted(key) => key.clone(),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Mention { action: action.offset..action.offset + action.text.len(), place, name })
    }
}
