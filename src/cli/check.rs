//! `autoheal check [PATH…]`: loads everything and prints every problem the way a compiler does.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::online::{self, Whom};
use super::output::{self, Format};
use crate::config::{Config, DIFFERENCES, Diagnostics, LoadOptions, Severity, sort_paths};

/// What to check and how to tell.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Configuration files, rule files or directories of either [default: what the daemon would load]
    pub paths: Vec<PathBuf>,
    /// How to print the problems
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
    /// Fail on warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Also ask Docker hosts, servers, and receivers whether they are there and would take what the rules send; starts nothing and tells nobody
    #[arg(long)]
    pub online: bool,
}

/// Checks the configuration that `options` describe, or the paths (configuration files, files of rules, or directories of
/// both) in its place. Prints to `out` and answers whether all is well: there is no error, and no warning if warnings count.
///
/// # Errors
/// `out` cannot be written to.
pub fn run(mut options: LoadOptions, args: &CheckArgs, color: bool, out: &mut dyn Write) -> io::Result<bool> {
    options.lint = true;
    if !args.paths.is_empty() {
        let (config_files, rule_files) = sort_paths(&args.paths, &options.working_dir);
        // Rules alone are checked against the hosts and receivers of the configuration that is there anyway.
        if !config_files.is_empty() {
            options.config_files = config_files;
        }
        if !rule_files.is_empty() {
            options.rule_files = Some(rule_files);
        }
    }
    let (mut problems, loaded) = match Config::load(&options) {
        Ok((config, warnings)) => (warnings, Some(config)),
        Err(problems) => (problems, None),
    };
    let is_text = args.output == Format::Text;
    if is_text {
        output::write(&problems, args.output, color, out)?;
    }
    if let Some(config) = loaded.as_ref().filter(|_| args.online) {
        // People see each answer as it comes; programs read one whole.
        let wrong = if is_text {
            online::run(config, Whom::All, out)
        } else {
            online::run(config, Whom::All, &mut io::stderr())
        };
        problems.extend(wrong?);
    }
    if is_text {
        write_verdict(loaded.as_ref(), &problems, out)?;
    } else {
        output::write(&problems, args.output, color, out)?;
    }
    let bad = if args.strict { problems.iter().len() } else { problems.count(Severity::Error) };
    Ok(bad == 0)
}

/// The verdict, behind whatever led to it.
fn write_verdict(loaded: Option<&Config>, problems: &Diagnostics, out: &mut dyn Write) -> io::Result<()> {
    let verdict = loaded.filter(|_| !problems.has_errors()).map_or_else(|| "check failed".to_owned(), summary);
    writeln!(out, "{verdict}{}", and_counts(problems))?;
    if loaded.is_some_and(|config| config.has_ancestors_rules) {
        writeln!(out, "\nSome rules are written as for openshift/autoheal. On purpose it is different here:")?;
        DIFFERENCES.iter().try_for_each(|difference| writeln!(out, "- {difference}"))?;
    }
    Ok(())
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
