//! Templates of the texts people are told, as users of Alertmanager write them: its data and its methods, named templates
//! out of files, and `.Heal` beside them.
//!
//! A rule's text must never have a hole, so there what is undefined is an error. A message with a hole is better than none:
//! here a label that is not there is an empty text, as in Alertmanager. What is written out is escaped for the [`Form`]
//! it goes into, so that no label can ping a channel or run a script, whoever wrote the template.

mod escape;
mod functions;
mod html;
mod rewrite;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gtmpl_ng::{Context, Limits, Value};

use super::check;
use super::lexer::{self, Action, Kind, Piece, Token, error};
use super::{ParseError, engine};

pub use escape::{html as escape_html, slack as escape_slack};
pub use functions::TIME;

/// What a rendering may write at most; every form has its own, lower bound.
const MAX_OUTPUT: usize = 256 * 1024;
/// How many rounds of loops and calls of named templates one rendering may take.
const MAX_ROUNDS: usize = 5_000;

/// Named templates that every library has, by the names Alertmanager's users know. A receiver without a text of its own gets
/// what these of the mail say, and what a file says that defines one of the last five anew.
const BUILTIN: &str = r#"
{{ define "__subject" }}{{ .Heal.Subject }}{{ end }}
{{ define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ .Receiver | urlquery }}{{ end }}
{{ define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{ define "slack.default.title" }}{{ .Heal.Subject }}{{ end }}
{{ define "slack.default.text" }}{{ .Heal.Headline }}{{ end }}
{{ define "email.default.subject" }}{{ .Heal.Subject }}{{ end }}
{{ define "email.default.text" }}{{ .Heal.Text }}{{ end }}
{{ define "email.default.html" }}{{ .Heal.HTML | safeHtml }}{{ end }}
"#;

/// What a text is put into, which decides how values are escaped in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing has a meaning.
    Plain,
    /// Slack's markup.
    Slack,
    /// HTML.
    Html,
}

impl Form {
    /// The stage behind everything that is written out.
    const fn stage(self) -> &'static str {
        match self {
            Self::Plain => "autoheal_plain",
            Self::Slack => "autoheal_slack",
            Self::Html => "autoheal_html",
        }
    }
}

/// Files of named templates, in their order; later definitions win.
#[derive(Debug, Clone, Default)]
pub struct Library(Vec<String>);

/// A text or a file of the library does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct TextError {
    /// Which file of the library, by its number; `None` for the text itself.
    pub file: Option<usize>,
    /// What is wrong and where.
    #[source]
    pub error: ParseError,
}

/// A text for people, parsed once.
#[derive(Clone)]
pub struct TextTemplate {
    source: Arc<str>,
    template: Arc<gtmpl_ng::Template>,
}

/// A part of a source that is rendered under a name.
struct Body<'s> {
    /// Number of the file; `None` for the text itself.
    file: Option<usize>,
    source: &'s str,
    pieces: Vec<Piece<'s>>,
}

impl Library {
    /// Takes files as they were read.
    #[must_use]
    pub const fn new(files: Vec<String>) -> Self {
        Self(files)
    }

    /// What is wrong with the files by themselves, one finding a file.
    #[must_use]
    pub fn problems(&self) -> Vec<TextError> {
        let look = |(index, source): (usize, &String)| {
            let cut = cut(source, Some(index));
            cut.err().map(|error| TextError { file: Some(index), error })
        };
        self.0.iter().enumerate().filter_map(look).collect()
    }

    /// Whether one of the files defines a template of this name, anew or for the first time.
    #[must_use]
    pub fn defines(&self, name: &str) -> bool {
        let defined = |source: &String| cut(source, None).is_ok_and(|(_, own)| own.iter().any(|(own, _)| own == name));
        self.0.iter().any(defined)
    }

    /// Every named template. Files that do not parse are left out: [`Library::problems`] tells of them.
    fn named(&self) -> BTreeMap<String, Body<'_>> {
        let builtin = cut(BUILTIN, None).into_iter();
        let files = self.0.iter().enumerate().filter_map(|(index, source)| cut(source, Some(index)).ok());
        builtin.chain(files).flat_map(|(_, named)| named).collect()
    }
}

