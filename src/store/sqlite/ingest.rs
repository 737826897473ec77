//! Deliveries: every alert with what the rules ask for, against what is remembered of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::apply::Applied;
use super::episodes::Memory;
use super::session::Session;
use crate::domain::action::Target;
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::rule::HealRequest;
use crate::store::{Decision, Sighting, StoreError};

impl Session {
    /// Decides on every alert of a delivery, each in sight of what the ones before it changed.
    pub(super) fn ingest(
        &self,
        policy: &Policy,
        sightings: &[Sighting],
        now: Timestamp,
    ) -> Result<Vec<Decision>, StoreError> {
        let mut decisions = Vec::new();
        let watches_blockers = policy.rules.has_blockers();
        for sighting in sightings {
            if watches_blockers {
                self.note_blocker(policy, &sighting.alert, now)?;
            }
            match sighting.alert.status {
                AlertStatus::Firing => self.ingest_firing(policy, sighting, now, &mut decisions)?,
                AlertStatus::Resolved => self.ingest_resolved(policy, sighting, now, &mut decisions)?,
            }
        }
        Ok(decisions)
    }

    fn ingest_firing(
        &self,
        policy: &Policy,
        sighting: &Sighting,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) -> Result<(), StoreError> {
        let Sighting { alert, requests, external_url } = sighting;
        for (new_heal, request) in requests {
            let mut request = request.clone();
            let snapshot = self.firing_snapshot(alert, &mut request)?;
            let rule = request.rule.clone();
            let event = Event::Firing {
                alert: Arc::clone(alert),
                request: Box::new(request),
                new_heal: *new_heal,
                external_url: external_url.to_string(),
            };
            decisions.push(decision(rule, self.transition(policy, snapshot, event, now)?));
        }
        Ok(())
    }

    /// What a firing alert meets. An open heal it already belongs to comes first, even where a reloaded rule now
    /// names another target: a repeat must never start a second heal. The request then asks for that heal's target.
    pub(super) fn firing_snapshot(&self, alert: &Alert, request: &mut HealRequest) -> Result<Snapshot, StoreError> {
        let mut memories = self.memories(alert.fingerprint, Some(&request.rule), false)?;
        if let Some(own) = find_open(&memories, &request.rule, &request.target) {
            let memory = memories.swap_remove(own);
            request.target = memory.episode.target.clone();
            return Ok(memory.into_snapshot());
        }
        Ok(Snapshot {
            heal: self.open_heal(&request.rule, &request.target)?,
            episode: memories.into_iter().map(|memory| memory.episode).find(|known| known.target == request.target),
            ..Snapshot::default()
        })
    }

    /// A resolve is told to whatever remembers the alert, also under rules that no longer match it or are gone.
    fn ingest_resolved(
        &self,
        policy: &Policy,
        sighting: &Sighting,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) -> Result<(), StoreError> {
        let Sighting { alert, requests, .. } = sighting;
        let mut memories = self.memories(alert.fingerprint, None, true)?;
        let mut resolve = |rule: String, target: Target, snapshot: Snapshot| -> Result<(), StoreError> {
            let event = Event::Resolved { alert: alert.clone(), rule: rule.clone(), target };
            decisions.push(decision(rule, self.transition(policy, snapshot, event, now)?));
            Ok(())
        };
        for (_, request) in requests {
            let rule = request.rule.clone();
            match find_asked(&memories, request).map(|index| memories.remove(index)) {
                Some(memory) => resolve(rule, memory.episode.target.clone(), memory.into_snapshot())?,
                // Nothing is known of it: decided all the same, so that an older firing that comes late is recognised.
                None => resolve(rule, request.target.clone(), Snapshot::default())?,
            }
        }
        for memory in memories {
            if memory.is_open() || memory.episode.status == AlertStatus::Firing {
                resolve(memory.episode.rule.clone(), memory.episode.target.clone(), memory.into_snapshot())?;
            }
        }
        Ok(())
    }

    /// What a resolve meets under the rule that asks, and on which target.
    pub(super) fn resolved_snapshot(
        &self,
        alert: &Alert,
        request: &HealRequest,
    ) -> Result<(Target, Snapshot), StoreError> {
        let mut memories = self.memories(alert.fingerprint, Some(&request.rule), true)?;
        Ok(match find_asked(&memories, request).map(|index| memories.swap_remove(index)) {
            Some(memory) => (memory.episode.target.clone(), memory.into_snapshot()),
            None => (request.target.clone(), Snapshot::default()),
        })
    }
}

/// The open heal of a rule that the alert belongs to, preferably the one on `target`.
fn find_open(memories: &[Memory], rule: &str, target: &Target) -> Option<usize> {
    let is_open = |memory: &Memory| memory.is_open() && memory.episode.rule == rule;
    memories
        .iter()
        .position(|memory| is_open(memory) && memory.episode.target == *target)
        .or_else(|| memories.iter().position(is_open))
}

/// What a resolve is told to first: the open heal of the rule that asks, or what is remembered of its target.
fn find_asked(memories: &[Memory], HealRequest { rule, target, .. }: &HealRequest) -> Option<usize> {
    find_open(memories, rule, target)
        .or_else(|| memories.iter().position(|memory| memory.episode.rule == *rule && memory.episode.target == *target))
}

fn decision(rule: String, applied: Applied) -> Decision {
    let Applied { heal, changed, reason, .. } = applied;
    let id = heal.as_ref().map(|heal| heal.id);
    let ended = heal.filter(|heal| changed && heal.ended_at() == Some(heal.updated_at)).map(Box::new);
    Decision { heal: id, rule, changed, ended, reason }
}
