//! A plan as text, and as an object.

use std::io::{self, Write};
use std::path::Path;

use haul::clock::{Micros, SECOND_US};
use haul::report::plan::{Bound, Expected, Spread};
use haul::request::Request;
use haul::secret::shown;
use serde_json::{Value, json};

use super::{Plan, put};
use crate::cli::choice::many;
use crate::cli::import::counted;
use crate::cli::status::{digits, time};
use crate::cli::terminal::{cut, visible};

/// Characters of a URL, a header or a body.
const WIDE: usize = 160;

/// For people.
pub(super) fn text(out: &mut impl Write, plan: &Plan, db: &Path) -> io::Result<()> {
    writeln!(out, "plan for {}: nothing is sent, and nothing is changed", visible(&db.display().to_string()))?;
    inputs(out, plan)?;
    requests(out, plan)?;
    to_do(out, plan)?;
    least(out, plan)?;
    match &plan.expected {
        Some(expected) => expect(out, plan, expected)?,
        None => put(out, "expected", "not known before a trial: `run --limit 20`, then `plan` again")?,
    }
    writeln!(out, "next: {}", plan.next)
}

fn inputs(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    for (name, summary) in &plan.inputs {
        put(out, "input", &format!("{}: {}", visible(name), counted(summary)))?;
        for reject in &summary.examples {
            put(out, "", &format!("line {}: {}", reject.line, visible(&cut(&reject.reason, WIDE))))?;
        }
    }
    if plan.refused {
        put(out, "", "so nothing would be imported (--strict)")?;
    }
    if plan.rerenders {
        put(out, "change", "jobs not sent yet would be made anew from their rows")?;
    }
    Ok(())
}

fn requests(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    for (i, request) in plan.first.iter().enumerate() {
        let label = match i {
            0 if plan.after_others => "first new",
            0 => "first",
            _ => "",
        };
        put(out, label, &format!("{} {}", visible(&request.method), one(&request.url)))?;
        for (name, values) in &request.headers {
            let one_value = std::slice::from_ref(values);
            for value in values.as_array().map_or(one_value, Vec::as_slice) {
                put(out, "", &format!("  {}: {}", one(name), one(value.as_str().unwrap_or_default())))?;
            }
        }
        if let Some(body) = body(request) {
            put(out, "", &format!("  {body}"))?;
        }
    }
    Ok(())
}

fn one(text: &str) -> String {
    visible(&cut(&shown(text), WIDE))
}

fn body(request: &Request) -> Option<String> {
    let body = request.body.as_ref()?;
    Some(match std::str::from_utf8(body) {
        Ok(text) => one(text),
        Err(_) => format!("<{} bytes that are no text>", body.len()),
    })
}

fn to_do(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    let mut text = many(plan.task.to_send, "request");
    if plan.task.to_process > 0 {
        text += &format!(", and {} only to be processed", digits(plan.task.to_process));
    }
    let done = plan.jobs.succeeded + plan.jobs.failed;
    if done > 0 {
        text += &format!("; {} are done", digits(done));
    }
    put(out, "to do", &text)
}

fn least(out: &mut impl Write, plan: &Plan) -> io::Result<()> {
    let names: Vec<_> = plan.settings.limits.iter().map(|limit| visible(&limit.name)).collect();
    let limits = if names.is_empty() { "no limit (--rate sets one)".to_owned() } else { names.join(" + ") };
    put(out, "limits", &limits)?;
    for window in &plan.task.windows {
        if let Some((left, wait_us)) = window.left {
            let (name, permits) = (visible(&window.limit.name), u64::from(window.limit.permits));
            let more = if left == 0 { format!(", more in {}", time(wait_us)) } else { String::new() };
            put(out, "", &format!("{name}: {} of {} permits left{more}", digits(left), digits(permits)))?;
        }
    }
    if !names.is_empty() {
        put(out, "at least", &long(plan.shortest_s()))?;
    }
    Ok(())
}

