//! What a value may do in HTML depends on where it stands.

use super::*;

#[test]
fn a_value_is_escaped_for_its_place() {
    let one = |text: &str| format!("{{{{ range .Alerts.Firing }}}}{text}{{{{ end }}}}");
    for (source, expected) in [
        // Between tags.
        ("now {{ .Status }}, {{ .Status }}", "now firing, firing"),
        ("<!-- a > b --><i>{{ .Status }}</i>", "<!-- a > b --><i>firing</i>"),
        ("a < b {{/* no tag */}}>{{ .Annotations.summary }}", "a < b >&lt;!channel&gt; &amp; &quot;down&quot;"),
        ("<script>if (a</b/) '\"'</SCRIPT>{{ .Status }}", "<script>if (a</b/) '\"'</SCRIPT>firing"),
        ("<STYLE media='x'>p{}</style>{{ .Status }}", "<STYLE media='x'>p{}</style>firing"),
        ("<scripts>{{ .Status }}</scripts>", "<scripts>firing</scripts>"),
        ("<br/>{{ .Status }}", "<br/>firing"),
        // What a variable holds is no safer; giving it a name writes nothing, wherever that stands.
        ("{{ $x := .Annotations.summary }}{{ $x }}", "&lt;!channel&gt; &amp; &quot;down&quot;"),
        ("<p {{ $x := .Status }}{{/* c */}}{{ $x = .Status }}title='{{ $x }}'>", "<p title='firing'>"),
        ("{{ toLower .Annotations.summary }}", "&lt;!channel&gt; &amp; &quot;down&quot;"),
        // In attributes.
        ("<p title='\"{{ .Status }}\"' id=x>{{ .Status }}</p>", "<p title='\"firing\"' id=x>firing</p>"),
        ("<p title = \"'{{ .Annotations.summary }}\">", "<p title = \"'&lt;!channel&gt; &amp; &quot;down&quot;\">"),
        ("<p hidden title=\">\">{{ .Status }}</p>", "<p hidden title=\">\">firing</p>"),
        (
            "<p data-on='{{ .Status }}' title='a' class='{{ .Status }}'>",
            "<p data-on='firing' title='a' class='firing'>",
        ),
        // In attributes that lead somewhere, up to the first character that the author wrote.
        ("<a href='{{ .GeneratorURL }}'>", "<a href='#'>"),
        ("<a HREF = '{{ .GeneratorURL }}'>", "<a HREF = '#'>"),
        ("<img/src='{{ .GeneratorURL }}'>", "<img/src='#'>"),
        (
            "<a title='a' href='{{ .GeneratorURL }}' class='{{ .GeneratorURL }}'>",
            "<a title='a' href='#' class='javascript:alert(1)'>",
        ),
        ("<a href='?u={{ .GeneratorURL }}'>", "<a href='?u=javascript:alert(1)'>"),
        ("<a href='\n {{ .GeneratorURL }}'>", "<a href='\n #'>"),
        ("<a href='{{ .EndsAt }}{{ .GeneratorURL }}'>", "<a href='#'>"),
        ("<a href='{{ .EndsAt }}/{{ .GeneratorURL }}'>", "<a href='/javascript:alert(1)'>"),
        // What only one branch wrote does not count.
        ("<a href='{{ if .EndsAt }}/{{ end }}{{ .GeneratorURL }}'>", "<a href='#'>"),
        ("<a href='{{ if .EndsAt }}/{{ else }}{{ end }}{{ .GeneratorURL }}'>", "<a href='#'>"),
        ("<a href='{{ if .EndsAt }}{{ else }}/{{ end }}{{ .GeneratorURL }}'>", "<a href='/#'>"),
        ("<a href='{{ if .EndsAt }}/{{ else if .EndsAt }}{{ else }}/{{ end }}{{ .GeneratorURL }}'>", "<a href='/#'>"),
        ("<a href='{{ if .EndsAt }}/a{{ else }}/b{{ end }}{{ .GeneratorURL }}'>", "<a href='/bjavascript:alert(1)'>"),
        ("<a href='/{{ if .EndsAt }}a{{ end }}{{ .GeneratorURL }}'>", "<a href='/javascript:alert(1)'>"),
        ("<a href='/{{ if .Status }}{{ .GeneratorURL }}{{ else }}a{{ end }}'>", "<a href='/javascript:alert(1)'>"),
        ("<a href='{{ range .Labels.Names }}/{{ end }}{{ .GeneratorURL }}'>", "<a href='///#'>"),
        // Branches may write different attributes.
        ("<p {{ if .Status }}class='a'{{ else }}id='b'{{ end }}>{{ .Status }}</p>", "<p class='a'>firing</p>"),
        ("<p {{ if .Status }}class='a'{{ end }} id='{{ .Status }}'>", "<p class='a' id='firing'>"),
        ("{{ if .Status }}<i>{{ else }}<b>{{ end }}{{ .Status }}", "<i>firing"),
        ("<p title='{{ if .Status }}{{ .Status }}{{ else }}b{{ end }}'>", "<p title='firing'>"),
        ("<p title='{{ with .Status }}{{ . }}{{ end }}' id='a'>", "<p title='firing' id='a'>"),
    ] {
        assert_eq!(rendered(&one(source), Form::Html), expected, "{source}");
    }
    for attribute in ["href", "src", "action", "formaction", "background", "cite", "poster", "data", "xlink:href"] {
        let source = one(&format!("<x {attribute}=\"{{{{ .GeneratorURL }}}}\">"));
        assert_eq!(rendered(&source, Form::Html), format!("<x {attribute}=\"#\">"));
    }
}

