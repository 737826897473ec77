//! What the functions give, and what they are called with in vain.

use super::render;

#[test]
fn functions_give_what_they_give_in_prometheus() {
    for (source, expected) in [
        ("{{ len \"\u{e9}\" }}{{ len $labels }}{{ len (stringSlice) }}", "240"),
        ("{{ index (stringSlice \"a\" \"b\") 1 }}{{ index \"abc\" 1 }}", "b98"),
        ("{{ slice \"abc\" 1 2 }}{{ slice \"abc\" 1 }}", "bbc"),
        ("{{ print 1 2 \"a\" }}|{{ println \"a\" 1 }}|", "1 2a|a 1\n|"),
        ("{{ html \"<'>&\" }}", "&lt;&#39;&gt;&amp;"),
        ("{{ js \"it's <b>\" }}", "it\\'s \\u003Cb\\u003E"),
        ("{{ urlquery \"a b&c\" }}", "a+b%26c"),
        ("{{ match \"^a.c$\" \"abc\" }}{{ match \"x\" \"abc\" }}", "truefalse"),
        ("{{ reReplaceAll \"b*\" \"-\" \"abc\" }}", "-a-c-"),
        ("{{ join \"-\" (stringSlice \"a\" \"b\") }}{{ stringSlice \"a\" \"b\" | join \"\" }}", "a-bab"),
        ("{{ stringSlice \"a\" $labels.job }}", "[a ui]"),
        ("{{ and 1 0 2 }}{{ or 0 \"\" \"a\" }}{{ not \"\" }}", "0atrue"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn no_function_makes_something_of_what_is_not_there() {
    let missing = "the alert has no label \"nope\"; its labels are: alertname, instance, job, odd";
    for call in [
        "len $labels.nope",
        "index $labels.nope 0",
        "slice $labels.nope 0",
        "print $labels.nope",
        "println \"a\" $labels.nope",
        "printf \"%v\" $labels.nope",
        "html $labels.nope",
        "js $labels.nope",
        "urlquery $labels.nope",
        "toUpper $labels.nope",
        "toLower $labels.nope",
        "title $labels.nope",
        "trimSpace $labels.nope",
        "stripPort $labels.nope",
        "stripDomain $labels.nope",
        "match \"a\" $labels.nope",
        "reReplaceAll \"a\" $labels.nope \"a\"",
        "join $labels.nope (stringSlice \"a\")",
        "stringSlice \"a\" $labels.nope",
        "eq \"a\" $labels.nope",
        "ne $labels.nope \"a\"",
        "lt $labels.nope \"a\"",
        "le $labels.nope \"a\"",
        "gt $labels.nope \"a\"",
        "ge $labels.nope \"a\"",
    ] {
        // Its truth is asked, too, which nothing else refuses.
        let source = format!("{{{{ if {call} }}}}{{{{ end }}}}");
        assert_eq!(render(&source), Err(missing.to_owned()), "{source}");
        let whole = format!("{{{{ if {} }}}}{{{{ end }}}}", call.replace("$labels.nope", "$alert"));
        assert_eq!(
            render(&whole),
            Err("the alert as a whole is no value; name one of its fields".to_owned()),
            "{whole}"
        );
    }
}

#[test]
fn whoever_calls_a_function_with_something_else_is_told_what_it_takes() {
    for (source, message) in [
        ("{{ match \"a\" 3 }}", "match takes texts, not 3"),
        ("{{ match \"a\" \"b\" \"c\" }}", "match takes 2 arguments, not 3"),
        ("{{ match (print \"a)\") \"b\" }}", "match: unexpected )"),
        ("{{ reReplaceAll \"a\" \"b\" }}", "reReplaceAll takes 3 arguments, not 2"),
        ("{{ reReplaceAll (print \"a)\") \"b\" \"c\" }}", "reReplaceAll: unexpected )"),
        ("{{ title }}", "title takes 1 arguments, not 0"),
        ("{{ stripDomain true }}", "stripDomain takes texts, not true"),
        ("{{ join }}", "join takes a separator and a list"),
        ("{{ join (stringSlice) \",\" }}", "join takes a separator and a list"),
        ("{{ join \",\" (stringSlice \"a\" 1) }}", "join takes a list of texts, not 1"),
    ] {
        assert_eq!(render(source), Err(message.to_owned()), "{source}");
    }
}
