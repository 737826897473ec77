mod data;
mod html;

use serde_json::json;

use super::*;

fn data() -> serde_json::Value {
    let alert = |status: &str, instance: &str| {
        json!({
            "Status": status,
            "Labels": { "alertname": "InstanceDown", "job": "ui", "instance": instance },
            "Annotations": { "summary": "<!channel> & \"down\"" },
            "StartsAt": "2026-11-22 03:04:05 +0000 UTC",
            "EndsAt": "",
            "GeneratorURL": "javascript:alert(1)",
            "Fingerprint": "0123",
        })
    };
    json!({
        "Receiver": "on-call",
        "Status": "firing",
        "Alerts": [alert("firing", "a"), alert("resolved", "b")],
        "GroupLabels": { "alertname": "InstanceDown" },
        "CommonLabels": { "alertname": "InstanceDown", "job": "ui", "severity": "critical" },
        "CommonAnnotations": { "summary": "<!channel> & \"down\"" },
        "ExternalURL": "https://am.example.com",
        "Heal": { "State": "healed", "Attempts": 2, "NeedsHuman": false, "Runbook": "", "Subject": "S", "Headline": "H" },
    })
}

fn library(files: &[&str]) -> Library {
    Library::new(files.iter().map(|file| (*file).to_owned()).collect())
}

fn rendered(source: &str, form: Form) -> String {
    let template = TextTemplate::parse(source, &Library::default(), form);
    template
        .unwrap_or_else(|error| panic!("{source}: {error}"))
        .render(&data())
        .unwrap_or_else(|e| panic!("{source}: {e}"))
}

fn refused(source: &str, form: Form) -> TextError {
    TextTemplate::parse(source, &Library::default(), form).expect_err(source)
}

#[test]
fn what_alertmanagers_users_write_means_what_it_means_there() {
    for (source, expected) in [
        ("plain", "plain"),
        ("[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}:{{ .Alerts.Firing | len }}{{ end }}]", "[FIRING:1]"),
        ("{{ .GroupLabels.SortedPairs.Values | join \" \" }}", "InstanceDown"),
        (
            "{{ if gt (len .CommonLabels) (len .GroupLabels) }}({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join \" \" }}{{ end }}){{ end }}",
            "(ui critical)",
        ),
        ("{{ (.CommonLabels.Remove .GroupLabels.Names).Values | join \"-\" }}", "ui-critical"),
        (
            "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}",
            "alertname=InstanceDown;job=ui;severity=critical;",
        ),
        (
            "{{ range $name, $value := .CommonLabels }}{{ $name }}={{ $value }};{{ end }}",
            "alertname=InstanceDown;job=ui;severity=critical;",
        ),
        ("{{ range .Alerts }}{{ .Labels.instance }}{{ if .Annotations.nothing }}!{{ end }}{{ end }}", "ab"),
        ("{{ range .Alerts.Resolved }}{{ .Labels.instance }}{{ end }}", "b"),
        ("{{ (index .Alerts 1).Labels.instance }}", "b"),
        ("{{ with index .Alerts 0 }}{{ .Labels.Names | join \",\" }}{{ end }}", "alertname,instance,job"),
        (
            "{{ range .Alerts.Firing }}{{ .StartsAt.Format \"02 Jan 2006 15:04:05 MST, 3:04PM\" }}{{ end }}",
            "22 Nov 2026 03:04:05 UTC, 3:04AM",
        ),
        (
            "{{ range .Alerts.Firing }}{{ .StartsAt | date \"Monday 2.1.\" }}{{ .EndsAt.Format \"15:04\" }}{{ end }}",
            "Sunday 22.11.",
        ),
        ("{{ $x := .CommonLabels }}{{ $x.job }}{{ $x.none }}{{ $.CommonLabels.SortedPairs.Names | len }}", "ui3"),
        ("{{ .CommonLabels.none | toUpper }}|{{ index .CommonLabels \"no-such\" }}|", "||"),
        (
            "{{ .Heal.State }} after {{ .Heal.Attempts }}{{ if not .Heal.NeedsHuman }}, sleep on{{ end }}",
            "healed after 2, sleep on",
        ),
        ("{{ template \"__subject\" . }}", "S"),
        ("{{ define \"mine\" -}} {{ .job }} {{- end -}} x {{ template \"mine\" .CommonLabels }}", "x ui"),
        ("{{ .CommonLabels }}", "map[alertname:InstanceDown job:ui severity:critical]"),
        ("{{- /* nothing */ -}} x", "x"),
    ] {
        assert_eq!(rendered(source, Form::Plain), expected, "{source}");
    }
}

