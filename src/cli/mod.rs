//! The command line: one file per verb. The only room that reads the environment.

mod awx;
pub mod check;
pub mod entrypoint;
mod heals;
mod healthcheck;
mod manual;
mod notify;
mod online;
pub mod output;
mod plan;
mod remote;
mod say;
mod schema;
mod serve;
pub mod test;
mod told;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};

use self::say::{say, show};
use crate::app::Origin;
use crate::causes;
use crate::config::{Config, LoadOptions};
use crate::telemetry::{LogFormat, LogLevel};

/// What the process answers when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// Something failed, or a check found problems.
    Failure = 1,
    /// The command line, the configuration or the rules are wrong.
    Usage = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Repairs what it safely can, verifies the repair, and wakes a human only when it must.
#[derive(Debug, Parser)]
#[command(name = "autoheal", version, propagate_version = true, args_conflicts_with_subcommands = false)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Flags every verb takes; verbs ignore what they do not need.
#[derive(Debug, Clone, Args)]
struct Flags {
    /// Configuration file or directory of *.yml files; repeatable, later scalars win, rules accumulate [default: autoheal.yml if it exists]
    #[arg(long, alias = "config.file", value_name = "PATH", value_delimiter = ',', global = true)]
    config_file: Vec<PathBuf>,
    /// File with KEY=VALUE lines for ${NAME} in the configuration [default: what `AUTOHEAL_SECRETS_FILE` says, then /run/autoheal/secrets]
    #[arg(long, value_name = "PATH", global = true)]
    secrets_file: Option<PathBuf>,
    /// Accept a secrets file that group or others may read
    #[arg(long, global = true)]
    insecure_secrets_file: bool,
    /// Where heals are kept, for example sqlite:data/autoheal.db
    #[arg(long, alias = "storage.path", value_name = "LOCATION", global = true)]
    store: Option<String>,
    /// Where to listen [default: 127.0.0.1:9099]
    #[arg(long, alias = "web.listen-address", value_name = "ADDRESS", global = true)]
    listen_address: Option<String>,
    /// File with TLS, client certificates and users for the web interface, in the format of Prometheus' exporter-toolkit
    #[arg(long, alias = "web.config.file", value_name = "FILE", global = true)]
    web_config_file: Option<PathBuf>,
    /// Least severe messages to log: debug, info, warn or error
    #[arg(long, alias = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    log_level: LogLevel,
    /// How log lines look: logfmt or json
    #[arg(long, alias = "log.format", value_name = "FORMAT", default_value = "logfmt", global = true)]
    log_format: LogFormat,
    /// Decide as always, but do nothing: no action and no message is even built, heals end «shadowed»
    #[arg(long, global = true)]
    dry_run: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon (also what happens without a verb)
    #[command(alias = "server")]
    Serve,
    /// Load configuration, rules and secrets and print every problem; exit 1 on any
    Check(check::CheckArgs),
    /// Say what would be done for a webhook payload, and do nothing
    Plan(plan::PlanArgs),
    /// Run rule tests (*.test.yml) on virtual time; exit 1 if one fails, 2 if a file is wrong
    Test(test::TestArgs),
    /// Try a receiver, or look at what it would be sent
    Notify(notify::NotifyArgs),
    /// Heals of a running daemon: list, show, export, approve, deny, cancel, reset
    Heals(Box<heals::HealsArgs>),
    /// Stop a running daemon from starting anything new, for a while
    Pause(heals::PauseArgs),
    /// End a pause before its time
    Resume(heals::ResumeArgs),
    /// What a running daemon says of itself
    Status(heals::StatusArgs),
    /// Ask the AWX servers about what rules send, or set up there what rules need
    Awx(awx::AwxArgs),
    /// Render the secrets file from a mounted file and the environment, then run the rest of the command line
    Entrypoint(entrypoint::Arguments),
    /// Ask a daemon on this machine whether it is healthy; for container health checks
    Healthcheck,
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        /// The kind of file
        #[arg(value_enum, default_value_t)]
        kind: schema::Kind,
    },
    /// Print the completions of a shell: bash, elvish, fish, powershell or zsh
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of autoheal or of one verb, for man(1)
    Man {
        /// The verb
        verb: Option<String>,
    },
}

