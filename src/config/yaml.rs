//! YAML files as values that know their places. `serde_yaml` says what a value is, [`super::places`] where it stands.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::diagnostic::{Diagnostic, Place, Severity, SourceFile};
use super::places::{self, Shape, Spot};

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub span: Range<usize>,
    /// A scalar's text as written: `1.10` stays `1.10` where a text is wanted.
    pub written: String,
    pub kind: Kind,
}

/// What a [`Node`] is, after YAML 1.2: `yes` and `on` are texts.
#[derive(Debug)]
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
#[derive(Debug)]
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

    /// How many values it holds; a scalar that should have been a collection counts as one.
    pub fn len(&self) -> usize {
        match &self.kind {
            Kind::Nothing => 0,
            Kind::List(items) => items.len(),
            Kind::Map(entries) => entries.len(),
            _ => 1,
        }
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
    match parse(&text) {
        Ok(root) => {
            let mut masked = Vec::new();
            literal_secrets(&text, &root, false, &mut masked);
            Ok((Arc::new(SourceFile::new(path, name, text, masked)), root))
        }
        Err((message, offset)) => {
            // Without values nobody can tell where a secret ends, so every line that seems to hold one is drawn as stars.
            let masked = lines_with_secrets(&text);
            let span = offset..offset + text[offset..].chars().next().map_or(0, char::len_utf8);
            let file = Arc::new(SourceFile::new(path, name, text, masked));
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

fn parse(text: &str) -> Result<Node, (String, usize)> {
    let Some(spots) = places::find(text).map_err(|error| (error.message, error.offset))? else {
        return Ok(Node { span: 0..0, written: String::new(), kind: Kind::Nothing });
    };
    Located(&spots).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let offset = error.location().map_or(0, |location| location.index());
        // The library counts bytes, but may point behind the last line.
        let offset = (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        // The place is drawn, so the path before the message and the line behind it only repeat it.
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        (message.rsplit_once(": ").map_or(message, |(_, message)| message).to_owned(), offset)
    })
}

/// Reads a value that stands at a known place.
struct Located<'s>(&'s Spot);

impl Located<'_> {
    fn scalar(&self, kind: Kind) -> Node {
        let written = match &self.0.shape {
            Shape::Scalar(written) => written.clone(),
            Shape::List(_) | Shape::Map(_) => String::new(),
        };
        Node { span: self.0.span.clone(), written, kind }
    }
}

impl<'de> DeserializeSeed<'de> for Located<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Both parsers disagree about a text. Neither is trusted then.
fn ambiguous<E: Error>() -> E {
    E::custom("this can be read in two ways; write it more plainly")
}

impl<'de> Visitor<'de> for Located<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(self.scalar(Kind::Nothing))
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(self.scalar(Kind::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(self.scalar(Kind::Integer(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        // Whole numbers beyond i64 are out of every range we know; the largest one will be refused just as well.
        Ok(self.scalar(Kind::Integer(i64::try_from(value).unwrap_or(i64::MAX))))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        Ok(self.scalar(Kind::Integer(if value < 0 { i64::MIN } else { i64::MAX })))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Node, E> {
        Ok(self.scalar(Kind::Integer(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(self.scalar(Kind::Float(value)))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Node, E> {
        Ok(self.scalar(Kind::Text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let Shape::List(spots) = &self.0.shape else { return Err(ambiguous()) };
        let mut items = Vec::with_capacity(spots.len());
        for spot in spots {
            items.push(list.next_element_seed(Located(spot))?.ok_or_else(ambiguous)?);
        }
        match list.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Node { span: self.0.span.clone(), written: String::new(), kind: Kind::List(items) }),
            Some(_) => Err(ambiguous()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let Shape::Map(spots) = &self.0.shape else { return Err(ambiguous()) };
        let mut entries = Vec::with_capacity(spots.len());
        for (key_spot, value_spot) in spots {
            let key = map.next_key_seed(Located(key_spot))?.ok_or_else(ambiguous)?;
            if matches!(key.kind, Kind::List(_) | Kind::Map(_)) {
                return Err(A::Error::custom("a key must be a text"));
            }
            let value = map.next_value_seed(Located(value_spot))?;
            entries.push(Entry { key: key.written, key_span: key.span, value });
        }
        match map.next_key::<serde::de::IgnoredAny>()? {
            None => Ok(Node { span: self.0.span.clone(), written: String::new(), kind: Kind::Map(entries) }),
            Some(_) => Err(ambiguous()),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom("tags such as `!name` mean nothing here"))
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
