//! `${NAME}` in texts of the configuration, resolved from the secrets file and nowhere else.

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
        let help = suggest::guess(name, secrets.names())
            .unwrap_or_else(|| format!("add a line {name}=… to the secrets file; other places are not searched"));
        (format!("the secrets file has no `{name}`"), Some(help))
    })
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
    fn a_resolved_value_is_not_resolved_again() {
        let secrets = Secrets::parse("A=${B}\nB=inner").unwrap();
        assert_eq!(resolve("${A}", &secrets).unwrap(), "${B}");
    }
}
