//! Writes a text's template anew for the engine, which knows fields but no methods, and no escaping.
//!
//! A chain such as `.CommonLabels.SortedPairs.Values` becomes calls of functions, one in the other; a chain without
//! methods goes through a function that makes an empty text of what is not there; and what is written out goes through
//! the stage that escapes it.

use super::super::ParseError;
use super::super::check::Chain;
use super::super::engine::{Places, Writer, quote};
use super::super::lexer::{Action, Kind, Piece, Token, error};
use super::functions::METHODS;

/// What becomes of one word.
#[derive(Default, Clone)]
struct Edit {
    before: String,
    after: String,
    /// It is not written itself.
    drop: bool,
}

/// The template for the engine; `stages` has the escaping of each piece.
pub(super) fn rewrite(
    source: &str,
    pieces: &[Piece<'_>],
    stages: &[&'static str],
) -> Result<(String, Places), ParseError> {
    let mut writer = Writer::new("");
    for (piece, stage) in pieces.iter().zip(stages) {
        match piece {
            Piece::Text { text, offset } => writer.copy(text, *offset),
            Piece::Action(action) if action.comment => writer.copy(action.text, action.offset),
            Piece::Action(action) => write(&mut writer, source, action, stage)?,
        }
    }
    Ok(writer.finish(source))
}

fn write(writer: &mut Writer, source: &str, action: &Action<'_>, stage: &str) -> Result<(), ParseError> {
    let end = action.offset + action.text.len();
    let edits = edits(&action.tokens)?;
    writer.copy(if action.trims.0 { "{{- " } else { "{{" }, action.offset);
    let mut written = action.offset + if action.trims.0 { 4 } else { 2 };
    for (token, edit) in action.tokens.iter().zip(&edits) {
        writer.copy(&source[written..token.offset], written);
        writer.copy(&edit.before, token.offset);
        match &token.kind {
            _ if edit.drop => {}
            Kind::Quoted(value) => writer.copy(&quote(value), token.offset),
            Kind::Character(c) => writer.copy(&u32::from(*c).to_string(), token.offset),
            _ => writer.copy(token.text, token.offset),
        }
        writer.out.push_str(&edit.after);
        written = token.end();
    }
    if is_written_out(action) {
        writer.copy(" | ", end);
        writer.out.push_str(stage);
    }
    writer.copy(if action.trims.1 { " -}}" } else { " }}" }, end);
    Ok(())
}

/// Whether an action's value goes into the text.
pub(super) fn is_written_out(action: &Action<'_>) -> bool {
    let Some(first) = action.tokens.first() else { return false };
    let names_it =
        first.kind == Kind::Variable && action.tokens.get(1).is_some_and(|second| matches!(second.text, "=" | ":="));
    let is_keyword = matches!(first.text, "if" | "with" | "range" | "else" | "end" | "break" | "continue" | "template");
    !names_it && !is_keyword
}

fn edits(tokens: &[Token<'_>]) -> Result<Vec<Edit>, ParseError> {
    let mut edits = vec![Edit::default(); tokens.len()];
    let mut parentheses = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let operand = match token.text {
            "(" => {
                parentheses.push(position);
                None
            }
            ")" => {
                let open = parentheses.pop();
                let fields = tokens[position + 1..].iter().zip(position..);
                let fields = fields
                    .take_while(|(field, before)| field.kind == Kind::Field && tokens[*before].end() == field.offset);
                open.map(|open| (open, position + 1, position + 1 + fields.count()))
            }
            _ => Chain::beginning_at(tokens, position).map(|chain| {
                let begin = position + usize::from(token.kind == Kind::Variable);
                (position, begin, begin + chain.fields.len())
            }),
        };
        if let Some((start, begin, end)) = operand.filter(|(_, begin, end)| begin < end) {
            edit(tokens, &mut edits, start, begin..end)?;
        }
    }
    Ok(edits)
}

/// Edits one operand, which begins at `start` and whose fields are `fields`.
fn edit(
    tokens: &[Token<'_>],
    edits: &mut [Edit],
    start: usize,
    fields: std::ops::Range<usize>,
) -> Result<(), ParseError> {
    let method = |token: &Token<'_>| METHODS.iter().find(|(name, _)| *name == &token.text[1..]);
    let mut opening = String::new();
    let mut is_call = false;
    for at in fields.clone() {
        let token = &tokens[at];
        let Some((name, takes_argument)) = method(token) else { continue };
        edits[at].drop = true;
        // The dot itself has the method.
        let receiver = if at == start { "." } else { "" };
        if *takes_argument {
            let is_command = start == 0 || begins_command(&tokens[start - 1]);
            if at + 1 != fields.end || !is_command {
                let message = format!("put {name} and what it takes into parentheses");
                return Err(error(message, token.offset, token.text.len()));
            }
            opening.insert_str(0, &format!("autoheal_{name} "));
            edits[at].after.push_str(receiver);
            is_call = true;
        } else {
            opening.insert_str(0, &format!("(autoheal_{name} "));
            edits[at].after.extend([receiver, ")"]);
        }
    }
    if !is_call {
        opening.insert_str(0, "(autoheal_soft ");
        edits[fields.end - 1].after.push(')');
    }
    edits[start].before.insert_str(0, &opening);
    Ok(())
}

/// Whether what follows a word is the first of a command, which takes arguments.
fn begins_command(previous: &Token<'_>) -> bool {
    matches!(previous.text, "|" | "(" | ":=" | "=")
        || (previous.kind == Kind::Word && matches!(previous.text, "if" | "with" | "range"))
}
