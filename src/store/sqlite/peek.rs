//! A look at the file of a daemon that may be running: reads what decisions go by, and leaves nothing behind.

use std::fmt::Write;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::open::{self, OpenError};
use super::schema;
use super::session::Session;
use crate::domain::action::Target;
use crate::domain::alert::Alert;
use crate::domain::decide::{Policy, Snapshot, decide};
use crate::domain::guard::Load;
use crate::domain::heal::Heal;
use crate::domain::rule::HealRequest;
use crate::store::StoreError;

/// What a store file remembers, as it stood at one moment. Neither the lock nor the schema is touched, nothing is written,
/// and a daemon that works with the file is not kept waiting.
pub struct Peek {
    session: Session,
}

impl Peek {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// There is no such file, it is something else, or another version of autoheal wrote it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::File { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let connection = connect(path)?;
        open::configure_reader(&connection)?;
        schema::require(&connection)?;
        // From here on everything is read as of one moment.
        connection.execute_batch("BEGIN")?;
        let mut session = Session::new(connection, decide, Uuid::nil(), None);
        session.load_hints().map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self { session })
    }

    /// What a firing alert meets under the rule that asks, which may have to ask for another target than it would.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn firing(&self, alert: &Alert, request: &mut HealRequest) -> Result<Snapshot, StoreError> {
        self.session.firing_snapshot(alert, request)
    }

    /// What a resolve meets under a rule, and on which target.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn resolved(&self, alert: &Alert, request: &HealRequest) -> Result<(Target, Snapshot), StoreError> {
        self.session.resolved_snapshot(alert, request)
    }

    /// What the guards ask for about one heal.
    ///
    /// # Errors
    /// What is stored cannot be read.
    pub fn load(&self, policy: &Policy, heal: &Heal, now: Timestamp) -> Result<Load, StoreError> {
        let around = self.session.surroundings(policy, now)?;
        self.session.load(policy, Some(heal), &around, &mut self.session.running(policy, now)?, now)
    }
}

/// A connection that creates no file. Beside a running daemon the shared index of its log is only read; a file that
/// nobody has open, and that has no log, cannot change.
fn connect(path: &Path) -> Result<Connection, OpenError> {
    let (log, index) = (open::with_suffix(path, "-wal"), open::with_suffix(path, "-shm"));
    let how = match (log.exists(), index.exists()) {
        (true, true) => "readonly_shm=1",
        (true, false) => return Err(OpenError::Incomplete { path: path.to_owned() }),
        (false, _) => "immutable=1",
    };
    // In an address everything but these is written by its number.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if plain(*byte) {
            address.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Ok(Connection::open_with_flags(format!("{address}?mode=ro&{how}"), flags)?)
}
