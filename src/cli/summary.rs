//! The end of a run: what was done, what failed, how long it took, and what to type next. On stdout.

use std::io::{self, Write};
use std::path::Path;

use haul::clock::{Micros, SECOND_US};
use haul::job::State;
use haul::pipeline::Summary;
use haul::progress::{Tally, count};
use haul::settings::Settings;
use haul::store::{Counts, RunOutcome};

use super::terminal::quiet_if_closed;

/// Failed types shown.
const TYPES: usize = 3;

/// Writes the summary.
pub(crate) fn show(summary: &Summary, counts: &Counts, settings: &Settings, db: &Path, json: bool) -> io::Result<()> {
    let mut out = anstream::stdout();
    let written =
        if json { writeln!(out, "{}", object(summary, counts)) } else { text(&mut out, summary, counts, settings, db) };
    quiet_if_closed(written.and_then(|()| out.flush()))
}

/// Milliseconds of a percentile of a stage in this run.
fn ms(tally: &Tally, stage: &str, share: f64) -> Option<f64> {
    tally.latencies.percentile_us(stage, share).map(|us| us as f64 / 1000.0)
}

/// Requests a second between the first and the last one.
pub(crate) fn rate(tally: &Tally) -> Option<f64> {
    let span_us = (tally.last_us? - tally.first_us?).max(1) as f64;
    (tally.requests > 1).then(|| (tally.requests - 1) as f64 * SECOND_US as f64 / span_us)
}

fn seconds(us: Micros) -> String {
    format!("{:.1} s", us as f64 / SECOND_US as f64)
}

fn text(out: &mut impl Write, summary: &Summary, counts: &Counts, settings: &Settings, db: &Path) -> io::Result<()> {
    let tally = &summary.tally;
    let of = |state| count(counts, Some(state), None);
    let left = of(State::Pending) + of(State::Fetched);
    let how = match summary.outcome {
        RunOutcome::Drained if left == 0 => "drained",
        RunOutcome::Drained | RunOutcome::Stopped => "stopped on purpose",
        RunOutcome::Interrupted => "interrupted",
        RunOutcome::Hopeless => "stopped: it could not succeed",
        RunOutcome::Error => "failed",
    };
    writeln!(out, "{}: {how} after {}", db.display(), seconds(summary.elapsed_us))?;
    writeln!(out, "  this run  {} succeeded, {} failed", tally.succeeded, tally.failed)?;
    writeln!(out, "  table     {} succeeded, {} failed, {left} left", of(State::Succeeded), of(State::Failed))?;
    let limits: Vec<_> = settings.limits.iter().map(|limit| limit.name.as_str()).collect();
    let limit = if limits.is_empty() { String::new() } else { format!(" (limit {})", limits.join(" + ")) };
    let rate = rate(tally).map_or(String::new(), |rate| format!(" at {rate:.1}/s{limit}"));
    writeln!(out, "  requests  {}{rate}, {} refused (429), {} retried", tally.requests, tally.refused, tally.retried)?;
    for (stage, name) in [("fetch", "fetch"), ("process", "process"), ("latency", "latency")] {
        if let (Some(p50), Some(p99), Some(max)) =
            (ms(tally, stage, 0.5), ms(tally, stage, 0.99), ms(tally, stage, 1.0))
        {
            writeln!(out, "  {name:<9} p50 {p50:.1} ms  p99 {p99:.1} ms  max {max:.1} ms")?;
        }
    }
    if let Some(sla) = settings.sla {
        let all = tally.within_sla + tally.late;
        let percent = if all == 0 { 100.0 } else { 100.0 * tally.within_sla as f64 / all as f64 };
        let sla = humantime::format_duration(sla);
        writeln!(out, "  SLA       {} of {all} within {sla} ({percent:.1} %), {} late", tally.within_sla, tally.late)?;
    }
    failures(out, counts)?;
    if summary.interrupted > 0 {
        writeln!(out, "  crash     {} jobs were in flight when an earlier run died; 0 lost", summary.interrupted)?;
    }
    if summary.abandoned > 0 {
        writeln!(out, "  left      {} requests in flight; the next run sends them again", summary.abandoned)?;
    }
    match (left > 0, of(State::Failed) > 0) {
        (true, _) => writeln!(out, "next: haul --db {} resume", db.display()),
        (false, true) => writeln!(out, "next: haul --db {} query 'SELECT * FROM failures'", db.display()),
        (false, false) => {
            writeln!(out, "next: haul --db {} query 'SELECT key, result FROM job_view LIMIT 5'", db.display())
        }
    }
}

fn failures(out: &mut impl Write, counts: &Counts) -> io::Result<()> {
    let mut failed: Vec<_> = counts.iter().filter(|((state, _), _)| *state == State::Failed).collect();
    failed.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    for ((_, error_type), n) in failed.iter().take(TYPES) {
        writeln!(out, "  failed    {n} x {}", error_type.as_ref().map_or("unknown", |error_type| error_type.as_str()))?;
    }
    Ok(())
}

fn object(summary: &Summary, counts: &Counts) -> serde_json::Value {
    let tally = &summary.tally;
    let of = |state| count(counts, Some(state), None);
    let stage = |name: &str| serde_json::json!({"p50": ms(tally, name, 0.5), "p90": ms(tally, name, 0.9), "p99": ms(tally, name, 0.99), "max": ms(tally, name, 1.0)});
    serde_json::json!({
        "schema": 1, "run": summary.run, "outcome": summary.outcome.as_str(),
        "elapsed_s": summary.elapsed_us as f64 / SECOND_US as f64,
        "succeeded": tally.succeeded, "failed": tally.failed, "requests": tally.requests, "refused": tally.refused,
        "retried": tally.retried, "rate_per_s": rate(tally), "within_sla": tally.within_sla, "late": tally.late,
        "interrupted": summary.interrupted, "abandoned": summary.abandoned,
        "jobs": {"succeeded": of(State::Succeeded), "failed": of(State::Failed), "pending": of(State::Pending),
                 "fetched": of(State::Fetched), "cancelled": of(State::Cancelled)},
        "timings_ms": {"fetch": stage("fetch"), "process": stage("process"), "latency": stage("latency")},
    })
}
