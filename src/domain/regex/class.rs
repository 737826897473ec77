//! Character classes and escapes, as Go reads them.

use super::RegexError;
use super::translate::{error, push_literal};

/// Go's `\d`, `\s` and `\w` know ASCII only; the inner half of a bracket expression.
fn perl_class(letter: char) -> Option<&'static str> {
    match letter.to_ascii_lowercase() {
        'd' => Some("0-9"),
        's' => Some("\\t\\n\\x0C\\r "),
        'w' => Some("0-9A-Za-z_"),
        _ => None,
    }
}

/// Names between `[:` and `:]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// Unicode's general categories under the names Go has for them. `C` stands apart: see [`unicode_class`].
const CATEGORIES: [&str; 36] = [
    "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Any",
];

/// Translates an escape that stands for a class (`\d`, `\pL`, …) at `start`; returns where it ends, or `None` when the
/// escape is of another kind.
pub(super) fn escaped(pattern: &str, start: usize, out: &mut String) -> Result<Option<usize>, RegexError> {
    let Some(letter) = pattern[start + 1..].chars().next() else { return Ok(None) };
    if let Some(inner) = perl_class(letter) {
        out.push_str(if letter.is_ascii_uppercase() { "[^" } else { "[" });
        out.push_str(inner);
        out.push(']');
        return Ok(Some(start + 2));
    }
    if letter != 'p' && letter != 'P' {
        return Ok(None);
    }
    let Some(first) = pattern[start + 2..].chars().next() else {
        return Err(error(format!("\\{letter} needs the name of a Unicode class"), start));
    };
    let (name, end) = if first == '{' {
        let Some(length) = pattern[start..].find('}') else {
            return Err(error("the name of the Unicode class is never closed by }", start));
        };
        (&pattern[start + 3..start + length], start + length + 1)
    } else {
        let end = start + 2 + first.len_utf8();
        (&pattern[start + 2..end], end)
    };
    let (name, inverted) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
    unicode_class(name, (letter == 'P') != inverted, out)
        .ok_or_else(|| error(format!("no Unicode class {name:?}"), start))?;
    Ok(Some(end))
}

/// Writes a Unicode category or script. Go's names are exact, where the `regex` crate is generous.
fn unicode_class(name: &str, negated: bool, out: &mut String) -> Option<()> {
    let sign = if negated { "P" } else { "p" };
    if name == "C" {
        // Go leaves unassigned code points out of C.
        out.push_str(if negated { "[^\\p{Cc}\\p{Cf}\\p{Co}]" } else { "[\\p{Cc}\\p{Cf}\\p{Co}]" });
        return Some(());
    }
    if name == "Cs" {
        // Surrogates never occur in UTF-8, and the crate has no class for them.
        out.push_str(if negated { "\\p{Any}" } else { "\\P{Any}" });
        return Some(());
    }
    if CATEGORIES.contains(&name) {
        out.extend(["\\", sign, "{", name, "}"]);
        return Some(());
    }
    let looks_like_a_script = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    let text = format!("\\{sign}{{Script={name}}}");
    if !looks_like_a_script || regex_syntax::parse(&text).is_err() {
        return None;
    }
    out.push_str(&text);
    Some(())
}

/// Translates the bracket expression that begins at `start`; returns where it ends.
pub(super) fn bracketed(pattern: &str, start: usize, out: &mut String) -> Result<usize, RegexError> {
    let unclosed = || error("missing closing ]", start);
    let mut position = start + 1;
    out.push('[');
    if pattern[position..].starts_with('^') {
        out.push('^');
        position += 1;
    }
    let mut first = true;
    loop {
        let rest = &pattern[position..];
        if rest.is_empty() {
            return Err(unclosed());
        }
        if rest.starts_with(']') && !first {
            out.push(']');
            return Ok(position + 1);
        }
        first = false;
        if let Some(end) = posix(pattern, position, out)? {
            position = end;
            continue;
        }
        if rest.starts_with('\\')
            && let Some(end) = escaped(pattern, position, out)?
        {
            position = end;
            continue;
        }
        position = single_or_range(pattern, start, position, out)?;
    }
}

/// Translates `[:name:]` inside a bracket expression.
fn posix(pattern: &str, start: usize, out: &mut String) -> Result<Option<usize>, RegexError> {
    let Some(body) = pattern[start..].strip_prefix("[:") else { return Ok(None) };
    // Without its end it is a literal [ and what follows.
    let Some(length) = body.find(":]") else { return Ok(None) };
    let name = &body[..length];
    if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err(error(format!("no class [:{name}:]"), start));
    }
    out.extend(["[:", name, ":]"]);
    Ok(Some(start + 2 + length + 2))
}

/// Translates one character, or a range of them, of the bracket expression that began at `class`.
fn single_or_range(pattern: &str, class: usize, start: usize, out: &mut String) -> Result<usize, RegexError> {
    let (low, mut position) = class_char(pattern, class, start)?;
    push_literal(out, low);
    let rest = &pattern[position..];
    // A minus before the closing bracket is a literal one.
    if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
        let high;
        (high, position) = class_char(pattern, class, position + 1)?;
        if high < low {
            return Err(error(format!("invalid character range {}", &pattern[start..position]), start));
        }
        out.push('-');
        push_literal(out, high);
    }
    Ok(position)
}

fn class_char(pattern: &str, class: usize, start: usize) -> Result<(char, usize), RegexError> {
    match pattern[start..].chars().next() {
        None => Err(error("missing closing ]", class)),
        Some('\\') => escaped_char(pattern, start),
        Some(c) => Ok((c, start + c.len_utf8())),
    }
}

/// Reads an escape that stands for one character; returns the character and where the escape ends.
pub(super) fn escaped_char(pattern: &str, start: usize) -> Result<(char, usize), RegexError> {
    let rest = &pattern[start + 1..];
    let Some(letter) = rest.chars().next() else {
        return Err(error("a backslash at the end", start));
    };
    let unknown = || error(format!("unknown escape \\{letter}"), start);
    let after = start + 1 + letter.len_utf8();
    let simple = match letter {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => {
            let (value, length) = hexadecimal(&rest[1..]).ok_or_else(unknown)?;
            let c = char::from_u32(value).ok_or_else(unknown)?;
            return Ok((c, after + length));
        }
        // A lone digit would be a back-reference, which RE2 does not have; zero alone is the character 0.
        '0'..='7' => {
            let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            if letter != '0' && digits < 2 {
                return Err(unknown());
            }
            let value = u32::from_str_radix(&rest[..digits], 8).map_err(|_| unknown())?;
            return Ok((char::from_u32(value).ok_or_else(unknown)?, start + 1 + digits));
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(unknown()),
    };
    Ok((simple, after))
}

/// The digits after `\x`: two of them, or any number in braces. Returns the value and the length read.
fn hexadecimal(text: &str) -> Option<(u32, usize)> {
    let (digits, length) = match text.strip_prefix('{') {
        Some(body) => {
            let end = body.find('}')?;
            (&body[..end], end + 2)
        }
        None => (text.get(..2)?, 2),
    };
    let all_hexadecimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let significant = digits.trim_start_matches('0');
    let value = if significant.is_empty() { Some(0) } else { u32::from_str_radix(significant, 16).ok() };
    all_hexadecimal.then_some((value?, length))
}
