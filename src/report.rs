//! What a database says about its jobs, in numbers: what `status` draws and the end of a run sums up. And the same over time,
//! as a page.

mod axis;
pub mod history;
pub mod page;
mod plot;
pub mod slots;
mod words;

pub mod plan;

use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::clock::{Micros, SECOND_US};

/// No sign of life of a run for so long: it is gone.
pub const SILENT_US: Micros = 15_000_000;

/// Everything `status` shows. As JSON it is stable: members are added, never changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// Version of this form.
    pub schema: u32,
    /// When it was read.
    #[serde(serialize_with = "iso")]
    pub at: Micros,
    /// Where the first jobs came from: a path as given, `-` for standard input; `None` before an import.
    pub source: Option<String>,
    /// Jobs by state.
    pub jobs: Jobs,
    /// The current run, or the last one; `None` before the first.
    pub run: Option<Run>,
    /// The limits of that run.
    pub limits: Vec<LimitNow>,
    /// Requests that ended.
    pub requests: Rate,
    /// Results that were made.
    pub results: Rate,
    /// Until the last job is done, at the rate of the last minute. `None` where nothing runs, or nothing moves.
    pub eta_s: Option<f64>,
    /// Failures by type, most frequent first.
    pub failures: Vec<FailureKind>,
    /// Time by stage, since that run began.
    pub latency: Vec<StageLatency>,
    /// Results in time, of all runs; `None` where there is no SLA.
    pub sla: Option<Sla>,
    /// Results in time, of that run; `None` where it had no SLA, or no result.
    pub run_sla: Option<Sla>,
}

/// Jobs by state, and the two kinds of pending ones that are not simply waiting for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Jobs {
    /// All of them.
    pub total: u64,
    /// Nothing stored yet.
    pub pending: u64,
    /// Response stored, result to come.
    pub fetched: u64,
    /// Result stored.
    pub succeeded: u64,
    /// Given up.
    pub failed: u64,
    /// Not to be sent.
    pub cancelled: u64,
    /// Of the pending and fetched ones: leased by a run.
    pub in_flight: u64,
    /// Of the pending and fetched ones: failed before, and waiting for another try.
    pub retrying: u64,
    /// Rows of the input that made no job.
    pub rejected: u64,
}

impl Jobs {
    /// Jobs that still have work to do.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.pending + self.fetched
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// `runs.id`.
    pub id: i64,
    /// Where it stands.
    pub phase: Phase,
    /// `runs.outcome`, once it ended.
    pub outcome: Option<String>,
    /// Machine.
    pub host: String,
    /// Process.
    pub pid: i64,
    /// When it began.
    #[serde(serialize_with = "iso")]
    pub started_at: Micros,
    /// Its last sign of life.
    #[serde(serialize_with = "iso")]
    pub heartbeat_at: Micros,
    /// When it ended.
    #[serde(serialize_with = "iso_option")]
    pub ended_at: Option<Micros>,
    /// What another terminal asks of it: `pause` or `stop`.
    pub asked_to: Option<String>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It gives signs of life.
    Running,
    /// It neither ended nor gives signs of life.
    Gone,
    /// It ended.
    Ended,
}

/// A limit, and whether the server asked us to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitNow {
    /// As given: `20/s`.
    pub name: String,
    /// Requests.
    pub permits: i64,
    /// Per so long.
    pub window_us: Micros,
    /// Nothing is sent before; `None` = it is not paused.
    #[serde(serialize_with = "iso_option")]
    pub paused_until: Option<Micros>,
    /// Permits that may be used now, where the window is longer than a minute.
    pub left: Option<u64>,
    /// When the next may be used, where none is left.
    #[serde(serialize_with = "iso_option")]
    pub next_at: Option<Micros>,
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Rate {
    /// In this run.
    pub n: u64,
    /// A second, over the last minute; `None` where nothing runs.
    pub now_per_s: Option<f64>,
    /// A second, since the run began.
    pub mean_per_s: Option<f64>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureKind {
    /// What one groups by.
    pub error_type: String,
    /// Jobs given up.
    pub failed: u64,
    /// Jobs that are tried again.
    pub retrying: u64,
    /// Of all jobs with a failure.
    pub percent: f64,
    /// The key of one of them.
    pub example_key: Option<String>,
    /// What it says.
    pub example_message: Option<String>,
}

/// How long a stage takes; within 1/8 of the true value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageLatency {
    /// `rate_wait`, `ttfb`, `fetch`, `queue`, `process` or `latency`.
    pub stage: String,
    /// Attempts that were measured.
    pub n: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 90 of 100.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// Results in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sla {
    /// The deadline; `None` where the last run had none.
    pub sla_ms: Option<f64>,
    /// In time.
    pub within: u64,
    /// Too late.
    pub late: u64,
    /// In time, of 100.
    pub percent: f64,
}

