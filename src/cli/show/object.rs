//! A job as one JSON object: its result line, and what that leaves out.

use haul::result_line::{LineError, ResultLine, Timings};
use haul::secret::shown;
use haul::store::sqlite::detail::{Detail, Try};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::query::base64;

/// The object. The list of attempts is called `tries`, for `attempts` of a result line is their number.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    #[serde(flatten)]
    line: &'a ResultLine,
    source: &'a str,
    line_number: i64,
    running: bool,
    created_at: Option<&'a str>,
    due_at: Option<&'a str>,
    finished_at: Option<&'a str>,
    processor: Option<&'a str>,
    request: Request<'a>,
    tries: Vec<Tried<'a>>,
    response: Option<Response>,
}

#[derive(Serialize)]
struct Request<'a> {
    method: Option<&'a str>,
    url: Option<&'a str>,
    headers: Value,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize)]
struct Response {
    status_code: Option<i64>,
    headers: Map<String, Value>,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize)]
struct Tried<'a> {
    attempt: i64,
    run: i64,
    started_at: Option<&'a str>,
    timings_ms: Timings,
    within_sla: Option<bool>,
    status_code: Option<i64>,
    bytes: Option<i64>,
    error: Option<&'a LineError>,
}

/// Text as `body`, bytes as `body_base64`.
#[derive(Default, Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Body {
    fn of(bytes: Option<&[u8]>, secrets: bool) -> Self {
        match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
            None => Self::default(),
            Some((Ok(text), _)) if secrets => Self { body: Some(shown(text).into_owned()), body_base64: None },
            Some((Ok(text), _)) => Self { body: Some(text.to_owned()), body_base64: None },
            Some((Err(_), bytes)) => Self { body: None, body_base64: Some(base64(bytes)) },
        }
    }
}

impl<'a> Object<'a> {
    /// A job.
    pub(super) fn of(job: &'a Detail) -> Self {
        let line = &job.line;
        Self {
            line,
            source: &job.source,
            line_number: job.source_line,
            running: job.running,
            created_at: job.created_at.as_deref(),
            due_at: job.due_at.as_deref(),
            finished_at: job.finished_at.as_deref(),
            processor: job.processor.as_deref(),
            request: Request {
                method: line.method.as_deref(),
                url: line.url.as_deref(),
                headers: by_name(&job.headers),
                body: Body::of(job.body.as_deref(), true),
            },
            tries: job.tries.iter().map(tried).collect(),
            response: job.response.as_ref().map(|stored| Response {
                status_code: job.response_status,
                headers: serde_json::from_str(&stored.headers).unwrap_or_default(),
                body: Body::of(Some(&stored.body), false),
            }),
        }
    }
}

/// Headers with their secrets by name.
fn by_name(headers: &Map<String, Value>) -> Value {
    let text = |value: &Value| match value {
        Value::String(text) => Value::String(shown(text).into_owned()),
        other => other.clone(),
    };
    let value = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => text(one),
    };
    Value::Object(headers.iter().map(|(name, values)| (name.clone(), value(values))).collect())
}

fn tried(tried: &Try) -> Tried<'_> {
    Tried {
        attempt: tried.attempt,
        run: tried.run,
        started_at: tried.started_at.as_deref(),
        timings_ms: tried.timings,
        within_sla: tried.within_sla,
        status_code: tried.status_code,
        bytes: tried.bytes,
        error: tried.error.as_ref(),
    }
}
