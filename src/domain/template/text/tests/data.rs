//! What stands in files of templates, and what may be asked of the data.

use super::*;

fn fails(source: &str) -> String {
    let template = TextTemplate::parse(source, &Library::default(), Form::Plain).expect(source);
    template.render(&data()).expect_err(source)
}

#[test]
fn named_templates_are_cut_out_where_they_stand() {
    let call = "{{ template \"m\" . }}";
    for (source, expected) in [
        ("a {{ define \"m\" }}x{{ end }} b{{ template \"m\" . }}", "a  bx"),
        ("a {{- define \"m\" -}} x {{- end -}} b{{ template \"m\" . }}", "abx"),
        ("a {{ define \"m\" -}} x {{ end -}} b{{ template \"m\" . }}", "a bx "),
        ("a {{- define \"m\" }} x {{- end }} b{{ template \"m\" . }}", "a b x"),
        ("{{ define \"m\" -}}{{ .Status }} {{ end }}{{ template \"m\" . }} {{ .Status }}", "firing  firing"),
        ("{{ define \"m\" }}{{ if .Status }}a{{ end }}b{{ end }}{{ template \"m\" . }}", "ab"),
        ("{{ define \"m\" }}{{ with .Status }}a{{ end }}b{{ end }}{{ template \"m\" . }}", "ab"),
        ("{{ define \"m\" }}{{ range .Alerts }}a{{ end }}b{{ end }}{{ template \"m\" . }}", "aab"),
        ("{{ define \"m\" }}{{ if .Status }}{{ if .Status }}a{{ end }}{{ end }}b{{ end }}{{ template \"m\" . }}", "ab"),
        ("{{ define \"m\" }}a{{ end }}{{ if .Status }}{{ template \"m\" . }}{{ end }}", "a"),
        ("{{ define \"n\" }}b{{ end }}{{ define \"m\" }}a{{ template \"n\" }}{{ end }}{{ template \"m\" . }}", "ab"),
        ("{{ define \"\u{e9} -\" }}a{{ end }}{{ template `\u{e9} -` . }}", "a"),
        ("{{ template \"__alertmanagerURL\" . }}", "https://am.example.com/#/alerts?receiver=on-call"),
        ("{{ template \"slack.default.text\" . }}|{{ template \"email.default.subject\" . }}", "H|S"),
        (
            "{{ template \"__text_alert_list\" .Alerts.Resolved }}",
            "Labels:\n - alertname = InstanceDown\n - instance = b\n - job = ui\nAnnotations:\n \
             - summary = <!channel> & \"down\"\nSource: javascript:alert(1)\n",
        ),
    ] {
        assert_eq!(rendered(source, Form::Plain), expected, "{source}");
    }
    let files = library(&["{{ define \"m\" }}1{{ end }}", "{{ define", "x{{ define \"n\" }}2{{ end }}"]);
    assert!(files.defines("m") && files.defines("n"));
    assert!(!files.defines("x") && !files.defines("slack.default.title"));
    let template = TextTemplate::parse(call, &files, Form::Plain).expect(call);
    assert_eq!(template.render(&data()).as_deref(), Ok("1"));
    assert_eq!((template.source(), format!("{template:?}")), (call, format!("TextTemplate({call:?})")));
}

#[test]
fn a_name_or_a_call_that_cannot_be_read_is_marked() {
    let define = "define takes one name in quotes";
    let call = "template takes a name in quotes, and then its data";
    let inside =
        |word: &str| format!("{word} cannot stand here; define templates at the top and call them by template");
    for (source, mark, message) in [
        ("a {{ define }}{{ end }}", "{{ define }}", define),
        ("a {{ define x }}{{ end }}", "{{ define x }}", define),
        ("a {{ define \"x\" . }}{{ end }}", "{{ define \"x\" . }}", define),
        ("a {{ define \"\" }}{{ end }}", "{{ define \"\" }}", define),
        ("a {{ define \"x`\" }}{{ end }}", "{{ define \"x`\" }}", define),
        ("a {{ define `x\\` }}{{ end }}", "{{ define `x\\` }}", define),
        ("a {{ define `x\"` }}{{ end }}", "{{ define `x\"` }}", define),
        ("a {{ define \"x\\n\" }}{{ end }}", "{{ define \"x\\n\" }}", define),
        ("a {{ define \"x\" }}b", "{{ define \"x\" }}", "the template \"x\" is never closed by {{ end }}"),
        (
            "a {{ define \"x\" }}{{ if .Status }}{{ end }}",
            "{{ define \"x\" }}",
            "the template \"x\" is never closed by {{ end }}",
        ),
        ("a {{ template }}", "", "unexpected }} in template clause"),
        ("a {{ template \"\" . }}", "{{ template \"\" . }}", call),
        ("a {{ template \"a`b\" . }}", "{{ template \"a`b\" . }}", call),
        ("{{ define \"x\" }}{{ define \"y\" }}{{ end }}{{ template \"x\" }}", "define", &inside("define")),
        ("a {{ block \"x\" . }}{{ end }}", "block", &inside("block")),
        ("{{ .Status }}{{ end }}", "end", "end without an if, with or range before it"),
        ("{{ $nope }}", "$nope }}", "undefined variable $nope"),
        (
            "{{ (((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))) }}",
            "(",
            "parentheses are nested deeper than 32",
        ),
    ] {
        let TextError { file, error } = refused(source, Form::Plain);
        assert_eq!((error.message.as_str(), file), (message, None), "{source}");
        assert_eq!(&source[error.offset..error.offset + error.length], mark, "{source}");
    }
    let error = refused("ab {{ template \"none\" . }}", Form::Plain).error;
    assert!(error.message.starts_with("there is no template \"none\"; there are __alertmanagerURL, "), "{error}");
    assert_eq!((error.offset, error.length), (15, 6));
}

