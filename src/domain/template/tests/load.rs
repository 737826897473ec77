//! What is said of a template before any alert is there, and what is not.

use super::super::{ParseError, Template, plain_parts};
use super::{parse, render};

/// The message for a template that is refused, and what it marks.
fn refused(source: &str) -> (String, &str) {
    let ParseError { message, offset, length } = Template::parse(source).expect_err(source);
    (message, &source[offset..offset + length])
}

#[test]
fn a_number_that_would_be_read_otherwise_than_in_go_is_refused() {
    for (number, reason) in [
        ("2i", "complex numbers are not supported"),
        ("3.0", "write a whole number without a point and an exponent"),
        ("-1E+3", "write a whole number without a point and an exponent"),
        ("1_0.0", "write a whole number without a point and an exponent"),
        ("0x1p-4", "hexadecimal fractions are not supported"),
        ("0X1.8", "hexadecimal fractions are not supported"),
        ("9223372036854775808", "this number is too large"),
    ] {
        let source = format!("{{{{ print {number} }}}}");
        assert_eq!(refused(&source), (reason.to_owned(), number));
    }
    for (number, value) in [
        ("1.25e1", "12.5"),
        ("1.5e-1", "0.15"),
        (".5", "0.5"),
        ("0x1e", "30"),
        ("0b101", "5"),
        ("0o17", "15"),
        ("1_000", "1000"),
        ("+3", "3"),
        ("9223372036854775807", "9223372036854775807"),
    ] {
        assert_eq!(render(&format!("{{{{ print {number} }}}}")).as_deref(), Ok(value), "{number}");
    }
}

#[test]
fn what_is_no_field_is_refused_with_what_there_is() {
    let fields = "Status, Labels, Annotations, StartsAt, EndsAt, GeneratorURL, Fingerprint, Name, Namespace, Hash";
    let no_job = format!("an alert has no field .job; it has {fields}; a label is $labels.job");
    let method = |name: &str| format!("{name} is not supported; a label of that name is (index $labels {name:?})");
    for (source, mark, message) in [
        ("{{ .job }}", ".job", no_job.as_str()),
        ("{{ $.job }}", ".job", &no_job),
        ("{{ if true }}{{ .job }}{{ end }}", ".job", &no_job),
        ("{{ if true }}{{ else }}{{ .job }}{{ end }}", ".job", &no_job),
        ("{{ with 1 }}{{ end }}{{ .job }}", ".job", &no_job),
        ("{{ with 1 }}{{ $.job }}{{ end }}", ".job", &no_job),
        ("{{ print .Status .job }}", ".job", &no_job),
        ("{{ print (.job) }}", ".job", &no_job),
        ("{{ print \"a\" .job }}", ".job", &no_job),
        ("{{ .startsAt }}", ".startsAt", "an alert has no field .startsAt; write .StartsAt"),
        ("{{ $alert.labels.job }}", ".labels", "an alert has no field .labels; write .Labels"),
        ("{{ .Status.x }}", ".x", ".Status is a text here and has no .x"),
        ("{{ $alert.Name.x.y }}", ".x", ".Name is a text here and has no .x"),
        ("{{ $annotations.a.b.c }}", ".b", "a label is a text and has no .b"),
        ("{{ .Annotations.a.b }}", ".b", "a label is a text and has no .b"),
        ("{{ $labels.Remove }}", ".Remove", &method("Remove")),
        ("{{ $annotations.Names }}", ".Names", &method("Names")),
        ("{{ range .Annotations.Values }}{{ end }}", ".Values", &method("Values")),
        ("{{ range $.Labels.SortedPairs }}{{ end }}", ".SortedPairs", &method("SortedPairs")),
    ] {
        assert_eq!(refused(source), (message.to_owned(), mark), "{source}");
    }
}

