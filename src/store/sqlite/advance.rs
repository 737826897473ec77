//! What time and the engine bring: heals that fall due, events of one heal, leases.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Row, params};
use uuid::Uuid;

use super::apply::{Applied, Errand, LEASE, id_text, later};
use super::load::{Running, Surroundings};
use super::session::{Session, decode_heal, encode, millis, millis_up, timestamp, unreadable};
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::guard::{Full, Load};
use crate::domain::heal::{AttemptId, Episode, Heal, HealId};
use crate::domain::instruction::Instruction;
use crate::domain::reason::Reason;
use crate::store::{Advanced, Instructed, StoreError};

/// The state in which heals wait for leave to act.
const WAITING: &str = "pending";
/// The states of open heals in the order they are looked at: what may end comes before what wants to begin.
pub(super) const OPEN_STATES: [&str; 4] = ["acting", "verifying", "awaiting_approval", WAITING];
/// Heals looked up at a time. While limits hold the first that waits, every delivery asks for it again; finding all the
/// others with it would take the writer's time from the deliveries.
const PORTION: u32 = 8;
/// When to look again at a heal that was due and yet did not change, or that waits for room: soon, but not in a busy loop.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// When to look again at a heal that cannot be read or written: one such heal must not keep the others waiting.
const LOOK_AGAIN_AFTER_ERROR: Duration = Duration::from_mins(5);

/// Which pending heals are not asked, because a limit is reached for them.
#[derive(Default)]
struct Reached {
    /// The limits over all rules: only heals that merely record what would be done are asked.
    everything: bool,
    /// Rules that reached their own.
    rules: BTreeSet<String>,
}

impl Reached {
    fn any(&self) -> bool {
        self.everything || !self.rules.is_empty()
    }

    /// Whether a waiting heal of this rule need not be asked.
    fn holds_back(&self, policy: &Policy, rule: &str) -> bool {
        let is_shadow = || policy.rules.shadows().iter().any(|name| name == rule);
        self.rules.contains(rule) || self.everything && !is_shadow()
    }

    /// Which waiting heals to look for.
    fn filter(&self, policy: &Policy) -> Filter {
        if self.everything {
            let shadows = policy.rules.shadows().iter().filter(|rule| !self.rules.contains(*rule));
            return Filter::Only(shadows.cloned().collect());
        }
        if self.rules.is_empty() { Filter::None } else { Filter::Without(self.rules.iter().cloned().collect()) }
    }
}

/// Which heals of a state are looked for.
enum Filter {
    /// All.
    None,
    /// Those of these rules.
    Only(Vec<String>),
    /// Those of other rules.
    Without(Vec<String>),
}

impl Session {
    /// Decides on heals that are due: first those whose end may make room, then those that wait for room.
    pub(super) fn advance_due(&self, policy: &Policy, limit: u32, now: Timestamp) -> Result<Advanced, StoreError> {
        let mut advanced = Advanced::default();
        let mut reached = Reached::default();
        let mut room = limit;
        let around = self.surroundings(policy, now)?;
        for state in OPEN_STATES {
            // What a limit holds back keeps its place, and nothing is written for it; the others are asked.
            let held_back = |reached: &Reached| if state == WAITING { reached.filter(policy) } else { Filter::None };
            while room > 0 {
                let filter = held_back(&reached);
                // The usual case under load, and asking for nobody would still walk past everybody.
                if matches!(&filter, Filter::Only(rules) if rules.is_empty()) {
                    break;
                }
                let due = self.due_heals(state, &filter, room.min(PORTION), now)?;
                if due.is_empty() {
                    break;
                }
                room = room.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
                // Read anew each time, because attempts that ended above gave back what those below ask for.
                let mut running = self.running(policy, now)?;
                for (id, rule) in due {
                    if reached.holds_back(policy, &rule) && state == WAITING {
                        continue;
                    }
                    match self.advance_one(policy, id, &around, &mut running, &mut advanced, now)? {
                        Some(Full::Everything) if !reached.everything => reached.everything = true,
                        // Also a heal that acts although its rule, reloaded, only records: it must not be asked for ever.
                        Some(_) => drop(reached.rules.insert(rule)),
                        None => {}
                    }
                }
            }
        }
        self.look_at_calls(policy, &around, room, &mut advanced, now)?;
        advanced.next_due = self.next_due(reached.any(), now)?;
        Ok(advanced)
    }

