//! Problems in files, each with its place, drawn the way compilers draw them.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A file's text, kept to draw problems in it.
pub struct SourceFile {
    /// Where it was read.
    path: PathBuf,
    /// The path as people wrote it.
    name: String,
    text: String,
    /// Where lines begin. Thousands of problems in a large file each ask for one.
    lines: Vec<usize>,
    /// Finds values written out where a secret belongs; drawn as stars.
    find_secrets: FindSecrets,
    /// What it found, once something is drawn: that is seldom, and looking takes time.
    masked: OnceLock<Vec<Range<usize>>>,
}

/// Tells which bytes of a text must never be shown.
pub type FindSecrets = fn(&str) -> Vec<Range<usize>>;

impl SourceFile {
    /// A file of which what `find_secrets` finds is never drawn.
    #[must_use]
    pub fn new(path: PathBuf, name: String, text: String, find_secrets: FindSecrets) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path, name, text, lines, find_secrets, masked: OnceLock::new() }
    }

    /// The text as read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path as people wrote it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line.saturating_sub(1)];
        let before = self.text.get(start..offset).unwrap_or(&self.text[start..]);
        (line, before.chars().count() + 1)
    }

    /// The line around an offset, masked, and where it begins.
    fn line_around(&self, offset: usize) -> (usize, String) {
        let start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |newline| offset + newline);
        let mut line = self.text[start..end].to_owned();
        for hidden in self.masked.get_or_init(|| (self.find_secrets)(&self.text)) {
            let (from, to) = (hidden.start.clamp(start, end), hidden.end.clamp(start, end));
            line.replace_range(from - start..to - start, &"*".repeat(to - from));
        }
        (start, line)
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.name, &self.text) == (&other.path, &other.name, &other.text)
    }
}

impl Eq for SourceFile {}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold a secret somebody wrote into it.
        write!(f, "SourceFile({})", self.name)
    }
}

/// A spot in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Bytes of its text, on one line.
    pub span: Range<usize>,
}

impl Place {
    /// A place on the first line of `span`.
    #[must_use]
    pub fn new(file: &Arc<SourceFile>, span: &Range<usize>) -> Self {
        let text = file.text();
        let start = span.start.min(text.len());
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |newline| start + newline);
        Self { file: Arc::clone(file), span: start..span.end.clamp(start, line_end) }
    }
}

impl Place {
    /// Line and column of its beginning and of its end, both from 1.
    #[must_use]
    pub fn lines_and_columns(&self) -> ((usize, usize), (usize, usize)) {
        (self.file.line_and_column(self.span.start), self.file.line_and_column(self.span.end))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.file.line_and_column(self.span.start);
        write!(f, "{}:{line}:{column}", self.file.name)
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is loaded.
    Error,
    /// Worth knowing.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its name, where it has one: `shadowed-rule`.
    pub code: Option<&'static str>,
    /// Where it is; `None` when it is in no file, for example in a flag.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What was expected, written at the caret.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error that is in no file.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: None,
            place: None,
            message: message.into(),
            label: String::new(),
            help: None,
        }
    }

    /// A warning that is in no file.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&self.message);
        let title = self.code.map_or_else(|| title.clone(), |code| title.clone().id(code));
        let mut group = match &self.place {
            None => annotate_snippets::Group::with_title(title),
            Some(Place { file, span }) => {
                let (line_start, line) = file.line_around(span.start);
                let (line_number, _) = file.line_and_column(span.start);
                let annotation = AnnotationKind::Primary.span(span.start - line_start..span.end - line_start);
                let annotation = if self.label.is_empty() { annotation } else { annotation.label(&self.label) };
                let snippet = Snippet::source(line).path(&file.name).line_start(line_number).annotation(annotation);
                title.element(snippet)
            }
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

/// On one line, without the text of the file, which may hold a secret somebody wrote into it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        let notes = [Some(&self.label).filter(|label| !label.is_empty()), self.help.as_ref()];
        notes.into_iter().flatten().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// All problems found in one go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// How many are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, in the order of files and lines once [`Diagnostics::sort`] has run.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Orders by place: first what is in no file, then file by file as they were read, each from top to bottom.
    pub fn sort(&mut self) {
        let mut files: HashMap<*const SourceFile, usize> = HashMap::new();
        for place in self.0.iter().filter_map(|diagnostic| diagnostic.place.as_ref()) {
            let next = files.len();
            files.entry(Arc::as_ptr(&place.file)).or_insert(next);
        }
        self.0.sort_by_key(|diagnostic| {
            diagnostic.place.as_ref().map(|Place { file, span }| (files.get(&Arc::as_ptr(file)), span.start, span.end))
        });
    }

    /// Everything as text, with a blank line after each problem; with terminal colours on request.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        self.iter().flat_map(|diagnostic| [diagnostic.render(&renderer), "\n\n".to_owned()]).collect()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}
