//! `autoheal plan FILE`: what would be done for a webhook payload. Reads, decides, prints; changes nothing.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::say::say;
use super::{Exit, Flags, fail};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, StoreLocation};
use crate::rehearse::{self, PlanReport, Stage};
use crate::store::sqlite::{OpenError, Peek};
use crate::web::payload;

/// A payload larger than this is refused, as the daemon would by default.
const MAX_PAYLOAD_BYTES: u64 = 32 * 1024 * 1024;

/// What to rehearse and how to print it.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A webhook payload as Alertmanager sends it; - reads standard input
    file: PathBuf,
    /// Say of each matcher what it asks, what the alert has, and whether it holds
    #[arg(long)]
    explain: bool,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints the plan; exit 1 if a matching rule cannot be rendered, 2 if there is nothing to plan for.
pub fn run(flags: &Flags, args: &PlanArgs) -> Exit {
    let config = match flags.load() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let name = args.file.display();
    let body = match read(&args.file) {
        Ok(body) => body,
        Err(error) => {
            say(format_args!("{name} cannot be read: {error}"));
            return Exit::Usage;
        }
    };
    let now = SystemClock.now();
    let delivery = match payload::parse(&body, now) {
        Ok(delivery) => delivery,
        Err(error) => {
            say(format_args!("{name}: {error}"));
            return Exit::Usage;
        }
    };
    let past = match memory(flags, &config) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let policy = config.policy(flags.dry_run);
    let stage = Stage { rules: &config.rules, policy: &policy, past: past.as_ref(), explain: args.explain, now };
    let report = match rehearse::plan_delivery(stage, &delivery) {
        Ok(report) => report,
        Err(error) => {
            say(format_args!("the store cannot be read: {error}"));
            return Exit::Usage;
        }
    };
    match print(&report, args.output) {
        Ok(()) if report.has_errors() => Exit::Failure,
        Ok(()) => Exit::Success,
        Err(error) => fail(&error),
    }
}

/// The memory that `--store` names. What the configuration names is left alone: most plans ask what rules say, not what
/// has been going on.
fn memory(flags: &Flags, config: &Config) -> Result<Option<Peek>, Exit> {
    let (Some(_), StoreLocation::Sqlite(path)) = (&flags.store, &config.store) else { return Ok(None) };
    Peek::open(path).map(Some).map_err(|error| {
        match error {
            OpenError::File { path: missing, error } if missing == *path && error.kind() == io::ErrorKind::NotFound => {
                say(format_args!(
                    "there is no store yet at {}: a daemon makes it when it starts; without --store the plan assumes that nothing happened before",
                    path.display()
                ));
            }
            error => say(format_args!("the store {} cannot be read: {error}", path.display())),
        }
        Exit::Usage
    })
}

/// A payload's bytes, within the limit.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let limit = MAX_PAYLOAD_BYTES + 1;
    let length = if file.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut body)?
    } else {
        std::fs::File::open(file)?.take(limit).read_to_end(&mut body)?
    };
    if length as u64 > MAX_PAYLOAD_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_PAYLOAD_BYTES} bytes")));
    }
    Ok(body)
}

fn print(report: &PlanReport, output: Output) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Text => write!(out, "{report}")?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
        }
    }
    out.flush()
}
