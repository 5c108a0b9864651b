//! What a run sees of others when it looks up.

/// What may have changed from outside while a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Another process has written to the database since the last look.
    pub changed: bool,
    /// Another terminal asks this run to stop.
    pub stop: bool,
    /// Another terminal asks this run to send nothing until it takes that back.
    pub pause: bool,
    /// Size of the write-ahead log, where there is one.
    pub log_bytes: u64,
}
