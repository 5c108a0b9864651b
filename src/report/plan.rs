//! What a run will take: arithmetic over its limits, and over what earlier attempts took.

use serde::Serialize;

use crate::clock::{Micros, SECOND_US};
use crate::limit::Limit;

/// Up to this share of the cores what comes at random does not wait for long.
const AMPLE: f64 = 0.9;

/// A limit, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The limit.
    pub limit: Limit,
    /// Permits that may be used now, where some are used up already, and after how long there is one more.
    pub left: Option<(u64, Micros)>,
}

/// One attempt of an earlier run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// The job.
    pub job: i64,
    /// A request was sent.
    pub sent: bool,
    /// Sent to whole body read.
    pub fetch_us: Option<Micros>,
    /// In the processor.
    pub process_us: Option<Micros>,
    /// Sent to result ready.
    pub latency_us: Option<Micros>,
}

/// What is to be done, and with what.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// Jobs that need a request.
    pub to_send: u64,
    /// Jobs whose response is stored.
    pub to_process: u64,
    /// The limits.
    pub windows: Vec<Window>,
    /// Jobs in flight at most.
    pub concurrency: usize,
    /// Cores that processing may use.
    pub cores: usize,
    /// Deadline from sending to result.
    pub sla_us: Option<Micros>,
}

/// How long something took, over all attempts that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Attempts.
    pub n: usize,
    /// On average.
    pub mean_ms: f64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
}

/// What keeps a run from being quicker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The rate limits.
    Limits,
    /// Jobs in flight.
    Concurrency,
    /// Processing.
    Cpu,
}

/// What earlier attempts let expect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expected {
    /// Requests that were looked at: the newest, at most a thousand attempts.
    pub requests: usize,
    /// Requests for a job, retries included.
    pub requests_per_job: f64,
    /// Sent to whole body read.
    pub fetch: Option<Spread>,
    /// In the processor.
    pub process: Option<Spread>,
    /// Sent to result ready.
    pub latency: Option<Spread>,
    /// Jobs in flight on average, at the pace of the limits; `None` where there is no limit.
    pub concurrency: Option<f64>,
    /// The same if each took as long as the slowest of a hundred.
    pub concurrency_p99: Option<f64>,
    /// Cores that processing takes at that pace; without a limit, at that of the concurrency.
    pub cores: f64,
    /// All of it.
    pub total_s: f64,
    /// What keeps it from being quicker.
    pub bound: Bound,
    /// Of those that came to a result, within the SLA; `None` where there is no SLA, or no result.
    pub within_sla: Option<f64>,
    /// Whether the SLA can hold; `None` where nothing is known of it.
    pub sla_holds: Option<bool>,
}

/// When the last of so many requests may be sent at the earliest, from now: what a run does that is never late.
#[must_use]
pub fn shortest_us(requests: u64, windows: &[Window]) -> Micros {
    let mut windows: Vec<_> = windows.iter().collect();
    windows.sort_by_key(|window| (window.limit.window_us, window.limit.permits));
    requests.checked_sub(1).map_or(0, |before| after(before, &windows))
}

/// When the next request may be sent after so many. What a limit allows repeats itself after its window and its J.
fn after(before: u64, windows: &[&Window]) -> Micros {
    let Some((Window { limit, left }, shorter)) = windows.split_last() else { return 0 };
    let permits = u64::from(limit.permits.max(1));
    let paced = |n: u64| match shorter {
        [] => times(limit.window_us, n) / i64::from(limit.permits.max(1)),
        shorter => after(n, shorter),
    };
    let (whole, rest) = (before / permits, before % permits);
    let rest_us = match *left {
        Some((left, wait_us)) if rest >= left => wait_us.max(paced(left)).saturating_add(paced(rest - left)),
        _ => paced(rest),
    };
    times((limit.window_us.saturating_add(limit.jitter_us)).max(paced(permits)), whole).saturating_add(rest_us)
}

