//! What another process asks of a run that is going.

/// What may have changed from outside while a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Another process has written to the database since the last look.
    pub changed: bool,
    /// Another terminal asks this run to stop.
    pub stop: bool,
    /// Another terminal asks this run to send nothing until it takes that back.
    pub pause: bool,
}
