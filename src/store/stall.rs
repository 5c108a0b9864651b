//! What keeps a store from writing for now, and passes.

use std::fmt;

/// Why nothing can be written for now. What was to be written is surely not written, and may be written again by the same call
/// once this has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stall {
    /// The disk is full.
    Full {
        /// The database.
        path: String,
        /// Bytes that are left on its disk, where the system tells.
        free: Option<u64>,
    },
    /// Another process has the database locked.
    Locked {
        /// The database.
        path: String,
    },
    /// The server of the database does not answer, or has ended the connection.
    Away {
        /// The database.
        path: String,
    },
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { path, free: Some(free) } => write!(f, "the disk of {path} is full ({free} bytes free)"),
            Self::Full { path, free: None } => write!(f, "the disk of {path} is full"),
            Self::Locked { path } => write!(f, "{path} is locked by another process"),
            Self::Away { path } => write!(f, "the server of {path} does not answer"),
        }
    }
}