impl Flags {
    /// Loading as these flags and the environment say.
    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            config_files: self.config_file.clone(),
            rule_files: None,
            secrets_file: self.secrets_file.clone(),
            insecure_secrets: self.insecure_secrets_file,
            without_secrets: false,
            lint: false,
            store: self.store.clone(),
            listen_address: self.listen_address.clone(),
            web_config_file: self.web_config_file.clone(),
            environment: environment(),
            // Without a working directory relative paths mean nothing; the empty path leaves them as they are.
            working_dir: std::env::current_dir().unwrap_or_default(),
            held_rules: None,
        }
    }

    /// Loads the configuration; prints what is wrong with it to standard error.
    fn load(&self) -> Result<Config, Exit> {
        self.load_with_origin().map(|(config, _)| config)
    }

    /// As [`Flags::load`], with where it came from.
    fn load_with_origin(&self) -> Result<(Config, Origin), Exit> {
        let is_terminal = std::io::stderr().is_terminal();
        let options = self.load_options();
        let (loaded, sources) = Config::load_noting(&options);
        match loaded {
            Ok((config, warnings)) => {
                show(&warnings.render(is_terminal));
                Ok((config, Origin { options, sources, hang_up: Arc::default() }))
            }
            Err(problems) => {
                show(&problems.render(is_terminal));
                say("the configuration is wrong, see above; nothing was started");
                Err(Exit::Usage)
            }
        }
    }
}

/// The environment's variables that are text.
#[expect(clippy::disallowed_methods, reason = "cli is the room that reads the environment")]
fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Runs the command line; answers what the process exits with.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { flags, verb } = Cli::parse();
    // Every TLS client and server of this process uses this one; a second call would be a defect, and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exit = match verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve::run(&flags),
        Verb::Check(args) => check(&flags, &args),
        Verb::Plan(args) => plan::run(&flags, &args),
        Verb::Notify(args) => notify::run(&flags, &args),
        Verb::Heals(args) => heals::run(*args),
        Verb::Pause(args) => heals::pause(args),
        Verb::Resume(args) => heals::resume(&args),
        Verb::Status(args) => heals::status(&args),
        Verb::Test(args) => test(&flags, &args),
        Verb::Awx(args) => awx::run(&flags, &args),
        Verb::Entrypoint(arguments) => entrypoint(&flags, arguments),
        Verb::Healthcheck => healthcheck::run(&flags),
        Verb::Schema { kind } => schema::run(kind),
        Verb::Completions { shell } => manual::completions(shell, Cli::command()),
        Verb::Man { verb } => manual::page(verb.as_deref(), Cli::command()),
    };
    exit.into()
}

fn check(flags: &Flags, args: &check::CheckArgs) -> Exit {
    let mut out = std::io::stdout();
    let is_terminal = out.is_terminal();
    match check::run(flags.load_options(), args, is_terminal, &mut out) {
        Ok(true) => Exit::Success,
        Ok(false) => Exit::Failure,
        Err(error) => fail(&error),
    }
}

fn test(flags: &Flags, args: &test::TestArgs) -> Exit {
    let mut out = std::io::stdout();
    let is_terminal = out.is_terminal();
    test::run(&flags.load_options(), args, is_terminal, &mut out).unwrap_or_else(|error| fail(&error))
}

#[expect(clippy::disallowed_methods, reason = "cli is the room that reads the environment")]
fn entrypoint(flags: &Flags, arguments: entrypoint::Arguments) -> Exit {
    let arguments = entrypoint::Arguments { secrets_file: flags.secrets_file.clone(), ..arguments };
    match entrypoint::run(&arguments, std::env::vars_os().collect()) {
        Ok(never) => match never {},
        Err(error) => fail(&error),
    }
}

/// Prints what was asked for.
fn print(text: &str) -> Exit {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Exit::Success,
        Err(error) => fail(&error),
    }
}

/// Prints an error with its causes. Whoever closes a pipe has read enough and wants to hear no more.
fn fail(error: &(dyn std::error::Error + 'static)) -> Exit {
    let error_kind = error.downcast_ref().map(std::io::Error::kind);
    if error_kind != Some(std::io::ErrorKind::BrokenPipe) {
        say(causes::told(error));
    }
    Exit::Failure
}
