//! Templates that need Go's whole language, run by the `gtmpl-ng` engine.
//!
//! The engine prints `<no value>` for what is undefined, as Go does. Searching the output for it would trip over values
//! that happen to read so; instead each pipeline whose value is used gets one more stage that refuses undefined values.
//! Conditions do not, so `{{ if $labels.x }}` asks whether a label is there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gtmpl_ng::{Context, ExecError, Limits, Value};

use super::ParseError;
use super::functions::{CHECK, FUNCTIONS, UNDEFINED, check};
use super::lexer::{Action, Kind, Piece, error};
use crate::domain::alert::{Alert, Labels};

const PREFIX: &str = "{{ $alert := . }}{{ $labels := .Labels }}{{ $annotations := .Annotations }}";

/// What one rendering may cost. The engine's own limits are made for whole documents.
fn limits() -> Limits {
    Limits::default()
        .with_iterations(1_000)
        .with_total_iterations(10_000)
        .with_output_bytes(1 << 20)
        .with_function_output(1 << 20)
}

/// A template compiled by the engine.
pub(super) struct Engine {
    template: gtmpl_ng::Template,
    places: Places,
}

/// Why a rendering failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The engine's words; `None` when something was undefined.
    pub message: Option<String>,
    /// Where in the source, when known.
    pub offset: Option<usize>,
}

