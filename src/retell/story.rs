//! From a timeline to events: everything that came from outside, in order, and the state in which it found the heal.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Names;
use crate::domain::alert::Fingerprint;
use crate::domain::evidence::{Answer, Probe};
use crate::domain::heal::{Heal, HealStep, Outcome, Phase, STATES, TimelineEntry};
use crate::domain::reason::Reason;
use crate::domain::{Timestamp, elapsed};

/// A hold shorter than this changes nothing that a test would see.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What happened from outside.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Happened {
    /// This alert fires.
    Firing(String),
    /// This alert has resolved.
    Resolved(String),
    /// The action ended, in these words.
    Action(&'static str, String),
    /// Evidence of this kind, or of all kinds, says so from now on.
    Verification(Answer, Option<&'static str>),
    /// A person of this name, for this reason, did this.
    Order(&'static str, String, String),
    /// Something held the heal back for so long.
    Held(Duration, String),
}

/// One event of the story.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
    /// The state in which it found the heal, with the step and attempt of an action under way.
    pub found: Option<Found>,
}

/// How a heal stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The state's name.
    pub state: &'static str,
    /// Step and attempt, from 1, where an action is under way.
    pub acting: Option<(usize, u32)>,
}

/// What a story has come to.
struct Teller<'h> {
    names: &'h Names<'h>,
    told: Vec<Told>,
    found: Option<Found>,
    firing: BTreeSet<Fingerprint>,
    /// Whether an action is under way of which no end has been told.
    acts: bool,
}

/// Tells heals of one rule and target, oldest first.
pub(super) fn tell(heals: &[Heal], names: &Names<'_>) -> Vec<Told> {
    let mut teller = Teller { names, told: Vec::new(), found: None, firing: BTreeSet::new(), acts: false };
    for heal in heals {
        teller.begin(heal);
        for index in 0..heal.timeline.len() {
            teller.entry(heal, index);
        }
    }
    teller.told
}

impl Teller<'_> {
    fn push(&mut self, at: Timestamp, what: Happened) {
        self.told.push(Told { at, what, found: self.found.clone() });
    }

    /// What the last heal did not live to see: an alert that fires anew must have resolved.
    fn begin(&mut self, heal: &Heal) {
        self.found = None;
        for alert in std::mem::take(&mut self.firing) {
            self.resolved(heal.created_at, alert);
        }
    }

    fn resolved(&mut self, at: Timestamp, alert: Fingerprint) {
        self.firing.remove(&alert);
        if let Some(name) = self.names.get(alert) {
            self.push(at, Happened::Resolved(name.to_owned()));
        }
    }

    fn entry(&mut self, heal: &Heal, index: usize) {
        let Some(TimelineEntry { at, what, reason, by }) = heal.timeline.get(index) else { return };
        let at = *at;
        match reason {
            Reason::AlertFiring { alert } | Reason::AlertJoined { alert } | Reason::FiringAgain { alert }
                if what == "firing" =>
            {
                self.firing.insert(*alert);
                if let Some(name) = self.names.get(*alert) {
                    self.push(at, Happened::Firing(name.to_owned()));
                }
            }
            Reason::AlertResolved { alert } | Reason::AlertGone { alert, .. } | Reason::AlertTimedOut { alert, .. }
                if what == "resolved" =>
            {
                self.resolved(at, *alert);
            }
            Reason::Approved { .. } => self.push(at, Happened::Order("approve", by.clone(), String::new())),
            Reason::Denied { because, .. } => self.push(at, Happened::Order("deny", by.clone(), because.clone())),
            Reason::CancelRequested { because, .. } => {
                self.push(at, Happened::Order("cancel", by.clone(), because.clone()));
            }
            // The end of a cancelled action follows from the person's word, which has been told.
            Reason::Cancelled { because, .. } if !cancelled_before(heal, index) => {
                self.push(at, Happened::Order("cancel", by.clone(), because.clone()));
            }
            Reason::Evidence { answers, .. } => self.evidence(heal, index, at, answers),
            reason if what == "held" => self.held(heal, index, reason),
            // An action that could not even be tried says so only here when there is nothing left to heal.
            Reason::ResolvedWithoutSuccess { failure } if self.acts => {
                self.push(at, Happened::Action("unreachable", failure.clone()));
            }
            reason => {
                if let Some((outcome, says)) = action_end(what, reason) {
                    self.foresee(heal, index, at);
                    self.push(at, Happened::Action(outcome, says));
                    self.acts = false;
                }
            }
        }
        self.acts = match what.as_str() {
            "acting" => true,
            "action failed" => false,
            state => self.acts && !STATES.contains(&state),
        };
        if let Some(state) = STATES.into_iter().find(|state| state == what) {
            let acting = match reason {
                Reason::Attempt { step, attempt, .. } => Some((step + 1, *attempt)),
                _ => None,
            };
            self.found = Some(Found { state, acting });
        }
    }

    /// Evidence is asked for the moment an action ends, so what it will say first must be told before.
    fn foresee(&mut self, heal: &Heal, index: usize, at: Timestamp) {
        let later = heal.timeline.iter().enumerate().skip(index + 1);
        let until_acting = later.take_while(|(_, entry)| entry.what != "acting");
        let first = until_acting.into_iter().find_map(|(position, entry)| match &entry.reason {
            Reason::Evidence { answers, .. } => Some((position, answers)),
            _ => None,
        });
        if let Some((position, answers)) = first {
            self.evidence(heal, position, at, answers);
        }
    }

    /// Tells of evidence whatever differs from what it said last.
    fn evidence(&mut self, heal: &Heal, index: usize, at: Timestamp, answers: &[Answer]) {
        let probes = step_at(heal, index).map_or(&[][..], |step| &step.verify.probes);
        if probes.len() != answers.len() {
            return;
        }
        let news: Vec<_> =
            probes.iter().zip(answers).filter(|(probe, answer)| self.last_answer(kind(probe)) != **answer).collect();
        if news.is_empty() {
            return;
        }
        match answers.first() {
            Some(first) if answers.iter().all(|answer| answer == first) => {
                self.push(at, Happened::Verification(*first, None));
            }
            _ => {
                for (probe, answer) in news {
                    self.push(at, Happened::Verification(*answer, Some(kind(probe))));
                }
            }
        }
    }

    /// What evidence of a kind says as far as the story has been told.
    fn last_answer(&self, kind: &str) -> Answer {
        let said = self.told.iter().rev().find_map(|told| match told.what {
            Happened::Verification(answer, probe) if probe.is_none_or(|probe| probe == kind) => Some(answer),
            _ => None,
        });
        said.unwrap_or(Answer::Holds)
    }

    /// What other heals, limits, people or Alertmanager hold back, a pause holds back in the test; it begins before the
    /// event after which the heal asked. Times of the rule itself hold in the test as they did.
    fn held(&mut self, heal: &Heal, index: usize, reason: &Reason) {
        let holds =
            |reason: &Reason| reason.is_hold() && !matches!(reason, Reason::Muted { .. } | Reason::Inactive { .. });
        let is_first = index.checked_sub(1).and_then(|before| heal.timeline.get(before));
        let is_first = is_first.is_none_or(|before| before.what != "held" || !holds(&before.reason));
        if !holds(reason) || !is_first {
            return;
        }
        let later = &heal.timeline[index + 1..];
        let free = later.iter().find(|entry| entry.what != "held" || !holds(&entry.reason));
        let until = free.map_or(heal.updated_at, |entry| entry.at);
        let Some(trigger) = self.told.last() else { return };
        let lasts = elapsed(trigger.at, until);
        if lasts < SHORTEST_PAUSE {
            return;
        }
        let pause = Told { at: trigger.at, what: Happened::Held(lasts, reason.to_string()), found: None };
        self.told.insert(self.told.len() - 1, pause);
    }
}