impl TextTemplate {
    /// Parses a text for a form.
    ///
    /// # Errors
    /// Anything Go's template parser would refuse, names that are not there, functions beyond Go's builtins and
    /// Alertmanager's for texts, and in HTML values in places where no escaping makes them safe.
    pub fn parse(source: &str, library: &Library, form: Form) -> Result<Self, TextError> {
        let ours = |error| TextError { file: None, error };
        let (main, own) = cut(source, None).map_err(ours)?;
        let mut named = library.named();
        named.extend(own);
        let mut template = gtmpl_ng::Template::with_limits(
            Limits::default()
                .with_iterations(1_000)
                .with_total_iterations(MAX_ROUNDS)
                .with_output_bytes(MAX_OUTPUT)
                .with_function_output(MAX_OUTPUT),
        );
        template.funcs = functions::all();
        let main = Body { file: None, source, pieces: main };
        compile(&mut template, "", &main, form, true)?;
        let mut wanted: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        let calls = |body: &Body<'_>| calls(&body.pieces).map_err(|error| TextError { file: body.file, error });
        let mut check_calls = |body: &Body<'_>| -> Result<Vec<String>, TextError> {
            let mut unseen = Vec::new();
            for (name, at) in calls(body)? {
                if !named.contains_key(&name) {
                    let known: Vec<_> = named.keys().map(String::as_str).collect();
                    let message = format!("there is no template {name:?}; there are {}", known.join(", "));
                    return Err(TextError { file: body.file, error: error(message, at.start, at.len()) });
                }
                if seen.insert(name.clone()) {
                    unseen.push(name);
                }
            }
            Ok(unseen)
        };
        wanted.extend(check_calls(&main)?);
        while let Some(name) = wanted.pop() {
            if let Some(body) = named.get(&name) {
                compile(&mut template, &name, body, form, false)?;
                wanted.extend(check_calls(body)?);
            }
        }
        Ok(Self { source: source.into(), template: Arc::new(template) })
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders with data: objects are structures, whose unknown fields are errors, but for those that hold labels or
    /// annotations.
    ///
    /// # Errors
    /// In words: what the template does cannot be done, or takes too much.
    pub fn render(&self, data: &serde_json::Value) -> Result<String, String> {
        let context = Context::from(value(data, false));
        let rendered = catch_unwind(AssertUnwindSafe(|| self.template.render(&context)))
            .map_err(|_| "a function panicked".to_owned())?;
        rendered.map_err(|error| engine::words(&error, "the data has"))
    }
}

impl std::fmt::Debug for TextTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TextTemplate").field(&self.source).finish()
    }
}

/// The data as the engine takes it. Maps of labels may be asked for what is not there; structures may not.
fn value(data: &serde_json::Value, is_map: bool) -> Value {
    match data {
        serde_json::Value::Null => Value::from(""),
        serde_json::Value::Bool(truth) => Value::from(*truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(|item| value(item, false)).collect()),
        serde_json::Value::Object(fields) => {
            let read = |(name, field): (&String, &serde_json::Value)| {
                (name.clone(), value(field, name.ends_with("Labels") || name.ends_with("Annotations")))
            };
            let fields = fields.iter().map(read).collect();
            if is_map { Value::Map(fields) } else { Value::Object(fields) }
        }
    }
}

/// Rewrites a body for its form and gives it to the engine.
fn compile(
    template: &mut gtmpl_ng::Template,
    name: &str,
    body: &Body<'_>,
    form: Form,
    dot_is_data: bool,
) -> Result<(), TextError> {
    let here = |error| TextError { file: body.file, error };
    check::check_text(&body.pieces, &functions::MORE, dot_is_data.then_some(FIELDS.as_slice())).map_err(here)?;
    let stages = match form {
        Form::Html => html::stages(&body.pieces).map_err(here)?,
        Form::Plain | Form::Slack => vec![form.stage(); body.pieces.len()],
    };
    let (text, places) = rewrite::rewrite(body.source, &body.pieces, &stages).map_err(here)?;
    let parsed = catch_unwind(AssertUnwindSafe(|| template.add_template(name, text)))
        .map_err(|_| here(error("the template cannot be parsed", 0, body.source.len())))?;
    match parsed {
        Ok(()) => Ok(()),
        Err(gtmpl_ng::TemplateError::ParseError(problem)) => Err(here(places.explain(problem))),
        Err(other) => Err(here(error(other.to_string(), 0, 0))),
    }
}

