//! What lies in a store in memory.

use haul::clock::Micros;
use haul::store::memory::{Job, KeptLimit, MemoryStore, Tables};

use super::{AttemptRow, Inspect, JobRow, LimitRow, Rows};

impl Inspect for MemoryStore {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn rows(&self) -> Rows {
        rows(self.inspect())
    }

    async fn die(&mut self) {}
}

/// An empty store.
pub(crate) async fn new() -> Option<MemoryStore> {
    Some(MemoryStore::default())
}

/// The tables as rows.
pub(crate) fn rows(tables: Tables) -> Rows {
    Rows {
        jobs: tables.jobs.iter().map(|(id, job)| (job.key.clone(), job_row(*id, job))).collect(),
        attempts: tables.attempts.into_iter().map(|(fence, row)| (fence, attempt_row(row))).collect(),
        responses: tables
            .responses
            .into_iter()
            .map(|(job, (attempt, response))| (job, (attempt, response.status_code, response.body.clone())))
            .collect(),
        results: tables
            .results
            .into_iter()
            .map(|(job, (attempt, output))| (job, (attempt, output.json, output.processor.to_string())))
            .collect(),
        rejected: tables.rejected.into_iter().map(|(at, reject)| (at, reject.reason)).collect(),
        imports: tables.imports.into_iter().map(|(id, row)| (id, (row.rows, row.added, row.rejected))).collect(),
        runs: tables.runs.into_iter().map(|(id, run)| (id, run.ended.map(outcome))).collect(),
        limits: tables.limits.into_iter().map(|(name, kept)| (name, limit_row(&kept))).collect(),
        spends: tables.spends,
        minutes: tables.minutes,
    }
}

fn job_row(id: i64, job: &Job) -> JobRow {
    JobRow {
        id,
        state: job.standing.state,
        attempts: job.attempts,
        failures: job.standing.failures,
        generation: job.standing.generation,
        due_at_us: job.due_at_us,
        leased_by: job.run,
        crashes: job.standing.crashes,
        was: job.standing.was,
        error_type: job.error.as_ref().map(|(error_type, _)| error_type.clone()),
        finished: job.finished_at_us.is_some(),
    }
}

fn attempt_row(row: haul::store::memory::Attempt) -> AttemptRow {
    AttemptRow { run: row.run, measured: row.measured, error_type: row.error.map(|(error_type, _)| error_type) }
}

fn outcome((_, word): (Micros, &'static str)) -> String {
    word.to_owned()
}

fn limit_row(kept: &KeptLimit) -> LimitRow {
    LimitRow {
        permits: kept.limit.permits,
        window_us: kept.limit.window_us,
        jitter_us: kept.limit.jitter_us,
        paused_until_us: kept.paused_until_us,
    }
}
