//! What is said to a program, and what it says: a line of JSON each.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::attempt::{ErrorType, Failure, Verdict};
use crate::job::Job;
use crate::process::{bounds, plain, refused};
use crate::response::Response;
use crate::secret;

/// A job, as a program reads it.
#[derive(Serialize)]
struct Asked<'a> {
    id: i64,
    key: &'a str,
    attempt: u32,
    status_code: u16,
    headers: &'a Map<String, Value>,
    #[serde(flatten)]
    body: Body<'a>,
    row: &'a Map<String, Value>,
    request: Box<RawValue>,
}

/// Its request; secrets stand in it by name.
#[derive(Serialize)]
struct Sent<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a Map<String, Value>,
    #[serde(flatten)]
    body: Option<Body<'a>>,
}

/// A body that is text is text.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Body<'a> {
    Body(&'a str),
    BodyBase64(String),
}

impl<'a> Body<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        plain::text(bytes).map_or_else(|| Self::BodyBase64(BASE64_STANDARD.encode(bytes)), Self::Body)
    }
}

/// The line for a job, its newline included.
///
/// # Errors
/// Never in fact: every part of it is JSON already, or text.
pub(super) fn asking(response: &Response, job: &Job) -> Result<Vec<u8>, Failure> {
    let cannot = |error| refused(format!("the job cannot be written: {error}"));
    let request = Sent {
        method: &job.request.method,
        url: &job.request.url,
        headers: &job.request.headers,
        body: job.request.body.as_deref().map(Body::of),
    };
    let request = serde_json::to_string(&request).map_err(cannot)?;
    let asked = Asked {
        id: job.id,
        key: &job.key,
        attempt: job.attempt,
        status_code: response.status_code,
        headers: &response.headers,
        body: Body::of(&response.body),
        row: &job.request.row,
        // Without the marks of the secrets that are named in it.
        request: RawValue::from_string(secret::shown(&request).into_owned()).map_err(cannot)?,
    };
    let mut line = serde_json::to_vec(&asked).map_err(cannot)?;
    line.push(b'\n');
    Ok(line)
}

/// What a program says of a job. Other members are left alone.
#[derive(Deserialize)]
struct Answered {
    id: Option<i64>,
    #[serde(default, deserialize_with = "even_null")]
    output: Option<Box<RawValue>>,
    error: Option<String>,
    retry: Option<String>,
}

/// `null` is an output, too.
fn even_null<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(json).map(Some)
}

/// The output of a job, or its failure, as the program says. The outer error is a line that is no answer to this job, in words
/// that go on after "the program": nobody knows what the next one would be.
pub(super) fn answer(line: &[u8], job: i64) -> Result<Result<String, Failure>, String> {
    let quoted = || quoted(line);
    let text = std::str::from_utf8(line).map_err(|_| format!("put out a line that is no UTF-8: {}", quoted()))?;
    bounds::check(text).map_err(|reason| format!("put out a line that {reason}: {}", quoted()))?;
    let Answered { id, output, error, retry } = serde_json::from_str(text)
        .map_err(|error| format!("put out a line that is no answer ({error}): {}", quoted()))?;
    match id {
        Some(id) if id == job => {}
        Some(id) => return Err(format!("answered job {id} when it was asked about job {job}")),
        None => return Err(format!("put out a line without an id: {}", quoted())),
    }
    match (error, output) {
        (Some(message), _) => Ok(Err(failure(message, retry.as_deref())?)),
        (None, Some(output)) => Ok(Ok(output.get().to_owned())),
        (None, None) => Err(format!("put out an answer without output or error: {}", quoted())),
    }
}

/// The beginning of a line.
pub(super) fn quoted(line: &[u8]) -> String {
    bounds::shown(&String::from_utf8_lossy(line.get(..1_000).unwrap_or(line)), 100)
}

/// The failure that a program wants.
fn failure(message: String, retry: Option<&str>) -> Result<Failure, String> {
    let verdict = match retry {
        None => Verdict::Permanent,
        Some("process") => Verdict::Transient,
        Some("fetch") => Verdict::Refetch,
        Some(other) => {
            return Err(format!("asked for a retry of `{}`; there are fetch and process", bounds::shown(other, 40)));
        }
    };
    Ok(Failure::new(ErrorType::PROCESS_ERROR, verdict, bounds::cut(message)))
}
