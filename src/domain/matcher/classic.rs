//! The parser of Alertmanager 0.26 and older.

use super::{MatcherError, Operator, RawMatcher, error};

/// Blanks as RE2's `\s` knows them.
const BLANK: [char; 5] = [' ', '\t', '\n', '\r', '\u{c}'];

/// Parses a list: optional braces, of which one may be missing, and matchers separated by commas outside quotes.
pub(super) fn list(text: &str) -> Result<Vec<RawMatcher>, MatcherError> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let start = text.len() - inner.len();
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut matchers = Vec::new();
    let mut begin = 0;
    let (mut in_quotes, mut escaped) = (false, false);
    for (offset, c) in inner.char_indices() {
        match c {
            ',' if !in_quotes => {
                matchers.push(matcher(&inner[begin..offset], start + begin)?);
                begin = offset + 1;
            }
            // A comma does not end an escape. Only junk can tell, but so it is in Alertmanager.
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => in_quotes = !in_quotes,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = &inner[begin..];
    if !last.trim().is_empty() {
        matchers.push(matcher(last, start + begin)?);
    }
    Ok(matchers)
}

/// Whether a text can stand for a label name without quotes.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Parses one matcher that stands at `base` in the whole text.
pub(super) fn matcher(text: &str, base: usize) -> Result<RawMatcher, MatcherError> {
    let name_start = text.len() - text.trim_start_matches(BLANK).len();
    let rest = &text[name_start..];
    let name_length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
    let (name, after_name) = rest.split_at(name_length);
    if !is_name(name) {
        return Err(error("a matcher begins with a label name", base + name_start));
    }
    let after_blank = after_name.trim_start_matches(BLANK);
    let Some((operator, length)) = Operator::at_start_of(after_blank) else {
        let offset = base + text.len() - after_blank.len();
        return Err(error(format!("after the label name {name:?} one of =, !=, =~, !~ is expected"), offset));
    };
    let value = after_blank[length..].trim_start_matches(BLANK);
    let value_offset = text.len() - value.len();
    let value = value.trim_end_matches(BLANK);
    let quote = usize::from(value.starts_with('"'));
    let unescaped = unescape(&value[quote..], quote == 1)
        .map_err(|offset| error("a quote within the value is written \\\"", base + value_offset + quote + offset))?;
    Ok(RawMatcher {
        name: name.to_owned(),
        operator,
        value: unescaped,
        name_offset: base + name_start,
        value_offset: base + value_offset + quote,
    })
}

/// Resolves `\"`, `\n` and `\\`; any other backslash is a literal one, so that regexes need no doubling. On failure the
/// offset of the quote that should not be there, or the end where one is missing.
fn unescape(raw: &str, mut closing_quote_due: bool) -> Result<String, usize> {
    let mut value = String::with_capacity(raw.len());
    let mut escaped = false;
    for (offset, c) in raw.char_indices() {
        let is_last = offset + c.len_utf8() == raw.len();
        match c {
            'n' if escaped => value.push('\n'),
            '"' | '\\' if escaped => value.push(c),
            _ if escaped => value.extend(['\\', c]),
            '\\' if !is_last => {
                escaped = true;
                continue;
            }
            '"' if closing_quote_due && is_last => closing_quote_due = false,
            '"' => return Err(offset),
            _ => value.push(c),
        }
        escaped = false;
    }
    if closing_quote_due { Err(raw.len()) } else { Ok(value) }
}