impl Engine {
    /// Compiles what the lexer has cut.
    pub(super) fn compile(source: &str, pieces: &[Piece<'_>]) -> Result<Self, ParseError> {
        let (text, places) = rewrite(source, pieces);
        let mut template = gtmpl_ng::Template::with_limits(limits());
        template.funcs = FUNCTIONS.iter().map(|(name, function)| ((*name).to_owned(), *function)).collect();
        template.add_func(CHECK, check);
        let parsed = catch_unwind(AssertUnwindSafe(|| template.parse(text)))
            .map_err(|_| error("the template cannot be parsed", 0, source.len()))?;
        match parsed {
            Ok(()) => Ok(Self { template, places }),
            Err(problem) => Err(places.explain(problem)),
        }
    }

    /// Renders for one alert.
    pub(super) fn render(&self, alert: &Alert) -> Result<String, Failure> {
        let context = Context::from(value_of(alert));
        let rendered = catch_unwind(AssertUnwindSafe(|| self.template.render(&context)))
            .map_err(|_| Failure { message: Some("a function panicked".to_owned()), offset: None })?;
        rendered.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &ExecError) -> Failure {
        let offset = error.as_structured().map(|inner| {
            let context = &inner.context;
            self.places.range(context.line, context.col, context.len).0
        });
        let message = words(error, "an alert has");
        Failure { message: (message != UNDEFINED).then_some(message), offset }
    }
}

/// What the engine says, without the data it likes to show: behind the name of a field that is not there stands all of it.
pub(super) fn words(error: &ExecError, whole: &str) -> String {
    let message = error.as_structured().map_or_else(|| error.to_string(), |inner| inner.message.clone());
    match message.strip_prefix("no field `").and_then(|rest| rest.split_once('`')) {
        Some((field, _)) => format!("{whole} no field .{field}"),
        None => message,
    }
}

/// The alert as templates see it.
fn value_of(alert: &Alert) -> Value {
    let map = |labels: &Labels| {
        Value::Map(labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
    };
    let defined = |value: Option<&String>| value.map_or(Value::NoValue, Value::from);
    let time =
        |instant: crate::domain::Timestamp| Value::from(instant.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string());
    let namespace = alert.labels.get("namespace").or_else(|| alert.annotations.get("namespace"));
    let fields = [
        ("Status", Value::from(alert.status.as_str())),
        ("Labels", map(&alert.labels)),
        ("Annotations", map(&alert.annotations)),
        ("StartsAt", time(alert.starts_at)),
        ("EndsAt", alert.ends_at.map_or(Value::NoValue, time)),
        ("GeneratorURL", Value::from(alert.generator_url.as_str())),
        ("Fingerprint", Value::from(alert.fingerprint.to_string())),
        ("Name", defined(alert.labels.get("alertname"))),
        ("Namespace", Value::from(namespace.map_or("default", String::as_str))),
        ("Hash", Value::from(ancestors_hash(alert).to_string())),
    ];
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The number by which rules of openshift/autoheal tell alerts apart: 32 bits of FNV-1a over labels and annotations.
fn ancestors_hash(alert: &Alert) -> u32 {
    fn lines(labels: &Labels) -> impl Iterator<Item = &str> {
        labels.iter().flat_map(|(name, value)| [name, "=", value, "\n"])
    }
    let text = lines(&alert.labels).chain(["\n"]).chain(lines(&alert.annotations));
    text.flat_map(str::bytes).fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Writes the template anew with our prefix and checks, and strings in a form the engine reads as Go does.
fn rewrite(source: &str, pieces: &[Piece<'_>]) -> (String, Places) {
    let mut writer = Writer::new(PREFIX);
    for piece in pieces {
        match piece {
            Piece::Text { text, offset } => writer.copy(text, *offset),
            Piece::Action(action) if action.comment => writer.copy(action.text, action.offset),
            Piece::Action(action) => writer.action(source, action),
        }
    }
    writer.finish(source)
}

/// Writes a template anew and remembers what stood where.
pub(super) struct Writer {
    /// What is written so far.
    pub out: String,
    marks: Vec<(usize, usize)>,
}

impl Writer {
    /// Begins with what has no place in the source.
    pub(super) fn new(prefix: &str) -> Self {
        Self { out: prefix.to_owned(), marks: vec![(0, 0)] }
    }

    /// The text, and how places in it lead back to the source.
    pub(super) fn finish(self, source: &str) -> (String, Places) {
        let line_starts = std::iter::once(0).chain(self.out.match_indices('\n').map(|(at, _)| at + 1)).collect();
        (self.out, Places { marks: self.marks, line_starts, source_length: source.len() })
    }

    /// Writes `text`, which stands for what begins at `offset` of the source.
    pub(super) fn copy(&mut self, text: &str, offset: usize) {
        self.marks.push((self.out.len(), offset));
        self.out.push_str(text);
    }

    fn action(&mut self, source: &str, action: &Action<'_>) {
        let end = action.offset + action.text.len();
        self.copy(if action.trims.0 { "{{- " } else { "{{" }, action.offset);
        let mut written = action.offset + if action.trims.0 { 4 } else { 2 };
        for token in &action.tokens {
            self.copy(&source[written..token.offset], written);
            match &token.kind {
                Kind::Quoted(value) => self.copy(&quote(value), token.offset),
                Kind::Character(c) => self.copy(&u32::from(*c).to_string(), token.offset),
                _ => self.copy(token.text, token.offset),
            }
            written = token.end();
        }
        if is_used(action) {
            self.copy(" | ", end);
            self.out.push_str(CHECK);
        }
        self.copy(if action.trims.1 { " -}}" } else { " }}" }, end);
    }
}

/// Whether an action's value is written out or walked over, and not only asked for its truth or given a name.
fn is_used(action: &Action<'_>) -> bool {
    let Some(first) = action.tokens.first() else { return false };
    let names_it =
        first.kind == Kind::Variable && action.tokens.get(1).is_some_and(|second| matches!(second.text, "=" | ":="));
    !names_it && !matches!(first.text, "if" | "with" | "else" | "end" | "break" | "continue")
}

/// A string in a form the engine reads as it is meant. Its lexer takes the last quote in `"\\"` for an escaped one, and its
/// parser resolves escapes in raw strings too, so neither form serves all values.
pub(super) fn quote(value: &str) -> String {
    let doubled = value.replace('\\', "\\\\");
    if !value.contains('`') {
        return format!("`{doubled}`");
    }
    if value.ends_with('\\') {
        let (start, backslash) = value.split_at(value.len() - 1);
        return format!("(print {} {})", quote(start), quote(backslash));
    }
    format!("\"{}\"", doubled.replace('"', "\\\"").replace('\n', "\\n"))
}

/// Leads from the engine's lines and columns back to the source.
pub(super) struct Places {
    /// Where each piece of the rewritten text begins there and in the source.
    marks: Vec<(usize, usize)>,
    line_starts: Vec<usize>,
    source_length: usize,
}

impl Places {
    /// What the engine says of a text it cannot parse, with its place in the source.
    pub(super) fn explain(&self, problem: gtmpl_ng::ParseError) -> ParseError {
        match problem {
            gtmpl_ng::ParseError::WithContext(context, message) => {
                let (start, end) = self.range(context.line, context.col, context.len);
                error(message, start, end - start)
            }
            other => error(other.to_string(), 0, 0),
        }
    }

    /// The source range for a line and column (counted from 1) and a length.
    pub(super) fn range(&self, line: usize, column: usize, length: usize) -> (usize, usize) {
        let line_start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let start = line_start + column.saturating_sub(1);
        let (from, to) = (self.source_offset(start), self.source_offset(start + length));
        (from, to.max(from))
    }

    fn source_offset(&self, rewritten: usize) -> usize {
        let next = self.marks.partition_point(|(begin, _)| *begin <= rewritten);
        let (begin, origin) = self.marks[next.saturating_sub(1)];
        let limit = self.marks.get(next).map_or(self.source_length, |(_, origin)| *origin);
        if begin == 0 { 0 } else { (origin + (rewritten - begin)).min(limit) }
    }
}
