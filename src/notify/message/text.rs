//! Small tools for texts that come from outside: one line, bounded, and safe where they are put.

/// Takes a text as one line of at most `max` characters; what is cut off is shown by an ellipsis.
///
/// Line breaks, other control characters and those that reorder text become blanks, so that no label can forge a line
/// of a message, a header of a mail, or the look of a name.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let mut out: String = text.chars().take(max + 1).map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    if let Some((last, _)) = out.char_indices().nth(max) {
        out.truncate(last);
        out.pop();
        out.push('…');
    }
    out
}

/// Takes a text as lines of at most `max` characters together; other control characters become blanks as in [`line()`].
#[must_use]
pub fn lines(text: &str, max: usize) -> String {
    let clean = |c: char| if is_unprintable(c) && !matches!(c, '\n' | '\t') { ' ' } else { c };
    let mut out: String = text.replace("\r\n", "\n").chars().take(max + 1).map(clean).collect();
    if let Some((last, _)) = out.char_indices().nth(max) {
        out.truncate(last);
        out.pop();
        out.push('…');
    }
    out
}

/// Control characters, line and paragraph separators, and the marks that change the direction of what follows.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The address, if it may become a link: only http and https, no character that could end an attribute or a link early.
#[must_use]
pub fn link(address: &str) -> Option<&str> {
    const MAX: usize = 2000;
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let is_plain =
        |c: char| !is_unprintable(c) && !c.is_whitespace() && !matches!(c, '<' | '>' | '"' | '\'' | '`' | '|');
    (is_web && address.len() <= MAX && address.chars().all(is_plain)).then_some(address)
}

/// Escapes a text for the query of an address.
#[must_use]
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 0x0F] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_bounded_line() {
        assert_eq!(line("a\r\nb\u{202E}c\0", 10), "a  b c ");
        assert_eq!(line("12345", 5), "12345");
        assert_eq!(line("123456", 5), "1234…");
        assert_eq!(line("äöüäöü", 5).chars().count(), 5);
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        for good in ["http://am:9093", "HTTPS://wiki.example.com/a?b=c&d=%20#e"] {
            assert_eq!(link(good), Some(good));
        }
        for bad in [
            "",
            "wiki/runbook",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://a b",
            "http://a|b",
            "http://a\"b",
            "http://a>b",
        ] {
            assert_eq!(link(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn everything_but_unreserved_characters_is_escaped_in_a_query() {
        assert_eq!(percent("{a=\"ü&b\"}"), "%7Ba%3D%22%C3%BC%26b%22%7D");
    }
}
