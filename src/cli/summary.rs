//! The end of a run: what was done, what failed, how long it took, and what to type next. On stdout.

use std::io::{self, Write};
use std::path::Path;

use haul::clock::{Micros, SECOND_US};
use haul::job::State;
use haul::minutes::Minutes;
use haul::pipeline::Summary;
use haul::progress::{Tally, count};
use haul::reason::Reason;
use haul::report::{FailureKind, iso_8601};
use haul::settings::Settings;
use haul::store::{Counts, RunOutcome};

use super::next;
use super::terminal::{cut, quiet_if_closed, visible};

/// Failed types shown.
const TYPES: usize = 3;

/// Where the time of an attempt goes, and what people call it: `latency` is all of it from sending to the result.
const SPLIT: [(&str, &str); 7] = [
    ("rate_wait", "rate wait"),
    ("ttfb", "1st byte"),
    ("body", "body"),
    ("queue", "queue"),
    ("process", "process"),
    ("commit", "commit"),
    ("latency", "latency"),
];

/// How the summary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For people, who are told elsewhere what to type next.
    WithoutNext,
    /// For people, of a run that sent nothing.
    Stored,
    /// An object.
    Json,
}

/// What there is to tell of the end of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    /// Of the run.
    pub(crate) summary: &'a Summary,
    /// Jobs as they stand.
    pub(crate) counts: &'a Counts,
    /// Failures by type, most frequent first.
    pub(crate) failures: &'a [FailureKind],
}

/// Writes the summary.
pub(crate) fn show(end: &End<'_>, settings: &Settings, db: &Path, form: Form) -> io::Result<()> {
    let End { summary, counts, .. } = *end;
    let mut out = anstream::stdout();
    let written = match form {
        Form::Json => writeln!(out, "{}", object(summary, counts)),
        Form::WithoutNext => text(&mut out, end, settings, db, form),
        Form::Stored => text(&mut out, end, settings, db, form)
            .and_then(|()| writeln!(out, "next: {}", next::command(&next_of_stored(summary), db))),
        Form::Text => text(&mut out, end, settings, db, form)
            .and_then(|()| writeln!(out, "next: {}", next(summary.stopped_because.as_ref(), counts, db))),
    };
    quiet_if_closed(written.and_then(|()| out.flush()))
}

/// What to type next.
fn next(reason: Option<&Reason>, counts: &Counts, db: &Path) -> String {
    match reason {
        Some(Reason::Credentials { status_codes, .. }) => {
            let codes: Vec<_> = status_codes.iter().map(u16::to_string).collect();
            let again = format!("retry --status {}", codes.join(","));
            format!("{} && {}", next::command(&again, db), next::command("resume", db))
        }
        Some(Reason::Tls { .. }) => {
            format!("{} && {}", next::command("retry --error tls", db), next::command("resume", db))
        }
        Some(Reason::NoneSucceeded { .. } | Reason::Failures { .. }) => next::command(next::FAILURES, db),
        _ => next::command(next_verb(counts), db),
    }
}

/// What to type after a run that sent nothing.
fn next_of_stored(summary: &Summary) -> String {
    match summary.outcome {
        RunOutcome::Drained if summary.tally.failed > 0 => format!(
            "query 'SELECT error_type, count(*) AS jobs, max(error_message) AS example FROM attempts WHERE run_id = {} AND \
             error_type IS NOT NULL GROUP BY 1'",
            summary.run
        ),
        RunOutcome::Drained => next::RESULTS.to_owned(),
        _ => "reprocess --rest".to_owned(),
    }
}

