//! Secrets written into YAML where no key says that they are secrets.

use std::sync::Arc;

use super::super::diagnostic::SourceFile;
use super::super::yaml::{Kind, Node, looks_like_a_secret, names_a_secret};
use super::Findings;

/// Looks at every text of some files.
pub fn look(files: &[(Arc<SourceFile>, Node)], findings: &Findings<'_>) {
    for (file, root) in files {
        walk(file, root, None, findings);
    }
}

fn walk(file: &Arc<SourceFile>, node: &Node, key: Option<&str>, findings: &Findings<'_>) {
    match &node.kind {
        Kind::List(items) => {
            for item in items {
                walk(file, item, key, findings);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                walk(file, &entry.value, Some(&entry.key), findings);
            }
        }
        Kind::Text if is_secret(key, &node.written) && !is_known(file, node, findings) => {
            let message = "this looks like a secret written into the file";
            let help = "use ${NAME} and the secrets file where secrets are meant; what rules hold is logged and shown";
            findings.add(
                "literal-secret",
                (file, &node.span),
                message,
                "anybody who reads the file has it",
                Some(help.into()),
            );
        }
        _ => {}
    }
}

fn is_secret(key: Option<&str>, text: &str) -> bool {
    let is_plain = !text.contains("${") && !text.contains("{{") && !text.is_empty();
    is_plain && (looks_like_a_secret(text) || key.is_some_and(|key| names_a_secret(key) && !is_path(key)))
}

/// `keyFile` and its like name a file, which is where a secret belongs.
fn is_path(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["file", "path", "name"].iter().any(|end| key.ends_with(end))
}

/// Whether the spot has been told of already.
fn is_known(file: &Arc<SourceFile>, node: &Node, findings: &Findings<'_>) -> bool {
    let known = findings.0.borrow();
    let mut places = known.iter().filter_map(|problem| problem.place.as_ref());
    places.any(|place| Arc::ptr_eq(&place.file, file) && place.span.start == node.span.start)
}
