//! Where every value of a YAML file stands: a tree of the same shape as the values, with byte spans.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScanError};

/// Deeper files are refused: nothing we read nests deeper than a dozen levels.
const MAX_DEPTH: usize = 64;

/// One value's place.
#[derive(Debug)]
pub(super) struct Spot {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What stands there.
    pub shape: Shape,
}

/// What stands at a [`Spot`].
#[derive(Debug)]
pub(super) enum Shape {
    /// A scalar, with its text as written but without quotes and folding.
    Scalar(String),
    /// A list.
    List(Vec<Rc<Spot>>),
    /// Keys and values in file order, with repeated keys.
    Map(Vec<(Rc<Spot>, Rc<Spot>)>),
}

/// The text is not YAML, or is more than we read.
#[derive(Debug)]
pub(super) struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Byte offset.
    pub offset: usize,
}

/// A collection whose end has not been seen yet.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    children: Vec<Rc<Spot>>,
}

impl Open {
    fn close(self, end: usize) -> Spot {
        let shape = if self.is_map {
            let mut children = self.children.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                entries.push((key, value));
            }
            Shape::Map(entries)
        } else {
            Shape::List(self.children)
        };
        Spot { span: self.start..end.max(self.start), shape }
    }
}

/// Finds the places of a text's only document; `None` when the text has none.
pub(super) fn find(text: &str) -> Result<Option<Rc<Spot>>, SyntaxError> {
    let offsets = Offsets::new(text);
    let scan_error = |error: &ScanError| SyntaxError {
        message: error.info().to_owned(),
        offset: offsets.byte(error.marker().index()),
    };
    let mut anchors: HashMap<usize, Rc<Spot>> = HashMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        let (start, end) = (offsets.byte(span.start.index()), offsets.byte(span.end.index()));
        let (anchor, spot) = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if open.len() == MAX_DEPTH {
                    return Err(SyntaxError {
                        message: format!("nested deeper than {MAX_DEPTH} levels"),
                        offset: start,
                    });
                }
                open.push(Open { start, anchor, is_map: matches!(event, Event::MappingStart(..)), children: vec![] });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = open.pop() else { continue };
                (done.anchor, Rc::new(done.close(end)))
            }
            Event::Scalar(written, _, anchor, _) => {
                (anchor, Rc::new(Spot { span: start..end, shape: Shape::Scalar(written.into_owned()) }))
            }
            // An alias stands for the whole anchored value; problems in it are shown where it was written.
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(spot) => (0, Rc::clone(spot)),
                None => return Err(SyntaxError { message: "this alias contains itself".to_owned(), offset: start }),
            },
            Event::DocumentStart(_) if root.is_some() => {
                return Err(SyntaxError { message: "only one document per file is read".to_owned(), offset: start });
            }
            _ => continue,
        };
        if anchor != 0 {
            anchors.insert(anchor, Rc::clone(&spot));
        }
        match open.last_mut() {
            Some(parent) => parent.children.push(spot),
            None => root = Some(spot),
        }
    }
    Ok(root)
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
