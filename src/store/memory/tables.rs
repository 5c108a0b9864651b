//! What is stored: the tables of the schema as maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attempt::{ErrorType, Measured};
use crate::clock::{BootTime, Micros};
use crate::job::{Next, Standing, State};
use crate::limit::Limit;
use crate::minutes::Minutes;
use crate::request::Request;
use crate::response::Response;
use crate::store::{Counts, Output, Reject};

/// Type and message of a failure.
pub type Fault = Option<(ErrorType, String)>;

/// A row of `jobs`, with its row of `requests`.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its identity.
    pub key: String,
    /// The import that brought it.
    pub import: i64,
    /// Line of that import.
    pub line: u64,
    /// What it says.
    pub request: Request,
    /// Where it stands.
    pub standing: Standing,
    /// Claims so far: the fence.
    pub attempts: u32,
    /// Not before this time; 0 = as soon as possible.
    pub due_at_us: Micros,
    /// The lease: which run works on it.
    pub run: Option<i64>,
    /// Its last failure.
    pub error: Fault,
    /// When it was imported.
    pub created_at_us: Micros,
    /// When its last state was reached.
    pub finished_at_us: Option<Micros>,
}

/// A row of `attempts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The run that made it.
    pub run: i64,
    /// What it measured.
    pub measured: Measured,
    /// How it failed.
    pub error: Fault,
}

/// A row of `runs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it began.
    pub started_at_us: Micros,
    /// Last sign of life.
    pub heartbeat_at_us: Micros,
    /// The clock that nobody sets, and the wall clock when it was read.
    pub boot: Option<(BootTime, Micros)>,
    /// When it ended, and how, as in `runs.outcome`.
    pub ended: Option<(Micros, &'static str)>,
    /// Its settings, as JSON.
    pub settings: String,
    /// Another terminal asked it to stop.
    pub stop: bool,
    /// Another terminal asked it to send nothing.
    pub pause: bool,
}

/// A row of `imports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Name of its input.
    pub source: String,
    /// How its rows became requests, as JSON.
    pub template: Option<String>,
    /// The last run when it began; 0 = none.
    pub after_run: i64,
    /// When it began.
    pub started_at_us: Micros,
    /// Rows read.
    pub rows: u64,
    /// Jobs that were new.
    pub added: u64,
    /// Jobs not sent yet whose request it replaced.
    pub updated: u64,
    /// Rows that made no job.
    pub rejected: u64,
}

/// A row of `limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLimit {
    /// The limit, with the jitter it was widened to.
    pub limit: Limit,
    /// Nothing is sent before this time.
    pub paused_until_us: Micros,
}

/// All that is stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// By id. Shared between copies until they differ, so that a copy of all is quickly made and compared.
    pub jobs: BTreeMap<i64, Arc<Job>>,
    /// Ids by key.
    pub keys: BTreeMap<String, i64>,
    /// By job and number of the claim.
    pub attempts: BTreeMap<(i64, u32), Attempt>,
    /// By job, with the attempt that brought it.
    pub responses: BTreeMap<i64, (u32, Arc<Response>)>,
    /// By job, with the attempt that made it.
    pub results: BTreeMap<i64, (u32, Output)>,
    /// By id.
    pub runs: BTreeMap<i64, Run>,
    /// By id.
    pub imports: BTreeMap<i64, Import>,
    /// By import and line.
    pub rejected: BTreeMap<(i64, u64), Reject>,
    /// By name.
    pub limits: BTreeMap<String, KeptLimit>,
    /// Permits by limit and the time after which they are void.
    pub spends: BTreeMap<(String, Micros), u32>,
    /// Jobs by state and type of failure, kept with every change.
    pub counts: Counts,
    /// Histograms of latencies.
    pub minutes: Minutes,
}

impl Tables {
    /// Adds a new job, and counts it.
    pub(super) fn insert_job(&mut self, id: i64, job: Job) {
        self.keys.insert(job.key.clone(), id);
        *self.counts.entry(shelf(&job)).or_default() += 1;
        self.jobs.insert(id, Arc::new(job));
    }

    /// Changes a job and keeps the counts true. `None` where there is no such job.
    pub(super) fn change_job(&mut self, id: i64, change: impl FnOnce(&mut Job)) -> Option<()> {
        let job = Arc::make_mut(self.jobs.get_mut(&id)?);
        let from = shelf(job);
        change(job);
        let to = shelf(job);
        if from != to {
            *self.counts.entry(to).or_default() += 1;
            let left = self.counts.get_mut(&from)?;
            *left -= 1;
            if *left == 0 {
                self.counts.remove(&from);
            }
        }
        Some(())
    }

    /// Whether the lease `(job, attempt, run)` is alive: the fence of every write-back.
    pub(super) fn holds(&self, run: i64, job: i64, attempt: u32) -> bool {
        self.jobs.get(&job).is_some_and(|job| job.run == Some(run) && job.attempts == attempt)
    }
}

impl Job {
    /// Sets the columns a decision sets. The lease goes unless it is to be kept.
    pub(super) fn go(&mut self, next: &Next, now_us: Micros) {
        self.standing = next.standing;
        self.due_at_us = next.due_at_us;
        self.error = next.error.clone();
        self.run = self.run.filter(|_| next.keep_lease);
        self.finished_at_us = next.standing.state.is_final().then_some(now_us);
    }

    /// Whether a claim may ever take it as it is.
    pub(super) fn is_free(&self) -> bool {
        self.run.is_none() && !self.standing.state.is_final()
    }
}

/// Where a job is counted.
fn shelf(job: &Job) -> (State, Option<ErrorType>) {
    (job.standing.state, job.error.as_ref().map(|(error_type, _)| error_type.clone()))
}

/// The id after the last.
pub(super) fn next_id<T>(rows: &BTreeMap<i64, T>) -> i64 {
    rows.last_key_value().map_or(1, |(id, _)| id + 1)
}