/// What the dot holds at the top of a text.
const FIELDS: [&str; 8] =
    ["Receiver", "Status", "Alerts", "GroupLabels", "CommonLabels", "CommonAnnotations", "ExternalURL", "Heal"];

type Cut<'s> = (Vec<Piece<'s>>, Vec<(String, Body<'s>)>);

/// A definition that is not closed yet.
struct Open<'s> {
    name: String,
    /// Offset and length of the `define`.
    place: (usize, usize),
    pieces: Vec<Piece<'s>>,
    /// How many blocks are open in it.
    depth: usize,
}

/// Cuts a source into its own text and the templates it defines.
fn cut(source: &str, file: Option<usize>) -> Result<Cut<'_>, ParseError> {
    let mut main: Vec<Piece<'_>> = Vec::new();
    let mut named = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut trim_next = false;
    for piece in lexer::pieces(source)? {
        let word = match &piece {
            Piece::Action(action) => action.tokens.first().map_or("", |first| first.text),
            Piece::Text { .. } => "",
        };
        match (piece, &mut open) {
            (Piece::Action(action), None) if word == "define" => {
                let name = define_name(&action)?;
                if action.trims.0 {
                    trim_end(&mut main);
                }
                trim_next = action.trims.1;
                open = Some(Open { name, place: (action.offset, action.text.len()), pieces: Vec::new(), depth: 0 });
            }
            (Piece::Action(action), Some(Open { name, pieces, depth: 0, .. })) if word == "end" => {
                if action.trims.0 {
                    trim_end(pieces);
                }
                trim_next = action.trims.1;
                let body = Body { file, source, pieces: std::mem::take(pieces) };
                named.push((std::mem::take(name), body));
                open = None;
            }
            (piece, open) => {
                let piece = match piece {
                    Piece::Text { text, offset } if trim_next => {
                        let trimmed = text.trim_start();
                        Piece::Text { text: trimmed, offset: offset + text.len() - trimmed.len() }
                    }
                    piece => piece,
                };
                trim_next = false;
                match open {
                    Some(Open { pieces, depth, .. }) => {
                        match word {
                            "if" | "with" | "range" => *depth += 1,
                            "end" => *depth -= 1,
                            _ => {}
                        }
                        pieces.push(piece);
                    }
                    None => main.push(piece),
                }
            }
        }
    }
    match open {
        Some(Open { name, place: (offset, length), .. }) => {
            Err(error(format!("the template {name:?} is never closed by {{{{ end }}}}"), offset, length))
        }
        None => Ok((main, named)),
    }
}

fn trim_end(pieces: &mut [Piece<'_>]) {
    if let Some(Piece::Text { text, .. }) = pieces.last_mut() {
        *text = text.trim_end();
    }
}

fn define_name(action: &Action<'_>) -> Result<String, ParseError> {
    match action.tokens.as_slice() {
        [_, Token { kind: Kind::Quoted(name), .. }] if is_name(name) => Ok(name.clone()),
        _ => Err(error("define takes one name in quotes", action.offset, action.text.len())),
    }
}

/// Names the engine reads as they are written.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['`', '\\', '"']) && !name.contains(char::is_control)
}

/// The names a body calls, with their places.
fn calls(pieces: &[Piece<'_>]) -> Result<Vec<(String, std::ops::Range<usize>)>, ParseError> {
    let actions = pieces.iter().filter_map(|piece| if let Piece::Action(action) = piece { Some(action) } else { None });
    actions
        .filter(|action| action.tokens.first().is_some_and(|first| first.text == "template"))
        .map(|action| match action.tokens.get(1) {
            Some(Token { kind: Kind::Quoted(name), text, offset }) if is_name(name) => {
                Ok((name.clone(), *offset..*offset + text.len()))
            }
            _ => Err(error("template takes a name in quotes, and then its data", action.offset, action.text.len())),
        })
        .collect()
}

#[cfg(test)]
mod tests;
