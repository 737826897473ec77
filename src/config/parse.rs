//! From a YAML text to values that know their places. `saphyr-parser` says how a text is built and where everything stands,
//! `serde_yaml` what an unquoted scalar is.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::reference;
use super::yaml::{Entry, Kind, Node};

/// Deeper files are refused: nothing we read nests deeper than a dozen levels.
const MAX_DEPTH: usize = 64;
/// Values that all anchors of a file may keep and all its aliases stand for. Each is a copy; aliases of aliases multiply, and
/// anchors within anchors add up.
const MAX_COPIES: usize = 1_000_000;

/// The text is not YAML, or is more than we read.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Byte offset.
    pub offset: usize,
}

impl SyntaxError {
    fn new(message: impl Into<String>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

/// Reads a text's only document; `None` when the text has none.
pub(super) fn parse(text: &str) -> Result<Option<Node>, SyntaxError> {
    let mut builder = Builder::default();
    let offsets = Offsets::new(text);
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error: ScanError| SyntaxError::new(error.info(), offsets.byte(error.marker().index())))?;
        builder.take(event, offsets.byte(span.start.index())..offsets.byte(span.end.index()))?;
    }
    Ok(builder.root)
}

/// Puts values together as the parser tells of them.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchored: HashMap<usize, Anchored>,
    copies: usize,
    scalars: Scalars,
}

/// A collection whose end has not been seen yet.
struct Open {
    start: usize,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Range<usize>)> },
}

/// A value that aliases stand for.
struct Anchored {
    node: Node,
    size: usize,
    depth: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), SyntaxError> {
        match event {
            Event::SequenceStart(anchor, tag) => {
                self.open(span.start, anchor, tag.as_deref(), Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.open(span.start, anchor, tag.as_deref(), Inside::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
            Event::Scalar(written, style, anchor, tag) => {
                let kind = match tag {
                    None if style == ScalarStyle::Plain => self.scalars.kind(&written).ok_or_else(|| {
                        SyntaxError::new("this can be read in two ways; write it more plainly", span.start)
                    })?,
                    None => Kind::Text,
                    Some(tag) => tagged(&tag, &written, span.start)?,
                };
                let literal = reference::unescape(&written).map(String::into_boxed_str);
                self.add(Node { span, written: written.into_owned(), literal, kind }, anchor)
            }
            Event::Alias(anchor) => {
                let copy = self.copy(anchor, span.start)?;
                self.add(copy, 0)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(SyntaxError::new("only one document per file is read", span.start))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: usize, anchor: usize, tag: Option<&Tag>, inside: Inside) -> Result<(), SyntaxError> {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return Err(meaningless(start));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(start));
        }
        self.open.push(Open { start, anchor, inside });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), SyntaxError> {
        let Some(Open { start, anchor, inside }) = self.open.pop() else { return Ok(()) };
        let kind = match inside {
            Inside::List(items) => Kind::List(items),
            Inside::Map { entries, .. } => Kind::Map(entries),
        };
        self.add(Node { span: start..end.max(start), written: String::new(), literal: None, kind }, anchor)
    }

    /// Puts a whole value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            let (size, depth) = extent(&node);
            self.count(size, node.span.start)?;
            self.anchored.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => self.root = Some(node),
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { entries, key }) => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                None if matches!(node.kind, Kind::List(_) | Kind::Map(_)) => {
                    return Err(SyntaxError::new("a key must be a text", node.span.start));
                }
                None => *key = Some((node.written, node.span)),
            },
        }
        Ok(())
    }

    /// An alias stands for the whole anchored value; problems in it are shown where it was written.
    fn copy(&mut self, anchor: usize, offset: usize) -> Result<Node, SyntaxError> {
        let Some(&Anchored { size, depth, .. }) = self.anchored.get(&anchor) else {
            return Err(SyntaxError::new("this alias contains itself", offset));
        };
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(offset));
        }
        self.count(size, offset)?;
        Ok(self.anchored[&anchor].node.clone())
    }

    /// Counts the values of a copy before it is made.
    fn count(&mut self, copied: usize, offset: usize) -> Result<(), SyntaxError> {
        self.copies += copied;
        if self.copies > MAX_COPIES {
            let message = format!("anchors and aliases stand for more than {MAX_COPIES} values");
            return Err(SyntaxError::new(message, offset));
        }
        Ok(())
    }
}

fn too_deep(offset: usize) -> SyntaxError {
    SyntaxError::new(format!("nested deeper than {MAX_DEPTH} levels"), offset)
}

fn meaningless(offset: usize) -> SyntaxError {
    SyntaxError::new("tags such as `!name` mean nothing here", offset)
}

/// How many values a value has in it, itself among them, and how many levels of collections.
fn extent(node: &Node) -> (usize, usize) {
    let add = |(size, depth): (usize, usize), inner: &Node| {
        let (inner_size, inner_depth) = extent(inner);
        (size + inner_size, depth.max(inner_depth + 1))
    };
    match &node.kind {
        Kind::List(items) => items.iter().fold((1, 1), add),
        Kind::Map(entries) => entries.iter().map(|entry| &entry.value).fold((1, 1), add),
        _ => (1, 0),
    }
}