fn times(us: Micros, n: u64) -> Micros {
    us.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Requests a second that the limits allow in the long run; `None` without any.
#[must_use]
pub fn per_s(windows: &[Window]) -> Option<f64> {
    let rate = |w: &Window| {
        f64::from(w.limit.permits) * SECOND_US as f64 / w.limit.window_us.saturating_add(w.limit.jitter_us) as f64
    };
    windows.iter().map(rate).min_by(f64::total_cmp)
}

/// The pace while it goes: that of the shortest window.
fn pace(windows: &[Window]) -> Option<f64> {
    let shortest = windows.iter().min_by_key(|window| (window.limit.window_us, window.limit.permits))?;
    per_s(std::slice::from_ref(shortest))
}

/// What earlier attempts let expect of this task; `None` where there are none that tell anything.
#[must_use]
pub fn expected(task: &Task, tried: &[Tried]) -> Option<Expected> {
    let requests = tried.iter().filter(|t| t.sent).count();
    let mut jobs: Vec<_> = tried.iter().filter(|t| t.sent).map(|t| t.job).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let held = spread(tried.iter().filter(|t| t.sent).filter_map(|t| t.latency_us.or(t.fetch_us)))?;
    let process = spread(tried.iter().filter_map(|t| t.process_us));
    let requests_per_job = requests as f64 / jobs.len().max(1) as f64;
    let to_send = (task.to_send as f64 * requests_per_job).ceil();
    let (held_s, concurrency) = (held.mean_ms / 1000.0, task.concurrency.max(1) as f64);
    let process_s = process.map_or(0.0, |process| process.mean_ms / 1000.0);
    let processings = (task.to_send + task.to_process) as f64;
    let limits_s = shortest_us(to_send as u64, &task.windows) as f64 / SECOND_US as f64;
    // A request that opens its connection counts from its answer on, which delays the window after it; the last one is waited for.
    let windows = task.windows.iter().filter(|window| to_send > f64::from(window.limit.permits)).count().min(1);
    let last_s = if to_send > 0.0 { held_s } else { 0.0 };
    let limits = (!task.windows.is_empty()).then(|| (Bound::Limits, limits_s + last_s * (1 + windows) as f64));
    let needs = [
        (Bound::Concurrency, (to_send * held_s / concurrency).max(last_s)),
        (Bound::Cpu, processings * process_s / task.cores.max(1) as f64),
    ];
    // Of two that are equal the first: where nothing is to be done, nothing bounds it.
    let (bound, total_s) = limits.into_iter().chain(needs).rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let pace = pace(&task.windows);
    let goes = pace.map_or(concurrency / held_s, |pace| pace.min(concurrency / held_s));
    let cores = pace.unwrap_or(goes) * process_s;
    let latencies: Vec<_> = tried.iter().filter_map(|t| t.latency_us).collect();
    let within_sla = task.sla_us.filter(|_| !latencies.is_empty()).map(|sla_us| {
        latencies.iter().filter(|latency_us| **latency_us <= sla_us).count() as f64 / latencies.len() as f64
    });
    Some(Expected {
        requests,
        requests_per_job,
        fetch: spread(tried.iter().filter_map(|t| t.fetch_us)),
        process,
        latency: spread(latencies.into_iter()),
        concurrency: pace.map(|pace| pace * held_s),
        concurrency_p99: pace.map(|pace| pace * held.p99_ms / 1000.0),
        cores,
        total_s,
        bound,
        within_sla,
        sla_holds: within_sla.map(|share| share >= 0.99 && cores <= AMPLE * task.cores.max(1) as f64),
    })
}

fn spread(us: impl Iterator<Item = Micros>) -> Option<Spread> {
    let mut us: Vec<_> = us.collect();
    us.sort_unstable();
    let at = |share: f64| us.get(((us.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    let (p50_us, p99_us) = (at(0.5)?, at(0.99)?);
    let mean_ms = us.iter().sum::<Micros>() as f64 / us.len() as f64 / 1000.0;
    Some(Spread { n: us.len(), mean_ms, p50_ms: p50_us as f64 / 1000.0, p99_ms: p99_us as f64 / 1000.0 })
}

#[cfg(test)]
mod tests;
