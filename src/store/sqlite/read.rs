//! What pages and the API read.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::advance::OPEN_STATES;
use super::apply::id_text;
use super::session::{Session, decode_heal, millis_up};
use crate::domain::heal::{Heal, Outcome, STATES};
use crate::domain::report::Report;
use crate::store::{HealQuery, ReportQuery, StoreError};

impl Session {
    /// Lists heals, newest first. The text of the statement depends only on which filters are given.
    pub(super) fn list_heals(&self, query: &HealQuery) -> Result<Vec<Heal>, StoreError> {
        // The open ones are few among all heals ever; walking these in their order would be the planner's choice.
        let is_open = query.state.as_deref().is_some_and(|state| OPEN_STATES.contains(&state));
        let mut sql = String::from(if is_open {
            "SELECT doc FROM heal INDEXED BY heal_due WHERE due_at IS NOT NULL"
        } else {
            "SELECT doc FROM heal WHERE TRUE"
        });
        let mut values: Vec<Value> = Vec::new();
        if let Some(before) = query.before {
            sql.push_str(" AND id < ?");
            values.push(id_text(before.0).into());
        }
        if let Some(state) = &query.state {
            sql.push_str(" AND state = ?");
            values.push(state.clone().into());
        }
        if query.called {
            sql.push_str(" AND id IN (SELECT heal FROM call)");
        }
        if let Some(rule) = &query.rule {
            sql.push_str(" AND rule = ?");
            values.push(rule.clone().into());
        }
        if let Some(target) = &query.target {
            sql.push_str(" AND target = ?");
            values.push(target.clone().into());
        }
        if let Some(since) = query.since {
            sql.push_str(" AND created_at >= ?");
            values.push(millis_up(since).into());
        }
        if let Some(until) = query.until {
            sql.push_str(" AND created_at < ?");
            values.push(millis_up(until).into());
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(i64::from(query.limit).into());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut heals = Vec::new();
        while let Some(row) = rows.next()? {
            heals.push(decode_heal(&row.get::<_, String>(0)?)?);
        }
        Ok(heals)
    }

    /// Counts what ended. Shadows are read one by one, because when their alerts resolved stands in the document; the
    /// others are counted in the index alone.
    pub(super) fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        let since = query.since.map_or(i64::MIN, millis_up);
        let until = query.until.map_or(i64::MAX, millis_up);
        let mut report = Report::default();
        let mut shadows = self.connection.prepare_cached(
            "SELECT doc FROM heal INDEXED BY heal_ended
             WHERE ended_at IS NOT NULL AND ended_at >= ?1 AND ended_at < ?2 AND state = 'shadowed'
                 AND (?3 IS NULL OR rule = ?3)
             ORDER BY ended_at DESC LIMIT ?4",
        )?;
        let mut rows = shadows.query(params![since, until, query.rule, i64::from(query.shadows) + 1])?;
        let mut left = query.shadows;
        while let Some(row) = rows.next()? {
            if left == 0 {
                report.is_cut = true;
                break;
            }
            left -= 1;
            report.add_shadow(&decode_heal(&row.get::<_, String>(0)?)?);
        }
        let mut ended = self.connection.prepare_cached(
            "SELECT rule, state, COUNT(*) FROM heal INDEXED BY heal_ended
             WHERE ended_at IS NOT NULL AND ended_at >= ?1 AND ended_at < ?2 AND (?3 IS NULL OR rule = ?3)
             GROUP BY rule, state",
        )?;
        let mut rows = ended.query(params![since, until, query.rule])?;
        while let Some(row) = rows.next()? {
            let state: String = row.get(1)?;
            let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == state);
            if let Some(outcome) = outcome.filter(|outcome| *outcome != Outcome::Shadowed) {
                report.add_ended(&row.get::<_, String>(0)?, outcome, row.get::<_, i64>(2)?.unsigned_abs());
            }
        }
        Ok(report)
    }

    /// How many heals are in each state, states without any included.
    pub(super) fn count_heals(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        // Two halves, because each is answered by an index that holds the state and nothing of the documents.
        let mut statement = self.connection.prepare_cached(
            "SELECT state, COUNT(*) FROM heal INDEXED BY heal_due WHERE due_at IS NOT NULL GROUP BY state
             UNION ALL
             SELECT state, COUNT(*) FROM heal INDEXED BY heal_ended WHERE ended_at IS NOT NULL GROUP BY state",
        )?;
        let mut rows = statement.query([])?;
        let mut counts: BTreeMap<String, u64> = STATES.iter().map(|state| ((*state).to_owned(), 0)).collect();
        while let Some(row) = rows.next()? {
            counts.insert(row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs());
        }
        Ok(counts)
    }
}