/// What a scalar is whose author says it by a tag such as `!!str`.
fn tagged(tag: &Tag, written: &str, offset: usize) -> Result<Kind, SyntaxError> {
    if !tag.is_yaml_core_schema() {
        return Err(meaningless(offset));
    }
    // Quoted as JSON, which YAML reads as it is meant.
    let text = format!("!!{} {}", tag.suffix, serde_json::Value::from(written));
    serde_yaml::from_str(&text)
        .map(|Scalar(kind)| kind)
        .map_err(|_| SyntaxError::new(format!("this is no value for the tag !!{}", tag.suffix), offset))
}

/// What unquoted scalars are. The same few words and numbers come again and again, so each is asked for once.
#[derive(Default)]
struct Scalars(HashMap<String, Option<Kind>>);

impl Scalars {
    /// `None` where the two parsers disagree about a text. Neither is trusted then.
    fn kind(&mut self, written: &str) -> Option<Kind> {
        if !may_be_more_than_text(written) {
            return Some(Kind::Text);
        }
        if let Some(known) = self.0.get(written) {
            return known.clone();
        }
        // As an item of a list, because a document's own text could be taken for its beginning or its end.
        let kind = serde_yaml::from_str(&format!("- {written}")).ok().map(|[Scalar(kind)]: [Scalar; 1]| kind);
        self.0.insert(written.to_owned(), kind.clone());
        kind
    }
}

/// Whether an unquoted scalar can be anything but a text: nothing, a truth value or a number begins in one of these ways.
fn may_be_more_than_text(written: &str) -> bool {
    const LONGEST_WORD: usize = "false".len();
    match written.as_bytes().first() {
        None | Some(b'~' | b'+' | b'-' | b'.' | b'0'..=b'9') => true,
        Some(b'n' | b'N' | b't' | b'T' | b'f' | b'F') => written.len() <= LONGEST_WORD,
        Some(_) => false,
    }
}

/// A scalar as `serde_yaml` understands it.
struct Scalar(Kind);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        // Whole numbers beyond i64 are out of every range we know; the largest one will be refused just as well.
        Ok(Kind::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Kind, E> {
        Ok(Kind::Integer(if value < 0 { i64::MIN } else { i64::MAX }))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Kind, E> {
        Ok(Kind::Integer(i64::MAX))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Text)
    }
}

/// Turns the scanner's character counts into byte offsets.
struct Offsets {
    length: usize,
    /// Byte offset of every character; empty for ASCII, where the two are equal.
    bytes: Vec<usize>,
}

impl Offsets {
    fn new(text: &str) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(byte, _)| byte).collect() };
        Self { length: text.len(), bytes }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = if self.bytes.is_empty() { Some(character) } else { self.bytes.get(character).copied() };
        byte.map_or(self.length, |byte| byte.min(self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is by this module and by `serde_yaml` alone.
    fn kinds(written: &str) -> (Option<String>, Option<String>) {
        let ours = parse(&format!("a: {written}")).ok().flatten();
        let ours = ours.and_then(|root| Some(format!("{:?}", root.entries().first()?.value.kind)));
        let theirs: Result<HashMap<String, Scalar>, _> = serde_yaml::from_str(&format!("a: {written}"));
        (ours, theirs.ok().and_then(|map| Some(format!("{:?}", map.get("a")?.0))))
    }

    #[test]
    fn a_scalar_is_what_serde_yaml_says() {
        let words = "~ null Null NULL nULL true True TRUE false False FALSE fALSE yes No on n y t f nil tru truest inf nan .inf -.INF .nan
            .NaN + - . -- --- ... 0 -0 +0 00 007 1 -1 +1 +-1 1_000 0x1f 0X1f 0o17 0b11 -0x1f 1e3 1.5e-3 -1.5 .5 5. 1.10 1.2.3 12h 10:30
            2026-11-30 9223372036854775807 9223372036854775808 -9223372036854775809 99999999999999999999999999999999999999999 1e999
            abc é ~a 1a -a !!str !!int !!null '1' \"true\" !!str\x201 !!int\x20\"7\" !!float\x201 !!bool\x20yes !!null\x20~ !!int\x20x";
        for word in words.split_ascii_whitespace().map(|word| word.replace("\\x20", " ")) {
            let (ours, theirs) = kinds(&word);
            assert_eq!(ours, theirs, "{word}");
        }
    }

    #[test]
    fn aliases_of_aliases_end_somewhere() {
        let levels = (1..100).map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1));
        let deep: String = std::iter::once("a0: &a0 [x]\n".to_owned()).chain(levels).collect();
        let error = parse(&deep).unwrap_err();
        assert_eq!(error.message, "nested deeper than 64 levels");
        let nested: Vec<_> = (0..60).map(|level| format!("&a{level} [")).collect();
        let wide = format!("a: {}{}{}", nested.concat(), "x, ".repeat(20_000), "]".repeat(60));
        let error = parse(&wide).unwrap_err();
        assert_eq!(error.message, "anchors and aliases stand for more than 1000000 values");
        let shallow = parse("a: &a [x, {y: z}]\nb: [*a, *a]\n").unwrap().unwrap();
        assert_eq!(extent(&shallow), (14, 4));
    }
}
