mod calls;
mod formats;
mod load;
mod places;
mod words;

use proptest::prelude::*;

use super::engine::Engine;
use super::{AlertContext, ParseError, Template, lexer};
use crate::domain::alert::{Alert, AlertStatus, Fingerprint, Labels};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn alert_with(labels: Labels, annotations: Labels) -> Alert {
    Alert {
        fingerprint: Fingerprint::of(&labels),
        status: AlertStatus::Firing,
        labels,
        annotations,
        starts_at: "2026-11-22T10:30:00.25Z".parse().expect("an instant"),
        ends_at: None,
        generator_url: "http://p/graph?a=1&b=2".to_owned(),
    }
}

fn alert() -> Alert {
    alert_with(
        labels(&[
            ("alertname", "InstanceDown"),
            ("instance", "web-1.example.com:9100"),
            ("job", "ui"),
            ("odd", "{{ <no value> }}"),
        ]),
        labels(&[("summary", "ui is \"down\""), ("empty", "")]),
    )
}

fn parse(source: &str) -> Template {
    Template::parse(source).unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

fn render(source: &str) -> Result<String, String> {
    parse(source).render(AlertContext { alert: &alert() }).map_err(|error| error.message)
}

#[test]
fn renders_as_go_does() {
    for (source, expected) in [
        ("", ""),
        ("plain }} text", "plain }} text"),
        ("{{ $labels.job }}", "ui"),
        ("a{{$labels.job}}b{{ .Labels.instance }}c", "auibweb-1.example.com:9100c"),
        ("{{ $annotations.summary }}{{ .Annotations.empty }}", "ui is \"down\""),
        ("{{ $alert.Labels.job }}{{ $.Labels.job }}", "uiui"),
        ("{{ $labels.instance | stripPort }}", "web-1.example.com"),
        ("{{ $labels.instance | stripDomain | toUpper }}", "WEB-1:9100"),
        ("{{ stripPort $labels.instance | toUpper }}", "WEB-1.EXAMPLE.COM"),
        (
            "{{ .Status }} {{ .Name }} {{ .Namespace }} {{ $alert.GeneratorURL }}",
            "firing InstanceDown default http://p/graph?a=1&b=2",
        ),
        ("{{ .StartsAt }}", "2026-11-22 10:30:00.25 +0000 UTC"),
        ("{{ len .Fingerprint }}", "16"),
        ("{{ printf \"%s-%03d\" $labels.job 7 }}", "ui-007"),
        ("{{ index $labels \"job\" }}{{ index .Annotations \"empty\" }}", "ui"),
        ("{{ len $labels }}", "4"),
        ("{{ $annotations }}", "map[empty: summary:ui is \"down\"]"),
        (
            "{{ html $annotations.summary }} {{ .GeneratorURL | urlquery }}",
            "ui is &#34;down&#34; http%3A%2F%2Fp%2Fgraph%3Fa%3D1%26b%3D2",
        ),
        ("{{ reReplaceAll \"(\\\\w+)-(\\\\d).*\" \"${2}x$1\" $labels.instance }}", "1xweb"),
        ("{{ if match `^web-\\d` $labels.instance }}y{{ end }}", "y"),
        ("{{ join \",\" (stringSlice \"a\" $labels.job) }}", "a,ui"),
        ("{{ title \"a b\" }}{{ toLower \"X\" }}{{ trimSpace \" y \" }}", "A Bxy"),
        ("{{ if eq $labels.job \"ui\" \"post\" }}a{{ else if $labels.x }}b{{ else }}c{{ end }}", "a"),
        ("{{ with $labels.job }}{{ . }}{{ end }}", "ui"),
        ("{{ range $k, $v := $annotations }}{{ $k }}={{ $v }};{{ end }}", "empty=;summary=ui is \"down\";"),
        ("{{ range stringSlice \"a\" \"b\" }}{{ . }}{{ else }}none{{ end }}", "ab"),
        ("{{ $x := $labels.job }}{{ $x = toUpper $x }}{{ $x }}", "UI"),
        ("a {{- /* note */ -}} b {{- $labels.job -}} c", "abuic"),
        ("{{- $labels.job }}\n{{\n$labels.job\n}}", "ui\nui"),
        // Strings that the engine alone would misread.
        ("{{ print \"a\\\\\" }}{{ print \"\\\"b\" }}", "a\\\"b"),
        ("{{ print \"}}\" `{{` }}", "}}{{"),
        ("{{ print `\\d\"` \"`\\\\\" \"\\\\\\\"`\\n\" }}", "\\d\"`\\\\\"`\n"),
        ("{{ print \"\\U0001F4A9!\\101\" }}", "\u{1f4a9}!A"),
        ("{{ print 'a' -3 1.5 }}", "97 -3 1.5"),
        (
            "{{ print '\\'' '\\\\' '\\n' '\u{e9}' '\\x41' '\\101' '\\U0001F4A9' '`' '\"' }}",
            "39 92 10 233 65 65 128169 96 34",
        ),
        // Values are data, whatever they look like.
        ("{{ $labels.odd }}", "{{ <no value> }}"),
        ("{{ print $labels.odd }}", "{{ <no value> }}"),
        ("{{ print \"<no value>\" }}", "<no value>"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn conditions_may_ask_for_what_is_not_there() {
    for (source, expected) in [
        ("{{ if $labels.nope }}a{{ else }}b{{ end }}", "b"),
        ("{{ if not $labels.nope }}a{{ end }}", "a"),
        ("{{ if and $labels.nope (eq $labels.nope \"x\") }}a{{ else }}b{{ end }}", "b"),
        ("{{ or $labels.nope $labels.job }}", "ui"),
        ("{{ $labels.nope | or $labels.job }}", "ui"),
        ("{{ with $annotations.nope }}{{ . }}{{ else }}b{{ end }}", "b"),
        ("{{ if index $labels \"nope\" }}a{{ else }}b{{ end }}", "b"),
        ("{{ if .EndsAt }}a{{ else }}b{{ end }}", "b"),
        ("{{ $x := $labels.nope }}{{ if $x }}a{{ else }}b{{ end }}", "b"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_undefined_elsewhere_is_an_error_that_names_it() {
    let label = "the alert has no label \"nope\"; its labels are: alertname, instance, job, odd";
    let annotation = "the alert has no annotation \"nope\"; its annotations are: empty, summary";
    let unknown = "it uses something that is not defined for this alert";
    for (source, message) in [
        ("{{ $labels.nope }}", label),
        ("{{ .Labels.nope }}", label),
        ("x {{ .Labels.nope | toUpper }}", label),
        ("{{ printf \"%s\" $labels.nope }}", label),
        ("{{ $labels.job }} {{ if $labels.other }}{{ end }} {{ toUpper $labels.nope }}", label),
        ("{{ index $labels \"nope\" }}", label),
        ("{{ if eq $labels.nope \"a\" }}{{ end }}", label),
        ("{{ if true }}\n  {{ $labels.nope }}{{ end }}", label),
        ("{{ range $labels.nope }}{{ end }}", label),
        ("{{ and $labels.job $labels.nope }}", label),
        ("{{ $annotations.nope }}", annotation),
        ("{{ print .Annotations.nope $labels.job }}", annotation),
        ("{{ $x := $labels.nope }}{{ $x }}", unknown),
        ("{{ .EndsAt }}", unknown),
        ("{{ print nil }}", unknown),
        ("{{ with .Labels }}{{ .nope }}{{ end }}", unknown),
        ("{{ with .Labels }}{{ index .nope \"job\" }}{{ end }}", unknown),
        ("{{ . }}", "the alert as a whole is no value; name one of its fields"),
        ("{{ $alert }}", "the alert as a whole is no value; name one of its fields"),
    ] {
        assert_eq!(render(source), Err(message.to_owned()), "{source}");
    }
    let nothing = alert_with(Labels::new(), Labels::new());
    let error = parse("{{ $labels.a }}").render(AlertContext { alert: &nothing }).map_err(|error| error.to_string());
    assert_eq!(
        error,
        Err("template \"{{ $labels.a }}\": the alert has no label \"a\"; its labels are: none".to_owned())
    );
}

#[test]
fn a_failing_function_is_an_error() {
    for (source, part) in [
        ("{{ toUpper 3 }}", "toUpper takes texts, not 3"),
        ("{{ toUpper $labels }}", "toUpper takes texts"),
        ("{{ toUpper \"a\" \"b\" }}", "toUpper takes 1 arguments, not 2"),
        ("{{ match $annotations.summary }}", "match takes 2 arguments, not 1"),
        ("{{ match (print \"(\") \"x\" }}", "match: missing closing )"),
        ("{{ join \",\" \"a\" }}", "join takes a separator and a list"),
        ("{{ slice $labels.job 5 }}", "out of range"),
        ("{{ lt 1 \"a\" }}", "lt compares values of one kind"),
        ("{{ lt true false }}", "lt cannot compare such values"),
        ("{{ printf \"%d\" $labels.job }}", "printf: %d does not fit the value ui"),
        ("{{ printf \"%s\" }}", "printf: the format has 1 verbs, but there are 0 values"),
        ("{{ with $labels.job }}{{ .x }}{{ end }}", "only maps and objects have fields"),
        ("{{ range 100000 }}x{{ end }}", "more than the 1000 iterations allowed"),
        ("{{ with $alert }}{{ .Nope }}{{ end }}", "an alert has no field .Nope"),
    ] {
        let message = render(source).expect_err(source);
        assert!(message.contains(part), "{source}: {message}");
    }
}

#[test]
fn parse_errors_point_at_the_spot() {
    for (source, spot, part) in [
        ("ab {{ $labels.job", "{{", "unclosed action"),
        ("a {{ /* x }}", "/", "unexpected '/'"),
        ("{{/* x }}", "{{", "unclosed comment"),
        ("{{ humanize 3 }}", "humanize", "function \"humanize\" not defined; there are and, or"),
        ("a\n{{ $labels.job | toUper }}", "toUper", "function \"toUper\" not defined"),
        ("{{ autoheal_defined 1 }}", "autoheal_defined", "not defined"),
        ("{{ define \"x\" }}{{ end }}", "define", "define is not supported"),
        ("{{ template \"x\" }}", "template", "template is not supported"),
        ("{{ print \"a }}", "\"", "unterminated quoted string"),
        ("{{ print \"\\d\" }}", "\\", "unknown escape \\d"),
        ("{{ print `a }}", "`", "unterminated raw string"),
        ("{{ match \"(\" \"a\" }}", "\"(\"", "bad regular expression: missing closing )"),
        ("{{ .labels.job }}", ".labels", "an alert has no field .labels; write .Labels"),
        ("{{ $alert.Job }}", ".Job", "an alert has no field .Job; it has Status"),
        ("x\n  {{ $nope }}", "$nope", "undefined variable"),
        ("{{ $labels.job.deeper }}", ".deeper", "a label is a text and has no .deeper"),
        ("{{ with $labels }}{{ $.Labels.job.x }}{{ end }}", ".x", "a label is a text and has no .x"),
        ("{{ .StartsAt.Format \"15:04\" }}", ".Format", ".StartsAt is a text here and has no .Format"),
        ("{{ range .Labels.SortedPairs }}{{ end }}", ".SortedPairs", "SortedPairs is not supported"),
        ("{{ print 1e6 }}", "1e6", "write a whole number without a point and an exponent"),
        ("{{ printf \"%p\" 1 }}", "\"%p\"", "printf: %p is not supported"),
        ("{{ if $labels.job }}x", "if", "this if is never closed by {{ end }}"),
        ("a{{ end }}", "end", "end without an if, with or range before it"),
        ("a{{ else }}", "else", "else without"),
        ("{{ break }}", "break", ""),
        ("{{}}", "", "missing value"),
        ("{{ if }}{{ end }}", "", "missing value for if"),
        ("{{ ( print 1 }}", "", "unclosed left paren"),
        ("{{ \u{a3} }}", "\u{a3}", "unexpected '\u{a3}'"),
    ] {
        let error = Template::parse(source).expect_err(source);
        let ParseError { message, offset, length } = &error;
        assert!(message.contains(part), "{source}: {error:?}");
        let marked = source.get(*offset..offset + length);
        assert!(marked.is_some_and(|marked| marked.starts_with(spot)), "{source}: {error:?} marks {marked:?}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_before_the_stack_ends() {
    for (open, close) in
        [("{{ if true }}", "{{ end }}"), ("{{ with 1 }}", "{{ end }}"), ("{{ if 1 }}{{ else if 1 }}", "{{ end }}")]
    {
        let source = format!("{}x{}", open.repeat(10_000), close.repeat(10_000));
        let error = Template::parse(&source).expect_err(open);
        assert_eq!(error.message, "blocks are nested deeper than 32", "{open}");
    }
    let source = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    assert_eq!(Template::parse(&source).expect_err("too deep").message, "parentheses are nested deeper than 32");
    let deepest = format!(
        "{}{{{{ {}\"x\"{} }}}}{}",
        "{{ if true }}".repeat(32),
        "(".repeat(32),
        ")".repeat(32),
        "{{ end }}".repeat(32)
    );
    assert_eq!(render(&deepest).as_deref(), Ok("x"));
    // Side by side is not nested.
    let wide = "{{ if true }}x{{ end }}".repeat(100);
    assert_eq!(render(&wide), Ok("x".repeat(100)));
}

#[test]
fn templates_are_values() {
    fn is_value<T: Clone + Eq + std::fmt::Debug + Send + Sync + 'static>(_: &T) {}
    let template = parse("{{ $labels.job }}");
    is_value(&template);
    assert_eq!(template, parse("{{ $labels.job }}"));
    assert_ne!(template, parse("{{$labels.job}}"));
    assert_eq!(format!("{template:?}"), "Template(\"{{ $labels.job }}\")");
    assert!(parse("a").is_literal());
    assert!(!template.is_literal());
}

proptest! {
    // Each parse by the engine starts a thread.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_short_way_and_the_engine_agree(
        parts in proptest::collection::vec((
            "[a }{\n.]{0,3}",
            proptest::sample::select(vec!["$labels", "$annotations", ".Labels", "$.Annotations", "$alert.Labels"]),
            proptest::sample::select(vec!["a", "b"]),
            proptest::collection::vec(proptest::sample::select(vec!["toUpper", "toLower", "title", "trimSpace", "stripPort", "stripDomain"]), 0..3),
        ), 1..3),
        a in "[aB:.\\[\\] \u{df}]{0,8}",
        has_b in any::<bool>(),
    ) {
        let mut source = String::new();
        for (text, place, name, functions) in &parts {
            let stages: Vec<String> = std::iter::once(format!("{place}.{name}")).chain(functions.iter().map(ToString::to_string)).collect();
            source.push_str(text.replace("{{", "").trim_end_matches('{'));
            source.extend(["{{ ", &stages.join("|"), " }}"]);
        }
        let mut values = labels(&[("a", &a)]);
        if has_b {
            values.insert("b".to_owned(), "<no value>".to_owned());
        }
        let alert = alert_with(values.clone(), values);
        let template = parse(&source);
        prop_assert!(matches!(template.compiled.program, super::Program::Direct(_)), "{}", source);
        let pieces = lexer::pieces(&source).expect("it has just been parsed");
        let engine = Engine::compile(&source, &pieces).expect("what is short is simple");
        prop_assert_eq!(template.render(AlertContext { alert: &alert }).ok(), engine.render(&alert).ok());
    }

    #[test]
    fn no_text_makes_it_panic_and_errors_point_into_it(
        source in "(\\{\\{|\\}\\}|-| |\\n|if|end|range|else|\\$|\\$labels|\\.|a|b|\"|`|'|\\\\|/\\*|\\*/|\\||\\(|\\)|:=|1|print|\u{e9}){0,12}"
    ) {
        match Template::parse(&source) {
            Ok(template) => drop(template.render(AlertContext { alert: &alert() })),
            Err(ParseError { offset, length, .. }) => prop_assert!(source.get(offset..offset + length).is_some()),
        }
    }
}

#[test]
fn whoever_misspells_a_name_can_be_told_what_was_meant() {
    for name in ["toUpper", "reReplaceAll", "$labels", "$annotations", "$alert"] {
        assert!(super::names().any(|known| known == name), "{name}");
    }
}
