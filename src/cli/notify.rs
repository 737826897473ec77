//! `autoheal notify …`: try a receiver, or look at what it would be sent.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::remote::RemoteArgs;
use super::say::say;
use super::{Exit, Flags, fail, heals, plan, print, told};
use crate::clock::{Clock, SystemClock};
use crate::domain::alert::AlertStatus;
use crate::domain::heal::Heal;
use crate::domain::message::MessageKind;
use crate::ids::Ids;
use crate::notify::message::Pages;
use crate::notify::sample::{sample, test_alert};
use crate::notify::{self, ReceiverSettings};
use crate::web::payload;

/// `autoheal notify`.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    verb: NotifyVerb,
}

#[derive(Debug, Subcommand)]
enum NotifyVerb {
    /// Send one real test message by every way of a receiver and say what the other side answered; exit 1 if one fails
    Test {
        /// The receiver's name
        receiver: String,
    },
    /// Print what a receiver would be sent for a webhook payload; nothing is sent
    Preview {
        /// The receiver's name
        receiver: String,
        /// A webhook payload as Alertmanager sends it; - reads standard input
        file: PathBuf,
        /// What happened: started, healed, exhausted, … [default: firing or resolved, as the payload says]
        #[arg(long, value_name = "EVENT", value_parser = parse_kind)]
        event: Option<MessageKind>,
    },
    /// Messages that were given up: list them, send them again, or discard them (talks to the running daemon)
    Dead {
        #[command(subcommand)]
        verb: DeadVerb,
    },
}

#[derive(Debug, Subcommand)]
enum DeadVerb {
    /// List messages that were given up, oldest first
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Send a message again, or all of them
    Retry(DeadArgs),
    /// Forget a message that nobody needs any more, or all of them
    Discard(DeadArgs),
}

#[derive(Debug, Args)]
struct DeadArgs {
    /// The message's id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// All messages that were given up
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    remote: RemoteArgs,
}

fn parse_kind(text: &str) -> Result<MessageKind, String> {
    let known = || MessageKind::ALL.map(MessageKind::as_str).join(", ");
    let kind = MessageKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| format!("expected one of {}", known()))
}

/// Runs the verb.
pub fn run(flags: &Flags, args: &NotifyArgs) -> Exit {
    let verb = match &args.verb {
        NotifyVerb::Dead { verb } => return dead(verb),
        verb => verb,
    };
    let config = match flags.load() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let (NotifyVerb::Test { receiver: name } | NotifyVerb::Preview { receiver: name, .. }) = verb else {
        return Exit::Usage;
    };
    let Some(receiver) = config.receivers.iter().find(|receiver| receiver.name == *name) else {
        let known: Vec<_> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        say(format_args!("there is no receiver `{name}`; known receivers: {}", known.join(", ")));
        return Exit::Usage;
    };
    let pages = Pages::new(config.web.external_url.as_deref());
    match verb {
        NotifyVerb::Dead { verb } => dead(verb),
        NotifyVerb::Test { .. } if flags.dry_run => {
            say("a dry run sends nothing; look with `autoheal notify preview`");
            Exit::Usage
        }
        NotifyVerb::Test { .. } => test(receiver, &pages),
        NotifyVerb::Preview { file, event, .. } => preview(receiver, &pages, file, *event),
    }
}

/// Talks to the daemon, which has the messages.
fn dead(verb: &DeadVerb) -> Exit {
    let order = |args: &DeadArgs, verb: &str| {
        let body = args.id.as_ref().map_or_else(|| json!({ "all": true }), |id| json!({ "id": id }));
        let path = format!("api/v1/dead-letters/{verb}");
        heals::answer(&args.remote, |daemon| daemon.post(&path, &body), told::dead_order)
    };
    match verb {
        DeadVerb::List { remote } => {
            heals::answer(remote, |daemon| daemon.get("api/v1/dead-letters", &[]), told::dead_letters)
        }
        DeadVerb::Retry(args) => order(args, "retry"),
        DeadVerb::Discard(args) => order(args, "discard"),
    }
}

fn test(receiver: &ReceiverSettings, pages: &Pages) -> Exit {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids = Ids::time_ordered(Arc::clone(&clock));
    let mut notifiers = match notify::build(std::slice::from_ref(receiver), pages, &clock) {
        Ok(notifiers) => notifiers,
        Err(errors) => {
            for error in errors {
                say(error);
            }
            return Exit::Failure;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let now = clock.now();
    let mut said = String::new();
    let mut exit = Exit::Success;
    for (channel, settings) in receiver.channels() {
        let Some(notifier) = notifiers.remove(&channel.name) else { continue };
        let outgoing = sample(settings.test_kind(), vec![test_alert(now)], "", &ids, now);
        let line = match runtime.block_on(notifier.send(&outgoing)) {
            Ok(receipt) => format!("{}: {}", channel.name, receipt.said),
            Err(error) => {
                exit = Exit::Failure;
                format!("{}: FAILED: {error}", channel.name)
            }
        };
        said.push_str(&line);
        said.push('\n');
    }
    match print(&said) {
        Exit::Success => exit,
        failed => failed,
    }
}

fn preview(receiver: &ReceiverSettings, pages: &Pages, file: &Path, event: Option<MessageKind>) -> Exit {
    let now = SystemClock.now();
    let pages = &pages.of_receiver(&receiver.name);
    let read = plan::read(file).map_err(|error| format!("cannot be read: {error}"));
    let parsed = read.and_then(|body| payload::parse(&body, now).map_err(|error| error.to_string()));
    let delivery = match parsed {
        Ok(delivery) => delivery,
        Err(error) => {
            say(format_args!("{}: {error}", file.display()));
            return Exit::Usage;
        }
    };
    let fires = delivery.alerts.iter().any(|alert| alert.status == AlertStatus::Firing);
    let kind = event.unwrap_or(if fires { MessageKind::Firing } else { MessageKind::Resolved });
    let ids = Ids::time_ordered(Arc::new(SystemClock));
    let alerts = delivery.alerts.into_iter().take(Heal::MAX_ALERTS).collect();
    let outgoing = sample(kind, alerts, &delivery.external_url, &ids, now);
    let mut out = String::new();
    for (channel, settings) in receiver.channels() {
        let told = if channel.audience.wants(kind) { "" } else { " (not told of this by its events)" };
        // Writing to a text does not fail.
        let _ = write!(out, "== {}{told}\n{}\n", channel.name, settings.preview(&outgoing, pages));
    }
    print(&out)
}
