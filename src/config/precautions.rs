//! What keeps a rule from doing harm: who must approve, how much it may do, and beside what it must not act.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::Names;
use super::reader::{Mapping, Reader, Schema};
use super::yaml::{Kind, Node};
use crate::domain::guard::Window;
use crate::domain::pause::{AlertMatchers, Pause};
use crate::domain::rule::Mode;
use crate::domain::rule_policy::{ApprovalPolicy, Flapping, RuleLimits, RulePolicy, StormLimit, WhenSilenced};

const APPROVAL: Schema =
    Schema { what: "`approval`", keys: &["expiresAfter", "approvers"], unsupported: &[], strict: true };

const LIMITS: Schema =
    Schema { what: "`limits`", keys: &["concurrent", "perHour", "windows", "storm"], unsupported: &[], strict: true };
const FLAPPING: Schema = Schema { what: "`flapping`", keys: &["relapses", "within"], unsupported: &[], strict: true };
const WINDOW: Schema =
    Schema { what: "a window of `limits`", keys: &["actions", "within"], unsupported: &[], strict: true };
const STORM: Schema = Schema { what: "`storm`", keys: &["targets", "within", "hold"], unsupported: &[], strict: true };

/// How the names of people in Slack begin.
const SLACK: &str = "slack:";
const NO_APPROVER: &str = "no token with `approve` or `admin`, no user of --web-config-file, no receiver";
const IN_SLACK: &str = "people in Slack are named by their member ID, such as slack:U0123456789";

/// Longest window of a storm and longest hold after it.
const LONGEST_STORM: Duration = Duration::from_hours(24);
/// Ages at which an alert may be too old.
const AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(365 * 24);
/// An approval that is waited for longer than this is forgotten by everybody.
const LONGEST_APPROVAL: Duration = Duration::from_hours(7 * 24);

/// Reads all of it. What has errors is left at its default; an error refuses the whole configuration anyway.
pub(super) fn read(reader: &Reader<'_>, rule: &Mapping<'_>, mode: Mode, approvers: &Names) -> RulePolicy {
    RulePolicy {
        approval: read_approval(reader, rule, mode, approvers).unwrap_or_default(),
        limits: rule.get("limits").and_then(|node| read_limits(reader, node)).unwrap_or_default(),
        blocked_by: rule.get("blockedBy").map_or_else(Vec::new, |node| read_blockers(reader, node)),
        when_silenced: rule.get("whenSilenced").and_then(|node| read_when_silenced(reader, node)).unwrap_or_default(),
        max_age: rule.get("maxAge").and_then(|node| reader.duration(node, AGES)),
        ..RulePolicy::default()
    }
}

fn read_when_silenced(reader: &Reader<'_>, node: &Node) -> Option<WhenSilenced> {
    let word = reader.choice(node, &["hold", "heal"])?;
    Some(if word == "heal" { WhenSilenced::Heal } else { WhenSilenced::Hold })
}

/// When relapses after verified heals are too many.
pub(super) fn read_flapping(reader: &Reader<'_>, node: &Node) -> Option<Flapping> {
    let flapping = reader.mapping(node, &FLAPPING)?;
    let relapses = reader.require(&flapping, "relapses", FLAPPING.what);
    let within = reader.require(&flapping, "within", FLAPPING.what);
    Some(Flapping {
        relapses: reader.integer(relapses?, &(1..=i64::from(Flapping::MAX_RELAPSES)))?,
        within: reader.duration(within?, Duration::from_secs(1)..=LONGEST_APPROVAL)?,
    })
}

fn read_limits(reader: &Reader<'_>, node: &Node) -> Option<RuleLimits> {
    let limits = reader.mapping(node, &LIMITS)?;
    Some(RuleLimits {
        concurrent: limits.get("concurrent").and_then(|node| reader.integer(node, &(1..=1000))),
        per_hour: limits.get("perHour").and_then(|node| reader.integer(node, &(1..=1_000_000))),
        windows: limits.get("windows").map(|node| read_windows(reader, node)).unwrap_or_default(),
        storm: limits.get("storm").and_then(|node| read_storm(reader, node)),
    })
}

