//! What is on record: a store without a database. It keeps what a plan says, all of it or nothing, and refuses what a
//! real store's unique indexes refuse.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autoheal::domain::action::Target;
use autoheal::domain::alert::{Alert, Fingerprint};
use autoheal::domain::decide::{Event, Policy, Snapshot};
use autoheal::domain::guard::{Begun, Blocker, Load, RuleLoad, Storm, Window};
use autoheal::domain::heal::{Episode, Heal, HealId};
use autoheal::domain::message::MessageKind;
use autoheal::domain::pause::Pause;
use autoheal::domain::plan::Plan;
use autoheal::domain::rule::HealRequest;
use autoheal::domain::{Timestamp, elapsed};

use super::Violation;

const HOUR: Duration = Duration::from_hours(1);

/// An attempt that began.
pub struct Began {
    pub heal: HealId,
    pub step: usize,
    pub number: u32,
    pub rule: String,
    pub at: Timestamp,
}

/// See the module.
#[derive(Default)]
pub struct Record {
    pub heals: BTreeMap<HealId, Heal>,
    pub episodes: BTreeMap<(Fingerprint, String, Target), Episode>,
    pub began: Vec<Began>,
    /// Every message of every heal.
    pub told: BTreeMap<HealId, Vec<MessageKind>>,
    pub pauses: Vec<Pause>,
    pub blockers: BTreeMap<Fingerprint, Blocker>,
    pub storms: BTreeMap<String, Storm>,
    sightings: BTreeMap<(String, Target), Timestamp>,
}

impl Record {
    pub fn open(&self) -> impl Iterator<Item = &Heal> {
        self.heals.values().filter(|heal| heal.outcome().is_none())
    }

    /// Heals for which a human is called, each with when that is to be looked at.
    pub fn called(&self) -> impl Iterator<Item = (&Heal, Timestamp)> {
        self.heals.values().filter_map(|heal| Some((heal, heal.call.as_ref()?.look_at)))
    }

    pub fn acting(&self) -> impl Iterator<Item = &Heal> {
        self.open().filter(|heal| heal.attempt().is_some())
    }

    /// What a firing alert meets. An open heal it belongs to comes first, whatever target the rule now names.
    pub fn met_by_firing(&self, alert: &Alert, request: &mut HealRequest) -> Snapshot {
        let own = self.episodes.values().find(|known| {
            known.fingerprint == alert.fingerprint
                && known.rule == request.rule
                && known.heal.and_then(|id| self.heals.get(&id)).is_some_and(|heal| heal.outcome().is_none())
        });
        if let Some(own) = own {
            request.target = own.target.clone();
        }
        let open = self.open().find(|heal| heal.rule == request.rule && heal.target == request.target);
        self.snapshot(open.cloned(), alert.fingerprint, &request.rule, &request.target)
    }

    /// Every heal and memory a resolve is told to, with its rule and target.
    pub fn met_by_resolve(&self, alert: Fingerprint) -> Vec<(String, Target, Snapshot)> {
        let known = self.episodes.values().filter(|known| known.fingerprint == alert);
        known
            .map(|known| {
                let heal = known.heal.and_then(|id| self.heals.get(&id)).cloned();
                let snapshot = self.snapshot(heal, alert, &known.rule, &known.target);
                (known.rule.clone(), known.target.clone(), snapshot)
            })
            .collect()
    }

    fn snapshot(&self, heal: Option<Heal>, alert: Fingerprint, rule: &str, target: &Target) -> Snapshot {
        let episode = self.episodes.get(&(alert, rule.to_owned(), target.clone())).cloned();
        Snapshot { heal, episode, ..Snapshot::default() }
    }

    /// What an event of one heal meets.
    pub fn met_by(&self, id: HealId, event: &Event, policy: &Policy, now: Timestamp) -> Snapshot {
        let heal = self.heals.get(&id).cloned();
        let of_heal = |episode: &&Episode| {
            heal.iter().flat_map(|heal| &heal.alerts).any(|alert| alert.fingerprint == episode.fingerprint)
        };
        let memories = match event {
            Event::Instructed(_) | Event::CallDue => self.episodes.values().filter(of_heal).cloned().collect(),
            _ => Vec::new(),
        };
        let load = match (event, &heal) {
            (Event::Due { .. } | Event::CallDue, Some(heal)) => self.load(heal, policy, now),
            _ => Load::default(),
        };
        Snapshot { heal, memories, load, ..Snapshot::default() }
    }

