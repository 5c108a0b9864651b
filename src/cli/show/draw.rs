//! A job for people: what it is, what was sent, what came back, what was made of it.

use std::io::{self, Write};

use haul::secret::shown;
use haul::store::sqlite::detail::{Detail, Try};
use serde_json::{Map, Value};

use crate::cli::terminal::{cut, visible};

/// Width of what stands in front of each line.
const LABEL: usize = 10;
/// Lines and characters of a text that is shown, at most.
const LINES: usize = 20;
const WIDE: usize = 500;
/// Attempts that are shown, at most: the last.
const TRIES: usize = 10;

/// Draws a job.
pub(super) fn job(out: &mut impl Write, job: &Detail) -> io::Result<()> {
    let line = &job.line;
    let state = line.state.as_deref().unwrap_or_default();
    let now = if job.running { ", a run works on it" } else { "" };
    put(out, &format!("job {}", line.id.unwrap_or_default()), &format!("{state}{now}"))?;
    put(out, "key", &one(line.key.as_deref().unwrap_or_default()))?;
    put(out, "from", &format!("{}, line {}", one(&job.source), job.source_line))?;
    let due = (!matches!(state, "succeeded" | "failed" | "cancelled")).then_some(()).and(job.due_at.as_deref());
    for (label, at) in [("imported", job.created_at.as_deref()), ("due", due), ("done", job.finished_at.as_deref())] {
        if let Some(at) = at {
            put(out, label, at)?;
        }
    }
    if let Some(error) = &line.error {
        put(out, "error", &format!("{}: {}", one(&error.error_type), one(&error.message)))?;
    }
    request(out, job)?;
    tries(out, &job.tries)?;
    response(out, job)?;
    if let Some(result) = &line.result {
        writeln!(out)?;
        let by = job.processor.as_deref().filter(|by| *by != "none").map(|by| format!("by {}", one(by)));
        put(out, "result", &by.unwrap_or_else(|| "the response as it is".to_owned()))?;
        text(out, &pretty(result.get()))?;
    }
    Ok(())
}

fn request(out: &mut impl Write, job: &Detail) -> io::Result<()> {
    let line = &job.line;
    writeln!(out)?;
    let (method, url) = (line.method.as_deref().unwrap_or_default(), line.url.as_deref().unwrap_or_default());
    put(out, "request", &format!("{} {}", one(method), one(url)))?;
    headers(out, &job.headers)?;
    if let Some(body) = &job.body {
        bytes(out, body)?;
    }
    match line.row.as_deref().map(serde_json::value::RawValue::get) {
        None | Some("{}") => Ok(()),
        Some(row) => put(out, "row", &one(row)),
    }
}

fn tries(out: &mut impl Write, tries: &[Try]) -> io::Result<()> {
    if tries.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<LABEL$}{:<28} {:>6} {:>10} {:>10} {:>10}  error",
        "attempts", "sent", "status", "fetch ms", "process", "latency"
    )?;
    let hidden = tries.len().saturating_sub(TRIES);
    if hidden > 0 {
        put(out, "", &format!("{hidden} earlier ones: --json shows them"))?;
    }
    for tried in &tries[hidden..] {
        let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let status = tried.status_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        let late = if tried.within_sla == Some(false) { " late" } else { "" };
        let error = tried.error.as_ref().map(|e| format!("{}: {}", one(&e.error_type), cut(&one(&e.message), 100)));
        let [fetch, process, latency] = [tried.timings.fetch, tried.timings.process, tried.timings.latency].map(ms);
        let sent = tried.started_at.as_deref().unwrap_or("lost to a crash");
        let text = format!(
            "{:<LABEL$}{sent:<28} {status:>6} {fetch:>10} {process:>10} {latency:>10}{late}  {}",
            tried.attempt,
            error.unwrap_or_default()
        );
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

fn response(out: &mut impl Write, job: &Detail) -> io::Result<()> {
    let (Some(stored), Some(status)) = (&job.response, job.response_status) else { return Ok(()) };
    writeln!(out)?;
    put(out, "response", &format!("{status}, {} bytes", stored.body.len()))?;
    headers(out, &serde_json::from_str(&stored.headers).unwrap_or_default())?;
    bytes(out, &stored.body)
}

fn headers(out: &mut impl Write, headers: &Map<String, Value>) -> io::Result<()> {
    for (name, values) in headers {
        let one_value = std::slice::from_ref(values);
        for value in values.as_array().map_or(one_value, Vec::as_slice) {
            put(out, "", &format!("{}: {}", one(name), one(value.as_str().unwrap_or_default())))?;
        }
    }
    Ok(())
}

fn bytes(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    match std::str::from_utf8(body) {
        Ok("") => Ok(()),
        Ok(body) => text(out, body),
        Err(_) => put(out, "", &format!("<{} bytes that are no text>", body.len())),
    }
}

/// The beginning of a text, every line below the other.
fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut lines = text.lines();
    let mut bytes = 0;
    for line in lines.by_ref().take(LINES) {
        let shown = cut(line, WIDE);
        bytes += shown.len();
        put(out, "", &one(&shown))?;
    }
    let rest = lines.count();
    if rest > 0 || bytes + LINES < text.len() {
        put(out, "", &format!("… of {} bytes", text.len()))?;
    }
    Ok(())
}

fn put(out: &mut impl Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{label:<LABEL$}{text}")
}

/// Cut before it is made visible, so that 10 MiB are not; secrets by name.
fn one(text: &str) -> String {
    visible(&shown(&cut(text, WIDE)))
}

/// JSON with a member a line; numbers keep their digits only where they fit, so it is for eyes alone.
fn pretty(json: &str) -> String {
    if json.len() > 64 << 10 {
        return json.to_owned();
    }
    let value: Result<Value, _> = serde_json::from_str(json);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| json.to_owned())
}