#[test]
fn in_slack_nothing_from_outside_has_a_meaning() {
    for source in [
        "{{ .CommonAnnotations.summary }}",
        "{{ $x := .CommonAnnotations.summary }}{{ $x }}",
        "{{ with .CommonAnnotations }}{{ .summary }}{{ end }}",
        "{{ range $name, $value := .CommonAnnotations }}{{ $value }}{{ end }}",
        "{{ print .CommonAnnotations.summary }}",
        "{{ (index .Alerts 0).Annotations.summary | safeHtml }}",
        "{{ define \"m\" }}{{ . }}{{ end }}{{ template \"m\" .CommonAnnotations.summary }}",
    ] {
        assert_eq!(rendered(source, Form::Slack), "&lt;!channel&gt; &amp; \"down\"", "{source}");
    }
}

#[test]
fn only_what_is_safe_as_a_whole_is_written_as_it_is() {
    for (source, expected) in [
        ("{{ safeHtml \"<b>\" }}", "<b>"),
        ("{{ \"<b>\" | toUpper | safeHtml }}", "<B>"),
        ("{{ \"<b>\" | safeHtml | toUpper }}", "&lt;B&gt;"),
        ("{{ \"safeHtml <\" }}", "safeHtml &lt;"),
        ("{{ print \"<i>\" (\"<b>\" | safeHtml) }}", "&lt;i&gt;&lt;b&gt;"),
        ("{{ (print \"<i>\" | toUpper) | safeHtml }}", "<I>"),
        ("<p title=\"{{ \"<b>\" | safeHtml }}\">", "<p title=\"&lt;b&gt;\">"),
    ] {
        assert_eq!(rendered(source, Form::Html), expected, "{source}");
    }
}

#[test]
fn where_nothing_is_safe_the_value_is_marked() {
    let raw = "no value is safe in a style or a script; write it between tags";
    let branches = "the branches of this block end in different places of a tag";
    let template = "a template can only be called between tags";
    for (source, mark, message) in [
        ("<SCRIPT >{{ .Status }}</script>", "{{ .Status }}", raw),
        ("<style/>{{ .Status }}</style>", "{{ .Status }}", raw),
        ("<script>a</style>{{ .Status }}</script>", "{{ .Status }}", raw),
        ("<p STYLE='{{ .Status }}'>", "{{ .Status }}", raw),
        ("<p style='color: {{ .Status }}'>", "{{ .Status }}", raw),
        ("<p onLoad='{{ .Status }}'>", "{{ .Status }}", raw),
        ("<iframe srcdoc='{{ .Status }}'>", "{{ .Status }}", raw),
        ("<p title='a' {{ .Status }}>", "{{ .Status }}", "a value in a tag must stand in a quoted attribute"),
        ("<p title={{ .Status }}>", "{{ .Status }}", "a value in a tag must stand in a quoted attribute"),
        ("<p x'{{ .Status }}'>", "{{ .Status }}", "a value in a tag must stand in a quoted attribute"),
        ("<!-- <p> {{ .Status }} -->", "{{ .Status }}", "a value cannot stand in a comment"),
        ("<p {{ if .Status }}a='{{ else }}b='{{ end }}'>", "{{ end }}", branches),
        ("<p {{ if .Status }}a='{{ else }}a=\"{{ end }}'>", "{{ end }}", branches),
        ("<p {{ if .Status }}a='{{ end }}'>", "{{ end }}", branches),
        ("{{ if .Status }}<p{{ else if .Receiver }}{{ else }}{{ end }}", "{{ else }}", branches),
        ("{{ range .Alerts }}<!--{{ end }}-->", "{{ end }}", branches),
        ("<p {{ template \"__subject\" . }}>", "{{ template \"__subject\" . }}", template),
        ("<p title='{{ template \"__subject\" . }}'>", "{{ template \"__subject\" . }}", template),
        ("<p", "p", "the text ends within a tag"),
        ("a <!-- b", "b", "the text ends within a tag"),
        ("<style>p{}{{/* c */}}", "}", "the text ends within a tag"),
        ("{{ define \"a\" }}{{ end -}}  \n <p", "p", "the text ends within a tag"),
    ] {
        let TextError { file, error } = refused(source, Form::Html);
        assert_eq!((error.message.as_str(), file), (message, None), "{source}");
        assert_eq!(&source[error.offset..error.offset + error.length], mark, "{source}");
    }
}

#[test]
fn an_address_leads_to_the_web_or_nowhere() {
    for (address, expected) in [
        ("https://a/?b&c", "https://a/?b&amp;c"),
        (" HTTP://a ", "HTTP://a"),
        ("mailto:a@b", "mailto:a@b"),
        ("tel:+1", "tel:+1"),
        ("a/b", "a/b"),
        ("/a:b", "/a:b"),
        ("?a:b", "?a:b"),
        ("#a:b", "#a:b"),
        ("", ""),
        ("javascript:alert(1)", "#"),
        ("JavaScript://a", "#"),
        ("data:text/html,a", "#"),
        ("ftp://a", "#"),
        ("java\nscript:a", "#"),
        ("https://a b", "#"),
        ("a\u{1}", "#"),
    ] {
        assert_eq!(escape::address(address), expected, "{address:?}");
    }
    assert_eq!(escape_html("<&>\"'a"), "&lt;&amp;&gt;&quot;&#39;a");
    assert_eq!(escape_slack("<&>\"'a"), "&lt;&amp;&gt;\"'a");
}
