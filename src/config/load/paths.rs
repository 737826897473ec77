//! Which files are read: those named, those in directories named, and those taken when nothing is named.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{DEFAULT_CONFIG_FILE, DEFAULT_RULES, Loader};
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::sections::{self, RulePath, Sections};
use crate::config::{files, yaml};

impl Loader<'_> {
    pub(super) fn config_paths(&self) -> Vec<PathBuf> {
        let directory = &self.options.working_dir;
        if self.options.config_files.is_empty() {
            let default = directory.join(DEFAULT_CONFIG_FILE);
            self.note(&default);
            return if default.exists() { vec![default] } else { Vec::new() };
        }
        let expand = |path: &PathBuf| match files::config_files(&directory.join(path), self.sources) {
            Ok(files) => files,
            Err((path, error)) => {
                self.push(self.unreadable(&path, &error));
                Vec::new()
            }
        };
        self.options.config_files.iter().flat_map(expand).collect()
    }

    /// Every file of rules once, however often it is named.
    pub(super) fn rule_paths(&self, sections: &Sections<'_>, incomplete: bool) -> Vec<PathBuf> {
        let directory = &self.options.working_dir;
        let mut found = Vec::new();
        if let Some(paths) = &self.options.rule_files {
            for path in paths {
                match files::rule_files(&directory.join(path), self.sources) {
                    Ok(files) => found.extend(files),
                    Err((path, error)) => self.push(self.unreadable(&path, &error)),
                }
            }
        } else if let Some(paths) = &sections.rule_files {
            for RulePath { path, place } in paths {
                match files::rule_files(path, self.sources) {
                    Ok(files) => found.extend(files),
                    Err((path, error)) => {
                        let place = Some(place.clone());
                        self.push(Diagnostic { place, label: "named here".into(), ..self.unreadable(&path, &error) });
                    }
                }
            }
        } else {
            let may_have_rules = incomplete || !sections.rules.is_empty();
            found.extend(self.default_rule_paths(&self.default_rules(), may_have_rules));
        }
        let mut seen = BTreeSet::new();
        found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
        found
    }

    /// The directory that holds rules when nothing says where they are: `rules/` beside the first configuration file, or in
    /// the working directory when there is none.
    pub(super) fn default_rules(&self) -> PathBuf {
        let first = self.options.config_files.first().map(|path| self.options.working_dir.join(path));
        let directory = match &first {
            Some(path) if path.is_dir() => path.as_path(),
            Some(path) => path.parent().unwrap_or(Path::new("")),
            None => &self.options.working_dir,
        };
        directory.join(DEFAULT_RULES)
    }

    /// The files in that directory. It need not be there unless it was before, and is missed only when no other place
    /// `may_have_rules`.
    fn default_rule_paths(&self, directory: &Path, may_have_rules: bool) -> Vec<PathBuf> {
        let (path, error) = match files::rule_files(directory, self.sources) {
            Ok(files) => return files,
            Err(unreadable) => unreadable,
        };
        let problem = self.unreadable(&path, &error);
        // A link that leads nowhere, here or below, is meant to lead somewhere; what stands beside it must not be lost for it.
        let is_absent = error.kind() == io::ErrorKind::NotFound && path == directory && !is_link(directory);
        if !is_absent {
            self.push(problem);
        } else if self.options.held_rules.as_deref() == Some(directory) {
            self.push(problem.help("rules were read from it before; an empty directory says that there are none"));
        } else if !may_have_rules {
            self.push(Diagnostic { severity: Severity::Warning, ..problem });
        }
        Vec::new()
    }
}

/// Whether a path itself is a link. A slash at its end would ask for what it leads to.
fn is_link(path: &Path) -> bool {
    path.components().collect::<PathBuf>().is_symlink()
}

/// Sorts files and directories named for a check into configuration files and files of rules, by what stands in them.
/// A path that cannot be read counts as rules, whose loading reports it.
#[must_use]
pub fn sort_paths(paths: &[PathBuf], working_dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let expand = |path: &PathBuf| {
        let path = working_dir.join(path);
        files::rule_files(&path, &RefCell::default()).unwrap_or_else(|_| vec![path])
    };
    paths.iter().flat_map(expand).partition(|path| {
        let document = files::read(path).ok().and_then(|text| yaml::read(path.clone(), String::new(), text).ok());
        document.is_some_and(|(_, root)| root.entries().iter().any(|entry| sections::is_configuration_key(&entry.key)))
    })
}
