//! What time and the engine bring: heals that fall due, events of one heal, leases.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::apply::{Applied, Errand, LEASE, earlier, id_text, later};
use super::session::{Session, decode_heal, millis, millis_up, timestamp, unreadable};
use crate::domain::decide::{Event, Policy, Snapshot};
use crate::domain::guard::Load;
use crate::domain::heal::{AttemptId, Heal, HealId};
use crate::domain::instruction::Instruction;
use crate::domain::pause::Pause;
use crate::domain::reason::Reason;
use crate::store::{Advanced, Instructed, StoreError};

/// The state in which heals wait for leave to act.
const WAITING: &str = "pending";
/// The states of open heals in the order they are looked at: what may end comes before what wants to begin.
pub(super) const OPEN_STATES: [&str; 4] = ["acting", "verifying", "awaiting_approval", WAITING];
/// Heals looked up at a time. While limits hold the first that waits, every delivery asks for it again; finding all the
/// others with it would take the writer's time from the deliveries.
const PORTION: u32 = 8;
/// The window of the limits per hour.
const HOUR: Duration = Duration::from_hours(1);
/// When to look again at a heal that was due and yet did not change, or that waits for room: soon, but not in a busy loop.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// When to look again at a heal that cannot be read or written: one such heal must not keep the others waiting.
const LOOK_AGAIN_AFTER_ERROR: Duration = Duration::from_mins(5);

/// What runs and ran, over all heals.
#[derive(Default)]
struct Running {
    acting: u32,
    started_last_hour: u32,
    oldest_start: Option<Timestamp>,
    pauses: Arc<[Pause]>,
}

