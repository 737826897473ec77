//! Problems in files, printed for people, for programs, or as annotations of a pull request.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::config::{Diagnostic, Diagnostics, Severity};

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// As workflow commands that GitHub shows beside the lines
    Github,
}

/// Prints problems.
///
/// # Errors
/// `out` cannot be written to.
pub fn write(problems: &Diagnostics, format: Format, color: bool, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => out.write_all(problems.render(color).as_bytes()),
        Format::Json => {
            let report = json!({
                "problems": problems.iter().map(object).collect::<Vec<_>>(),
                "errors": problems.count(Severity::Error),
                "warnings": problems.count(Severity::Warning),
            });
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)
        }
        Format::Github => problems.iter().try_for_each(|problem| writeln!(out, "{}", annotation(problem))),
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn object(problem: &Diagnostic) -> Value {
    let mut object = json!({
        "severity": word(problem.severity),
        "code": problem.code,
        "message": problem.message,
        "label": problem.label,
        "help": problem.help,
    });
    if let Some(place) = &problem.place {
        let ((line, column), (_, end_column)) = place.lines_and_columns();
        object["file"] = json!(place.file.name());
        object["line"] = json!(line);
        object["column"] = json!(column);
        object["endColumn"] = json!(end_column);
    }
    object
}

fn annotation(problem: &Diagnostic) -> String {
    // A property ends at a comma or colon, a message at the end of its line.
    let message = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| message(text).replace(':', "%3A").replace(',', "%2C");
    let mut properties = Vec::new();
    if let Some(place) = &problem.place {
        let ((line, column), (_, end_column)) = place.lines_and_columns();
        properties.push(format!("file={}", property(place.file.name())));
        properties.push(format!("line={line},col={column},endColumn={end_column}"));
    }
    properties.extend(problem.code.map(|code| format!("title={}", property(code))));
    let parts = [Some(problem.message.as_str()), Some(problem.label.as_str()), problem.help.as_deref()];
    let parts: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).map(message).collect();
    let space = if properties.is_empty() { "" } else { " " };
    format!("::{}{space}{}::{}", word(problem.severity), properties.join(","), parts.join("%0A"))
}
