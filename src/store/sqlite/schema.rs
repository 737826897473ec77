//! Versioned migrations: each file runs once, in order, in a transaction that also writes the new version.

use std::cmp::Ordering;

use rusqlite::{Connection, TransactionBehavior};

use super::open::OpenError;

/// Marks a file as ours (`ahea`), so that another program's database is not mistaken for an empty one.
const APPLICATION_ID: i32 = 0x6168_6561;

/// In order; the version of a database is how many of them have run. Never edit one that has been released.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_episode_acted_at.sql"),
    include_str!("../../../migrations/sqlite/0003_open_heals_in_memory.sql"),
];

/// Brings a database to the version this build writes, or says why it must not be touched.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let (version, done) = version(connection)?.unwrap_or_default();
    if done > MIGRATIONS.len() {
        return Err(OpenError::Newer { found: version, known: MIGRATIONS.len() });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Says why a database cannot be read as it is, without bringing it up to date.
pub(super) fn require(connection: &Connection) -> Result<(), OpenError> {
    let (found, done) = version(connection)?.ok_or(OpenError::Foreign)?;
    let known = MIGRATIONS.len();
    match done.cmp(&known) {
        Ordering::Less => Err(OpenError::Older { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(OpenError::Newer { found, known }),
    }
}

/// The version of a database, also as the number of migrations that have run; `None` for an empty one.
fn version(connection: &Connection) -> Result<Option<(i64, usize)>, OpenError> {
    let (application, version, tables): (i32, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
                (SELECT COUNT(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let is_fresh = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_fresh {
        return Err(OpenError::Foreign);
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    Ok((!is_fresh).then_some((version, done)))
}
