//! What is asked of a store that changes jobs which are there already: by an import of all or nothing, by other templates.

use std::future::Future;

use super::{Chunk, Imported, Reject};
use crate::request::Request;

/// What becomes of a row whose key is known with another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnConflict {
    /// It is rejected.
    #[default]
    Reject,
    /// It counts as known.
    Skip,
    /// The job says what the row says, if it was not sent yet; else the row is rejected.
    Update,
}

/// The next part of an import of all or nothing.
#[derive(Debug)]
pub enum Part {
    /// An input begins.
    Input {
        /// What it is called.
        source: String,
        /// How its rows become requests, as JSON.
        template: Option<String>,
    },
    /// Some of its rows.
    Rows(Chunk),
    /// All of it was handed over, or enough.
    End {
        /// Everything is kept; else nothing is.
        keep: bool,
    },
}

/// Hands out an import of all or nothing, part by part.
pub trait Parts: Send {
    /// The next part; may wait for it.
    fn next(&mut self) -> impl Future<Output = Part> + Send;

    /// What became of the rows that were handed out last, should they be kept; and those that the store refused.
    fn took(&mut self, done: Imported, conflicts: Vec<Reject>);
}

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// `jobs.id`.
    pub job: i64,
    /// Its key.
    pub key: String,
    /// It was never sent, and is not being sent now.
    pub unsent: bool,
    /// What it says.
    pub request: Request,
}

/// What other templates make of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It stays as it is: its request is not what the old templates make of its row.
    Stay,
    /// It gets what is `Some`.
    To {
        /// Its new key.
        key: Option<String>,
        /// Its new request; only where it was not sent.
        request: Option<Request>,
    },
    /// Its row makes no request; nothing at all is changed then.
    Refuse(String),
}

/// Judges jobs one by one; pure.
pub type Judge = dyn Fn(&Stored) -> Change + Send + Sync;

/// Other templates for the jobs that are there.
pub struct Rerender<'a> {
    /// How requests were made, as JSON.
    pub old: &'a str,
    /// How they are made from now on, as JSON.
    pub new: &'a str,
    /// What this means for a job.
    pub judge: &'a Judge,
}

/// What other templates changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerendered {
    /// Jobs not sent yet whose requests were made anew.
    pub rerendered: u64,
    /// Jobs not sent yet that stay: it was not the old templates that made them.
    pub own: u64,
    /// Jobs that were sent; they stay.
    pub sent: u64,
    /// Jobs that cannot be changed. If there is one, nothing was.
    pub refused: u64,
    /// The first of them, and why.
    pub examples: Vec<(i64, String)>,
    /// It was asked to stop: nothing was changed.
    pub interrupted: bool,
}

impl Rerendered {
    /// Refused jobs that are told of, at most.
    const EXAMPLES: usize = 3;

    /// Whether what was changed is kept.
    #[must_use]
    pub fn keep(&self) -> bool {
        self.refused == 0 && !self.interrupted
    }

    pub(super) fn refuse(&mut self, job: i64, why: String) {
        self.refused += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push((job, why));
        }
    }

    /// Two jobs would have one key.
    pub(super) fn clash(&mut self, job: i64, other: i64, key: &str) {
        self.refuse(job, format!("its key would be `{key}`, which is that of job {other} too"));
    }

    /// Counts a job, whatever becomes of it.
    pub(super) fn count(&mut self, stored: &Stored, change: &Change) {
        match change {
            Change::Refuse(why) => self.refuse(stored.job, why.clone()),
            _ if !stored.unsent => self.sent += 1,
            Change::Stay => self.own += 1,
            Change::To { .. } => self.rerendered += 1,
        }
    }
}

impl std::fmt::Debug for Rerender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rerender").field("old", &self.old).field("new", &self.new).finish_non_exhaustive()
    }
}
