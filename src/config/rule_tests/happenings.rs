//! What can happen in a rule test, and how it is written.

use std::sync::Arc;
use std::time::Duration;

use super::{Alerts, TestAlert};
use crate::config::diagnostic::Place;
use crate::config::reader::{Mapping, Reader, Schema};
use crate::config::suggest;
use crate::config::yaml::{Kind, Node};
use crate::domain::alert::AlertStatus;
use crate::domain::evidence::Answer;
use crate::domain::instruction::Order;
use crate::domain::pause::{AlertMatchers, Pause, PauseScope};

const ACTION: Schema =
    Schema { what: "`action`", keys: &["outcome", "says", "rule", "target"], unsupported: &[], strict: true };
const VERIFICATION: Schema = Schema {
    what: "`verification`",
    keys: &["answer", "probe", "says", "rule", "target"],
    unsupported: &[],
    strict: true,
};
const ORDER: Schema =
    Schema { what: "an order", keys: &["by", "reason", "refused", "rule", "target"], unsupported: &[], strict: true };
const PAUSE: Schema =
    Schema { what: "`pause`", keys: &["for", "reason", "by", "rule", "matchers"], unsupported: &[], strict: true };

/// What can be told, besides expectations; exactly one of them in an event.
pub(super) const HAPPENINGS: [&str; 10] =
    ["firing", "resolved", "action", "verification", "approve", "deny", "cancel", "pause", "resume", "wait"];

/// How an action can end in a test.
const OUTCOMES: [(&str, ActionEnd); 7] = [
    ("succeeded", ActionEnd::Succeeded),
    ("notNeeded", ActionEnd::NotNeeded),
    ("failed", ActionEnd::Failed),
    ("refused", ActionEnd::Refused),
    ("doubtful", ActionEnd::Doubtful),
    ("unreachable", ActionEnd::Unreachable),
    ("timedOut", ActionEnd::TimedOut),
];

/// What evidence can say in a test.
const ANSWERS: [(&str, Answer); 3] = [("true", Answer::Holds), ("false", Answer::Fails), ("unknown", Answer::Unknown)];

/// What can be asked for evidence besides the resolve, as rules write it.
const PROBES: [&str; 4] = ["http", "tcp", "promql", "container"];

/// A wait longer than this is a slip of the pen.
const LONGEST_WAIT: Duration = Duration::from_hours(366 * 24);

/// Who does what nobody is named for.
const SOMEBODY: &str = "a person";

/// What can happen in a test.
#[derive(Debug)]
pub enum Happening {
    /// Alertmanager delivers these alerts with this status.
    Delivery(AlertStatus, Vec<Arc<TestAlert>>),
    /// An action under way ends.
    Action {
        /// How.
        end: ActionEnd,
        /// In what words; the default ones when there are none.
        says: Option<String>,
        /// Which one, when several are under way.
        of: HealChoice,
    },
    /// From now on evidence says this.
    Verification(Testimony),
    /// A person approves, denies or cancels.
    Order {
        /// What.
        order: Order,
        /// Who.
        by: String,
        /// Why; may be empty.
        because: String,
        /// A part of the sentence with which it must be refused; `None` when it must be carried out.
        refused: Option<String>,
        /// Which heal, when several could be meant.
        of: HealChoice,
    },
    /// A person pauses.
    Pause {
        /// What.
        scope: PauseScope,
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// How long.
        lasts: Duration,
    },
    /// A person ends all pauses.
    Resume,
    /// Time passes.
    Wait(Duration),
}

/// What evidence says in a test.
#[derive(Debug, Clone)]
pub struct Testimony {
    /// Whether it holds.
    pub answer: Answer,
    /// In what words; the default ones when there are none.
    pub says: Option<String>,
    /// Only this kind of it; `None` means all.
    pub probe: Option<String>,
    /// Only for this heal; with nothing chosen it is for all.
    pub of: HealChoice,
}

/// How an action ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionEnd {
    /// It did its work.
    Succeeded,
    /// It found that nothing needs doing.
    NotNeeded,
    /// It was tried and failed.
    Failed,
    /// It must not or cannot be done.
    Refused,
    /// What was done cannot be known.
    Doubtful,
    /// It could not be tried.
    Unreachable,
    /// It did not end in time.
    TimedOut,
}

/// Which heal is meant.
#[derive(Debug, Clone, Default)]
pub struct HealChoice {
    /// The one of this rule.
    pub rule: Option<String>,
    /// The one on this target.
    pub target: Option<(String, Option<Place>)>,
}

pub(super) fn read(reader: &Reader<'_>, key: &str, node: &Node, alerts: &Alerts) -> Option<Happening> {
    match key {
        "firing" => read_delivery(reader, node, alerts).map(|found| Happening::Delivery(AlertStatus::Firing, found)),
        "resolved" => {
            read_delivery(reader, node, alerts).map(|found| Happening::Delivery(AlertStatus::Resolved, found))
        }
        "wait" => reader.duration(node, Duration::ZERO..=LONGEST_WAIT).map(Happening::Wait),
        "verification" => read_verification(reader, node).map(Happening::Verification),
        "approve" => read_order(reader, node, Order::Approve { attempt: None }),
        "deny" => read_order(reader, node, Order::Deny { attempt: None }),
        "cancel" => read_order(reader, node, Order::Cancel),
        "pause" => read_pause(reader, node),
        "resume" => reader.choice(node, &["all"]).map(|_| Happening::Resume),
        _ => read_action(reader, node),
    }
}

