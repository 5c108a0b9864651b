//! OpenAI batch output: a line a job, for programs that read those. The answer is the stored response; where none is kept, the
//! result. A job without a result is an error line, with its last answer where there is one.

use std::io::{self, Write};

use haul::result_line::raw;
use haul::store::sqlite::answers::Answer;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response>,
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Response {
    status_code: i64,
    request_id: Option<String>,
    body: Box<RawValue>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: String,
}

/// Writes one job.
pub(super) fn line(out: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let line = &answer.line;
    let state = line.state.as_deref().unwrap_or_default();
    let error = match &line.error {
        Some(error) => Some(Error { code: &error.error_type, message: error.message.clone() }),
        None if state == "succeeded" => None,
        None => Some(Error { code: state, message: format!("the job is {state}; it has no result") }),
    };
    let written = Line {
        id: format!("batch_req_{}", line.id.unwrap_or_default()),
        custom_id: line.key.as_deref().unwrap_or_default(),
        response: response(answer),
        error,
    };
    serde_json::to_writer(&mut *out, &written)?;
    out.write_all(b"\n")
}

fn response(answer: &Answer) -> Option<Response> {
    let status_code = answer.line.status_code?;
    match &answer.response {
        Some(stored) => {
            let headers: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&stored.headers).unwrap_or_default();
            let request_id = headers.get("x-request-id").and_then(|id| id.as_str()).map(str::to_owned);
            Some(Response { status_code, request_id, body: body(&stored.body) })
        }
        None => answer.line.result.clone().map(|body| Response { status_code, request_id: None, body }),
    }
}

/// JSON word for word, text as a string, bytes as a string of Base64.
fn body(bytes: &[u8]) -> Box<RawValue> {
    match std::str::from_utf8(bytes) {
        Ok(text) => raw(text),
        Err(_) => to_raw_value(&crate::cli::query::base64(bytes)).unwrap_or_else(|_| RawValue::NULL.to_owned()),
    }
}