/// Whether a person's word to cancel stands earlier in the story than this entry.
fn cancelled_before(heal: &Heal, index: usize) -> bool {
    heal.timeline[..index].iter().any(|entry| matches!(entry.reason, Reason::CancelRequested { .. }))
}

/// How an action ended, by the entry that says so; what the clock ended ends by itself in the test.
fn action_end(what: &str, reason: &Reason) -> Option<(&'static str, String)> {
    Some(match reason {
        Reason::ActionDone { what, .. } => ("succeeded", what.clone()),
        Reason::ActionNotNeeded { what } => ("notNeeded", what.clone()),
        Reason::ActionFailed { error } => ("failed", error.clone()),
        Reason::ActionRefused { error } => ("refused", error.clone()),
        Reason::ActionDoubtful { error } if what == "action doubtful" => ("doubtful", error.clone()),
        Reason::ActionUnreachable { error, .. } | Reason::UnreachableTooLong { error, .. } => {
            ("unreachable", error.clone())
        }
        Reason::ActionStarted { what: says } if what == "action ended" => ("failed", says.clone()),
        _ => return None,
    })
}

/// The step that was the current one at an entry.
fn step_at(heal: &Heal, index: usize) -> Option<&HealStep> {
    let begun = heal.timeline[..=index].iter().rev().find_map(|entry| match entry.reason {
        Reason::Attempt { step, .. } => Some(step),
        _ => None,
    });
    heal.steps.get(begun.unwrap_or(heal.step))
}

fn kind(probe: &Probe<String>) -> &'static str {
    match probe {
        Probe::Http(_) => "http",
        Probe::Tcp(_) => "tcp",
        Probe::Promql(_) => "promql",
        Probe::ContainerHealthy => "container",
    }
}

/// Whether a heal's end can be expected by its reason: what other heals or people hold is held by a pause in the test.
pub(super) fn has_own_reason(heal: &Heal) -> bool {
    let is_open = matches!(heal.phase, Phase::Pending { .. });
    !(is_open && heal.reason.is_hold()) && heal.outcome() != Some(Outcome::Shadowed)
}