/// What to do first, where the next command alone does not help.
fn advice(reason: &Reason) -> Option<&'static str> {
    match reason {
        Reason::Credentials { .. } => Some("mend the credentials, then try those that were refused again and go on"),
        Reason::Tls { .. } => Some(
            "`query 'SELECT * FROM failures'` says why; mend the server's certificate or trust it with `--cacert FILE`, then \
             try again; `resume --max-failures N` goes on in spite of it",
        ),
        Reason::NoneSucceeded { .. } => {
            Some("see what fails and mend it; or go on in spite of it with `resume --max-failures N`")
        }
        Reason::Failures { .. } => Some("see what fails and mend it; `resume` goes on in spite of it"),
        Reason::Wait { .. } => Some("go on then; or now without --max-wait, which waits"),
        Reason::StopIf { .. } => Some("`resume` goes on with what is left"),
        _ => None,
    }
}

fn next_verb(counts: &Counts) -> &'static str {
    let any = |state| count(counts, Some(state), None) > 0;
    match () {
        () if any(State::Pending) || any(State::Fetched) => "resume",
        () if any(State::Failed) => next::FAILURES,
        () => next::RESULTS,
    }
}

/// Milliseconds of a percentile of a stage in this run.
fn ms(tally: &Tally, stage: &str, share: f64) -> Option<f64> {
    let of = |minutes: &Minutes| minutes.percentile_us(stage, share);
    of(&tally.latencies).or_else(|| of(&tally.others)).map(|us| us as f64 / 1000.0)
}

/// Requests a second between the first and the last one. Of less than a second it would say little, and look like a broken limit.
pub(crate) fn rate(tally: &Tally) -> Option<f64> {
    let span_us = tally.last_us? - tally.first_us?;
    (tally.requests > 1 && span_us >= SECOND_US)
        .then(|| (tally.requests - 1) as f64 * SECOND_US as f64 / span_us as f64)
}

fn seconds(us: Micros) -> String {
    format!("{:.1} s", us as f64 / SECOND_US as f64)
}

fn text(out: &mut impl Write, end: &End<'_>, settings: &Settings, db: &Path, form: Form) -> io::Result<()> {
    let End { summary, counts, .. } = *end;
    let tally = &summary.tally;
    let of = |state| count(counts, Some(state), None);
    let left = of(State::Pending) + of(State::Fetched);
    let how = match summary.outcome {
        RunOutcome::Drained if left == 0 || form == Form::Stored => "drained",
        RunOutcome::Drained | RunOutcome::Stopped => "stopped on purpose",
        RunOutcome::Interrupted => "interrupted",
        RunOutcome::Hopeless => "stopped: it could not succeed",
        RunOutcome::Error => "failed",
    };
    writeln!(out, "{}: {how} after {}", db.display(), seconds(summary.elapsed_us))?;
    if let Some(reason) = &summary.stopped_because {
        writeln!(out, "  because   {}", visible(&reason.to_string()))?;
        if let Some(advice) = advice(reason) {
            writeln!(out, "  do        {advice}")?;
        }
    }
    writeln!(out, "  this run  {} succeeded, {} failed", tally.succeeded, tally.failed)?;
    if tally.spared > 0 {
        writeln!(out, "  kept      {} old results, where processing failed this time", tally.spared)?;
    }
    writeln!(out, "  table     {} succeeded, {} failed, {left} left", of(State::Succeeded), of(State::Failed))?;
    let limits: Vec<_> = summary.limits.iter().map(|limit| limit.name.as_str()).collect();
    let limit = if limits.is_empty() { String::new() } else { format!(" (limit {})", limits.join(" + ")) };
    let rate = rate(tally).map_or(String::new(), |rate| format!(" at {rate:.1}/s"));
    writeln!(
        out,
        "  requests  {}{rate}{limit}, {} refused (429), {} retried",
        tally.requests, tally.refused, tally.retried
    )?;
    for (stage, name) in SPLIT {
        if let (Some(p50), Some(p99), Some(max)) =
            (ms(tally, stage, 0.5), ms(tally, stage, 0.99), ms(tally, stage, 1.0))
        {
            writeln!(out, "  {name:<9} p50 {p50:>7.1} ms  p99 {p99:>7.1} ms  max {max:>7.1} ms")?;
        }
    }
    let all = tally.within_sla + tally.late;
    if let Some(sla) = settings.sla.filter(|_| form != Form::Stored && all > 0) {
        let percent = 100.0 * tally.within_sla as f64 / all as f64;
        let sla = humantime::format_duration(sla);
        writeln!(out, "  SLA       {} of {all} within {sla} ({percent:.1} %), {} late", tally.within_sla, tally.late)?;
    }
    failures(out, end)?;
    if summary.interrupted > 0 {
        let again = match form {
            Form::Stored => "processed again, one at a time: they were taken up",
            _ => "sent again, which were in flight",
        };
        writeln!(out, "  crash     0 lost, at most {} {again} when an earlier run died", summary.interrupted)?;
    }
    if tally.stale > 0 {
        writeln!(out, "  stale     {} outcomes came too late: another run had taken their jobs; dropped", tally.stale)?;
    }
    if summary.abandoned > 0 {
        let left = match form {
            Form::Stored => "jobs in processing; `reprocess --rest` processes them again",
            _ => "requests in flight; the next run sends them again",
        };
        writeln!(out, "  left      {} {left}", summary.abandoned)?;
    }
    Ok(())
}

