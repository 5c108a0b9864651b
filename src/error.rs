//! What may go wrong for a program that uses the library, and the exit code that the command line would end with.

use std::io;

use crate::import::ImportError;
use crate::limit::RateError;
use crate::pipeline::RunError;
use crate::process::WorkError;
use crate::status::StatusSetError;
use crate::store::StoreError;
use crate::store::lock::LockError;

/// Why haul could not do what it was asked. Nothing is lost: what is durable stays, and the next run goes on. A failed job is
/// no error; see [`Summary::failed`](crate::Summary::failed).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked for cannot be done; the program has to change.
    #[error("{0}")]
    Configuration(String),
    /// Another run holds the database.
    #[error("another run holds {path}: {holder}; wait for it to end, or stop it there")]
    Busy {
        /// The database, or its lock.
        path: String,
        /// Who, and since when.
        holder: String,
    },
    /// The database was written by a newer haul. It was not touched.
    #[error("{path} has schema version {found}, this haul knows up to {known}: use a newer haul")]
    NewerSchema {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// A file beside the database failed.
    #[error("failed to {doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A stored result is not of the shape that was asked for.
    #[error("the result of job {job} (key `{key}`) is not of this shape; read it as `serde_json::Value` to see it")]
    Shape {
        /// Its job.
        job: i64,
        /// The key of the job.
        key: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The machinery of a run failed.
    #[error("the run broke off; nothing is lost, the next one goes on")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The exit code of the command line for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 2,
            Self::Busy { .. } => 6,
            Self::Store(StoreError::Missing { .. }) => 4,
            Self::NewerSchema { .. } | Self::Store(_) | Self::Io { .. } | Self::Shape { .. } | Self::Run(_) => 1,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Newer { path, found, known } => Self::NewerSchema { path, found, known },
            StoreError::Busy { path, holder } => Self::Busy { path, holder },
            other => Self::Store(other),
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { path, holder } => Self::Busy { path, holder },
            LockError::Io { path, source } => Self::Io { doing: format!("lock {path}"), source },
        }
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => error.into(),
            other => Self::Run(other.into()),
        }
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Open { source, name } | ImportError::Read { source, name } => {
                Self::Io { doing: format!("read the input {name}"), source }
            }
            other => Self::Configuration(other.to_string()),
        }
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

macro_rules! configuration {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Configuration(error.to_string())
            }
        })*
    };
}

configuration!(RateError, StatusSetError, WorkError);
