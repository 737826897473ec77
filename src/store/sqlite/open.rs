//! Opening: the directory, the lock that keeps a second process out, the connection's settings.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// The store could not be opened. Each text says what a person can do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file could not be created or opened.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Another process works with this file.
    #[error("{path} is in use by another autoheal process; stop it first or give this one its own store", path = path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is something else, or damaged.
    #[error(
        "this is not an SQLite database, or it is damaged ({0}); restore it from a backup, or move it away to start empty"
    )]
    NotADatabase(String),
    /// The database belongs to another program.
    #[error("this SQLite database was not made by autoheal; choose another file for the store")]
    Foreign,
    /// A newer autoheal has migrated the database.
    #[error(
        "the database has schema version {found}, this build knows versions up to {known}; run the newer autoheal again or restore a backup from before the upgrade"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version known.
        known: usize,
    },
    /// An older autoheal wrote the database and none has brought it up to date.
    #[error(
        "the database has schema version {found}, this build reads version {known}; start autoheal with it once, which brings it up to date"
    )]
    Older {
        /// The version found.
        found: i64,
        /// The version read.
        known: usize,
    },
    /// A copy that was made without all of its files.
    #[error(
        "{path}-wal stands here without {path}-shm; copy the files of a store together, or start autoheal with it once", path = path.display()
    )]
    Incomplete {
        /// The database.
        path: PathBuf,
    },
    /// The file system cannot share memory between connections, which write-ahead logging needs.
    #[error("the file system does not support write-ahead logging (journal mode stays {0:?}); use a local disk")]
    NoWriteAheadLog(String),
    /// The database refused.
    #[error("the database cannot be opened: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::NotADatabase(error.to_string()),
            _ => Self::Database(error.to_string()),
        }
    }
}

/// A database file that no other process works with as long as this value lives.
pub(super) struct LockedFile {
    path: PathBuf,
    /// The kernel lets go of the lock when this is closed, however the process ends.
    _lock: File,
}

impl LockedFile {
    /// Creates what is missing, readable by nobody else, and keeps every other process out.
    pub(super) fn acquire(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::File { path, error }
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;

        let lock_path = with_suffix(path, ".lock");
        let lock = private_file(&lock_path).map_err(failed(&lock_path))?;
        match lock_within(HAND_OVER, || lock.try_lock()) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(&lock_path)(error)),
        }
        // SQLite would create the file readable by everyone; its log files take over the mode they find here.
        private_file(path).map_err(failed(path))?;
        // A new name is durable only once its directory is; a commit alone would not make it so.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed(directory))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// `SQLite`'s write-ahead log beside the file.
    pub(super) fn log(&self) -> PathBuf {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        log.into()
    }

    /// The connection that writes, migrated.
    pub(super) fn writer(&self) -> Result<Connection, OpenError> {
        let mut connection = self.connect()?;
        // Only a new file takes this. Documents of a heal are somewhat above a kilobyte: five to a page instead of two to
        // half of one waste less of it.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::NoWriteAheadLog(mode));
        }
        configure(&connection, WRITER_CACHE_KIB)?;
        schema::migrate(&mut connection)?;
        Ok(connection)
    }

    /// A connection that only reads, beside the writer's, which must come first.
    pub(super) fn reader(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        configure_reader(&connection)?;
        Ok(connection)
    }

    /// The connection that folds the log into the database.
    pub(super) fn folder(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        configure(&connection, READER_CACHE_KIB)?;
        Ok(connection)
    }

    fn connect(&self) -> Result<Connection, OpenError> {
        // Without the URI flag, so that a path is always a path; each connection stays on its own thread.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Connection::open_with_flags(&self.path, flags)?)
    }
}

/// The one connection of a store that lives in memory.
pub(super) fn in_memory() -> Result<Connection, OpenError> {
    let mut connection = Connection::open_in_memory()?;
    configure(&connection, WRITER_CACHE_KIB)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// How long whoever had the file before may take to be gone: a supervisor starts the next process as the last one ends.
const HAND_OVER: Duration = Duration::from_millis(500);

/// Tries until nobody else has the lock or the time is over.
fn lock_within(limit: Duration, attempt: impl Fn() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match attempt() {
            Err(TryLockError::WouldBlock) if waited < limit => std::thread::sleep(PAUSE),
            outcome => return outcome,
        }
        waited += PAUSE;
    }
}

/// Pages the writer keeps: enough for the upper levels of every index, little enough to idle small.
const WRITER_CACHE_KIB: i64 = 2048;
/// Pages the reader keeps.
const READER_CACHE_KIB: i64 = 256;
/// Bytes of a page in a new file.
const PAGE_BYTES: i64 = 8192;
/// Pages of log after which they are moved into the database: rarely enough that hot pages are moved once for many commits.
const AUTOCHECKPOINT_PAGES: i64 = 4000;
/// How large the log file may stay on disk once it has been moved.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;
/// Distinct statements are few; none should ever be parsed twice.
const STATEMENT_CACHE: usize = 64;

/// The settings of a connection that only reads.
pub(super) fn configure_reader(connection: &Connection) -> Result<(), OpenError> {
    configure(connection, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(())
}

fn configure(connection: &Connection, cache_kib: i64) -> Result<(), OpenError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // An answer given is an answer kept, also over a power cut. Commits do not wait for the disk here; whoever is answered does, see `durable`.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Plans must not depend on the values bound; otherwise some statements are parsed again at every use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_file_is_waited_for_a_moment_while_its_last_holder_ends() {
        let tries = Cell::new(0);
        let free_from = |number: u32| {
            tries.set(0);
            let attempt = || {
                tries.set(tries.get() + 1);
                if tries.get() < number { Err(TryLockError::WouldBlock) } else { Ok(()) }
            };
            lock_within(Duration::from_millis(20), attempt)
        };
        assert!(free_from(3).is_ok());
        assert!(matches!(free_from(u32::MAX), Err(TryLockError::WouldBlock)), "it gives up");
        assert_eq!(tries.get(), 3);
    }
}
