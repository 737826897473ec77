//! Go's quoted strings, which templates and matchers have in common.

/// An escape that Go does not know, or text that is not UTF-8 after unescaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadEscape {
    /// What is wrong.
    pub message: String,
    /// Byte offset within the body that was given.
    pub offset: usize,
}

/// Resolves the escapes in the body of a Go string between `quote`s (the quotes themselves are not part of `body`).
///
/// Go strings may hold any bytes; labels and targets are UTF-8, so an escape that breaks UTF-8 is refused.
pub(crate) fn unescape(body: &str, quote: char) -> Result<String, BadEscape> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        let offset = body.len() - rest.len();
        if c == '\n' {
            return Err(BadEscape { message: "a line break in a quoted string is written \\n".to_owned(), offset });
        }
        if c == '\\' {
            let length = escape(rest, quote, &mut bytes).ok_or_else(|| {
                let shown: String = rest.chars().take(2).collect();
                let hint =
                    if shown == "\\" { String::new() } else { format!("; a backslash itself is written \\{shown}") };
                BadEscape { message: format!("unknown escape {shown} in a quoted string{hint}"), offset }
            })?;
            rest = &rest[length..];
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    String::from_utf8(bytes).map_err(|_| BadEscape { message: "the string is not UTF-8".to_owned(), offset: 0 })
}

/// Appends what the escape at the start of `text` means and returns its length; `None` when Go knows no such escape.
fn escape(text: &str, quote: char, out: &mut Vec<u8>) -> Option<usize> {
    let letter = text[1..].chars().next()?;
    let simple = match letter {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        'x' => return numeric(text, 2, 2, 16).and_then(|value| push_byte(out, value, 4)),
        '0'..='7' => return numeric(text, 1, 3, 8).and_then(|value| push_byte(out, value, 4)),
        'u' => return numeric(text, 2, 4, 16).and_then(|value| push_char(out, value, 6)),
        'U' => return numeric(text, 2, 8, 16).and_then(|value| push_char(out, value, 10)),
        c if c == quote => {
            out.push(u8::try_from(c).ok()?);
            return Some(2);
        }
        _ => return None,
    };
    out.push(simple);
    Some(2)
}

/// Exactly `digits` digits of `radix` at `start`.
fn numeric(text: &str, start: usize, digits: usize, radix: u32) -> Option<u32> {
    let digits = text.get(start..start + digits)?;
    // `from_str_radix` would take a sign.
    digits.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
}

fn push_byte(out: &mut Vec<u8>, value: u32, length: usize) -> Option<usize> {
    out.push(u8::try_from(value).ok()?);
    Some(length)
}

fn push_char(out: &mut Vec<u8>, value: u32, length: usize) -> Option<usize> {
    out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_they_mean_in_go() {
        for (body, value) in [
            ("", ""),
            ("plain \u{1f4a9}", "plain \u{1f4a9}"),
            (r"\a\b\f\n\r\t\v\\", "\u{7}\u{8}\u{c}\n\r\t\u{b}\\"),
            (r#"\""#, "\""),
            (r"\x41\101\u263a\U0001F4A9!", "AA\u{263a}\u{1f4a9}!"),
            (r"\xf0\x9f\x92\xa9", "\u{1f4a9}"),
        ] {
            assert_eq!(unescape(body, '"').as_deref(), Ok(value), "{body}");
        }
    }

    #[test]
    fn whoever_forgot_a_backslash_is_told_how_to_write_it() {
        for (body, message) in [
            (r"\d+", r"unknown escape \d in a quoted string; a backslash itself is written \\d"),
            (r"\", r"unknown escape \ in a quoted string"),
        ] {
            assert_eq!(unescape(body, '"').map_err(|error| error.message), Err(message.to_owned()), "{body}");
        }
    }

    #[test]
    fn other_escapes_are_refused_where_they_stand() {
        for (body, offset) in [
            (r"ab\d", 2),
            (r"\'", 0),
            (r"\", 0),
            (r"\x4", 0),
            (r"\x+1", 0),
            (r"\400", 0),
            (r"\ud800", 0),
            (r"\U00110000", 0),
            ("\\\u{e9}", 0),
            (r"\xff", 0),
            ("a\nb", 1),
        ] {
            assert_eq!(unescape(body, '"').map_err(|error| error.offset), Err(offset), "{body}");
        }
    }
}
