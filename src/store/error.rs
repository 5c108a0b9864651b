//! Why a store fails.

use super::Stall;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no database where one was expected.
    #[error("there is no database at {path}")]
    Missing {
        /// Where it was looked for.
        path: String,
    },
    /// The file belongs to something else. It was not touched.
    #[error("{path} is not a haul database: {reason}")]
    Foreign {
        /// The file.
        path: String,
        /// How that was seen.
        reason: String,
    },
    /// The file is there, but may not or cannot be opened.
    #[error("{path} cannot be opened ({reason}): may this user read it, and the -wal and -shm files beside it?")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file may be read, but not written.
    #[error("{path} cannot be written ({reason}): may this user write to it, and to its folder?")]
    ReadOnly {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file was written by a newer haul. It was not touched.
    #[error("{path} has schema version {found}, this haul knows up to {known}: use a newer haul")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Its tables and views are not those that haul made.
    #[error(
        "{path} is damaged, or its tables and views were changed ({reason}): go on with a copy of it that is sound; `sqlite3 {path} .recover` saves what can be read"
    )]
    Altered {
        /// The file.
        path: String,
        /// What SQLite said.
        reason: String,
    },
    /// The file is, or would be, on another machine.
    #[error(
        "{path} is on a network file system ({name}), where a database can be damaged unseen: put it on a disk of this machine"
    )]
    Network {
        /// The file.
        path: String,
        /// The kind of file system.
        name: &'static str,
    },
    /// The disk failed at an earlier write, and nothing is tried again on that connection.
    #[error("failed to {doing}: the disk has failed before: {said}")]
    Broken {
        /// The verb.
        doing: String,
        /// What SQLite said then.
        said: String,
    },
    /// Nothing can be written for now. What was to be written is surely not, and the same call may be made again.
    #[error("failed to {doing}: {stall}")]
    Stalled {
        /// The verb.
        doing: String,
        /// What keeps it from writing.
        stall: Stall,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another run holds the database.
    #[error("{path} is in use by another run: {holder}")]
    Busy {
        /// The file.
        path: String,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// The database, or the disk below it, failed.
    #[error("failed to {doing}")]
    Database {
        /// The verb.
        doing: String,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