#[test]
fn named_templates_come_from_files_and_later_ones_win() {
    let files = library(&[
        "{{ define \"a\" }}first{{ end }}{{ define \"b\" }}b<{{ template \"a\" . }}>{{ end }}",
        "{{ define \"a\" }}{{ .Heal.State }}{{ end }}",
    ]);
    assert_eq!(files.problems(), []);
    let template = TextTemplate::parse("{{ template \"b\" . }}", &files, Form::Plain).unwrap();
    assert_eq!(template.render(&data()).unwrap(), "b<healed>");
    // A file that is good for one form need not be for another, as long as nobody asks for it.
    let files = library(&[
        "{{ define \"slack\" }}<{{ .ExternalURL }}|open>{{ end }}{{ define \"html\" }}<b>{{ .Status }}</b>{{ end }}",
    ]);
    assert!(TextTemplate::parse("{{ template \"html\" . }}", &files, Form::Html).is_ok());
    let error = TextTemplate::parse("{{ template \"slack\" . }}", &files, Form::Html).unwrap_err();
    assert_eq!(error.file, Some(0));

    let problems = library(&["fine", "{{ define \"a\" }}", "{{ define a }}{{ end }}"]).problems();
    let found: Vec<_> = problems.iter().map(|problem| (problem.file, problem.to_string())).collect();
    assert_eq!(found[0], (Some(1), "the template \"a\" is never closed by {{ end }}".to_owned()));
    assert_eq!(found[1], (Some(2), "define takes one name in quotes".to_owned()));
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    for (source, message, at) in [
        ("x {{ .Allerts }}", "there is no .Allerts here; there are .Receiver, .Status", 5),
        ("{{ if $.Nope }}{{ end }}", "there is no .Nope here", 7),
        ("{{ template \"none\" . }}", "there is no template \"none\"; there are __alertmanagerURL", 12),
        ("{{ nope . }}", "function \"nope\" not defined", 3),
        ("{{ .Status", "unclosed action", 0),
        ("{{ if .Status }}", "this if is never closed", 3),
        ("{{ block \"x\" . }}{{ end }}", "block cannot stand here", 3),
        ("{{ autoheal_plain .Status }}", "function \"autoheal_plain\" not defined", 3),
        ("{{ len .CommonLabels.Remove \"x\" }}", "put Remove and what it takes into parentheses", 20),
        ("{{ match \"(\" .Status }}", "bad regular expression", 9),
    ] {
        let error = refused(source, Form::Plain);
        assert!(error.to_string().starts_with(message), "{source}: {error}");
        assert_eq!((error.file, error.error.offset), (None, at), "{source}");
    }
}

#[test]
fn values_are_escaped_for_where_they_stand() {
    let summary = "{{ .CommonAnnotations.summary }}";
    assert_eq!(rendered(summary, Form::Plain), "<!channel> & \"down\"");
    assert_eq!(rendered(&format!("<!here> {summary}"), Form::Slack), "<!here> &lt;!channel&gt; &amp; \"down\"");
    assert_eq!(rendered(&format!("<p>{summary}</p>"), Form::Html), "<p>&lt;!channel&gt; &amp; &quot;down&quot;</p>");
    assert_eq!(rendered("<p>{{ \"<b>\" | safeHtml }}{{ \"<b>\" }}</p>", Form::Html), "<p><b>&lt;b&gt;</p>");
    let link = "{{ range .Alerts.Firing }}<a class='{{ .Status }}' href=\"{{ .GeneratorURL }}\">x</a>{{ end }}";
    assert_eq!(rendered(link, Form::Html), "<a class='firing' href=\"#\">x</a>");
    assert_eq!(
        rendered("<a href=\"{{ .ExternalURL }}/{{ .Status }}?q={{ .CommonAnnotations.summary }}\">x</a>", Form::Html),
        "<a href=\"https://am.example.com/firing?q=&lt;!channel&gt; &amp; &quot;down&quot;\">x</a>"
    );
    let branches = "<a href=\"{{ if .Heal.Runbook }}{{ .Heal.Runbook }}{{ else }}https://x{{ end }}\">x</a><style>p{}</style>{{ .Status }}";
    assert_eq!(rendered(branches, Form::Html), "<a href=\"https://x\">x</a><style>p{}</style>firing");
}

#[test]
fn html_refuses_values_where_nothing_makes_them_safe() {
    for source in [
        "<script>{{ .Status }}</script>",
        "<style>{{ .Status }}</style>",
        "<p style=\"{{ .Status }}\">",
        "<p onclick='{{ .Status }}'>",
        "<p class={{ .Status }}>",
        "<{{ .Status }}>",
        "<!-- {{ .Status }} -->",
        "<p {{ if .Status }}class=\"{{ end }}\">",
        "{{ if .Status }}<p {{ else }}<b>{{ end }}>",
        "<p class=\"{{ template \"__subject\" . }}\">",
        "<p class=\"",
    ] {
        let error = refused(source, Form::Html);
        assert!(error.error.offset < source.len(), "{source}: {error:?}");
    }
}

#[test]
fn a_rendering_that_fails_or_takes_too_much_says_so() {
    for (source, message) in [
        ("{{ range .Alerts }}{{ .Nope }}{{ end }}", "the data has no field .Nope"),
        ("{{ .Heal.Nope }}", "the data has no field .Nope"),
        ("{{ .Heal }}", "a structure is no text; name one of its fields"),
        ("{{ index .Alerts 7 }}", "index: there is no such entry"),
        ("{{ range 900 }}{{ range 900 }}x{{ end }}{{ end }}", "5000"),
        ("{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}", "nest"),
        ("{{ define \"r\" }}{{ template \"r\" . }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}", ""),
        ("{{ $x := \"xxxxxxxx\" }}{{ range 900 }}{{ $x = print $x $x }}{{ end }}", "262144"),
        ("{{ .Alerts.Values }}", "only labels and annotations have these"),
        ("{{ .Status.Firing }}", "only alerts have these"),
    ] {
        let template = TextTemplate::parse(source, &Library::default(), Form::Plain).expect(source);
        let error = template.render(&data()).expect_err(source);
        assert!(error.contains(message), "{source}: {error}");
        assert!(!error.contains("InstanceDown"), "{source}: {error}");
    }
}
