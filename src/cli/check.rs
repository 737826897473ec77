//! `autoheal check [PATH…]`: loads everything and prints every problem the way a compiler does.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{Config, Diagnostics, LoadOptions, Severity, sort_paths};

/// Checks the configuration that `options` describe, or `paths` (configuration files, files of rules, or directories of
/// both) in its place. Prints to `out` and answers whether there was no error; warnings are not errors.
///
/// # Errors
/// `out` cannot be written to.
pub fn run(mut options: LoadOptions, paths: &[PathBuf], color: bool, out: &mut dyn Write) -> io::Result<bool> {
    if !paths.is_empty() {
        let (config_files, rule_files) = sort_paths(paths, &options.working_dir);
        // Rules alone are checked against the hosts and receivers of the configuration that is there anyway.
        if !config_files.is_empty() {
            options.config_files = config_files;
        }
        if !rule_files.is_empty() {
            options.rule_files = Some(rule_files);
        }
    }
    let (problems, loaded) = match Config::load(&options) {
        Ok((config, warnings)) => (warnings, Some(summary(&config))),
        Err(problems) => (problems, None),
    };
    out.write_all(problems.render(color).as_bytes())?;
    match &loaded {
        Some(summary) => writeln!(out, "{summary}{}", and_counts(&problems))?,
        None => writeln!(out, "check failed{}", and_counts(&problems))?,
    }
    Ok(loaded.is_some())
}

fn summary(config: &Config) -> String {
    let rules = config.rules.rules().len();
    let (hosts, receivers) = (config.docker_hosts.len(), config.receivers.len());
    let parts = [(rules, "rule"), (hosts, "docker host"), (receivers, "receiver")];
    format!("all good: {}", parts.map(|(count, word)| counted(count, word)).join(", "))
}

fn and_counts(problems: &Diagnostics) -> String {
    let counts: Vec<_> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .map(|(severity, word)| (problems.count(severity), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| counted(count, word))
        .collect();
    if counts.is_empty() { String::new() } else { format!("; {}", counts.join(", ")) }
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