fn read_delivery(reader: &Reader<'_>, node: &Node, alerts: &Alerts) -> Option<Vec<Arc<TestAlert>>> {
    let read = |node| {
        let name = reader.word(node, "the name of an alert")?;
        if let Some(known) = alerts.get(name) {
            return known.clone();
        }
        let help = suggest::help(name, alerts.keys().map(String::as_str), "known alerts");
        let message = format!("there is no alert `{name}` under `alerts`");
        reader.error_with_help(&node.span, message, "unknown alert", Some(help));
        None
    };
    // Every name is read before one is missed.
    let found: Vec<_> = reader.list_or_one(node, "name of an alert").iter().map(read).collect();
    found.into_iter().collect()
}

fn read_action(reader: &Reader<'_>, node: &Node) -> Option<Happening> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(Happening::Action {
            end: one_of(reader, node, &OUTCOMES)?,
            says: None,
            of: HealChoice::default(),
        });
    }
    let action = reader.mapping(node, &ACTION)?;
    let end = reader.require(&action, "outcome", ACTION.what).and_then(|node| one_of(reader, node, &OUTCOMES));
    let says = plain(reader, &action, "says");
    Some(Happening::Action { end: end?, says, of: read_choice(reader, &action) })
}

fn read_verification(reader: &Reader<'_>, node: &Node) -> Option<Testimony> {
    let answer = |node| one_of(reader, node, &ANSWERS);
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(Testimony { answer: answer(node)?, says: None, probe: None, of: HealChoice::default() });
    }
    let verification = reader.mapping(node, &VERIFICATION)?;
    let answer = reader.require(&verification, "answer", VERIFICATION.what).and_then(answer);
    let probe = verification.get("probe").and_then(|node| reader.choice(node, &PROBES)).map(str::to_owned);
    let says = plain(reader, &verification, "says");
    Some(Testimony { answer: answer?, says, probe, of: read_choice(reader, &verification) })
}

fn read_order(reader: &Reader<'_>, node: &Node, order: Order) -> Option<Happening> {
    let name = |node| reader.word(node, "the name of a person").map(str::to_owned);
    if !matches!(node.kind, Kind::Map(_)) {
        let (because, refused, of) = (String::new(), None, HealChoice::default());
        return Some(Happening::Order { order, by: name(node)?, because, refused, of });
    }
    let mapping = reader.mapping(node, &ORDER)?;
    let by = mapping.get("by").map_or_else(|| Some(SOMEBODY.to_owned()), name);
    let because = plain(reader, &mapping, "reason").unwrap_or_default();
    let refused = plain(reader, &mapping, "refused");
    Some(Happening::Order { order, by: by?, because, refused, of: read_choice(reader, &mapping) })
}

fn read_pause(reader: &Reader<'_>, node: &Node) -> Option<Happening> {
    let lasts = |node| reader.duration(node, Duration::from_secs(1)..=Pause::LONGEST);
    let reason = || "paused in this test".to_owned();
    if !matches!(node.kind, Kind::Map(_)) {
        let by = SOMEBODY.to_owned();
        return Some(Happening::Pause { scope: PauseScope::All, reason: reason(), by, lasts: lasts(node)? });
    }
    let pause = reader.mapping(node, &PAUSE)?;
    let lasts = reader.require(&pause, "for", PAUSE.what).and_then(lasts);
    let scope = read_scope(reader, &pause);
    let by = plain(reader, &pause, "by").unwrap_or_else(|| SOMEBODY.to_owned());
    let reason = plain(reader, &pause, "reason").unwrap_or_else(reason);
    Some(Happening::Pause { scope: scope?, reason, by, lasts: lasts? })
}

fn read_scope(reader: &Reader<'_>, pause: &Mapping<'_>) -> Option<PauseScope> {
    match (pause.get("rule"), pause.get("matchers")) {
        (None, None) => Some(PauseScope::All),
        (Some(rule), None) => {
            reader.word(rule, "the name of a rule").map(|rule| PauseScope::Rule { rule: rule.to_owned() })
        }
        (None, Some(node)) => {
            let matchers = reader.list_or_one(node, "matcher").iter().filter_map(|node| reader.word(node, "a matcher"));
            let parsed = AlertMatchers::parse(matchers.map(str::to_owned).collect());
            parsed
                .map_err(|error| reader.error(&node.span, error.to_string(), "expected for example job=\"ui\""))
                .ok()
                .map(|matchers| PauseScope::Alerts { matchers })
        }
        (Some(_), Some(node)) => {
            reader.error(&node.span, "a pause covers one rule or some alerts, not both", "remove one of them");
            None
        }
    }
}

pub(super) fn read_choice(reader: &Reader<'_>, mapping: &Mapping<'_>) -> HealChoice {
    let rule = mapping.get("rule").and_then(|node| reader.word(node, "the name of a rule")).map(str::to_owned);
    let target = mapping.get("target").and_then(|node| {
        let target = reader.word(node, "the target")?;
        Some((target.to_owned(), Some(reader.place(&node.span))))
    });
    HealChoice { rule, target }
}

fn plain(reader: &Reader<'_>, mapping: &Mapping<'_>, key: &str) -> Option<String> {
    mapping.get(key).and_then(|node| reader.verbatim(node)).map(str::to_owned)
}

/// What one of some words means.
fn one_of<T: Copy>(reader: &Reader<'_>, node: &Node, words: &[(&str, T)]) -> Option<T> {
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let word = reader.choice(node, &known)?;
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}
