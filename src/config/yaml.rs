//! YAML files as values that know their places, read by [`super::parse`], and what in them must not be shown.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Place, Severity, SourceFile};
use super::parse::{self, SyntaxError};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub span: Range<usize>,
    /// A scalar's text as written: `1.10` stays `1.10` where a text is wanted.
    pub written: String,
    /// That text where no reference to a secret is replaced, when it differs: `$${` stands for `${` there, too.
    pub literal: Option<Box<str>>,
    pub kind: Kind,
}

/// What a [`Node`] is, after YAML 1.2: `yes` and `on` are texts.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Nothing,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value. A mapping keeps repeated keys, so that they can be reported with everything else.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

impl Node {
    /// What it is, in words.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Nothing => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Integer(_) | Kind::Float(_) => "a number",
            Kind::Text => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// A scalar's text where no reference to a secret is replaced.
    pub fn literal(&self) -> &str {
        self.literal.as_deref().unwrap_or(&self.written)
    }

    /// How many values it holds; a scalar that should have been a collection counts as one.
    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Nothing => 0,
            Kind::List(items) => items.len(),
            Kind::Map(entries) => entries.len(),
            _ => 1,
        }
    }

    /// The value of a key as written, whatever else may be wrong with the mapping.
    pub fn value(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// Reads one file's text. `name` is the path as people wrote it.
pub(super) fn read(path: PathBuf, name: String, mut text: String) -> Result<(Arc<SourceFile>, Node), Diagnostic> {
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    let parsed = parse::parse(&text);
    let file = Arc::new(SourceFile::new(path, name, text, secrets_in));
    match parsed {
        Ok(root) => {
            let nothing = || Node { span: 0..0, written: String::new(), literal: None, kind: Kind::Nothing };
            Ok((file, root.unwrap_or_else(nothing)))
        }
        Err(SyntaxError { message, offset }) => {
            let span = offset..offset + file.text()[offset..].chars().next().map_or(0, char::len_utf8);
            Err(Diagnostic {
                severity: Severity::Error,
                code: None,
                place: Some(Place::new(&file, &span)),
                message: "this is not valid YAML".to_owned(),
                label: message,
                help: None,
            })
        }
    }
}

/// Where secrets stand in a text.
fn secrets_in(text: &str) -> Vec<Range<usize>> {
    match parse::parse(text) {
        Ok(root) => {
            let mut found = Vec::new();
            if let Some(root) = root {
                literal_secrets(text, &root, false, &mut found);
            }
            found
        }
        // Without values nobody can tell where a secret ends, so every line that seems to hold one is drawn as stars.
        Err(_) => lines_with_secrets(text),
    }
}

/// Whether a key is, or is a slip of the pen for, one that holds a secret.
pub(super) fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // A private key and password hashes, as the web configuration file names them.
    if matches!(key.as_str(), "key" | "basic_auth_users") {
        return true;
    }
    ["password", "token", "secret", "webhookurl", "apikey", "credential"]
        .iter()
        .any(|word| key.contains(word) || key.len().abs_diff(word.len()) <= 2 && strsim::osa_distance(&key, word) <= 2)
}

/// How secrets of well-known services begin.
const SECRET_BEGINNINGS: [&str; 12] = [
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "ghp_",
    "github_pat_",
    "glpat-",
    "AKIA",
    "-----BEGIN ",
    "Bearer ",
    "Basic ",
    "https://hooks.slack.com/services/",
];

/// Whether a text looks like a secret whatever its key: a webhook's address, a token, a key.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    let begins = SECRET_BEGINNINGS.iter().any(|start| text.starts_with(start) && text.len() > start.len() + 8);
    let is_hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_json_web_token = text.starts_with("eyJ") && text.matches('.').count() == 2;
    let is_mailgun_key = text.strip_prefix("key-").is_some_and(is_hex);
    (begins && !text.contains("${") && !text.contains("{{")) || is_json_web_token || is_mailgun_key
}

/// Collects scalars under keys that hold secrets, except those that only refer to one.
fn literal_secrets(text: &str, node: &Node, secret: bool, found: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| literal_secrets(text, item, secret, found)),
        Kind::Map(entries) => {
            for entry in entries {
                literal_secrets(text, &entry.value, secret || names_a_secret(&entry.key), found);
            }
        }
        Kind::Nothing => {}
        _ if secret || looks_like_a_secret(&node.written) => found.extend(outside_references(text, &node.span)),
        _ => found.extend(url_password(text, &node.span)),
    }
}

/// The password of an address such as `postgres://user:password@host`.
fn url_password(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let scalar = &text[span.clone()];
    let start = scalar.find("://")? + 3;
    let authority = &scalar[start..start + scalar[start..].find('/').unwrap_or(scalar.len() - start)];
    let end = authority.rfind('@')?;
    let colon = authority[..end].find(':')?;
    (!authority[colon + 1..end].starts_with("${")).then(|| span.start + start + colon + 1..span.start + start + end)
}

/// The parts of a scalar that are neither its quotes nor `${…}`.
fn outside_references(text: &str, span: &Range<usize>) -> Vec<Range<usize>> {
    let scalar = &text[span.clone()];
    let quoted =
        scalar.len() > 1 && ['"', '\''].iter().any(|quote| scalar.starts_with(*quote) && scalar.ends_with(*quote));
    let (mut from, end) = (span.start + usize::from(quoted), span.end - usize::from(quoted));
    let mut hidden = Vec::new();
    while let Some(start) = text[from..end].find("${") {
        hidden.push(from..from + start);
        from = text[from + start..end].find('}').map_or(end, |close| from + start + close + 1);
    }
    hidden.push(from..end);
    hidden
}

/// For a text that is not YAML: what follows the first `:` of every line that seems to hold a secret, keys in PEM form, and
/// what may be a password's hash.
fn lines_with_secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        in_pem |= line.contains("-----BEGIN");
        if in_pem {
            found.push(start..end.max(start));
            in_pem = !line.contains("-----END");
        } else if let Some(hash) = line.find("$2") {
            found.push(start + hash..end.max(start + hash));
        } else if let Some(colon) = line.find(':')
            && line.split([':', '{', ',']).any(|part| names_a_secret(part.trim_matches([' ', '-', '"', '\''])))
        {
            found.push(start + colon + 1..end.max(start + colon + 1));
        }
        start += line.len();
    }
    found
}