    pub fn load(&self, heal: &Heal, policy: &Policy, now: Timestamp) -> Load {
        let target = heal.current_step().map(|step| step.action.target());
        let holder = self
            .acting()
            .find(|other| other.id != heal.id && other.current_step().map(|step| step.action.target()) == target);
        let hour = |rule: Option<&str>| -> (u32, Option<Timestamp>) {
            let began = self.began_within(HOUR, rule, now);
            (u32::try_from(began.len()).unwrap(), began.into_iter().min())
        };
        let (started_last_hour, oldest_start) = hour(None);
        let (rule_started, rule_oldest) = hour(Some(&heal.rule));
        let windows = |rule: Option<&str>, windows: &[Window]| -> Arc<[Begun]> {
            let begun = |window: &Window| {
                let mut began = self.began_within(window.within, rule, now);
                began.sort_unstable_by(|a, b| b.cmp(a));
                began.truncate(window.actions as usize);
                Begun {
                    within: window.within,
                    started: u32::try_from(began.len()).unwrap(),
                    oldest: began.last().copied(),
                }
            };
            windows.iter().map(begun).collect()
        };
        let of_rule = policy.rules.get(&heal.rule).map_or(&[][..], |rule| &rule.limits.windows);
        let mut sightings: Vec<Timestamp> = Vec::new();
        if let Some(limit) = policy.rules.get(&heal.rule).and_then(|rule| rule.limits.storm) {
            let of_rule = self.sightings.iter().filter(|((rule, _), _)| *rule == heal.rule);
            sightings.extend(of_rule.map(|(_, at)| *at).filter(|at| elapsed(*at, now) < limit.memory()));
            sightings.sort_unstable_by(|a, b| b.cmp(a));
        }
        Load {
            pauses: self.pauses.clone().into(),
            acting: u32::try_from(self.acting().count()).unwrap(),
            target_holder: holder.and_then(|heal| Some((heal.id, heal.attempt()?.deadline))),
            started_last_hour,
            oldest_start,
            windows: windows(None, &policy.limits.windows),
            rule: RuleLoad {
                acting: u32::try_from(self.acting().filter(|other| other.rule == heal.rule).count()).unwrap(),
                started_last_hour: rule_started,
                oldest_start: rule_oldest,
                windows: windows(Some(&heal.rule), of_rule),
                sightings: sightings.into(),
                storm: self.storms.get(&heal.rule).copied(),
            },
            blockers: self.blockers.values().cloned().collect(),
        }
    }

    pub fn began_within(&self, span: Duration, rule: Option<&str>, now: Timestamp) -> Vec<Timestamp> {
        let of_rule = self.began.iter().filter(|began| rule.is_none_or(|rule| began.rule == rule));
        of_rule.map(|began| began.at).filter(|at| *at > now - span).collect()
    }

    /// Writes a plan, whole.
    pub fn write(&mut self, policy: &Policy, plan: &Plan, rule: Option<&str>, now: Timestamp) -> Result<(), Violation> {
        if let Some(heal) = &plan.heal {
            self.refuse_doubles(heal)?;
            let is_new = !self.heals.contains_key(&heal.id);
            if is_new && policy.rules.get(&heal.rule).is_some_and(|rule| rule.limits.storm.is_some()) {
                self.sightings.insert((heal.rule.clone(), heal.target.clone()), now);
            }
            self.heals.insert(heal.id, heal.clone());
            self.told.entry(heal.id).or_default().extend(plan.messages.iter().map(|message| message.kind));
            if plan.start_action {
                self.begin(heal, now);
            }
        } else if plan.start_action || !plan.messages.is_empty() {
            return Err(Violation("a plan without a heal tells or starts something".to_owned()));
        }
        for episode in &plan.episodes {
            let key = (episode.fingerprint, episode.rule.clone(), episode.target.clone());
            self.episodes.insert(key, episode.clone());
        }
        if let (Some(storm), Some(rule)) = (plan.storm, rule) {
            self.storms.insert(rule.to_owned(), storm);
        }
        Ok(())
    }

    fn begin(&mut self, heal: &Heal, now: Timestamp) {
        let number = heal.current_step().map_or(0, |step| step.attempts_used);
        self.began.retain(|began| {
            // An attempt that could not even be tried keeps its number, and so its row.
            began.at > now - 24 * HOUR && (began.heal, began.step, began.number) != (heal.id, heal.step, number)
        });
        self.began.push(Began { heal: heal.id, step: heal.step, number, rule: heal.rule.clone(), at: now });
    }

    fn refuse_doubles(&self, heal: &Heal) -> Result<(), Violation> {
        if heal.outcome().is_some() {
            return Ok(());
        }
        for other in self.open().filter(|other| other.id != heal.id) {
            if (&other.rule, &other.target) == (&heal.rule, &heal.target) {
                return Err(Violation(format!("{} and {} are both open for one rule and target", other.id, heal.id)));
            }
        }
        Ok(())
    }

    /// Forgets heals that ended long ago and that no memory names, as upkeep does.
    pub fn forget(&mut self) {
        let named: Vec<HealId> = self.episodes.values().filter_map(|episode| episode.heal).collect();
        self.heals.retain(|id, heal| heal.outcome().is_none() || heal.call.is_some() || named.contains(id));
        let heals = &self.heals;
        self.told.retain(|id, _| heals.contains_key(id));
    }
}
