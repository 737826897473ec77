//! The functions a template may call: Go's builtins and Prometheus' string functions.
//!
//! All but `and`, `or` and `not` refuse an undefined argument: a missing label must stop an action, not shape it.

use std::net::IpAddr;

use gtmpl_ng::funcs;
use gtmpl_ng::{Func, FuncError, Value};

use super::strict;
use crate::domain::regex::{self, Regex};

/// What the engine reports when a template uses what the alert does not have. Never shown: see `engine::explain`.
pub(super) const UNDEFINED: &str = "undefined";

/// Inserted by us behind every pipeline that is written out. Not callable by users.
pub(super) const CHECK: &str = "autoheal_defined";

/// A function from one text to one text.
pub(super) type TextFunction = fn(&str) -> String;

/// The text functions by name.
pub(super) const UNARY: [(&str, TextFunction); 6] = [
    ("toUpper", to_upper),
    ("toLower", to_lower),
    ("title", title),
    ("trimSpace", |text| text.trim().to_owned()),
    ("stripPort", strip_port),
    ("stripDomain", strip_domain),
];

/// Refuses undefined arguments, then calls a builtin of the engine.
macro_rules! strict {
    ($function:path) => {{
        fn strict(arguments: &[Value]) -> Result<Value, FuncError> {
            all_defined(arguments)?;
            $function(arguments)
        }
        strict as Func
    }};
}

/// Refuses what Go would not compare, then calls a builtin of the engine.
macro_rules! comparison {
    ($name:ident) => {{
        fn comparison(arguments: &[Value]) -> Result<Value, FuncError> {
            strict::comparable(stringify!($name), arguments)?;
            funcs::$name(arguments)
        }
        (stringify!($name), comparison as Func)
    }};
}

/// Makes a text function callable by the engine.
macro_rules! unary {
    ($position:literal) => {{
        fn unary(arguments: &[Value]) -> Result<Value, FuncError> {
            let (name, function) = UNARY[$position];
            let [text] = texts(name, arguments)?;
            Ok(Value::from(function(text)))
        }
        (UNARY[$position].0, unary as Func)
    }};
}

/// Everything a template may call.
pub(super) const FUNCTIONS: [(&str, Func); 28] = [
    // The engine knows these three by address and stops at the argument that decides.
    ("and", funcs::and),
    ("or", funcs::or),
    ("not", funcs::not),
    comparison!(eq),
    comparison!(ne),
    comparison!(lt),
    comparison!(le),
    comparison!(gt),
    comparison!(ge),
    ("len", strict!(funcs::len)),
    ("index", strict!(funcs::index)),
    ("slice", strict!(funcs::slice)),
    ("print", strict!(funcs::print)),
    ("println", strict!(funcs::println)),
    ("printf", strict::printf),
    ("html", strict!(funcs::html)),
    ("js", strict!(funcs::js)),
    ("urlquery", strict!(funcs::urlquery)),
    unary!(0),
    unary!(1),
    unary!(2),
    unary!(3),
    unary!(4),
    unary!(5),
    ("match", matches),
    ("reReplaceAll", replace_all),
    ("join", join),
    ("stringSlice", string_slice),
];