    /// Looks at the calls for a human that are due: whether they are over, and who is to be reminded.
    fn look_at_calls(
        &self,
        policy: &Policy,
        around: &Surroundings,
        limit: u32,
        advanced: &mut Advanced,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT heal FROM call WHERE look_at <= ?1 ORDER BY look_at LIMIT ?2")?;
        let mut rows = statement.query(params![millis(now), limit])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push(heal_id(row, 0)?);
        }
        for id in due {
            let look = |session: &Self| {
                let heal = session.read_heal(id)?;
                let memories = session.memories_of(heal.as_ref())?;
                let load = session.load(policy, heal.as_ref(), around, &mut session.running(policy, now)?, now)?;
                session.transition(
                    policy,
                    Snapshot { heal, memories, load, ..Snapshot::default() },
                    Event::CallDue,
                    now,
                )
            };
            match self.apart(look) {
                Ok(Applied { heal: Some(heal), changed: true, .. }) => advanced.changed.push(heal),
                Ok(_) => {
                    self.postpone_call(id, later(now, LOOK_AGAIN_AFTER_ERROR))?;
                }
                Err(error) if self.gave_up() => return Err(error),
                Err(error) => {
                    tracing::error!(heal = %id, %error, again_in = ?LOOK_AGAIN_AFTER_ERROR, "a call for a human cannot be looked at");
                    self.postpone_call(id, later(now, LOOK_AGAIN_AFTER_ERROR))?;
                }
            }
        }
        Ok(())
    }

    fn postpone_call(&self, id: HealId, look_at: i64) -> Result<(), StoreError> {
        self.execute("UPDATE call SET look_at = ?2 WHERE heal = ?1", params![id_text(id.0), look_at])?;
        Ok(())
    }

    /// What is remembered of all alerts of a heal.
    fn memories_of(&self, heal: Option<&Heal>) -> Result<Vec<Episode>, StoreError> {
        let mut memories = Vec::new();
        for alert in heal.into_iter().flat_map(|heal| &heal.alerts) {
            memories.extend(self.memories(alert.fingerprint, None, false)?.into_iter().map(|memory| memory.episode));
        }
        Ok(memories)
    }

    /// Decides on one due heal; answers which limit it found reached.
    fn advance_one(
        &self,
        policy: &Policy,
        id: HealId,
        around: &Surroundings,
        running: &mut Running,
        advanced: &mut Advanced,
        now: Timestamp,
    ) -> Result<Option<Full>, StoreError> {
        let applied = match self.apart(|session| session.advance(policy, id, around, running, now)) {
            Ok(applied) => applied,
            Err(error) if self.gave_up() => return Err(error),
            Err(error) => {
                tracing::error!(heal = %id, %error, again_in = ?LOOK_AGAIN_AFTER_ERROR, "a due heal cannot go on");
                self.postpone(id, later(now, LOOK_AGAIN_AFTER_ERROR))?;
                return Ok(None);
            }
        };
        let Applied { heal, changed, errand, full, look_again_at, storm, .. } = applied;
        if let Some(heal) = &heal {
            running.note_storm(&heal.rule, storm);
        }
        match heal {
            Some(heal) if changed => {
                match errand {
                    Some(Errand::Start) => {
                        // The next heal's guards must see what this one took.
                        *running = self.running(policy, now)?;
                        advanced.to_start.push(heal.clone());
                    }
                    Some(Errand::Stop) => advanced.to_cancel.push(heal.clone()),
                    None => {}
                }
                advanced.changed.push(heal);
            }
            _ if full.is_some() => {}
            // The document knows when it is due, should the column have been moved before that.
            heal => {
                let due_at = look_again_at.or_else(|| heal?.due_at()).map_or(0, millis_up);
                self.postpone(id, due_at.max(later(now, LOOK_AGAIN)))?;
            }
        }
        Ok(full)
    }

    fn advance(
        &self,
        policy: &Policy,
        id: HealId,
        around: &Surroundings,
        running: &mut Running,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let heal = self.read_heal(id)?;
        let load = self.load(policy, heal.as_ref(), around, running, now)?;
        let event = Event::Due { new_attempt: AttemptId(self.fresh_id(now)) };
        self.transition(policy, Snapshot { heal, load, ..Snapshot::default() }, event, now)
    }

    /// Decides on one event of one heal.
    pub(super) fn record(
        &self,
        policy: &Policy,
        id: HealId,
        event: Event,
        now: Timestamp,
    ) -> Result<(Option<Heal>, Reason), StoreError> {
        let heal = self.read_heal(id)?;
        let load = match event {
            Event::Due { .. } => {
                let around = self.surroundings(policy, now)?;
                self.load(policy, heal.as_ref(), &around, &mut self.running(policy, now)?, now)?
            }
            _ => Load::default(),
        };
        let applied = self.transition(policy, Snapshot { heal, load, ..Snapshot::default() }, event, now)?;
        Ok((applied.heal, applied.reason))
    }

    /// Carries out a person's order.
    pub(super) fn instruct(
        &self,
        policy: &Policy,
        id: HealId,
        instruction: Instruction,
        now: Timestamp,
    ) -> Result<Instructed, StoreError> {
        let heal = self.read_heal(id)?;
        let memories = self.memories_of(heal.as_ref())?;
        let snapshot = Snapshot { heal, memories, ..Snapshot::default() };
        let Applied { heal, changed, reason, .. } =
            self.transition(policy, snapshot, Event::Instructed(instruction), now)?;
        Ok(Instructed { heal, done: changed, reason })
    }

    /// Leases every attempt that is not this process's own. The file's lock says that whoever had it is gone.
    pub(super) fn take_over(&self, now: Timestamp) -> Result<Vec<Heal>, StoreError> {
        self.free_claims(now)?;
        let owner = id_text(self.owner);
        let mut statement = self.connection.prepare_cached(
            "SELECT id, doc FROM heal
             WHERE action_target IS NOT NULL AND (lease_owner IS NULL OR lease_owner <> ?1)",
        )?;
        let mut rows = statement.query([&owner])?;
        let mut taken: Vec<Heal> = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, doc): (String, String) = (row.get(0)?, row.get(1)?);
            match decode_heal(&doc) {
                Ok(heal) => taken.push(heal),
                // It stays as it is; its due time makes itself heard again and again until somebody repairs it.
                Err(error) => tracing::error!(heal = %id, %error, "an attempt cannot be taken over"),
            }
        }
        // Sorted here: asked to sort, SQLite would walk all heals ever in their order to find the few that act.
        taken.sort_by_key(|heal| heal.id);
        for heal in &taken {
            self.execute(
                "UPDATE heal SET lease_owner = ?2, lease_until = ?3 WHERE id = ?1",
                params![id_text(heal.id.0), owner, later(now, LEASE)],
            )?;
        }
        Ok(taken)
    }

    /// Says that this process lives and still acts.
    pub(super) fn renew_leases(&self, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "UPDATE heal SET lease_until = ?2 WHERE action_target IS NOT NULL AND lease_owner = ?1",
            params![id_text(self.owner), later(now, LEASE)],
        )?;
        Ok(())
    }

    fn due_heals(
        &self,
        state: &str,
        filter: &Filter,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<(HealId, String)>, StoreError> {
        // The index holds the rule as well, so that passing over those of a rule that reached its limit reads no heal.
        let mut statement = self.connection.prepare_cached(match filter {
            Filter::None => {
                "SELECT id, rule FROM heal WHERE state = ?1 AND due_at <= ?2 AND ?4 IS NULL ORDER BY due_at LIMIT ?3"
            }
            Filter::Only(_) => {
                "SELECT id, rule FROM heal WHERE state = ?1 AND due_at <= ?2
                 AND rule IN (SELECT value FROM json_each(?4)) ORDER BY due_at LIMIT ?3"
            }
            Filter::Without(_) => {
                "SELECT id, rule FROM heal WHERE state = ?1 AND due_at <= ?2
                 AND rule NOT IN (SELECT value FROM json_each(?4)) ORDER BY due_at LIMIT ?3"
            }
        })?;
        let rules = match filter {
            Filter::None => None,
            Filter::Only(rules) | Filter::Without(rules) => Some(encode(rules)?),
        };
        let mut rows = statement.query(params![state, millis(now), limit, rules])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push((heal_id(row, 0)?, row.get(1)?));
        }
        Ok(due)
    }

    /// When the next heal is due. While a limit is reached, those that wait for it are asked again after a pause: the end
    /// of an action asks them sooner, but a limit can also be raised without any action ending.
    fn next_due(&self, is_held_back: bool, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT MIN(due_at) FROM heal WHERE state = ?1 AND due_at IS NOT NULL AND due_at > ?2")?;
        let mut next = is_held_back.then(|| later(now, LOOK_AGAIN));
        for state in OPEN_STATES {
            let after = if is_held_back && state == WAITING { millis(now) } else { i64::MIN };
            let due: Option<i64> = statement.query_row(params![state, after], |row| row.get(0))?;
            next = next.into_iter().chain(due).min();
        }
        let call: Option<i64> =
            self.connection.prepare_cached("SELECT MIN(look_at) FROM call")?.query_row([], |row| row.get(0))?;
        next.into_iter().chain(call).min().map(timestamp).transpose()
    }

    fn postpone(&self, id: HealId, due_at: i64) -> Result<(), StoreError> {
        self.execute("UPDATE heal SET due_at = ?2 WHERE id = ?1 AND due_at < ?2", params![id_text(id.0), due_at])?;
        Ok(())
    }
}

fn heal_id(row: &Row<'_>, index: usize) -> Result<HealId, StoreError> {
    let text: String = row.get(index)?;
    Uuid::parse_str(&text).map(HealId).map_err(|error| unreadable("heal's identity", &error))
}