#[test]
fn what_is_wrong_in_a_file_is_told_of_that_file() {
    let files = library(&[
        "{{ define \"a\" }}a{{ end }}",
        "{{ define \"m\" }}{{ template \"none\" }}{{ end }}{{ define \"n\" }}{{ $x }}{{ end }}",
    ]);
    assert_eq!(files.problems(), []);
    for (source, message) in
        [("{{ template \"m\" . }}", "there is no template \"none\""), ("{{ template \"n\" . }}", "undefined variable")]
    {
        let error = TextTemplate::parse(source, &files, Form::Plain).expect_err(source);
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!(error.file, Some(1), "{source}");
    }
    // In a named template nobody knows what the dot is.
    let files = library(&["{{ define \"a\" }}{{ .job }}{{ end }}"]);
    let template = TextTemplate::parse("{{ template \"a\" .CommonLabels }}", &files, Form::Plain).expect("known");
    assert_eq!(template.render(&data()).as_deref(), Ok("ui"));
}

#[test]
fn data_is_written_as_in_go() {
    let template = |source: &str| TextTemplate::parse(source, &Library::default(), Form::Plain).expect(source);
    let data = json!({
        "Heal": { "None": null, "Yes": true, "Whole": -3, "Part": 1.5, "List": ["a", 1] },
        "Alerts": [],
        "CommonLabels": {},
    });
    let source =
        "{{ with .Heal }}{{ .None }}|{{ .Yes }}|{{ .Whole }}|{{ .Part }}|{{ .List }}{{ end }}|{{ .CommonLabels }}";
    assert_eq!(template(source).render(&data).as_deref(), Ok("|true|-3|1.5|[a 1]|map[]"));
    assert_eq!(template("{{ .Alerts }}{{ len .Alerts.Firing }}").render(&data).as_deref(), Ok("[]0"));
}

#[test]
fn times_are_written_in_gos_layouts() {
    let at = |layout: &str| format!("{{{{ (index .Alerts 0).StartsAt | date {layout:?} }}}}");
    for (layout, expected) in [
        ("2006-01-02T15:04:05Z07:00", "2026-11-22T03:04:05Z"),
        ("Monday, January 2, 3:4:5 PM -0700", "Sunday, November 22, 3:4:5 AM +0000"),
        ("Mon Jan _2 03:04 pm MST -07:00 '06", "Sun Nov 22 03:04 am UTC +00:00 '26"),
        // A 1 alone is the month.
        ("1/2 100% \u{e9}", "11/22 1100% \u{e9}"),
        ("", ""),
    ] {
        assert_eq!(rendered(&at(layout), Form::Plain), expected, "{layout}");
    }
    assert_eq!(rendered("{{ (index .Alerts 0).EndsAt | date \"15:04\" }}", Form::Plain), "");
    assert_eq!(rendered("{{ date \"15:04\" (index .Alerts 0).StartsAt }}", Form::Plain), "03:04");
    assert_eq!(fails("{{ .Status | date \"15:04\" }}"), "only a time has a Format");
    assert_eq!(fails("{{ date \"15:04\" }}"), "date takes a layout and a time");
    assert_eq!(
        fails("{{ range .Alerts }}{{ .StartsAt.Format }}{{ end }}"),
        "Format takes a layout, for example \"15:04:05\""
    );
    assert_eq!(
        fails("{{ range .Alerts }}{{ .StartsAt.Format 3 }}{{ end }}"),
        "Format takes a layout, for example \"15:04:05\""
    );
}