/// Refuses what the alert does not have.
pub(super) fn all_defined(values: &[Value]) -> Result<(), FuncError> {
    for value in values {
        match value {
            Value::NoValue | Value::Nil => return Err(FuncError::Generic(UNDEFINED.to_owned())),
            Value::Object(_) => {
                return Err(FuncError::Generic("the alert as a whole is no value; name one of its fields".to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Passes a defined value on; see [`CHECK`].
pub(super) fn check(arguments: &[Value]) -> Result<Value, FuncError> {
    all_defined(arguments)?;
    arguments.last().cloned().ok_or_else(|| FuncError::Generic(UNDEFINED.to_owned()))
}

/// Exactly `N` texts.
fn texts<'v, const N: usize>(function: &str, arguments: &'v [Value]) -> Result<[&'v str; N], FuncError> {
    all_defined(arguments)?;
    let texts: Vec<&str> = arguments
        .iter()
        .map(|value| match value {
            Value::String(text) => Ok(text.as_str()),
            other => Err(FuncError::Generic(format!("{function} takes texts, not {other}"))),
        })
        .collect::<Result<_, _>>()?;
    let given = texts.len();
    texts.try_into().map_err(|_| FuncError::Generic(format!("{function} takes {N} arguments, not {given}")))
}

fn matches(arguments: &[Value]) -> Result<Value, FuncError> {
    let [pattern, text] = texts("match", arguments)?;
    let regex = Regex::search(pattern).map_err(|error| FuncError::Generic(format!("match: {error}")))?;
    Ok(Value::from(regex.is_match(text)))
}

fn replace_all(arguments: &[Value]) -> Result<Value, FuncError> {
    let [pattern, replacement, text] = texts("reReplaceAll", arguments)?;
    regex::replace_all(pattern, text, replacement)
        .map(|replaced| Value::from(replaced.into_owned()))
        .map_err(|error| FuncError::Generic(format!("reReplaceAll: {error}")))
}

/// Alertmanager's `join`, whose separator comes first so that a list can be piped in.
fn join(arguments: &[Value]) -> Result<Value, FuncError> {
    all_defined(arguments)?;
    let [Value::String(separator), Value::Array(parts)] = arguments else {
        return Err(FuncError::Generic("join takes a separator and a list".to_owned()));
    };
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| match part {
            Value::String(text) => Ok(text.as_str()),
            other => Err(FuncError::Generic(format!("join takes a list of texts, not {other}"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Value::from(parts.join(separator)))
}

fn string_slice(arguments: &[Value]) -> Result<Value, FuncError> {
    all_defined(arguments)?;
    Ok(Value::Array(arguments.to_vec()))
}

/// Go maps letter by letter and leaves alone what has no single counterpart, such as ß.
fn map_letters<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    text.chars()
        .map(|c| {
            let mut mapped = map(c);
            match (mapped.next(), mapped.next()) {
                (Some(single), None) => single,
                _ => c,
            }
        })
        .collect()
}

fn to_upper(text: &str) -> String {
    map_letters(text, char::to_uppercase)
}

fn to_lower(text: &str) -> String {
    // The dotted capital I is the one letter that Rust lowers to two and Go to one.
    map_letters(&text.replace('\u{130}', "i"), char::to_lowercase)
}

/// Upper-cases the first letter of each word.
fn title(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|c| {
            let word_begins = if previous.is_ascii() {
                !(previous.is_ascii_alphanumeric() || previous == '_')
            } else {
                previous.is_whitespace()
            };
            previous = c;
            if word_begins { map_letters(c.encode_utf8(&mut [0; 4]), char::to_uppercase) } else { c.to_string() }
        })
        .collect()
}

/// Splits `host:port` and `[v6]:port` as Go's `net.SplitHostPort` does; `None` for anything else.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    let host = match before.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if before.contains(':') => return None,
        None => before,
    };
    let stray = |text: &str| text.contains(['[', ']']);
    (!stray(host) && !stray(port)).then_some((host, port))
}

fn strip_port(text: &str) -> String {
    split_host_port(text).map_or(text, |(host, _)| host).to_owned()
}

/// The host's first name, with the port kept; addresses stay as they are.
fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    match (port, name.contains(':')) {
        ("", _) => name.to_owned(),
        (port, true) => format!("[{name}]:{port}"),
        (port, false) => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_functions_mean_what_they_mean_in_prometheus() {
        for (name, text, expected) in [
            ("toUpper", "stra\u{df}e \u{e9}", "STRA\u{df}E \u{c9}"),
            ("toLower", "\u{130}\u{3a3}A", "i\u{3c3}a"),
            ("title", "aa bB_cc-dd 1ee \u{e9}f\u{2003}g", "Aa BB_cc-Dd 1ee \u{c9}f\u{2003}G"),
            ("trimSpace", " \ta b\n", "a b"),
            ("stripPort", "web-1:9100", "web-1"),
            ("stripPort", "[::1]:9100", "::1"),
            ("stripPort", "::1", "::1"),
            ("stripPort", "[::1]", "[::1]"),
            ("stripPort", "web-1", "web-1"),
            ("stripPort", "a[b:1", "a[b:1"),
            ("stripPort", ":9100", ""),
            ("stripPort", "a:9]1", "a:9]1"),
            ("stripPort", "[a]b:1", "[a]b:1"),
            ("stripPort", "a:b:c", "a:b:c"),
            ("stripPort", "[a:b]:c", "a:b"),
            ("stripDomain", "web-1.example.com:9100", "web-1:9100"),
            ("stripDomain", "web-1.example.com", "web-1"),
            ("stripDomain", "10.0.0.1:9100", "10.0.0.1:9100"),
            ("stripDomain", "10.0.0.1", "10.0.0.1"),
            ("stripDomain", "[::1]:9100", "[::1]:9100"),
            ("stripDomain", "", ""),
            ("stripDomain", ".a", ""),
            ("stripDomain", "a:", "a"),
            ("stripDomain", "a.b:c:d", "a"),
            ("stripDomain", "[fe80::1%a.b]:9", "[fe80::1%a]:9"),
        ] {
            let function = UNARY.iter().find(|(known, _)| *known == name).map(|(_, function)| function);
            assert_eq!(function.map(|function| function(text)).as_deref(), Some(expected), "{name} {text}");
        }
    }

    #[test]
    fn the_engine_calls_each_text_function_under_its_own_name() {
        for (name, function) in UNARY {
            let registered = FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, registered)| registered);
            let answer = registered.and_then(|registered| registered(&[Value::from("a.B:c d")]).ok());
            assert_eq!(answer, Some(Value::from(function("a.B:c d"))), "{name}");
        }
    }
}
