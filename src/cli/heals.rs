//! `autoheal heals …`, `pause`, `resume` and `status`: talk to a running daemon.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::remote::{Output, Remote, RemoteArgs};
use super::say::say;
use super::{Exit, environment, told};
use crate::clock::{Clock, SystemClock};
use crate::domain::{Timestamp, duration};

/// `autoheal heals`.
#[derive(Debug, Args)]
pub struct HealsArgs {
    #[command(subcommand)]
    verb: Option<HealsVerb>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum HealsVerb {
    /// List heals, newest first (also what happens without a verb)
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Why did it act, why not, what did it see, what comes next
    Show {
        /// The heal's id
        id: String,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// How heals ended, and what shadows would have done compared with what happened without them
    Report {
        #[command(flatten)]
        filter: ReportFilter,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// A heal with its whole story, as JSON or told as a rule test
    Export {
        /// The heal's id
        id: String,
        /// A rule test that passes as long as the rules do what they did: put it into a *.test.yml beside them
        #[arg(long)]
        as_test: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Allow the action that waits for approval
    Approve(OrderArgs),
    /// Refuse the action that waits for approval; the heal ends
    Deny(OrderArgs),
    /// End a heal; an action that runs is asked to stop
    Cancel(OrderArgs),
    /// Forget that a heal gave up, because you have taken care of it: the next firing begins at the first step
    Reset(OrderArgs),
}

#[derive(Debug, Args)]
struct OrderArgs {
    /// The heal's id
    id: String,
    /// Why; it stands in the heal's story
    #[arg(long, default_value = "")]
    reason: String,
    /// Only if the heal waits for this attempt (approve and deny)
    #[arg(long, value_name = "ID")]
    attempt: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only this state
    #[arg(long)]
    state: Option<String>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Planned since then: a time, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Planned before then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most this many
    #[arg(long)]
    limit: Option<u32>,
    /// The page behind this heal
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

#[derive(Debug, Args)]
struct ReportFilter {
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Ended since then: a time, or how long ago, such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Ended before then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// `autoheal pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// How long, such as 2h; a pause always ends
    #[arg(long = "for", value_name = "DURATION")]
    lasts: String,
    /// Why; everybody who wonders reads it
    #[arg(long)]
    reason: String,
    /// Only this rule
    #[arg(long, conflicts_with = "matcher")]
    rule: Option<String>,
    /// Only alerts that match, such as job="ui"; repeatable
    #[arg(long)]
    matcher: Vec<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// `autoheal resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The pause to end [default: all of them]
    id: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// `autoheal status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

/// Runs `heals`.
pub fn run(args: HealsArgs) -> Exit {
    let HealsArgs { verb, filter, remote } = args;
    match verb.unwrap_or(HealsVerb::List { filter, remote }) {
        HealsVerb::List { filter, remote } => look(&remote, "api/v1/heals", filter.query(), told::list),
        HealsVerb::Report { filter, remote } => look(&remote, "api/v1/report", filter.query(), told::report),
        HealsVerb::Show { id, remote } => answer(&remote, |daemon| daemon.get(&path(&id, ""), &[]), told::heal),
        HealsVerb::Export { id, as_test: true, remote } => {
            let asked = remote.connect(&environment()).and_then(|daemon| daemon.text(&path(&id, "test")));
            asked.map_or_else(|exit| exit, |text| super::print(&text))
        }
        HealsVerb::Export { id, mut remote, .. } => {
            remote.output = Output::Json;
            answer(&remote, |daemon| daemon.get(&path(&id, ""), &[]), |_| String::new())
        }
        HealsVerb::Approve(order) => give(order, "approve"),
        HealsVerb::Deny(order) => give(order, "deny"),
        HealsVerb::Cancel(order) => give(order, "cancel"),
        HealsVerb::Reset(order) => give(order, "reset"),
    }
}

/// Asks with a filter and prints.
fn look(args: &RemoteArgs, path: &str, filter: Result<Query, String>, tell: impl FnOnce(&Value) -> String) -> Exit {
    match filter {
        Ok(query) => answer(args, |daemon| daemon.get(path, &query), tell),
        Err(error) => {
            say(error);
            Exit::Usage
        }
    }
}

fn give(args: OrderArgs, verb: &str) -> Exit {
    let mut body = json!({ "reason": args.reason });
    if let Some(attempt) = args.attempt {
        body["attempt"] = json!(attempt);
    }
    answer(&args.remote, |daemon| daemon.post(&path(&args.id, verb), &body), told::heal)
}

/// A heal's place in the API. What is no id must not lead anywhere else.
fn path(id: &str, verb: &str) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if verb.is_empty() { format!("api/v1/heals/{id}") } else { format!("api/v1/heals/{id}/{verb}") }
}

/// Runs `pause`.
pub fn pause(args: PauseArgs) -> Exit {
    let mut body = json!({ "for": args.lasts, "reason": args.reason });
    if let Some(rule) = args.rule {
        body["rule"] = json!(rule);
    }
    if !args.matcher.is_empty() {
        body["matchers"] = json!(args.matcher);
    }
    answer(&args.remote, |daemon| daemon.post("api/v1/pause", &body), |pause| format!("{}\n", told::pause(pause)))
}

/// Runs `resume`.
pub fn resume(args: &ResumeArgs) -> Exit {
    let body = args.id.as_ref().map_or_else(|| json!({}), |id| json!({ "id": id }));
    answer(
        &args.remote,
        |daemon| daemon.post("api/v1/resume", &body),
        |answer| {
            let ended: Vec<_> = answer["resumed"].as_array().into_iter().flatten().map(told::pause).collect();
            if ended.is_empty() {
                "nothing was paused\n".to_owned()
            } else {
                format!("ended: {}\n", ended.join("\nended: "))
            }
        },
    )
}

/// Runs `status`.
pub fn status(args: &StatusArgs) -> Exit {
    answer(&args.remote, |daemon| daemon.get("api/v1/status", &[]), told::status)
}

/// Asks and prints.
pub fn answer(
    args: &RemoteArgs,
    ask: impl FnOnce(&Remote) -> Result<Value, Exit>,
    tell: impl FnOnce(&Value) -> String,
) -> Exit {
    let asked = args.connect(&environment()).and_then(|daemon| ask(&daemon));
    match asked {
        Ok(value) if args.output == Output::Json => super::print(&format!("{value:#}\n")),
        Ok(value) => super::print(&tell(&value)),
        Err(exit) => exit,
    }
}

/// A filter as the API takes it.
type Query = Vec<(&'static str, String)>;

impl Filter {
    fn query(&self) -> Result<Query, String> {
        let plain = [
            ("state", self.state.clone()),
            ("rule", self.rule.clone()),
            ("target", self.target.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("before", self.before.clone()),
            ("since", self.since.as_deref().map(time).transpose()?),
            ("until", self.until.as_deref().map(time).transpose()?),
        ];
        Ok(plain.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

impl ReportFilter {
    fn query(&self) -> Result<Query, String> {
        let plain = [
            ("rule", self.rule.clone()),
            ("since", self.since.as_deref().map(time).transpose()?),
            ("until", self.until.as_deref().map(time).transpose()?),
        ];
        Ok(plain.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

/// A time, or how long ago it was.
fn time(text: &str) -> Result<String, String> {
    if let Ok(ago) = duration::parse(text) {
        return Ok((SystemClock.now() - ago).to_string());
    }
    let time: Result<Timestamp, _> = text.parse();
    let expected = "a time such as 2026-11-22T07:00:00Z or a duration such as 2h";
    time.map(|time| time.to_string()).map_err(|_| format!("{text:?} is neither: expected {expected}"))
}