/// Where a run stands that began, ended and was last heard of then.
#[must_use]
pub fn phase(heartbeat_at: Micros, ended_at: Option<Micros>, now_us: Micros) -> Phase {
    match ended_at {
        Some(_) => Phase::Ended,
        None if now_us - heartbeat_at <= SILENT_US => Phase::Running,
        None => Phase::Gone,
    }
}

/// So many a second, from counts by whole minutes: the current one, and of the one before it what lies within the last
/// 60 s, as if it had been even. `None` before the first second is over.
#[must_use]
pub fn over_last_minute(this_minute: u64, last_minute: u64, started_at: Micros, now_us: Micros) -> Option<f64> {
    let minute = 60_000_000;
    let into = now_us.rem_euclid(minute);
    let since_start = now_us - started_at;
    if since_start < 1_000_000 {
        return None;
    }
    let share = (minute - into) as f64 / minute as f64;
    // A run younger than a minute has done all of it since it began.
    let (n, span) = if since_start < minute {
        ((this_minute + last_minute) as f64, since_start)
    } else {
        (this_minute as f64 + last_minute as f64 * share, minute)
    };
    Some(n / (span as f64 / 1e6))
}

/// `2026-11-23T18:04:38.123456Z`.
#[must_use]
pub fn iso_8601(at: Micros) -> String {
    let since = Duration::from_micros(u64::try_from(at).unwrap_or(0));
    // The year 9999 is as far as the form goes; a clock beyond it is shown as that.
    let since = since.min(Duration::from_secs(253_402_300_799));
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

/// `2026-11-23T18:04:38Z`, a second that has begun counted whole: then it is over.
#[must_use]
pub fn second(at: Micros) -> String {
    let whole = at.saturating_add(SECOND_US - 1) / SECOND_US * SECOND_US;
    iso_8601(whole).replace(".000000", "")
}

// serde hands over references.
fn iso<S: Serializer>(at: &Micros, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&iso_8601(*at))
}

fn iso_option<S: Serializer>(at: &Option<Micros>, s: S) -> Result<S::Ok, S::Error> {
    at.map(iso_8601).serialize(s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_says_nothing_for_long_is_gone() {
        assert_eq!(phase(0, None, SILENT_US), Phase::Running);
        assert_eq!(phase(0, None, SILENT_US + 1), Phase::Gone);
        assert_eq!(phase(0, Some(1), SILENT_US + 1), Phase::Ended);
    }

    #[test]
    fn the_last_minute_reaches_back_into_the_one_before() {
        let quarter_past = 10 * 60_000_000 + 15_000_000;
        assert_eq!(over_last_minute(300, 1_200, 0, quarter_past), Some((300.0 + 900.0) / 60.0));
        assert_eq!(over_last_minute(20, 80, quarter_past - 20_000_000, quarter_past), Some(5.0));
        assert_eq!(over_last_minute(9, 0, quarter_past - 10, quarter_past), None);
    }

    #[test]
    fn times_are_iso_8601() {
        assert_eq!(iso_8601(1_764_000_000_123_456), "2025-11-24T16:00:00.123456Z");
        assert_eq!(iso_8601(Micros::MAX).get(..4), Some("9999"));
    }
}
