//! What a run came to.

use std::time::Duration;

use crate::clock::span;
use crate::job::State;
use crate::pipeline;
use crate::progress::{Tally, count};
use crate::store::{Counts, RunOutcome};

/// What a run came to. Failed jobs are no error of the run: they are counted here.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// `runs.id`.
    pub run: i64,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Jobs that succeeded in this run.
    pub succeeded: u64,
    /// Jobs given up in this run.
    pub failed: u64,
    /// Requests answered, or failed without an answer.
    pub requests: u64,
    /// Failed attempts whose jobs are tried again.
    pub retried: u64,
    /// Requests that the server refused as too many (429).
    pub refused: u64,
    /// Results within the SLA.
    pub within_sla: u64,
    /// Results beyond it.
    pub late: u64,
    /// Jobs that still have work to do.
    pub left: u64,
    /// Jobs that were in flight when an earlier run died.
    pub interrupted: u64,
    /// Jobs still in flight when it left; the next run sends them again.
    pub abandoned: u64,
    /// From its start to its end.
    pub elapsed: Duration,
    /// All jobs as they stand at its end, those of earlier runs included.
    pub counts: Counts,
}

impl Summary {
    pub(super) fn new(ended: pipeline::Summary, counts: Counts) -> Self {
        let Tally { succeeded, failed, requests, retried, refused, within_sla, late, .. } = ended.tally;
        Self {
            run: ended.run,
            outcome: ended.outcome,
            succeeded,
            failed,
            requests,
            retried,
            refused,
            within_sla,
            late,
            left: count(&counts, Some(State::Pending), None) + count(&counts, Some(State::Fetched), None),
            interrupted: ended.interrupted,
            abandoned: ended.abandoned as u64,
            elapsed: span(ended.elapsed_us),
            counts,
        }
    }

    /// The exit code of the command line for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.outcome {
            _ if self.left == 0 => 3 * u8::from(count(&self.counts, Some(State::Failed), None) > 0),
            RunOutcome::Interrupted => 130,
            RunOutcome::Drained | RunOutcome::Stopped => 75,
            RunOutcome::Hopeless => 5,
            RunOutcome::Error => 1,
        }
    }
}