fn failures(out: &mut impl Write, end: &End<'_>) -> io::Result<()> {
    let mut failed: Vec<_> = end.counts.iter().filter(|((state, _), _)| *state == State::Failed).collect();
    failed.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    for ((_, error_type), n) in failed.iter().take(TYPES) {
        let kind = error_type.as_ref().map_or("unknown", |error_type| error_type.as_str());
        let example = end.failures.iter().find(|found| found.error_type == kind && found.failed > 0);
        let example = example.and_then(|found| found.example_key.as_deref().zip(found.example_message.as_deref()));
        let example = example.map_or_else(String::new, |(key, message)| {
            format!("  {}: {}", cut(&visible(key), 24), cut(&visible(message), 60))
        });
        writeln!(out, "  failed    {n} x {}{example}", visible(kind))?;
    }
    if failed.len() > TYPES {
        let n: u64 = failed.iter().skip(TYPES).map(|(_, n)| **n).sum();
        writeln!(out, "            {n} of other types")?;
    }
    Ok(())
}

/// When the limit or the server lets the next run send something.
fn goes_on_at(reason: Option<&Reason>) -> Option<String> {
    match reason {
        Some(Reason::Wait { until_us, .. }) => Some(iso_8601(*until_us)),
        _ => None,
    }
}

fn object(summary: &Summary, counts: &Counts) -> serde_json::Value {
    let tally = &summary.tally;
    let of = |state| count(counts, Some(state), None);
    let stage = |name: &str| serde_json::json!({"p50": ms(tally, name, 0.5), "p90": ms(tally, name, 0.9), "p99": ms(tally, name, 0.99), "max": ms(tally, name, 1.0)});
    serde_json::json!({
        "schema": 1, "run": summary.run, "outcome": summary.outcome.as_str(),
        "stopped_because": summary.stopped_because.as_ref().map(Reason::to_string),
        "goes_on_at": goes_on_at(summary.stopped_because.as_ref()),
        "elapsed_s": summary.elapsed_us as f64 / SECOND_US as f64,
        "succeeded": tally.succeeded, "failed": tally.failed, "requests": tally.requests, "refused": tally.refused,
        "retried": tally.retried, "kept": tally.spared, "rate_per_s": rate(tally), "within_sla": tally.within_sla, "late": tally.late,
        "interrupted": summary.interrupted, "abandoned": summary.abandoned, "stale": tally.stale,
        "jobs": {"succeeded": of(State::Succeeded), "failed": of(State::Failed), "pending": of(State::Pending),
                 "fetched": of(State::Fetched), "cancelled": of(State::Cancelled)},
        "timings_ms": {"rate_wait": stage("rate_wait"), "ttfb": stage("ttfb"), "body": stage("body"),
                       "queue": stage("queue"), "commit": stage("commit"), "fetch": stage("fetch"), "process": stage("process"), "latency": stage("latency")},
    })
}
