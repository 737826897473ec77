//! `templates:` and the keys by which a receiver says its own words: `subject`, `title`, `text` and `html`.

use std::path::Path;
use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Place, SourceFile};
use super::super::files;
use super::super::reader::{Mapping, Reader};
use super::super::yaml::Node;
use crate::domain::template::text::{Form, Library, TextError, TextTemplate};
use crate::notify::message::texts::{Texts, try_out};

/// The files of named templates of all configuration files.
#[derive(Default)]
pub(in super::super) struct Templates {
    library: Library,
    files: Vec<Arc<SourceFile>>,
}

impl Templates {
    /// Reads the files that one configuration file names, relative to its directory.
    pub(in super::super) fn read(&mut self, reader: &Reader<'_>, node: &Node, working_dir: &Path) {
        for node in reader.list_or_one(node, "path") {
            let Some(path) = reader.existing_file(node) else { continue };
            let name = path.strip_prefix(working_dir).unwrap_or(&path).display().to_string();
            match files::read(&path) {
                Ok(text) => self.files.push(Arc::new(SourceFile::new(path, name, text, |_| Vec::new()))),
                Err(error) => reader.error(&node.span, format!("{name} cannot be read: {error}"), "named here"),
            }
        }
        self.library = Library::new(self.files.iter().map(|file| file.text().to_owned()).collect());
    }

    /// Writes down what is wrong with the files by themselves, whoever uses them.
    pub(in super::super) fn check(&self, push: impl Fn(Diagnostic)) {
        self.library.problems().iter().filter_map(|problem| self.in_file(problem)).for_each(push);
    }

    /// A problem with its place, when it is in one of the files.
    fn in_file(&self, problem: &TextError) -> Option<Diagnostic> {
        let file = self.files.get(problem.file?)?;
        let start = problem.error.offset.min(file.text().len());
        let end = (start + problem.error.length.max(1)).min(file.text().len());
        let place = Some(Place::new(file, &(start..end)));
        let message = format!("bad template: {}", problem.error.message);
        Some(Diagnostic { place, label: "expected a Go template".to_owned(), ..Diagnostic::error(message) })
    }

    /// The texts of one way of a receiver, whose subject has the key `title` or `subject`. Without a key of its own it gets what
    /// a file has put in the place of the default of that name.
    pub(super) fn texts(&self, reader: &Reader<'_>, mapping: &Mapping<'_>, subject: &str, form: Form) -> Texts {
        let (line, kind) = if form == Form::Html { (Form::Plain, "email") } else { (form, "slack") };
        let read = |key: &str, form| match mapping.get(key) {
            Some(node) => self.template(reader, node, form),
            None => self.instead(reader, &format!("{kind}.default.{key}"), form),
        };
        Texts {
            subject: read(subject, line),
            text: read("text", line),
            html: if form == Form::Html { read("html", Form::Html) } else { None },
        }
    }

    /// A default that a file defines anew; `None` where it is ours.
    fn instead(&self, reader: &Reader<'_>, name: &str, form: Form) -> Option<TextTemplate> {
        if !self.library.defines(name) {
            return None;
        }
        match TextTemplate::parse(&format!("{{{{ template \"{name}\" . }}}}"), &self.library, form) {
            Ok(template) => Some(template),
            Err(problem) => {
                self.in_file(&problem).into_iter().for_each(|diagnostic| reader.push(diagnostic));
                None
            }
        }
    }

    fn template(&self, reader: &Reader<'_>, node: &Node, form: Form) -> Option<TextTemplate> {
        let problem = match TextTemplate::parse(reader.word(node, "this text")?, &self.library, form) {
            Ok(template) => {
                if let Err(error) = try_out(&template) {
                    let message = format!("this template fails for a message about nothing: {error}");
                    reader.warning(&node.span, message, "where it fails, the default text is sent in its place");
                }
                return Some(template);
            }
            Err(problem) => problem,
        };
        if let Some(diagnostic) = self.in_file(&problem) {
            reader.push(diagnostic);
        } else {
            let place = reader.within(node, problem.error.offset, problem.error.length.max(1));
            reader.error(&place, format!("bad template: {problem}"), "expected a Go template");
        }
        None
    }
}
