//! `autoheal awx`: asks the AWX servers whether they would take what rules send, and sets up what rules need there.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::online::{self, Whom};
use super::say::{say, show};
use super::{Exit, Flags, fail, print};
use crate::action::awx::{AwxAction, AwxWanted, Tally};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, read_awx_bootstrap};
use crate::telemetry::Metrics;

/// What to do with the AWX servers.
#[derive(Debug, Args)]
pub struct AwxArgs {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// Ask every server whether it is there and would take what the rules send; launches nothing
    Check,
    /// Have on a server the organization, project, inventory, credentials and job templates a file names; with --dry-run, only say what would be done
    Bootstrap {
        /// What the server should have; `autoheal schema awx-bootstrap` describes it
        file: PathBuf,
    },
}

/// Does it; exit 1 when something is wrong on a server, 2 when a file is.
pub fn run(flags: &Flags, args: &AwxArgs) -> Exit {
    let config = match flags.load() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let done = match &args.deed {
        Deed::Check => check(&config),
        Deed::Bootstrap { file } => return bootstrap(flags, &config, file.clone()),
    };
    done.map_or_else(|error| fail(&error), |is_good| if is_good { Exit::Success } else { Exit::Failure })
}

fn check(config: &Config) -> io::Result<bool> {
    let mut out = io::stdout();
    if config.awx_servers.is_empty() {
        writeln!(out, "no AWX server is configured")?;
    }
    online::run(config, Whom::Awx, &mut out).map(|problems| problems.is_empty())
}

fn bootstrap(flags: &Flags, config: &Config, file: PathBuf) -> Exit {
    let is_terminal = io::stderr().is_terminal();
    let (wanted, warnings) = match read_awx_bootstrap(file, &flags.load_options(), &config.awx_servers) {
        Ok(read) => read,
        Err(problems) => {
            show(&problems.render(is_terminal));
            say("the file is wrong, see above; nothing was asked of AWX");
            return Exit::Usage;
        }
    };
    show(&warnings.render(is_terminal));
    match build(config, &wanted, flags.dry_run) {
        Ok(Ok(tally)) => {
            let printed = print(&format!("{}\n", summary(tally, flags.dry_run)));
            if tally.failed == 0 { printed } else { Exit::Failure }
        }
        Ok(Err(error)) => {
            print(&format!("error: {error}\n"));
            Exit::Failure
        }
        Err(error) => fail(&error),
    }
}

fn build(config: &Config, wanted: &AwxWanted, dry_run: bool) -> io::Result<Result<Tally, String>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new(clock.now()));
    let awx = match AwxAction::new(&config.awx_servers, &clock, &metrics) {
        Ok(awx) => awx,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tell = |line: String| {
        // What was begun on the server is brought to its end, whether or not anybody reads along.
        let _ = writeln!(io::stdout(), "{line}");
    };
    Ok(runtime.block_on(awx.bootstrap(wanted, dry_run, &mut tell)))
}

fn summary(tally: Tally, dry_run: bool) -> String {
    let Tally { unchanged, created, corrected, failed } = tally;
    let whole = match (dry_run, failed) {
        (true, _) => "dry run, nothing was changed",
        (false, 0) => "done",
        (false, _) => "not everything is there; what is done stays done, and the next run goes on from it",
    };
    format!("{whole}: {unchanged} unchanged, {created} created, {corrected} corrected, {failed} failed")
}
