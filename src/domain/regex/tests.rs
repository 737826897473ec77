//! Every difference between Go's and the `regex` crate's dialect that was measured, and those that reading Go's parser adds.

use proptest::prelude::*;

use super::{Needs, Regex};

fn search(pattern: &str) -> Regex {
    Regex::search(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn anchored(pattern: &str) -> Regex {
    Regex::anchored(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

#[test]
fn search_matches_anywhere_and_anchored_the_whole_text() {
    assert!(search("Down").is_match("NodeDownHard"));
    assert!(search("").is_match("anything"));
    assert!(!anchored("Down").is_match("NodeDownHard"));
    assert!(anchored("Down").is_match("Down"));
    assert!(anchored("").is_match(""));
    assert!(!anchored("a|b").is_match("ab"));
    assert!(anchored("ui|post").is_match("post"));
    assert!(!anchored("ui|post").is_match("posts"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row a probe")]
fn what_go_matches_is_matched() {
    for (pattern, matching, other) in [
        // Literal braces.
        ("{foo", "{foo", "foo"),
        ("x{", "x{", "x"),
        ("x}", "x}", "x"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{01}", "a{01}", "a"),
        ("a{1,b}", "a{1,b}", "a"),
        ("a{2}", "aa", "a"),
        ("a{2,}?", "aaa", "a"),
        ("a{0}b", "b", "ab"),
        // Classes.
        ("[[a]", "[", "]"),
        ("[]a]", "]", "["),
        ("[^]a]", "b", "]"),
        ("[a-]", "-", "b"),
        ("[-a]", "-", "b"),
        ("[a&&b]", "&", "c"),
        ("[a~~b]", "~", "c"),
        ("[+--]", ",", "."),
        ("[[:alpha:]_]", "_", "1"),
        ("[[:^alpha:]]", "1", "a"),
        ("[[:]", ":", "]"),
        ("[\\]\\-]", "-", "\\"),
        ("[\\d\\-x]", "x", "-5"),
        ("[^a]", "\n", "a"),
        ("[b-b]", "b", "a"),
        ("[\\x41-\\x{43}]", "B", "D"),
        // Perl classes and word edges are ASCII.
        ("\\d", "7", "\u{0663}"),
        ("\\w", "_", "\u{e9}"),
        ("\\W", "\u{e9}", "e"),
        ("\\s", "\t", "\u{b}"),
        ("\\S", "\u{a0}", " "),
        ("[^\\W]", "w", "\u{e9}"),
        (".\\b.", "\u{e9}a", "ab"),
        ("a\\Bb", "ab", "a b"),
        // Escapes.
        ("\\Qa.b\\E+", "a.bb", "axb"),
        ("\\Q[\\E", "[", "]"),
        ("a\\Q\\E*b", "aab", "c"),
        ("\\0", "\0", "0"),
        ("\\101", "A", "101"),
        ("\\08", "\u{0}8", "8"),
        ("\\12", "\n", "12"),
        ("\\n\\r\\t", "\n\r\t", "nrt"),
        ("\\x{1F4A9}", "\u{1f4a9}", "x"),
        ("\\x{000041}", "A", "x"),
        ("\\a\\f\\v", "\u{7}\u{c}\u{b}", "afv"),
        ("\\_", "_", "x"),
        ("\\<a\\>", "<a>", "a"),
        ("a&b~c-d#e%f", "a&b~c-d#e%f", "x"),
        ("\\pL", "\u{e9}", "1"),
        ("\\p{Greek}", "\u{3b1}", "a"),
        ("\\p{Yi}", "\u{a000}", "a"),
        ("\\p{Old_Italic}", "\u{10300}", "a"),
        ("\\P{Greek}", "a", "\u{3b1}"),
        ("\\p{^Greek}", "a", "\u{3b1}"),
        ("[\\p{Lu}\\d]", "5", "a"),
        // Flags and groups.
        ("(?i)down", "DOWN", "up"),
        ("(?i:d)own", "Down", "DOWN"),
        ("(?s).", "\n", ""),
        ("(?m)^b$", "a\nb\nc", "abc"),
        ("(?i-s)A", "a", "b"),
        ("(?P<n>a)", "a", "b"),
        ("(?<n>a)", "a", "b"),
        ("()*", "", "x"),
        ("(|a)b", "b", "c"),
        ("^*a", "a", "b"),
        // Lines.
        ("a$", "a", "a\n"),
        (".", "\r", "\n"),
        ("\\Aa\\z", "a", "ba"),
    ] {
        assert!(anchored(pattern).is_match(matching) || search(pattern).is_match(matching), "{pattern} {matching:?}");
        assert!(!anchored(pattern).is_match(other), "{pattern} must not match {other:?}");
    }
    assert!(!search("a$").is_match("a\n"));
    assert!(!search("\\bé").is_match("é"), "é is no word character in Go");
    assert!(search("\\B").is_match("é"));
    for pattern in ["a{1000}", "a{1000,}", "a{1,1000}", "(a{100}){10}", "((a{100}){0}){11}"] {
        assert_eq!(search(pattern).source(), pattern, "as many repetitions as Go allows");
    }
}

#[test]
fn what_go_refuses_is_refused_where_it_stands() {
    for (pattern, offset, reason) in [
        ("a++", 1, "invalid nested repetition operator ++"),
        ("xa**", 2, "invalid nested repetition operator **"),
        ("a*{2}", 1, "invalid nested repetition operator *{2}"),
        ("a??*", 1, "invalid nested repetition operator ??*"),
        ("*a", 0, "nothing to repeat before *"),
        ("a|*", 2, "nothing to repeat before *"),
        ("(+)", 1, "nothing to repeat before +"),
        ("{2}", 0, "nothing to repeat before {2}"),
        ("a{1001}", 1, "repetition {1001} is out of order or above 1000"),
        ("a{1,1001}", 1, "repetition {1,1001} is out of order or above 1000"),
        ("a{99999999999}", 1, "repetition {99999999999} is out of order or above 1000"),
        ("a{2,1}", 1, "repetition {2,1} is out of order or above 1000"),
        ("(a{100}){11}", 8, "nested repetitions multiply to more than 1000"),
        ("((a{100}){0,}){11}", 14, "nested repetitions multiply to more than 1000"),
        ("((a{10}b*){10}|c){11}", 17, "nested repetitions multiply to more than 1000"),
        ("(?x)a", 2, "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand"),
        ("(?-u)a", 3, "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand"),
        ("(?=a)", 2, "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand"),
        ("(?i-s-m)a", 5, "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand"),
        ("(?i-)a", 4, "after (? only the flags i, m, s, U, a name as in (?P<name>, or : may stand"),
        ("(?<a-b>c)", 0, "a group's name is made of ASCII letters, digits and _"),
        ("(?P<>c)", 0, "a group's name is made of ASCII letters, digits and _"),
        ("(?P<a", 0, "the group's name is never closed by >"),
        ("ab(c", 2, "missing closing )"),
        ("ab)c", 2, "unexpected )"),
        ("x[a", 1, "missing closing ]"),
        ("x[]", 1, "missing closing ]"),
        ("[a--b]", 1, "invalid character range a--"),
        ("[z-a]", 1, "invalid character range z-a"),
        ("[[:foo:]]", 1, "no class [:foo:]"),
        ("\\1", 0, "unknown escape \\1"),
        ("a\\8", 1, "unknown escape \\8"),
        ("\\Z", 0, "unknown escape \\Z"),
        ("\\C", 0, "unknown escape \\C"),
        ("\\E", 0, "unknown escape \\E"),
        ("\\y", 0, "unknown escape \\y"),
        ("\\\u{e9}", 0, "unknown escape \\\u{e9}"),
        ("[\\b]", 1, "unknown escape \\b"),
        ("\\x4", 0, "unknown escape \\x"),
        ("\\x{}", 0, "unknown escape \\x"),
        ("\\x{110000}", 0, "unknown escape \\x"),
        ("a\\", 1, "a backslash at the end"),
        ("\\p", 0, "\\p needs the name of a Unicode class"),
        ("\\p{Greek", 0, "the name of the Unicode class is never closed by }"),
        ("\\p{Klingon}", 0, "no Unicode class \"Klingon\""),
        ("\\p{greek}", 0, "no Unicode class \"greek\""),
        ("\\p{Script=Greek}", 0, "no Unicode class \"Script=Greek\""),
    ] {
        for compile in [Regex::search, Regex::anchored] {
            let error = compile(pattern).map(|_| pattern).unwrap_err();
            assert_eq!((error.message.as_str(), error.offset), (reason, Some(offset)), "{pattern}");
        }
    }
    assert!(search("\\Qa.b").is_match("a.b"), "to the end of the pattern, as in Go");
    assert_eq!(Regex::anchored("\\Qa.b").map(|_| ()).unwrap_err().offset, Some(0));
}

#[test]
fn a_pattern_that_would_eat_the_memory_is_refused_in_words() {
    let error = Regex::search("((\\pL{100}){10}x|\\pL{900})").map(|_| ()).unwrap_err();
    assert_eq!(error.message, "the pattern is too large once its repetitions are written out");
}

#[test]
fn every_character_can_be_meant_literally() {
    for c in (0_u8..128).map(char::from) {
        let pattern = format!("\\Q{c}\\E|\u{1}\u{2}");
        if c != '\\' {
            assert!(anchored(&pattern).is_match(&c.to_string()), "{c:?}");
        }
        let class = format!("[\\x{:02x}\u{3}]", u32::from(c));
        assert!(anchored(&class).is_match(&c.to_string()), "{c:?}");
    }
}

#[test]
fn an_index_learns_what_a_pattern_needs() {
    let equal = |words: &[&str]| Needs::Equal(words.iter().map(ToString::to_string).collect());
    let contain = |words: &[&str]| Needs::Contain(words.iter().map(ToString::to_string).collect());
    for (regex, needs) in [
        (search("InstanceDown"), contain(&["InstanceDown"])),
        (search("^InstanceDown$"), equal(&["InstanceDown"])),
        (search("^(ui|post)$"), equal(&["ui", "post"])),
        (search("^web-\\d+"), contain(&["web-"])),
        (search("(web|db)-\\d+"), contain(&["web-", "db-"])),
        (search(".*down"), contain(&["down"])),
        (search("x"), Needs::Unknown),
        (search(".*"), Needs::Unknown),
        (search("^a$|b"), Needs::Unknown),
        (anchored("ui"), equal(&["ui"])),
        (anchored("ui|post|comment"), equal(&["ui", "post", "comment"])),
        (anchored("^ui$"), contain(&["ui"])),
        (anchored("(|a)"), equal(&["", "a"])),
        (anchored(".+"), Needs::Unknown),
    ] {
        assert_eq!(*regex.needs(), needs, "{}", regex.source());
    }
}

proptest! {
    #[test]
    fn no_pattern_makes_it_panic_and_what_is_translated_compiles(pattern in "[ab\\\\dwsQEpLx01{}()\\[\\]^$.*+?|&~:,<>P-]{0,16}", text in "[ab019 -]{0,8}") {
        if let Err(error) = Regex::search(&pattern) {
            prop_assert!(error.offset.is_some_and(|offset| pattern.is_char_boundary(offset)), "{pattern}: {error:?}");
        }
        if let Ok(regex) = Regex::anchored(&pattern) {
            let _ = regex.is_match(&text);
        }
    }

    #[test]
    fn what_a_pattern_needs_is_true(pattern in "(\\^|)(ab|b[ac]|a+|(a|bc)|.|\\\\d|\\?|(?i:ab)|\\(b\\||\\)){1,4}(\\$|)", text in "[abcAB1?]{0,6}") {
        let regexes = [Regex::search(&pattern), Regex::anchored(&pattern)];
        for regex in regexes.into_iter().flatten() {
            match regex.needs() {
                Needs::Equal(words) => prop_assert_eq!(regex.is_match(&text), words.contains(&text)),
                Needs::Contain(words) if regex.is_match(&text) => {
                    prop_assert!(words.iter().any(|word| text.contains(word.as_str())), "{} {}", pattern, text);
                }
                Needs::Contain(_) | Needs::Unknown => {}
            }
        }
    }
}
