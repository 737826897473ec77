//! What `printf` and the comparisons take, and what Go would write a complaint for.

use super::render;

#[test]
fn a_verb_takes_the_values_it_is_made_for() {
    for (format, value, expected) in [
        ("%v", "true", "true"),
        ("%v", "$labels.job", "ui"),
        ("%v", "1.5", "1.5"),
        ("%t", "false", "false"),
        ("%s", "\"a\"", "a"),
        ("%q", "\"a\"", "\"a\""),
        ("%x", "\"hi\"", "6869"),
        ("%X", "\"hi\"", "6869"),
        ("%d", "7", "7"),
        ("%x", "255", "ff"),
        ("%X", "255", "FF"),
        ("%o", "8", "10"),
        ("%b", "5", "101"),
        ("%c", "65", "A"),
        ("%U", "233", "U+00E9"),
        ("%q", "120", "'x'"),
        ("%e", "1234.5", "1.234500e+03"),
        ("%E", "1234.5", "1.234500E+03"),
        ("%f", "0.5", "0.500000"),
        ("%F", "0.5", "0.500000"),
        ("%g", "0.5", "0.5"),
        ("%G", "0.5", "0.5"),
        ("%s", "(stringSlice \"a\" \"b\")", "[a b]"),
        ("%+d", "5", "+5"),
        ("%-4d|", "5", "5   |"),
        ("% d", "5", " 5"),
        ("%#x", "255", "0xff"),
        ("%#o", "8", "010"),
        ("%06.2f%%", "3.14159", "003.14%"),
    ] {
        let source = format!("{{{{ printf {format:?} {value} }}}}");
        assert_eq!(render(&source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn a_value_that_does_not_fit_its_verb_is_refused() {
    for (verb, value, shown) in [
        ("s", "1", "1"),
        ("s", "true", "true"),
        ("s", "1.5", "1.5"),
        ("q", "true", "true"),
        ("q", "1.5", "1.5"),
        ("d", "1.5", "1.5"),
        ("d", "true", "true"),
        ("x", "1.5", "1.5"),
        ("x", "true", "true"),
        ("f", "1", "1"),
        ("g", "\"a\"", "a"),
        ("t", "1", "1"),
        ("t", "\"a\"", "a"),
        ("c", "\"a\"", "a"),
        ("d", "(stringSlice \"a\")", "[a]"),
    ] {
        let source = format!("{{{{ printf \"%{verb}\" {value} }}}}");
        assert_eq!(render(&source), Err(format!("printf: %{verb} does not fit the value {shown}")), "{source}");
    }
}

#[test]
fn a_format_that_nobody_needs_is_refused() {
    for (format, message) in [
        ("100%", "printf: the format ends within a verb"),
        ("%-5", "printf: the format ends within a verb"),
        ("%5%", "printf: %5% is not supported"),
        ("%#v", "printf: %#v is not supported"),
        ("%#d", "printf: %#d is not supported"),
        ("%T", "printf: %T is not supported"),
        ("%*d", "printf: %* is not supported"),
        ("%[1]d", "printf: %[ is not supported"),
        ("%\u{e9}", "printf: %\u{e9} is not supported"),
        ("%s", "printf: the format has 1 verbs, but there are 0 values"),
    ] {
        // In parentheses the format is known only when it is rendered.
        let source = format!("{{{{ printf (print {format:?}) }}}}");
        assert_eq!(render(&source), Err(message.to_owned()), "{source}");
    }
    assert_eq!(render("{{ printf 1 }}"), Err("printf begins with a format, a text".to_owned()));
    assert_eq!(render("{{ printf \"%% %%\" }}").as_deref(), Ok("% %"));
}

#[test]
fn only_values_of_one_kind_are_compared() {
    for (source, expected) in [
        ("{{ eq \"a\" \"b\" \"a\" }}{{ eq 1 2 3 }}{{ eq 1.5 1.5 }}{{ eq true true }}", "truefalsetruetrue"),
        ("{{ ne \"a\" \"b\" }}{{ ne 1 1 }}{{ ne 1.5 2.5 }}{{ ne true false }}", "truefalsetruetrue"),
        ("{{ lt 1 2 }}{{ lt 2 2 }}{{ lt \"a\" \"b\" }}{{ lt 1.5 0.5 }}", "truefalsetruefalse"),
        ("{{ le 1 2 }}{{ le 2 2 }}{{ le \"b\" \"a\" }}", "truetruefalse"),
        ("{{ gt 1 2 }}{{ gt 2 2 }}{{ gt \"b\" \"a\" }}", "falsefalsetrue"),
        ("{{ ge 1 2 }}{{ ge 2 2 }}{{ ge \"b\" \"a\" }}", "falsetruetrue"),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
    for name in ["eq", "ne", "lt", "le", "gt", "ge"] {
        for values in ["1 \"a\"", "1 1.5", "\"a\" true", "1 $labels"] {
            let message = format!("{name} compares values of one kind, not for example a text and a number");
            assert_eq!(render(&format!("{{{{ {name} {values} }}}}")), Err(message), "{values}");
        }
        let message = format!("{name} cannot compare such values");
        assert_eq!(render(&format!("{{{{ {name} $labels $labels }}}}")), Err(message));
    }
    for name in ["lt", "le", "gt", "ge"] {
        assert_eq!(render(&format!("{{{{ {name} true false }}}}")), Err(format!("{name} cannot compare such values")));
    }
}