#[test]
fn a_variable_that_was_given_another_value_is_judged_by_no_name() {
    for (source, expected) in [
        ("{{ $labels := $alert }}{{ $labels.Labels.job }}", "ui"),
        ("{{ $annotations := $alert }}{{ $annotations.Labels.job }}", "ui"),
        ("{{ $alert := $labels }}{{ $alert.job }}", "ui"),
        ("{{ $alert = $labels }}{{ $alert.job }}", "ui"),
        ("{{ with .Labels }}{{ .job }}{{ end }}", "ui"),
        ("{{ range $k, $v := .Labels }}{{ if eq $k \"job\" }}{{ $.Labels.job }}{{ end }}{{ end }}", "ui"),
        ("{{ (.Labels).job }}{{ ($alert.Labels).job }}{{ print (.Labels).job }}", "uiuiui"),
        ("{{ $x := .Labels }}{{ $x.job }}", "ui"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
    assert_eq!(render("{{ ($alert).Nope }}"), Err("an alert has no field .Nope".to_owned()));
}

#[test]
fn words_that_mean_nothing_here_are_marked() {
    let alone = |word: &str| format!("{word} is not supported: a rule's texts stand alone");
    for (source, mark, message) in [
        ("a {{ block \"x\" . }}{{ end }}", "block", alone("block").as_str()),
        ("a {{ define \"x\" }}{{ end }}", "define", &alone("define")),
        ("a {{ template \"x\" }}", "template", &alone("template")),
        ("{{ reReplaceAll \"a)\" \"\" .Name }}", "\"a)\"", "bad regular expression: unexpected )"),
        ("{{ match `a)` .Name }}", "`a)`", "bad regular expression: unexpected )"),
        ("{{ printf `%y` 1 }}", "`%y`", "printf: %y is not supported"),
        ("a{{ if true }}{{ end }}{{ end }}", "end", "end without an if, with or range before it"),
        ("a{{ else }}", "else", "else without an if, with or range before it"),
        ("{{ with 1 }}{{ range $labels }}{{ end }}", "with", "this with is never closed by {{ end }}"),
        ("{{ with 1 }}{{ range $labels }}{{ else }}", "range", "this range is never closed by {{ end }}"),
    ] {
        assert_eq!(refused(source), (message.to_owned(), mark), "{source}");
    }
    for source in ["{{ $labels.job := toUpper }}", "{{ $labels.job, toUpper }}", "{{ $labels.job | }}"] {
        assert!(Template::parse(source).is_err(), "{source}");
    }
    // A text that looks like a pattern is none behind another function.
    assert_eq!(render("{{ toUpper \"a)\" }}{{ print \"%y\" }}").as_deref(), Ok("A)%y"));
}

#[test]
fn the_depth_of_blocks_counts_what_the_engine_goes_down() {
    let nested = |levels: usize, between: &str| {
        format!("{}x{}", "{{ if true }}".repeat(levels), format!("{between}{{{{ end }}}}").repeat(levels))
    };
    assert_eq!(render(&nested(32, "{{ else }}")).as_deref(), Ok("x"), "an else opens no level");
    let deeper = nested(33, "");
    assert_eq!(refused(&deeper), ("blocks are nested deeper than 32".to_owned(), "if"));
    let chain = |length: usize| format!("{{{{ if 0 }}}}{}y{{{{ end }}}}", "{{ else if 1 }}".repeat(length));
    assert_eq!(render(&chain(31)).as_deref(), Ok(""), "each else if stands within the one before");
    assert_eq!(refused(&chain(32)), ("blocks are nested deeper than 32".to_owned(), "else"));
    let source = format!("{{{{ print {}1{} }}}}", "(".repeat(33), ")".repeat(33));
    assert_eq!(refused(&source), ("parentheses are nested deeper than 32".to_owned(), "("));
    // Those that are closed again are not counted.
    assert_eq!(render(&format!("{{{{ print {} }}}}", "(len \"\") ".repeat(40))).map(|text| text.len()), Ok(79));
}

#[test]
fn the_plain_parts_of_a_text_are_those_between_its_actions() {
    for (source, expected) in [
        ("", vec![]),
        ("ab", vec!["ab"]),
        ("{{ $labels.job }}", vec![]),
        ("http://{{ $labels.job }}/a?{{/* b */}}c", vec!["http://", "/a?", "c"]),
    ] {
        let parts = plain_parts(source).expect(source);
        assert_eq!(parts.into_iter().map(|part| &source[part]).collect::<Vec<_>>(), expected, "{source}");
    }
    assert_eq!(parse("{{/* only a comment */}}").source(), "{{/* only a comment */}}");
    assert!(plain_parts("a{{").is_err());
}
