//! Exit codes, and which error has which.

use std::path::Path;

use haul::fetch::SetupError;
use haul::import::ImportError;
use haul::pipeline::RunError;
use haul::store::lock::LockError;
use haul::store::sqlite::console::QueryError;
use haul::store::{Stall, StoreError};
use haul::template::TemplateError;
use sqlx::sqlite::SqliteError;

/// How the program ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything due is done and succeeded.
    Done,
    /// The tool failed; nothing is lost, run again.
    Failed,
    /// Usage or configuration.
    Usage,
    /// Drained, but some jobs failed for good.
    SomeFailed,
    /// No database, or no job in it.
    NothingThere,
    /// Stopped because it could not succeed.
    Hopeless,
    /// Another run holds this database.
    Held,
    /// Some input rows were rejected.
    Rejected,
    /// Stopped on purpose; work remains.
    Stopped,
    /// Interrupted by this signal, cleanly.
    Signal(u8),
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::NothingThere => 4,
            Self::Hopeless => 5,
            Self::Held => 6,
            Self::Rejected => 65,
            Self::Stopped => 75,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What the user wrote cannot be done; exit 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// There is no job to work on; exit 4.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NothingThere(pub(crate) String);

/// What to do next, where the error does not say it itself.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| match of_store(cause) {
        Some(StoreError::Missing { .. }) => Some("begin with `haul run INPUT`, or name another one with --db"),
        Some(StoreError::Foreign { .. }) => Some("it was not touched; name another one with --db"),
        Some(StoreError::Broken { .. }) => Some(DISK_FAILED),
        Some(StoreError::Stalled { stall: Stall::Full { .. }, .. }) => Some("make room on that disk, then call the same again"),
        Some(StoreError::Stalled { stall: Stall::Locked { .. }, .. }) => Some(
            "end what holds it (a `sqlite3` shell in a transaction, a backup, another haul at work), then call the same again",
        ),
        _ => cause.downcast_ref().and_then(|said| match primary_code(said) {
            Some(10) => Some(DISK_FAILED),
            Some(11) => Some(DAMAGED),
            _ => None,
        }),
    })
}

const DISK_FAILED: &str = "the disk failed, and nothing is tried again on it by itself: look at the disk and at the log of the system (`dmesg`); \
                           what was confirmed is kept, and the next call goes on";

/// The same error, with the name of the database where SQLite failed and nothing says on what.
pub(crate) fn located(error: anyhow::Error, db: &Path) -> anyhow::Error {
    let name = db.display().to_string();
    let of_database = |cause: &sqlx::Error| cause.as_database_error().is_some();
    let failed = error.chain().any(|cause| cause.downcast_ref().is_some_and(of_database));
    if !failed || of_error(&error) == Exit::Usage || error.chain().any(|cause| cause.to_string().contains(&name)) {
        return error;
    }
    error.context(format!("failed on the database {name}"))
}

/// Errors that speak with the words of the store's are left out of a chain for what is below it.
fn of_store<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a StoreError> {
    let within = || match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(RunError::Store(error)), _) | (_, Some(ImportError::Store(error))) => Some(error),
        _ => None,
    };
    cause.downcast_ref().or_else(within)
}

const DAMAGED: &str = "the file is damaged or cut off: keep a copy of it and of its -wal file, then go back to a backup, or save what \
                       can be read with `.recover` of the sqlite3 shell";

/// The lowest byte of SQLite's code is the kind, whatever more is known: 10 is SQLITE_IOERR, 11 SQLITE_CORRUPT.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error().filter(|error| error.try_downcast_ref::<SqliteError>().is_some());
    let code = error.and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

/// The exit that an error means.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        let mistyped = cause.downcast_ref::<QueryError>().is_some_and(QueryError::is_usage);
        if mistyped || cause.is::<UsageError>() || cause.is::<TemplateError>() {
            return Exit::Usage;
        }
        if cause.is::<NothingThere>() {
            return Exit::NothingThere;
        }
        let unset = matches!(cause.downcast_ref(), Some(SetupError::CaFile { .. } | SetupError::Proxy { .. }));
        if unset || matches!(cause.downcast_ref(), Some(RunError::Secret(_))) {
            return Exit::Usage;
        }
        match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(LockError::Held { .. }), _) => return Exit::Held,
            (_, Some(StoreError::Missing { .. })) => return Exit::NothingThere,
            _ => {}
        }
        // An input that is not there is not there the next time either: "run again" would be no help.
        if matches!(
            cause.downcast_ref(),
            Some(ImportError::Open { .. } | ImportError::Unusable { .. } | ImportError::TooManyDifferent { .. })
        ) {
            return Exit::Usage;
        }
    }
    Exit::Failed
}
