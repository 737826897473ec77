//! A heal that happened, told as a rule test: what came from outside becomes events, what autoheal made of it becomes
//! expectations. A heal that went on where an earlier one stopped is told with the earlier ones before it.
//!
//! `story` reads the timeline, `yaml` writes it down.

mod story;
mod yaml;

use std::collections::BTreeMap;

use crate::domain::alert::{Alert, Fingerprint};
use crate::domain::heal::{Heal, Outcome};
use crate::domain::reason::Reason;
use crate::domain::rule::Mode;

/// Earlier heals that are told before one; more of them make no test that anybody reads.
pub const MAX_CHAPTERS: usize = 20;

/// Whether what happened to a heal depends on the one before it on the same target.
#[must_use]
pub fn goes_on(heal: &Heal) -> bool {
    let depends = |reason: &Reason| {
        matches!(reason, Reason::Relapse { .. } | Reason::RelapseAfterLastStep { .. } | Reason::Flapping { .. })
    };
    !heal.relapses.is_empty() || heal.timeline.iter().any(|entry| depends(&entry.reason))
}

/// The test of the last of some heals of one rule and target, oldest first, as the text of a `*.test.yml`.
#[must_use]
pub fn as_test(heals: &[Heal]) -> String {
    let Some(last) = heals.last() else { return String::new() };
    let names = Names::of(heals);
    let start = heals.first().map_or(last.created_at, |first| first.created_at);
    let told = story::tell(heals, &names);
    yaml::write(last, start, &names, &told, untold(last))
}

/// What a rule test cannot tell of a heal, if there is something: its end is then not expected.
fn untold(heal: &Heal) -> Option<String> {
    let why = |reason: &Reason| match reason {
        Reason::NobodyWatched { .. } => Some("autoheal was not running for a while"),
        Reason::AlertStale { .. } => Some("the alert had begun to fire long before"),
        _ => None,
    };
    let left_out = (heal.timeline_dropped > 0).then_some("its story was too long to be kept whole");
    let dry = (heal.outcome() == Some(Outcome::Shadowed) && heal.mode != Mode::Shadow).then_some("it was a dry run");
    let why = heal.timeline.iter().find_map(|entry| why(&entry.reason));
    left_out.or(dry).or(why).map(str::to_owned)
}

/// The alerts of a story by the names the test gives them.
struct Names<'h>(BTreeMap<Fingerprint, (String, &'h Alert)>);

impl<'h> Names<'h> {
    fn of(heals: &'h [Heal]) -> Self {
        let mut names: BTreeMap<Fingerprint, (String, &Alert)> = BTreeMap::new();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for alert in heals.iter().flat_map(|heal| &heal.alerts) {
            if names.contains_key(&alert.fingerprint) {
                continue;
            }
            let name = alert.labels.get("alertname").map_or("alert", String::as_str);
            let count = counts.entry(name).or_default();
            *count += 1;
            let name = if *count == 1 { name.to_owned() } else { format!("{name} {count}") };
            names.insert(alert.fingerprint, (name, alert));
        }
        Self(names)
    }

    /// The name of an alert; `None` for one that the heal had no room for.
    fn get(&self, alert: Fingerprint) -> Option<&str> {
        self.0.get(&alert).map(|(name, _)| name.as_str())
    }

    fn iter(&self) -> impl Iterator<Item = &(String, &'h Alert)> {
        self.0.values()
    }
}
