//! Where a part of what a scalar says stands in the file, over quotes, escapes and folded lines.

use std::ops::Range;

/// One character of a scalar that is no blank: where it stands and what it means. Blanks come and go where lines are folded
/// and indented, so that only the others tell where one is.
struct Letter {
    at: Range<usize>,
    meant: char,
}

/// Which bytes of a scalar's `source` say the bytes `part` of what it `said`, at least one character if there is one. `None`
/// where the two cannot be laid side by side.
pub(super) fn find(source: &str, said: &str, part: &Range<usize>) -> Option<Range<usize>> {
    [None, Some('\''), Some('"')].into_iter().find_map(|quote| {
        let (before, inner) = match quote {
            None => (0, source),
            Some(quote) => (1, source.strip_prefix(quote)?.strip_suffix(quote)?),
        };
        let found = if inner == said { as_it_reads(inner, part)? } else { by_letters(inner, quote, said, part)? };
        // At the very end there is nothing to underline but the closing quote or the place behind it.
        let (start, end) = (before + found.start, before + found.end);
        let minimum = source[start..].chars().next().map_or(0, char::len_utf8);
        Some(start..end.max(start + minimum))
    })
}

fn as_it_reads(text: &str, part: &Range<usize>) -> Option<Range<usize>> {
    text.is_char_boundary(part.start).then(|| part.start..part.end.min(text.len()))
}

fn by_letters(text: &str, quote: Option<char>, said: &str, part: &Range<usize>) -> Option<Range<usize>> {
    let letters = letters(text, quote)?;
    let said: Vec<_> = said.char_indices().filter(|(_, letter)| !letter.is_whitespace()).collect();
    if !letters.iter().map(|letter| letter.meant).eq(said.iter().map(|(_, letter)| *letter)) {
        return None;
    }
    let before = |offset: usize| said.partition_point(|(at, _)| *at < offset);
    let (first, behind) = (before(part.start), before(part.end));
    let start = letters.get(first).map_or(text.len(), |letter| letter.at.start);
    let end = letters[..behind].last().map_or(start, |letter| letter.at.end);
    Some(start..end.max(start))
}

fn letters(text: &str, quote: Option<char>) -> Option<Vec<Letter>> {
    let mut letters = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..)?.chars().next() {
        let (meant, length) = match (first, quote) {
            ('\\', Some('"')) => escape(&text[at..])?,
            ('\'', Some('\'')) => ('\'', 2),
            _ => (first, first.len_utf8()),
        };
        if !meant.is_whitespace() {
            letters.push(Letter { at: at..at + length, meant });
        }
        at += length;
    }
    Some(letters)
}

/// What an escape at the beginning of a text means, and its length.
fn escape(text: &str) -> Option<(char, usize)> {
    let kind = text[1..].chars().next()?;
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => 0,
    };
    let length = 1 + kind.len_utf8() + digits;
    let meant = match kind {
        'x' | 'u' | 'U' => char::from_u32(u32::from_str_radix(text.get(2..length)?, 16).ok()?)?,
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'e' => '\u{1b}',
        't' | 'n' | 'v' | 'f' | 'r' | 'N' | '_' | 'L' | 'P' => ' ',
        itself => itself,
    };
    Some((meant, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_however_it_is_written() {
        for (source, said, part, found) in [
            ("plain é text", "plain é text", "é", Some("é")),
            ("'quoted'", "quoted", "oted", Some("oted")),
            ("'it''s so'", "it's so", "'s", Some("''s")),
            (r#""a \"b\" c""#, "a \"b\" c", "b\" c", Some("b\\\" c")),
            (r#""\u00e9\x41\tz""#, "éA\tz", "z", Some("z")),
            (r#""\u00e9\x41\tz""#, "éA\tz", "A", Some("\\x41")),
            ("\"one\n   two\\\n   three\"", "one twothree", "three", Some("three")),
            ("one\n      two\n", "one\ntwo\n", "two", Some("two")),
            ("one\n\n  two three", "one\ntwo three", "two three", Some("two three")),
            ("\"quote\" first", "\"quote\" first", "first", Some("first")),
            ("*alias", "something else", "else", None),
            (r#""\uZZZZ a""#, "x a", "a", None),
        ] {
            let start = said.find(part).unwrap();
            let place = find(source, said, &(start..start + part.len()));
            assert_eq!(place.map(|place| &source[place]), found, "{source:?}");
        }
        assert_eq!(find("'ab'", "ab", &(2..2)), Some(3..4), "the closing quote");
        assert_eq!(find("ab", "ab", &(2..3)), Some(2..2), "behind the end");
        assert_eq!(find("", "", &(0..1)), Some(0..0));
    }
}
