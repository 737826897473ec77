//! Tells what came of rule tests.

use std::fmt::Write;

use super::{Failure, FileReport};
use crate::config::{Diagnostic, Diagnostics, Severity};

/// What came of all files.
#[derive(Debug, Default)]
pub struct Report {
    files: Vec<FileReport>,
}

impl Report {
    /// Adds a file's results.
    pub fn add(&mut self, file: FileReport) {
        self.files.push(file);
    }

    /// Whether every test went as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures().next().is_none()
    }

    fn failures(&self) -> impl Iterator<Item = (&str, &Failure)> {
        self.files
            .iter()
            .flat_map(|file| &file.tests)
            .filter_map(|test| Some((test.name.as_str(), test.failure.as_ref()?)))
    }

    /// Every failure as a problem of its file, with the difference as help, for programs.
    pub fn problems(&self) -> impl Iterator<Item = Diagnostic> {
        self.failures().map(|(test, failure)| {
            let wrong = failure.lines.iter().filter(|line| !line.holds);
            let lines: Vec<_> =
                wrong.map(|line| format!("{}: expected {}, found {}", line.key, line.expected, line.found)).collect();
            let help = (!lines.is_empty()).then(|| lines.join("\n"));
            Diagnostic { help, ..diagnostic(test, failure) }
        })
    }

    /// For people: every failure with its place and the difference, then one line a file.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for (test, failure) in self.failures() {
            let mut drawn = Diagnostics::default();
            drawn.push(diagnostic(test, failure));
            text.push_str(drawn.render(color).trim_end());
            text.push_str("\n\n");
            render_difference(failure, color, &mut text);
        }
        for file in &self.files {
            let failed = file.tests.iter().filter(|test| test.failure.is_some()).count();
            let count = file.tests.len();
            let word = if failed == 0 { "ok" } else { "FAILED" };
            let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{word:<7} {}: {}{failed}", file.name, counted(count, "test"));
            if !file.untested.is_empty() {
                let _ = writeln!(text, "        no test begins a heal of {}", file.untested.join(", "));
            }
        }
        text
    }
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn diagnostic(test: &str, failure: &Failure) -> Diagnostic {
    let after = if failure.after.is_empty() { String::new() } else { format!("{} after the start", failure.after) };
    Diagnostic {
        severity: Severity::Error,
        code: None,
        place: Some(failure.place.clone()),
        message: format!("{test}: {}", failure.message),
        label: after,
        help: None,
    }
}

/// The expectation as it is (`-`) and as it would have to be (`+`), and what the heal went through.
fn render_difference(failure: &Failure, color: bool, text: &mut String) {
    let paint = |line: String, code: &str| if color { format!("\x1b[{code}m{line}\x1b[0m") } else { line };
    if !failure.lines.is_empty() {
        text.push_str("    - expected\n    + found\n\n");
    }
    for line in &failure.lines {
        if line.holds {
            let _ = writeln!(text, "      {}: {}", line.key, line.expected);
        } else {
            let _ = writeln!(text, "{}", paint(format!("    - {}: {}", line.key, line.expected), "31"));
            let _ = writeln!(text, "{}", paint(format!("    + {}: {}", line.key, line.found), "32"));
        }
    }
    if !failure.story.is_empty() {
        text.push_str("\n    what happened:\n");
        for line in &failure.story {
            let _ = writeln!(text, "    {line}");
        }
    }
    if !failure.lines.is_empty() {
        text.push('\n');
    }
}
