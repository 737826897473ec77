//! Secret values: readable only where they go on the wire; and the file of `NAME=VALUE` lines they come from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Larger secrets files are refused before they are read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A value that never prints itself.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value, for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// In a time that tells nothing of where two values of one length differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A secrets file that cannot be used. Says where, never what stands there.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be opened or read.
    #[error("secrets file {}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner can get at the file.
    #[error("secrets file {}: mode {mode:04o} lets group or others in; run `chmod 600` on it, or accept it with --insecure-secrets-file", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than a secrets file can be.
    #[error("secrets file {}: larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Lines are not `NAME=VALUE`.
    #[error("secrets file {}: {}", path.display(), lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Lines {
        /// The file.
        path: PathBuf,
        /// What is wrong and where; at least one.
        lines: Vec<LineError>,
    },
}

/// One line that is not `NAME=VALUE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, without a word of what the line says.
    pub problem: &'static str,
}

/// The secrets of one file by name.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, Secret>,
    file: Option<PathBuf>,
    is_absent: bool,
}

impl Secrets {
    /// Reads a file. `insecure` accepts one that group or others can read or write.
    ///
    /// # Errors
    /// A file that is missing, unreadable, too large, open to others, or not made of `NAME=VALUE` lines.
    pub fn read(path: &Path, insecure: bool) -> Result<Self, SecretsError> {
        let unreadable = |source| SecretsError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // Asking the open file rather than the path leaves no moment in which it could be exchanged.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 && !insecure {
            return Err(SecretsError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if length as u64 > MAX_FILE_BYTES {
            return Err(SecretsError::TooLarge { path: path.to_owned() });
        }
        match Self::parse(&text) {
            Ok(secrets) => Ok(Self { file: Some(path.to_owned()), ..secrets }),
            Err(lines) => Err(SecretsError::Lines { path: path.to_owned(), lines }),
        }
    }

    /// No secrets, because this file is not there.
    #[must_use]
    pub fn without_file(path: PathBuf) -> Self {
        Self { values: BTreeMap::new(), file: Some(path), is_absent: true }
    }

    /// Parses `NAME=VALUE` lines. Blank lines and lines that begin with `#` say nothing; one pair of matching quotes
    /// around a value is taken off; nothing is expanded or unescaped, so that `$`, `#` and `\` mean themselves.
    ///
    /// # Errors
    /// Every line that is anything else, or that names a secret a second time.
    pub fn parse(text: &str) -> Result<Self, Vec<LineError>> {
        let (mut values, mut errors) = (BTreeMap::new(), Vec::new());
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = match parse_line(line) {
                Ok((name, value)) if values.insert(name.to_owned(), Secret::new(value)).is_none() => continue,
                Ok(_) => "this name stands in the file twice",
                Err(problem) => problem,
            };
            errors.push(LineError { line: index + 1, problem });
        }
        if errors.is_empty() { Ok(Self { values, ..Self::default() }) } else { Err(errors) }
    }

    /// The file they come from, or in which they were looked for.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether that file is not there.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// Adds a secret or replaces it.
    pub fn insert(&mut self, name: impl Into<String>, value: Secret) {
        self.values.insert(name.into(), value);
    }

    /// The secret of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The text [`Secrets::parse`] reads back to the same values, or the name of a secret that cannot be written
    /// because its value spans lines.
    ///
    /// # Errors
    /// The name of that secret.
    pub fn to_file_text(&self) -> Result<Secret, String> {
        let mut text = String::new();
        for (name, value) in &self.values {
            if value.expose().contains(['\n', '\r']) {
                return Err(name.clone());
            }
            // Quotes keep blanks at either end; as nothing is unescaped, quotes inside need no care.
            text.extend([name, "=\"", value.expose(), "\"\n"]);
        }
        Ok(Secret::new(text))
    }
}

/// Whether a text can name a secret.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Name and value of a line, or what is wrong with it.
fn parse_line(line: &str) -> Result<(&str, &str), &'static str> {
    let (name, value) = line.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.trim_end();
    if !is_name(name) {
        return Err("the name before `=` must be made of A-Z, 0-9 and _, and not begin with a digit");
    }
    let value = unquote(value.trim_start()).ok_or("the quote is not closed")?;
    Ok((name, value))
}

/// Takes one pair of matching quotes off. `None` when a value begins with a quote that it does not end with.
fn unquote(value: &str) -> Option<&str> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].strip_suffix(quote),
        _ => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn value_of(line: &str) -> String {
        Secrets::parse(line).unwrap().get("A").unwrap().expose().to_owned()
    }

    #[test]
    fn a_value_is_taken_as_it_stands() {
        for (line, value) in [
            ("A=ab$cd", "ab$cd"),
            ("A=p #w", "p #w"),
            ("A = spaced ", "spaced"),
            ("A=\" kept \"", " kept "),
            ("A='it''s'", "it''s"),
            ("A=\"a\\nb\"", "a\\nb"),
            ("A=b=c", "b=c"),
            ("A=", ""),
            ("# note\r\n\r\nA=windows\r\n", "windows"),
            ("\u{feff}A=marked", "marked"),
        ] {
            assert_eq!(value_of(line), value, "{line:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_never_quoted() {
        for (text, line) in [
            ("A=1\nhunter2\n", 2),
            ("a=hunter2", 1),
            ("1A=hunter2", 1),
            ("export A=hunter2", 1),
            ("\n# x\nA=\"hunter2", 3),
            ("A='hunter2\"", 1),
            ("A=hunter2\nB=1\nA=hunter2", 3),
            ("=hunter2", 1),
        ] {
            let errors = Secrets::parse(text).unwrap_err();
            assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [line], "{text:?}");
            assert!(!errors[0].to_string().contains("hunter2"), "{}", errors[0]);
        }
        let errors = Secrets::parse("A=1\nhunter2\nB=\"\nA=2\n").unwrap_err();
        assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 3, 4], "each one is named");
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let mut secrets = Secrets::default();
        for (name, value) in [("A", " \"x\" "), ("B", "'"), ("C", "\""), ("D", ""), ("E", "a#b$c\\")] {
            secrets.insert(name, Secret::new(value));
        }
        let text = secrets.to_file_text().unwrap();
        let read = Secrets::parse(text.expose()).unwrap();
        for name in secrets.names() {
            assert_eq!(read.get(name).unwrap().expose(), secrets.get(name).unwrap().expose(), "{name}");
        }
        secrets.insert("KEY", Secret::new("two\nlines"));
        assert_eq!(secrets.to_file_text().unwrap_err(), "KEY");
    }

    #[test]
    fn a_file_others_can_get_at_is_refused_unless_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets");
        fs::write(&path, "A=1\n").unwrap();
        for (mode, usable) in [(0o400, true), (0o600, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Secrets::read(&path, false).is_ok(), usable, "{mode:o}");
            assert!(Secrets::read(&path, true).is_ok(), "{mode:o}");
        }
        assert!(matches!(Secrets::read(&directory.path().join("none"), false), Err(SecretsError::Unreadable { .. })));
    }

    #[test]
    fn nothing_prints_a_value() {
        let secrets = Secrets::parse("A=hunter2").unwrap();
        assert_eq!(format!("{secrets:?}"), r#"Secrets { values: {"A": [secret]}, file: None, is_absent: false }"#);
    }
}
