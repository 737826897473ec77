//! How an action is cut into words.

use super::super::ParseError;
use super::super::lexer::{Kind, Piece, pieces};
use super::{Template, render};

/// The words of the only action of a source, as they are written.
fn words(source: &str) -> Vec<(Kind, &str)> {
    let pieces = pieces(source).expect(source);
    let [Piece::Action(action)] = pieces.as_slice() else { panic!("{source}: {pieces:?}") };
    let written = |token: &super::super::lexer::Token<'_>| &source[token.offset..token.end()];
    assert!(action.tokens.iter().all(|token| written(token) == token.text), "{source}: {action:?}");
    action.tokens.iter().map(|token| (token.kind.clone(), &source[token.offset..token.end()])).collect()
}

#[test]
fn words_end_where_they_end_in_go() {
    let quoted = |value: &str| Kind::Quoted(value.to_owned());
    for (source, expected) in [
        ("{{}}", vec![]),
        ("{{ $ }}", vec![(Kind::Variable, "$")]),
        ("{{$a_1.b2.c}}", vec![(Kind::Variable, "$a_1"), (Kind::Field, ".b2"), (Kind::Field, ".c")]),
        ("{{ .\u{e9}_ }}", vec![(Kind::Field, ".\u{e9}_")]),
        ("{{ . }}", vec![(Kind::Sign, ".")]),
        ("{{ if_2|x }}", vec![(Kind::Word, "if_2"), (Kind::Sign, "|"), (Kind::Word, "x")]),
        (
            "{{(a,b)}}",
            vec![(Kind::Sign, "("), (Kind::Word, "a"), (Kind::Sign, ","), (Kind::Word, "b"), (Kind::Sign, ")")],
        ),
        (
            "{{$x:=$y=1}}",
            vec![
                (Kind::Variable, "$x"),
                (Kind::Sign, ":="),
                (Kind::Variable, "$y"),
                (Kind::Sign, "="),
                (Kind::Number, "1"),
            ],
        ),
        (
            "{{ .5 -3 +4 1_0 0x1F 2i }}",
            vec![
                (Kind::Number, ".5"),
                (Kind::Number, "-3"),
                (Kind::Number, "+4"),
                (Kind::Number, "1_0"),
                (Kind::Number, "0x1F"),
                (Kind::Number, "2i"),
            ],
        ),
        (
            "{{ 1.5e+3 1E-3 0x1p+4 0X1P-4 }}",
            vec![(Kind::Number, "1.5e+3"), (Kind::Number, "1E-3"), (Kind::Number, "0x1p+4"), (Kind::Number, "0X1P-4")],
        ),
        ("{{ 1+2-3 }}", vec![(Kind::Number, "1"), (Kind::Number, "+2"), (Kind::Number, "-3")]),
        (
            "{{ 'a' '\\n' '\\'' '\u{e9}' }}",
            vec![
                (Kind::Character('a'), "'a'"),
                (Kind::Character('\n'), "'\\n'"),
                (Kind::Character('\''), "'\\''"),
                (Kind::Character('\u{e9}'), "'\u{e9}'"),
            ],
        ),
        (
            "{{ \"\"\"a\\\"b\"`c\r\\d` }}",
            vec![(quoted(""), "\"\""), (quoted("a\"b"), "\"a\\\"b\""), (quoted("c\\d"), "`c\r\\d`")],
        ),
        ("{{\ta\r\nb }}", vec![(Kind::Word, "a"), (Kind::Word, "b")]),
    ] {
        assert_eq!(words(source), expected, "{source}");
    }
}

#[test]
fn what_is_no_word_is_marked() {
    for (source, place, message) in [
        ("ab {{ print", (3, 2), "unclosed action"),
        ("ab {{ print }", (12, 1), "unexpected '}' in an action"),
        ("ab {{ x ? }}", (8, 1), "unexpected '?' in an action"),
        ("ab {{ \u{20ac} }}", (6, 3), "unexpected '\u{20ac}' in an action"),
        ("ab {{ a : b }}", (8, 1), "unexpected ':' in an action"),
        ("ab {{/* c }}", (3, 2), "unclosed comment"),
        ("ab {{/* c */ d }}", (3, 2), "a comment must fill its action"),
        ("ab {{/* c */-}}", (3, 2), "a comment must fill its action"),
        ("ab {{ \"a }}", (6, 1), "unterminated quoted string"),
        ("ab {{ \"a\nb\" }}", (6, 1), "unterminated quoted string"),
        ("ab {{ \"a\\\" }}", (6, 1), "unterminated quoted string"),
        ("ab {{ `a }}", (6, 1), "unterminated raw string"),
        ("ab {{ 'a }}", (6, 1), "unterminated character constant"),
        ("ab {{ '' }}", (6, 2), "a character constant holds one character"),
        ("ab {{ 'xy' }}", (6, 4), "a character constant holds one character"),
        ("ab {{ \"xy\\d\" }}", (9, 1), "unknown escape \\d in a quoted string; a backslash itself is written \\\\d"),
        ("ab {{ 'x\\d' }}", (8, 1), "unknown escape \\d in a quoted string; a backslash itself is written \\\\d"),
    ] {
        let ParseError { message: said, offset, length } = pieces(source).expect_err(source);
        assert_eq!((said.as_str(), (offset, length)), (message, place), "{source}");
    }
}

#[test]
fn a_minus_trims_only_beside_a_blank() {
    for (source, expected) in [
        ("a {{-3}} b", "a -3 b"),
        ("a {{- 3}} b", "a3 b"),
        ("a {{-\n3 }} b", "a3 b"),
        ("a {{3 -}} b", "a 3b"),
        ("a {{3\t-}} b", "a 3b"),
        ("a {{- -3 -}} b", "a-3b"),
        ("a {{/* c */}} b", "a  b"),
        ("a {{- /* c */}} b", "a b"),
        ("a {{/* c */ -}} b", "a b"),
        ("a {{- $labels.job }} b", "aui b"),
        ("a {{ $labels.job -}} b", "a uib"),
        ("{{/* c */}}{{ $labels.job }}", "ui"),
        ("{{ $labels.job }}{{/* }} */}}", "ui"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
    for source in ["{{ print 1+2 }}", "{{ print 1-2 }}", "{{ print 1.5+2 }}"] {
        assert!(Template::parse(source).is_err(), "{source}: sums are no numbers");
    }
}
