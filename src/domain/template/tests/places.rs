//! What the engine is given, and where what it says stands in the source.

use proptest::prelude::*;

use super::super::engine::{Writer, quote};
use super::{AlertContext, Template, alert_with, labels, parse, render};
use crate::domain::alert::{Alert, AlertStatus};

fn render_for(source: &str, alert: &Alert) -> Result<String, String> {
    parse(source).render(AlertContext { alert }).map_err(|error| error.message)
}

#[test]
fn every_field_of_an_alert_is_there() {
    let mut ended = alert_with(
        labels(&[("alertname", "DiskFull"), ("namespace", "shop")]),
        labels(&[("namespace", "other"), ("summary", "full")]),
    );
    ended.status = AlertStatus::Resolved;
    ended.ends_at = Some("2026-11-22T11:00:00Z".parse().expect("an instant"));
    for (source, expected) in [
        ("{{ .Status }}", "resolved"),
        ("{{ .StartsAt }}", "2026-11-22 10:30:00.25 +0000 UTC"),
        ("{{ .EndsAt }}", "2026-11-22 11:00:00 +0000 UTC"),
        ("{{ .GeneratorURL }}", "http://p/graph?a=1&b=2"),
        ("{{ .Fingerprint }}", &ended.fingerprint.to_string()),
        ("{{ .Name }}", "DiskFull"),
        ("{{ .Namespace }}", "shop"),
        // What Go's hash/fnv makes of the same bytes.
        ("{{ .Hash }}", "4087891443"),
        ("{{ len .Labels }}{{ len .Annotations }}", "22"),
    ] {
        assert_eq!(render_for(source, &ended).as_deref(), Ok(expected), "{source}");
    }
    let elsewhere = alert_with(labels(&[("job", "ui")]), labels(&[("namespace", "other")]));
    assert_eq!(render_for("{{ .Namespace }}", &elsewhere).as_deref(), Ok("other"));
    assert_eq!(
        render_for("{{ .Name }}", &elsewhere),
        Err("it uses something that is not defined for this alert".to_owned())
    );
}

#[test]
fn what_is_missing_is_named_once_and_only_where_the_rendering_stopped() {
    let end = "; its labels are: alertname, instance, job, odd";
    for (source, missing) in [
        ("{{ print $labels.nope $labels.nope }}", "label \"nope\""),
        ("{{ print $labels.nope .Labels.other }}", "label \"nope\" and no label \"other\""),
        ("{{ print $labels.nope $annotations.a }}", "label \"nope\" and no annotation \"a\""),
        ("{{ print $labels.job $labels.nope }}", "label \"nope\""),
        ("{{ print $labels \"other\" $labels.nope }}", "label \"nope\""),
        ("{{ print (index $labels \"nope\") \"other\" }}", "label \"nope\""),
        ("{{ print $labels.nope }}{{ print $labels.other }}", "label \"nope\""),
        ("{{ if $labels.other }}{{ end }}\n{{ print $labels.nope }}\n{{ print $labels.third }}", "label \"nope\""),
        ("{{- if true -}}\n{{- print \"\\U0001F4A9\" -}}{{- print $labels.nope -}}{{- end -}}", "label \"nope\""),
    ] {
        assert_eq!(render(source), Err(format!("the alert has no {missing}{end}")), "{source}");
    }
}

#[test]
fn what_the_engine_refuses_is_marked_in_the_source() {
    for source in [
        "{{ $nope }}",
        "ab\n{{ print 1 }}\n\n  {{ $nope }}",
        "{{ print \"\\n\\n\" `\n` }}{{ $nope }}",
        "{{ print 'a' 'b' }}{{ print \"\\\"`\\\\\" }}{{ $nope }}",
        "{{- print 1 -}} x {{- $nope -}}",
        "\u{1f4a9} {{/* \u{e9} */}}{{ $nope }}",
    ] {
        let error = Template::parse(source).expect_err(source);
        assert!(error.message.contains("undefined variable"), "{source}: {error:?}");
        assert_eq!(Some(error.offset), source.find("$nope"), "{source}: {error:?}");
    }
}

#[test]
fn a_rendering_has_bounds() {
    let long = "0123456789".repeat(200);
    for (source, part) in [
        ("{{ range 1000 }}{{ range 11 }}x{{ end }}{{ end }}".to_owned(), "10000"),
        ("{{ range 1001 }}x{{ end }}".to_owned(), "1000"),
        (format!("{{{{ range 600 }}}}{long}{{{{ end }}}}"), "1048576"),
        (format!("{{{{ $x := `{long}` }}}}{{{{ range 10 }}}}{{{{ $x = print $x $x }}}}{{{{ end }}}}"), "1048576"),
    ] {
        let message = render(&source).expect_err(&source[..20]);
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(render("{{ range 1000 }}x{{ end }}").map(|text| text.len()), Ok(1000));
    assert_eq!(render(&format!("{{{{ range 500 }}}}{long}{{{{ end }}}}")).map(|text| text.len()), Ok(1_000_000));
}

#[test]
fn places_lead_back_from_every_line() {
    let source = "ab {{ x }}\ncd {{ y }}";
    let mut writer = Writer::new("prefix");
    writer.copy("ab ", 0);
    writer.copy("<longer>", 3);
    writer.copy("\ncd ", 10);
    writer.copy("<y>", 14);
    let (text, places) = writer.finish(source);
    assert_eq!(text, "prefixab <longer>\ncd <y>");
    for (line, column, length, range) in [
        (1, 1, 3, (0, 0)),
        (1, 7, 2, (0, 2)),
        (1, 10, 2, (3, 5)),
        // What is written longer than it stood ends where the next begins.
        (1, 16, 2, (9, 10)),
        (2, 1, 2, (11, 13)),
        (2, 4, 1, (14, 15)),
        (2, 6, 20, (16, 21)),
        (2, 40, 1, (21, 21)),
    ] {
        assert_eq!(places.range(line, column, length), range, "{line}:{column}");
    }
}

proptest! {
    // Each parse by the engine starts a thread.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_string_means_for_the_engine_what_it_means_in_go(value in "[a\"`\\\\\n\r\t{}%\u{e9}]{0,8}") {
        let source = format!("{{{{ print {value:?} }}}}").replace("\\u{e9}", "\u{e9}");
        prop_assert_eq!(render(&source), Ok(value), "{}", source);
    }
}

#[test]
fn a_string_is_written_in_the_form_the_engine_reads_as_it_is_meant() {
    for (value, written) in [
        ("", "``"),
        ("a\"b\n", "`a\"b\n`"),
        ("a\\", "`a\\\\`"),
        ("a`b", "\"a`b\""),
        ("`\"\n", "\"`\\\"\\n\""),
        ("`\\\\", "(print (print \"`\" `\\\\`) `\\\\`)"),
    ] {
        assert_eq!(quote(value), written, "{value:?}");
    }
}