impl Session {
    /// Decides on heals that are due: first those whose end may make room, then those that wait for room.
    pub(super) fn advance_due(&self, policy: &Policy, limit: u32, now: Timestamp) -> Result<Advanced, StoreError> {
        let mut advanced = Advanced::default();
        let mut saturated = false;
        let mut room = limit;
        let pauses: Arc<[Pause]> = self.active_pauses(now)?.into();
        'states: for state in OPEN_STATES {
            while room > 0 {
                let due = self.due_heals(state, room.min(PORTION), now)?;
                if due.is_empty() {
                    break;
                }
                room = room.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
                // Read anew each time, because attempts that ended above gave back what those below ask for.
                let mut running = self.running(&pauses, now)?;
                for id in due {
                    saturated |= self.advance_one(policy, id, &mut running, &mut advanced, now)?;
                    if saturated && state == WAITING {
                        // The others wait for the same; each keeps its place, and nothing is written for them.
                        break 'states;
                    }
                }
            }
        }
        advanced.next_due = self.next_due(saturated, now)?;
        Ok(advanced)
    }

    /// Decides on one due heal; answers whether no further heal may begin to act now.
    fn advance_one(
        &self,
        policy: &Policy,
        id: HealId,
        running: &mut Running,
        advanced: &mut Advanced,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let applied = match self.apart(|session| session.advance(policy, id, running, now)) {
            Ok(applied) => applied,
            Err(error) if self.gave_up() => return Err(error),
            Err(error) => {
                tracing::error!(heal = %id, %error, again_in = ?LOOK_AGAIN_AFTER_ERROR, "a due heal cannot go on");
                self.postpone(id, later(now, LOOK_AGAIN_AFTER_ERROR))?;
                return Ok(false);
            }
        };
        let Applied { heal, changed, errand, saturated, .. } = applied;
        match heal {
            Some(heal) if changed => {
                match errand {
                    Some(Errand::Start) => {
                        // The next heal's guards must see what this one took.
                        *running = self.running(&running.pauses, now)?;
                        advanced.to_start.push(heal.clone());
                    }
                    Some(Errand::Stop) => advanced.to_cancel.push(heal.clone()),
                    None => {}
                }
                advanced.changed.push(heal);
            }
            _ if saturated => {}
            // The document knows when it is due, should the column have been moved before that.
            heal => {
                let due_at = heal.and_then(|heal| heal.due_at()).map_or(0, millis_up);
                self.postpone(id, due_at.max(later(now, LOOK_AGAIN)))?;
            }
        }
        Ok(saturated)
    }

    fn advance(&self, policy: &Policy, id: HealId, running: &Running, now: Timestamp) -> Result<Applied, StoreError> {
        let heal = self.read_heal(id)?;
        let load = self.load(heal.as_ref(), running)?;
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
            Event::Due { .. } => self.load(heal.as_ref(), &self.running(&self.active_pauses(now)?.into(), now)?)?,
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
        let mut memories = Vec::new();
        for alert in heal.iter().flat_map(|heal| &heal.alerts) {
            memories.extend(self.memories(alert.fingerprint, None)?.into_iter().map(|memory| memory.episode));
        }
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

    fn due_heals(&self, state: &str, limit: u32, now: Timestamp) -> Result<Vec<HealId>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM heal WHERE state = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3")?;
        let mut rows = statement.query(params![state, millis(now), limit])?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push(heal_id(row, 0)?);
        }
        Ok(due)
    }

    /// When the next heal is due. While no heal may begin, those that wait for that are asked again after a pause:
    /// the end of an action asks them sooner, but a limit can also be raised without any action ending.
    fn next_due(&self, saturated: bool, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT MIN(due_at) FROM heal WHERE state = ?1 AND due_at IS NOT NULL")?;
        let mut next: Option<i64> = None;
        for state in OPEN_STATES {
            let due: Option<i64> = statement.query_row([state], |row| row.get(0))?;
            let due = due.map(|due| if saturated && state == WAITING { due.max(later(now, LOOK_AGAIN)) } else { due });
            next = next.into_iter().chain(due).min();
        }
        next.map(timestamp).transpose()
    }

    fn postpone(&self, id: HealId, due_at: i64) -> Result<(), StoreError> {
        self.execute("UPDATE heal SET due_at = ?2 WHERE id = ?1 AND due_at < ?2", params![id_text(id.0), due_at])?;
        Ok(())
    }

    fn running(&self, pauses: &Arc<[Pause]>, now: Timestamp) -> Result<Running, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT (SELECT COUNT(*) FROM heal WHERE action_target IS NOT NULL), COUNT(*), MIN(started_at)
             FROM attempt WHERE started_at > ?1",
        )?;
        let (acting, started_last_hour, oldest): (u32, u32, Option<i64>) =
            statement.query_row([earlier(now, HOUR)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let oldest_start = oldest.map(timestamp).transpose()?;
        Ok(Running { acting, started_last_hour, oldest_start, pauses: Arc::clone(pauses) })
    }

    fn load(&self, heal: Option<&Heal>, running: &Running) -> Result<Load, StoreError> {
        let target_holder = match heal.and_then(|heal| Some((heal.id, heal.current_step()?))) {
            Some((id, step)) => self.target_holder(id, step.action.target().as_str())?,
            None => None,
        };
        let Running { acting, started_last_hour, oldest_start, ref pauses } = *running;
        Ok(Load { pauses: Arc::clone(pauses), acting, target_holder, started_last_hour, oldest_start })
    }

    /// The other heal that acts on a target, and when its attempt ends at the latest.
    fn target_holder(&self, id: HealId, target: &str) -> Result<Option<(HealId, Timestamp)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT id, due_at FROM heal WHERE action_target = ?1 AND id <> ?2")?;
        let holder: Option<(String, i64)> =
            statement.query_row(params![target, id_text(id.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((holder, due_at)) = holder else { return Ok(None) };
        let holder = holder.parse().map_err(|error| unreadable("heal's identity", &error))?;
        let deadline = earlier(timestamp(due_at)?, Heal::WATCHDOG_GRACE);
        Ok(Some((HealId(holder), timestamp(deadline)?)))
    }
}

fn heal_id(row: &Row<'_>, index: usize) -> Result<HealId, StoreError> {
    let text: String = row.get(index)?;
    Uuid::parse_str(&text).map(HealId).map_err(|error| unreadable("heal's identity", &error))
}
