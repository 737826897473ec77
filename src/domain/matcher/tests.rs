use proptest::prelude::*;

use super::{Comparison, Labels, Matcher, MatcherError, Regex, RegexError};

/// A matcher in one canonical text.
fn show(matcher: &Matcher) -> String {
    let name = &matcher.name;
    match &matcher.comparison {
        Comparison::Equal(value) => format!("{name} = {value:?}"),
        Comparison::NotEqual(value) => format!("{name} != {value:?}"),
        Comparison::Matches(regex) => format!("{name} =~ {:?}", regex.source()),
        Comparison::DoesNotMatch(regex) => format!("{name} !~ {:?}", regex.source()),
    }
}

fn shown(text: &str) -> Result<String, MatcherError> {
    Matcher::parse(text).map(|matcher| show(&matcher))
}

#[test]
fn reads_what_alertmanager_reads() {
    for (text, expected) in [
        // Both parsers agree.
        (r#"job="ui""#, r#"job = "ui""#),
        ("job=ui", r#"job = "ui""#),
        (" job != ui ", r#"job != "ui""#),
        (r#"job=~"ui|post|comment""#, r#"job =~ "ui|post|comment""#),
        ("job !~ ui.+", r#"job !~ "ui.+""#),
        (r#"a="""#, r#"a = """#),
        (r#"a="x,y""#, r#"a = "x,y""#),
        (r#"a="x\"y\\z\n""#, r#"a = "x\"y\\z\n""#),
        (r#"a="=""#, r#"a = "=""#),
        // Only the classic parser succeeds.
        ("a=", r#"a = """#),
        ("a=~", r#"a =~ """#),
        ("a=b c", r#"a = "b c""#),
        ("a=b=c", r#"a = "b=c""#),
        (r"a=~\d+", r#"a =~ "\\d+""#),
        (r#"a=~"\d+""#, r#"a =~ "\\d+""#),
        ("_job:name=a b", r#"_job:name = "a b""#),
        (r"a=b\", r#"a = "b\\""#),
        ("a=it's", r#"a = "it's""#),
        ("a=x{y", r#"a = "x{y""#),
        ("a=\"x\ny\"", r#"a = "x\ny""#),
        ("a==b", r#"a = "=b""#),
        ("a=~~b", r#"a =~ "~b""#),
        // Only the UTF-8 parser succeeds.
        (r#""job name"="ui""#, r#"job name = "ui""#),
        ("\u{fc}ber=x", "\u{fc}ber = \"x\""),
        ("0day=x", r#"0day = "x""#),
        ("service.name=x", r#"service.name = "x""#),
        (r#""a"="b","#, r#"a = "b""#),
        ("\t\"a b\" = \"c\" ", r#"a b = "c""#),
        // Both succeed and disagree: classic wins.
        ("a=b,", r#"a = "b,""#),
        (r#"a="\t""#, r#"a = "\\t""#),
        (r#"a="\x41""#, r#"a = "\\x41""#),
        (r#"a="\u263a""#, r#"a = "\\u263a""#),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn refuses_what_alertmanager_refuses_and_shows_where() {
    for (text, offset, message) in [
        ("", 0, "a matcher begins with a label name"),
        ("   ", 3, "a matcher begins with a label name"),
        ("job", 3, "after the label name \"job\" one of =, !=, =~, !~ is expected"),
        ("job ~ x", 4, "after the label name \"job\" one of =, !=, =~, !~ is expected"),
        ("job > 1", 4, "after the label name \"job\" one of =, !=, =~, !~ is expected"),
        ("{a=b}", 0, "one matcher stands without braces"),
        ("a=b}", 3, "one matcher stands without braces"),
        ("=x", 0, "a matcher begins with a label name"),
        (r#"a="b"#, 4, "a quote within the value is written \\\""),
        (r#"a=b"c"#, 3, "a quote within the value is written \\\""),
        (r#"a="b"c""#, 5, "a comma or the end is expected here"),
        (r#"a="b",c="d""#, 4, "a quote within the value is written \\\""),
        (r#""a b"="\d""#, 7, "unknown escape \\d in a quoted string; a backslash itself is written \\\\d"),
        (r#""a b"="xy\d""#, 9, "unknown escape \\d in a quoted string; a backslash itself is written \\\\d"),
        (r#""a b"="#, 6, "a value is expected here; the empty one is written \"\""),
        (r#""a b"#, 0, "a matcher begins with a label name"),
        (r#"""="x""#, 1, "the label name is empty"),
        (r#"job=~"ui(""#, 8, "bad regular expression: missing closing )"),
        (r#"job=~"\\d(""#, 6, "bad regular expression: missing closing )"),
        (r"job!~a++", 6, "bad regular expression: invalid nested repetition operator ++"),
    ] {
        let error = shown(text).expect_err(text);
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{text}");
    }
}

#[test]
fn lists_have_optional_braces_and_commas() {
    for (text, expected) in [
        ("", vec![]),
        ("{}", vec![]),
        (r#"{a="b"}"#, vec![r#"a = "b""#]),
        (r#"{a="b",c!~"d,e",}"#, vec![r#"a = "b""#, r#"c !~ "d,e""#]),
        ("a=b, c=d", vec![r#"a = "b""#, r#"c = "d""#]),
        ("{a=b", vec![r#"a = "b""#]),
        ("a=b}", vec![r#"a = "b""#]),
        (r#"{"a b"=c}"#, vec![r#"a b = "c""#]),
        // Only the classic parser succeeds: blanks within a value, a comma within quotes, also behind a quote that is none.
        ("{a=b c,d=e f}", vec![r#"a = "b c""#, r#"d = "e f""#]),
        (r#"a=b c,d="x,y""#, vec![r#"a = "b c""#, r#"d = "x,y""#]),
        (r#"a="x\",\d",b=c d"#, vec![r#"a = "x\",\\d""#, r#"b = "c d""#]),
    ] {
        let list = Matcher::parse_list(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(list.iter().map(show).collect::<Vec<_>>(), expected, "{text}");
    }
    for (text, offset) in [("{a=b,,c=d}", 5), (r#"{"a b"=c"#, 8), (r#""a b"=c}"#, 7), ("{}x", 2)] {
        assert_eq!(Matcher::parse_list(text).map(|_| ()).expect_err(text).offset, offset, "{text}");
    }
    for (text, offset, message) in [
        ("{a=b c,,d=e}", 7, "a matcher begins with a label name"),
        ("{a=b c,d", 8, "after the label name \"d\" one of =, !=, =~, !~ is expected"),
        (r#"{a=b c,job=~"ui("}"#, 15, "bad regular expression: missing closing )"),
        (r#"{"a b"=c d}"#, 9, "a comma or the end is expected here"),
        // A comma does not end an escape, so this quote is none.
        (r#"a="\,",b=c d"#, 5, "a quote within the value is written \\\""),
    ] {
        let error = Matcher::parse_list(text).map(|_| ()).expect_err(text);
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{text}");
    }
}

#[test]
fn a_missing_label_equals_the_empty_text() {
    let with = Labels::from([("a".to_owned(), "xy".to_owned())]);
    let without = Labels::new();
    for (text, present, absent) in [
        (r#"a="""#, false, true),
        (r#"a!="""#, true, false),
        (r#"a=~".*""#, true, true),
        (r#"a!~"x""#, true, true),
        (r#"a=~"x""#, false, false),
        (r#"a=~"x.""#, true, false),
        ("a=xy", true, false),
        ("a!=xy", false, true),
    ] {
        let matcher = Matcher::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((matcher.matches(&with), matcher.matches(&without)), (present, absent), "{text}");
    }
}

#[test]
fn a_matcher_is_written_in_one_way() {
    for (text, written) in [
        ("job=ui", r#"job="ui""#),
        ("a=", r#"a="""#),
        (r"a=~\d+", r#"a=~"\\d+""#),
        ("a!~\"x\ny\\\"\"", r#"a!~"x\ny\"""#),
        (r#""job name"!="ui""#, r#""job name"!="ui""#),
        ("0day=x", r#""0day"="x""#),
        ("job_name=x", r#"job_name="x""#),
        ("job:rate=x", r#"job:rate="x""#),
    ] {
        assert_eq!(Matcher::parse(text).map(|matcher| matcher.to_string()).as_deref(), Ok(written), "{text}");
    }
}

proptest! {
    /// Names and values are any texts; patterns are texts that stand for themselves, or a few that do not.
    #[test]
    fn a_list_printed_and_parsed_again_is_the_same(
        entries in proptest::collection::vec((
            prop_oneof!["[a-z_:][a-z0-9_:]{0,3}", "[ -~\u{e9}\n\t]{1,5}", "\\PC{1,4}"],
            proptest::sample::select(vec!["=", "!=", "=~", "!~"]),
            prop_oneof!["[a-c\\\\\"',{}=~!n \n\t\u{e9}]{0,8}", "\\PC{0,6}"],
            proptest::sample::select(vec!["", ".*", "a|b", "\\d+", "[\"\\\\,]", "(?i)x{2}"]),
        ), 0..4),
        braces in any::<bool>(),
    ) {
        let list: Vec<Matcher> = entries
            .into_iter()
            .map(|(name, sign, value, pattern)| {
                let regex = || Regex::anchored(&format!("{}{pattern}", ::regex::escape(&value)));
                let comparison = match sign {
                    "=" => Comparison::Equal(value),
                    "!=" => Comparison::NotEqual(value),
                    "=~" => Comparison::Matches(regex()?),
                    _ => Comparison::DoesNotMatch(regex()?),
                };
                Ok(Matcher { name, comparison })
            })
            .collect::<Result<_, RegexError>>()
            .map_err(|error| TestCaseError::reject(error.message))?;
        let joined = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let printed = if braces { format!("{{{joined}}}") } else { joined };
        let parsed = Matcher::parse_list(&printed);
        let shown = |list: &[Matcher]| list.iter().map(show).collect::<Vec<_>>();
        prop_assert_eq!(parsed.as_deref().map(shown), Ok(shown(&list)), "{}", printed);
        if let [one] = list.as_slice() {
            prop_assert_eq!(Matcher::parse(&one.to_string()).map(|matcher| show(&matcher)), Ok(show(one)));
        }
    }

    #[test]
    fn no_text_makes_it_panic_and_errors_point_into_it(text in "[ab={}~!\"\\\\,\u{e9} (\n]{0,12}") {
        if let Err(error) = Matcher::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset), "{:?}", error);
        }
        if let Err(error) = Matcher::parse_list(&text) {
            prop_assert!(text.is_char_boundary(error.offset), "{:?}", error);
        }
    }
}
