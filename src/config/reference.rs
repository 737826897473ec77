//! `${NAME}` in texts of the configuration, resolved from the secrets file and nowhere else; and in texts where none may stand.

use std::ops::Range;

use super::suggest;
use crate::secret::{Secrets, is_name};

/// A reference that cannot be resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReferenceError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong; names are shown, values never.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Replaces every `${NAME}`; `$${` stands for `${`.
pub(super) fn resolve(text: &str, secrets: &Secrets) -> Result<String, Vec<ReferenceError>> {
    let mut resolved = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find("${") {
        let start = rest + found;
        if text[..start].ends_with('$') && start > rest {
            resolved.push_str(&text[rest..start - 1]);
            resolved.push_str("${");
            rest = start + 2;
            continue;
        }
        resolved.push_str(&text[rest..start]);
        let Some(length) = text[start..].find('}') else {
            let message = "`${` is never closed".to_owned();
            let help = Some("write ${NAME}, or $${ for the two characters themselves".to_owned());
            errors.push(ReferenceError { span: start..text.len(), message, help });
            rest = text.len();
            break;
        };
        let span = start..start + length + 1;
        rest = span.end;
        match value_of(&text[start + 2..start + length], secrets) {
            Ok(value) => resolved.push_str(value),
            Err((message, help)) => errors.push(ReferenceError { span, message, help }),
        }
    }
    resolved.push_str(&text[rest..]);
    if errors.is_empty() { Ok(resolved) } else { Err(errors) }
}

fn value_of<'s>(name: &str, secrets: &'s Secrets) -> Result<&'s str, (String, Option<String>)> {
    if !is_name(name) {
        let help = "a name is made of A-Z, 0-9 and _; write $${ for the two characters themselves";
        return Err((format!("`{name}` cannot name a secret"), Some(help.to_owned())));
    }
    secrets.get(name).map(crate::secret::Secret::expose).ok_or_else(|| {
        let file = secrets.file().map_or_else(|| "the secrets file".to_owned(), |path| path.display().to_string());
        if secrets.is_absent() {
            let help = format!(
                "looked for {file}, which is not there: make it with a line {name}=…, or name another file by --secrets-file or AUTOHEAL_SECRETS_FILE"
            );
            return (format!("there is no secrets file to take `{name}` from"), Some(help));
        }
        let help = suggest::guess(name, secrets.names())
            .unwrap_or_else(|| format!("add a line {name}=… to {file}; other places are not searched"));
        (format!("the secrets file has no `{name}`"), Some(help))
    })
}

/// The first reference in a text where nothing is replaced. What could name no secret is text, and so is what stands in
/// `{{…}}`, where `${1}` means something to a regular expression.
pub(super) fn find(text: &str) -> Option<Range<usize>> {
    openings(text).filter(|at| !is_escaped(text, *at)).find_map(|at| {
        let length = text[at..].find('}')?;
        is_name(&text[at + 2..at + length]).then_some(at..at + length + 1)
    })
}

/// A text where nothing is replaced, with `${` for each `$${` outside of `{{…}}`; `None` when there is none.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = 0;
    for at in openings(text).filter(|at| is_escaped(text, *at)) {
        plain.push_str(&text[rest..at - 1]);
        rest = at;
    }
    (rest > 0).then(|| plain + &text[rest..])
}

/// Where `${` stands outside of `{{…}}`.
fn openings(text: &str) -> impl Iterator<Item = usize> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + text[from..].find("${")?;
            let Some(action) = text[from..at].find("{{") else {
                // Only past the sign, because `${{` may be one before an action.
                from = at + 1;
                return Some(at);
            };
            from += action + text[from + action..].find("}}")? + 2;
        }
    })
}

fn is_escaped(text: &str, at: usize) -> bool {
    text[..at].ends_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, Vec<(Range<usize>, String)>> {
        let secrets = Secrets::parse("TOKEN=t0p\nUSER=me").unwrap();
        resolve(text, &secrets).map_err(|errors| errors.into_iter().map(|error| (error.span, error.message)).collect())
    }

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        for (text, resolved) in [
            ("", ""),
            ("plain $HOME $", "plain $HOME $"),
            ("${TOKEN}", "t0p"),
            ("a ${USER}:${TOKEN} é", "a me:t0p é"),
            ("$${TOKEN}", "${TOKEN}"),
            ("${USER}$${TOKEN}", "me${TOKEN}"),
            ("$$${TOKEN}", "$${TOKEN}"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(resolved), "{text:?}");
        }
    }

    #[test]
    fn every_bad_reference_is_found_at_its_place() {
        assert_eq!(
            check("é${TOKEM} ${token} ${USER"),
            Err(vec![
                (2..10, "the secrets file has no `TOKEM`".into()),
                (11..19, "`token` cannot name a secret".into()),
                (20..26, "`${` is never closed".into()),
            ])
        );
    }

    #[test]
    fn where_nothing_is_replaced_only_what_could_name_a_secret_is_a_reference() {
        for (text, reference, plain) in [
            ("", None, None),
            ("${A}", Some(0..4), None),
            ("é ${1} ${a} ${A ${B}", Some(17..21), None),
            ("$${A} ${1}", None, Some("${A} ${1}")),
            ("$$${A}$${", None, Some("$${A}${")),
            ("{{ reReplaceAll \"a\" \"${A}$${1}\" .Name }}", None, None),
            ("{{ .Name }}${A}", Some(11..15), None),
            ("{{ .Name }}$${A}{{ \"$${A}\" }}", None, Some("{{ .Name }}${A}{{ \"$${A}\" }}")),
            ("${{ .Price }}${A}", Some(13..17), None),
            ("$${{ \"${A}\" }}", None, Some("${{ \"${A}\" }}")),
            ("{{ \"${A}\" ", None, None),
        ] {
            assert_eq!((find(text), unescape(text).as_deref()), (reference, plain), "{text:?}");
        }
    }

    #[test]
    fn a_resolved_value_is_not_resolved_again() {
        let secrets = Secrets::parse("A=${B}\nB=inner").unwrap();
        assert_eq!(resolve("${A}", &secrets).unwrap(), "${B}");
    }
}