fn expect(out: &mut impl Write, plan: &Plan, expected: &Expected) -> io::Result<()> {
    let task = &plan.task;
    let stages = [("fetch", expected.fetch), ("process", expected.process), ("latency", expected.latency)];
    for (i, (stage, spread)) in stages.into_iter().filter_map(|(stage, spread)| Some((stage, spread?))).enumerate() {
        let Spread { mean_ms, p50_ms, p99_ms, n } = spread;
        let label = if i == 0 { "measured" } else { "" };
        let of = if i == 0 { format!("  (of {n})") } else { String::new() };
        put(out, label, &format!("{stage:<8} mean {mean_ms:.1} ms  p50 {p50_ms:.1} ms  p99 {p99_ms:.1} ms{of}"))?;
    }
    if expected.requests_per_job > 1.005 {
        put(out, "", &format!("{:.2} requests a job, as some are tried again", expected.requests_per_job))?;
    }
    let why = match expected.bound {
        _ if expected.total_s <= 0.0 => "",
        Bound::Limits => " (the limits set the pace)",
        Bound::Concurrency => " (--concurrency sets the pace)",
        Bound::Cpu => " (processing sets the pace)",
    };
    put(out, "expected", &(long(expected.total_s) + why))?;
    let mut needs = format!("{:.1} of {} cores", expected.cores, task.cores);
    if let Some((mean, p99)) = expected.concurrency.zip(expected.concurrency_p99) {
        let (mean, p99) = (mean.ceil(), p99.ceil());
        let enough = if mean <= task.concurrency as f64 { "" } else { ", too few" };
        needs = format!(
            "{mean:.0} jobs in flight, {p99:.0} if all are slow (--concurrency {}{enough}); {needs}",
            task.concurrency
        );
    }
    put(out, "needs", &needs)?;
    sla(out, plan, expected)
}

fn sla(out: &mut impl Write, plan: &Plan, expected: &Expected) -> io::Result<()> {
    let Some((sla, share)) = plan.settings.sla.zip(expected.within_sla) else { return Ok(()) };
    let (sla, percent) = (humantime::format_duration(sla), 100.0 * share);
    let kept = format!("{percent:.1} % of those measured were in time");
    let text = match expected.sla_holds {
        Some(true) => format!("{sla} can hold: {kept}"),
        _ if share >= 0.99 => {
            format!(
                "{sla} cannot hold: processing needs {:.1} of {} cores at this rate",
                expected.cores, plan.task.cores
            )
        }
        _ => format!("{sla} cannot hold: {kept}"),
    };
    put(out, "SLA", &text)
}

/// Seconds while they count, then as people say it.
fn long(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { time((seconds * SECOND_US as f64) as Micros) }
}

/// For programs.
pub(super) fn object(plan: &Plan) -> Value {
    let inputs = plan.inputs.iter().map(|(name, s)| {
        let examples = s.examples.iter().map(|reject| json!({"line": reject.line, "reason": reject.reason}));
        json!({
            "name": name, "rows": s.rows, "new": s.added, "known": s.known, "updated": s.updated, "joined": s.joined,
            "rejected": s.rejected, "duplicates_refused": s.refused_duplicates, "examples": examples.collect::<Vec<_>>(),
        })
    });
    let requests = plan.first.iter().map(|request| {
        let headers = serde_json::to_string(&request.headers).unwrap_or_default();
        json!({
            "method": request.method, "url": shown(&request.url), "body": body(request),
            "headers": serde_json::from_str::<Value>(&shown(&headers)).unwrap_or_default(),
        })
    });
    json!({
        "schema": 1,
        "inputs": inputs.collect::<Vec<_>>(),
        "first": requests.collect::<Vec<_>>(),
        "to_send": plan.task.to_send, "to_process": plan.task.to_process,
        "done": plan.jobs.succeeded + plan.jobs.failed,
        "limits": plan.settings.limits.iter().map(|limit| &limit.name).collect::<Vec<_>>(),
        "shortest_s": plan.shortest_s(),
        "concurrency": plan.task.concurrency, "cores": plan.task.cores,
        "expected": plan.expected,
    })
}