/// Windows side by side. An empty list would pass for a limit and be none.
pub(super) fn read_windows(reader: &Reader<'_>, node: &Node) -> Vec<Window> {
    let list = reader.list(node, "windows");
    if list.is_empty() && matches!(node.kind, Kind::List(_)) {
        reader.error(&node.span, "`windows` limits nothing", "remove the key, or name one: {actions: 3, within: 10m}");
    }
    if list.len() > Window::MAX_WINDOWS {
        reader.error(&node.span, "these are too many windows", format!("at most {}", Window::MAX_WINDOWS));
    }
    let mut windows: Vec<Window> = Vec::new();
    for entry in list {
        let Some(window) = read_window(reader, entry) else { continue };
        if windows.iter().any(|known| known.within == window.within) {
            reader.error(&entry.span, "two windows last equally long", "only the narrower of them would ever hold");
        }
        windows.push(window);
    }
    windows
}

fn read_window(reader: &Reader<'_>, node: &Node) -> Option<Window> {
    let window = reader.mapping(node, &WINDOW)?;
    let actions = reader.require(&window, "actions", WINDOW.what);
    let within = reader.require(&window, "within", WINDOW.what);
    let actions = reader.integer(actions?, &(1..=i64::from(Window::MAX_ACTIONS)));
    let within = reader.duration(within?, Duration::from_secs(1)..=Window::LONGEST);
    Some(Window { actions: actions?, within: within? })
}

fn read_storm(reader: &Reader<'_>, node: &Node) -> Option<StormLimit> {
    let storm = reader.mapping(node, &STORM)?;
    let targets = reader.require(&storm, "targets", STORM.what);
    let within = reader.require(&storm, "within", STORM.what);
    let hold =
        storm.get("hold").map_or(Some(Duration::ZERO), |node| reader.duration(node, Duration::ZERO..=LONGEST_STORM));
    let most = i64::from(StormLimit::MAX_TARGETS);
    Some(StormLimit {
        targets: reader.integer(targets?, &(1..=most))?,
        within: reader.duration(within?, Duration::from_secs(1)..=LONGEST_STORM)?,
        hold: hold?,
    })
}

/// Each entry names alerts by matchers, all of which must hold; any entry blocks.
fn read_blockers(reader: &Reader<'_>, node: &Node) -> Vec<AlertMatchers> {
    let entries = reader.list(node, "matchers").iter();
    entries
        .filter_map(|entry| {
            let text = reader.word(entry, "this matcher")?;
            match AlertMatchers::parse(vec![text.to_owned()]) {
                Ok(matchers) => Some(matchers),
                Err(error) => {
                    let place = reader.within(entry, error.offset, 1);
                    reader.error(
                        &place,
                        format!("bad matcher: {}", error.message),
                        "expected for example alertname=\"NodeDown\"",
                    );
                    None
                }
            }
        })
        .collect()
}

fn read_approval(reader: &Reader<'_>, rule: &Mapping<'_>, mode: Mode, approvers: &Names) -> Option<ApprovalPolicy> {
    let node = rule.get("approval")?;
    let approval = reader.mapping(node, &APPROVAL)?;
    if mode != Mode::Ask {
        reader.error(&node.span, "`approval` stands in a rule that asks nobody", "needs `mode: ask`");
    }
    let mut policy = ApprovalPolicy::default();
    if let Some(after) = approval.get("expiresAfter") {
        policy.expires_after = reader.duration(after, Duration::from_secs(1)..=LONGEST_APPROVAL)?;
    }
    if let Some(names) = approval.get("approvers") {
        let list = reader.list(names, "names");
        if list.is_empty() {
            reader.error(
                &names.span,
                "`approvers` names nobody",
                "remove the key to let everybody approve who may at all",
            );
        }
        for name in list {
            let text = reader.word(name, "this name")?;
            if text.chars().count() > Pause::MAX_NAME {
                reader.error(&name.span, "this name is too long", format!("at most {} characters", Pause::MAX_NAME));
            }
            if mode == Mode::Ask && !approvers.may_be(text) && !is_in_slack(text) {
                // Only a warning: others can approve, and the token may come with the next reload.
                let message = format!("nobody who may approve is called `{text}`");
                let help = if text.starts_with(SLACK) { IN_SLACK.to_owned() } else { approvers.help(text) };
                reader.warning_with_help(&name.span, message, NO_APPROVER, help);
            }
            policy.approvers.push(text.to_owned());
        }
    }
    Some(policy)
}

/// Whether a name is a person's in Slack, whom no file lists: `slack:` and the member ID.
fn is_in_slack(name: &str) -> bool {
    let id = name.strip_prefix(SLACK);
    id.is_some_and(|id| {
        id.starts_with(['U', 'W'])
            && id.len() > 1
            && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}