#[test]
fn methods_take_what_alertmanagers_take() {
    for (source, expected) in [
        ("{{ .CommonLabels.Names }}{{ .CommonLabels.Values }}", "[alertname job severity][InstanceDown ui critical]"),
        ("{{ .CommonLabels.SortedPairs.Names | join \",\" }}", "alertname,job,severity"),
        ("{{ (.CommonLabels.Remove (stringSlice \"job\" \"x\")).Names }}", "[alertname severity]"),
        ("{{ with .CommonLabels }}{{ .SortedPairs.Values }}{{ end }}", "[InstanceDown ui critical]"),
        ("{{ with .CommonLabels.SortedPairs }}{{ .Names }}{{ end }}", "[alertname job severity]"),
        ("{{ $l := .CommonLabels }}{{ $l.Names }}{{ ($l.Remove $l.Names) }}", "[alertname job severity]map[]"),
        ("{{ range .Alerts.Firing }}{{ .Labels.instance }}{{ end }}{{ len .Alerts }}", "a2"),
        ("{{ if .CommonLabels.none }}a{{ else }}b{{ end }}{{ with .CommonLabels.none }}a{{ else }}b{{ end }}", "bb"),
        ("{{ .Status | len }}{{ (print .Status) | len }}", "66"),
        (
            "{{ print (print \"a\") .Status }}{{ ((print .Status)) }}{{ (index .Alerts 1).Status }}",
            "afiringfiringresolved",
        ),
        ("{{ print .Status .CommonLabels.Names (.Receiver) }}", "firing[alertname job severity]on-call"),
        // Strings and characters that the engine alone would misread.
        ("{{ print 'a' }}{{ '\\'' }}", "9739"),
        (
            "{{ print '\\'' '\\\\' '\\n' '\u{e9}' '\\x41' '\\101' '\\U0001F4A9' '`' '\"' }}",
            "39 92 10 233 65 65 128169 96 34",
        ),
        ("{{ print \"a\\\\\" }}{{ print \"\\\"b\" }}", "a\\\"b"),
        ("{{ print `\\d\"` \"`\\\\\" \"\\\\\\\"`\\n\" }}", "\\d\"`\\\\\"`\n"),
        ("{{ print \"\\U0001F4A9!\\101\" }}", "\u{1f4a9}!A"),
    ] {
        assert_eq!(rendered(source, Form::Plain), expected, "{source}");
    }
    for (source, message) in [
        ("{{ .Status.Names }}", "only labels and annotations have these"),
        ("{{ .Alerts.Names }}", "only labels and annotations have these"),
        ("{{ .CommonLabels.Firing }}", "only alerts have these"),
        ("{{ .CommonLabels.Remove \"job\" }}", "Remove takes a list of names, for example (stringSlice \"job\")"),
        (
            "{{ .Status.Remove (stringSlice \"job\") }}",
            "Remove takes a list of names, for example (stringSlice \"job\")",
        ),
        ("{{ range .Alerts }}{{ . }}{{ end }}", "a structure is no text; name one of its fields"),
        (
            "{{ toUpper .CommonLabels }}",
            "toUpper takes texts, not map[alertname:InstanceDown job:ui severity:critical]",
        ),
    ] {
        assert_eq!(fails(source), message, "{source}");
    }
    let parentheses = |name: &str| format!("put {name} and what it takes into parentheses");
    for (source, mark, name) in [
        ("{{ .CommonLabels.Remove.Names }}", ".Remove", "Remove"),
        ("{{ len .CommonLabels.Remove \"x\" }}", ".Remove", "Remove"),
        ("{{ print (index .Alerts 0).StartsAt.Format \"15\" }}", ".Format", "Format"),
    ] {
        let error = refused(source, Form::Plain).error;
        assert_eq!(error.message, parentheses(name), "{source}");
        assert_eq!(&source[error.offset..error.offset + error.length], mark, "{source}");
    }
    for (source, expected) in [
        ("{{ if .CommonLabels.Remove .GroupLabels.Names }}a{{ end }}", "a"),
        ("{{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .job }}{{ end }}", "ui"),
        ("{{ range .CommonLabels.Remove .GroupLabels.Names }}{{ . }},{{ end }}", "ui,critical,"),
        (
            "{{ $x := .CommonLabels.Remove .GroupLabels.Names }}{{ $x = $x.Remove (stringSlice \"job\") }}{{ $x.Values }}",
            "[critical]",
        ),
        ("{{ .GroupLabels.Names | .CommonLabels.Remove }}", "map[job:ui severity:critical]"),
        ("{{ with index .Alerts 0 }}{{ with .StartsAt }}{{ .Format \"15\" }}{{ end }}{{ end }}", "03"),
        ("{{ with index .Alerts 0 }}{{ (.StartsAt).Format \"15\" }}{{ end }}", "03"),
    ] {
        assert_eq!(rendered(source, Form::Plain), expected, "{source}");
    }
}
